"""A parsed model as TensorFlow functions without variables: what predicts, and what every export begins with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from sensenet.document.fields import BoxOutput
from sensenet.document.model import ModelSpec
from sensenet.errors import ModelFormatError
from sensenet.forest import tree_features
from sensenet.layers.base import Layers, forward_layers
from sensenet.network import fit_network

# rows of one call: small enough for the hidden layers' numbers to stay in the processor's cache
CHUNK_ROWS = 8192


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A model whose layers all hold arrays that fit together.

    Attributes:
        spec: the document, its image network fitted.
        networks: the layers of each network, fitted.
    """

    spec: ModelSpec
    networks: tuple[Layers, ...]


def fit_model(spec: ModelSpec, seed: int = 0) -> FittedModel:
    """Check that every network of `spec` fits its input and output; untrained layers are drawn.

    Raises:
        ModelFormatError: gives the place; also for a detector, which has no networks behind its image network.
    """
    output = spec.output
    if isinstance(output, BoxOutput):
        raise ModelFormatError(
            'output_exposition: "bounding_box" needs an image_network with branches in metadata.outputs'
        )
    if not spec.preprocess:
        raise ModelFormatError("preprocess: expected at least one field, got none")
    spec = fit_images(spec, seed)
    fitted = []
    for position, network in enumerate(spec.networks):
        path = spec.network_path(position)
        columns = spec.input_size + (spec.tree_outputs if network.uses_trees else 0)
        layers, width = fit_network(network.layers, columns, seed + position, path)
        if width != output.size:
            raise ModelFormatError(
                f"{path}[{len(layers) - 1}]: expected {output.size} outputs, as output_exposition says, "
                f"got {width}"
            )
        fitted.append(layers)
    return FittedModel(spec, tuple(fitted))


def fit_images(spec: ModelSpec, seed: int = 0) -> ModelSpec:
    """`spec` with its image network fitted, if it has image fields.

    Raises:
        ModelFormatError: layers that do not fit together; gives the place.
    """
    if spec.image_network is None or not spec.has_images:
        return spec
    return replace(spec, image_network=spec.image_network.fit(seed))


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


def run(predict: Callable[[tf.Tensor], tf.Tensor], inputs: np.ndarray) -> np.ndarray:
    """Call a concrete function on a (rows, columns) float32 matrix, many rows in pieces."""
    if len(inputs) <= CHUNK_ROWS:
        return predict(tf.constant(inputs)).numpy()
    starts = range(0, len(inputs), CHUNK_ROWS)
    return np.concatenate(
        [predict(tf.constant(inputs[start : start + CHUNK_ROWS])).numpy() for start in starts]
    )
