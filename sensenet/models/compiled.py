"""A parsed model as TensorFlow functions without variables: what predicts, and what every export begins with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from sensenet.document import ModelSpec
from sensenet.errors import ModelFormatError
from sensenet.fields import BoxOutput, CategoricalField, NumericOutput
from sensenet.forest import tree_features
from sensenet.layers.base import Layers, forward_layers
from sensenet.network import fit_network
from sensenet.preprocess.tabular import ColumnCodec

# rows of one call: small enough for the hidden layers' numbers to stay in the processor's cache
CHUNK_ROWS = 8192


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A model whose layers all hold arrays that fit together.

    Attributes:
        spec: the document.
        networks: the layers of each network, fitted.
    """

    spec: ModelSpec
    networks: tuple[Layers, ...]


def fit_model(spec: ModelSpec, seed: int = 0) -> FittedModel:
    """Check that every network of `spec` fits its input and output; untrained layers are drawn.

    Raises:
        ModelFormatError: gives the place.
    """
    if spec.raw.get("image_network") is not None or isinstance(spec.output, BoxOutput):
        raise ModelFormatError("image_network: a model with image fields cannot be run by this version")
    if not spec.preprocess:
        raise ModelFormatError("preprocess: expected at least one field, got none")
    fitted = []
    for position, network in enumerate(spec.networks):
        path = spec.network_path(position)
        columns = spec.input_size + (spec.tree_outputs if network.uses_trees else 0)
        layers, width = fit_network(network.layers, columns, seed + position, path)
        if width != spec.output.size:
            raise ModelFormatError(
                f"{path}[{len(layers) - 1}]: expected {spec.output.size} outputs, as output_exposition says, "
                f"got {width}"
            )
        fitted.append(layers)
    return FittedModel(spec, tuple(fitted))


def compile_model(model: FittedModel) -> Any:
    """The concrete function (rows, columns) float32 -> (rows, outputs) float32, as standardised as its input.

    Raises:
        ModelFormatError: a forest looks at columns that are not there.
    """

    def predict(inputs: tf.Tensor) -> tf.Tensor:
        return _forward(model, inputs)

    signature = tf.TensorSpec((None, model.spec.input_size), tf.float32, name="inputs")
    return tf.function(predict, input_signature=[signature], autograph=False).get_concrete_function()


def _forward(model: FittedModel, inputs: tf.Tensor) -> tf.Tensor:
    forests = model.spec.forests or ()
    with_trees = inputs
    if any(network.uses_trees for network in model.spec.networks) and forests:
        with_trees = tf.concat([tree_features(forests, inputs), inputs], axis=1)
    outputs = [
        forward_layers(layers, with_trees if network.uses_trees else inputs)
        for network, layers in zip(model.spec.networks, model.networks, strict=True)
    ]
    return outputs[0] if len(outputs) == 1 else tf.add_n(outputs) / len(outputs)


def raw_function(spec: ModelSpec, codecs: Sequence[ColumnCodec], predict: Any, normalized: bool) -> Any:
    """The function of raw columns around `predict`, for servers that have no Python: one float32 column a field.

    A number is standardised, NaN is the field's missing value; a category is its position among the field's values,
    any other number an unknown one; a numeric output is denormalised unless `normalized`.
    """
    offset, scale, missing = (
        np.array([getattr(codec, name) for codec in codecs], np.float32)
        for name in ("offset", "scale", "missing")
    )

    def serve(numeric_inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        absent = tf.math.is_nan(numeric_inputs)
        numbers = (tf.where(absent, missing, numeric_inputs) - offset) / scale  # (rows, fields)
        whole = numeric_inputs == tf.floor(numeric_inputs)  # NaN is not
        codes = tf.cast(tf.where(whole, numeric_inputs, tf.constant(-1.0)), tf.int32)
        blocks = [
            tf.one_hot(codes[:, position], codec.width)
            if isinstance(codec.field, CategoricalField)
            else numbers[:, position : position + 1]
            for position, codec in enumerate(codecs)
        ]
        predicted = predict(tf.concat(blocks, axis=1))
        if isinstance(spec.output, NumericOutput) and not normalized:
            predicted = predicted * spec.output.stdev + spec.output.mean
        return {"output": predicted}

    signature = tf.TensorSpec((None, len(codecs)), tf.float32, name="numeric_inputs")
    return tf.function(serve, input_signature=[signature], autograph=False).get_concrete_function()


def run(predict: Callable[[tf.Tensor], tf.Tensor], inputs: np.ndarray) -> np.ndarray:
    """Call a concrete function on a (rows, columns) float32 matrix, many rows in pieces."""
    if len(inputs) <= CHUNK_ROWS:
        return predict(tf.constant(inputs)).numpy()
    starts = range(0, len(inputs), CHUNK_ROWS)
    return np.concatenate(
        [predict(tf.constant(inputs[start : start + CHUNK_ROWS])).numpy() for start in starts]
    )
