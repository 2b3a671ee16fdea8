"""A parsed model as TensorFlow functions without variables: what predicts, and what every export begins with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from sensenet.document.fields import BoxOutput
from sensenet.document.model import ModelSpec, NetworkSpec
from sensenet.errors import ModelFormatError
from sensenet.forest import tree_features
from sensenet.layers.base import content, forward_layers
from sensenet.network import initialize_network

# rows of one call: small enough for the hidden layers' numbers to stay in the processor's cache
CHUNK_ROWS = 8192


def initialize_model(spec: ModelSpec, seed: int = 0) -> ModelSpec:
    """`spec` with layers that all hold arrays, those of untrained layers drawn; each network fits input and output.

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
    if spec.image_network is not None and spec.has_images:
        spec = replace(spec, image_network=spec.image_network.initialize(seed))
    networks = []
    for position, network in enumerate(spec.networks):
        path = spec.network_path(position)
        columns = spec.input_size + (spec.tree_outputs if network.uses_trees else 0)
        layers, width = initialize_network(network.layers, columns, seed + position, path)
        if width != output.size:
            raise ModelFormatError(
                f"{path}[{len(layers) - 1}]: expected {output.size} outputs, as output_exposition says, "
                f"got {width}"
            )
        networks.append(replace(network, layers=layers))
    return replace(spec, networks=tuple(networks))


def compile_model(spec: ModelSpec) -> Any:
    """The concrete function (rows, columns) float32 -> (rows, outputs) float32, as standardised as its input.

    Args:
        spec: an initialized model.

    Raises:
        ModelFormatError: a forest looks at columns that are not there.
    """

    def predict(inputs: tf.Tensor) -> tf.Tensor:
        return _forward(spec, inputs)

    signature = tf.TensorSpec((None, spec.input_size), tf.float32, name="inputs")
    return tf.function(predict, input_signature=[signature], autograph=False).get_concrete_function()


def _forward(spec: ModelSpec, inputs: tf.Tensor) -> tf.Tensor:
    forests = spec.forests or ()
    with_trees = inputs
    if any(network.uses_trees for network in spec.networks) and forests:
        with_trees = tf.concat([tree_features(forests, inputs), inputs], axis=1)
    counted = counted_networks(spec.networks)
    outputs = [
        forward_layers(network.layers, with_trees if network.uses_trees else inputs) for network, _ in counted
    ]
    if len(outputs) == 1:
        return outputs[0]
    summed = [output * times for output, (_, times) in zip(outputs, counted, strict=True)]
    return tf.add_n(summed) / len(spec.networks)


def counted_networks(networks: Sequence[NetworkSpec]) -> list[tuple[NetworkSpec, int]]:
    """The networks that differ, and how often each is there: repeats are how a plain mean has weights."""
    contents = [(network.uses_trees, content(network.layers)) for network in networks]
    of_content = dict(zip(contents, networks, strict=True))
    return [(of_content[one], times) for one, times in Counter(contents).items()]


def run(predict: Callable[[tf.Tensor], tf.Tensor], inputs: np.ndarray) -> np.ndarray:
    """Call a concrete function on a (rows, columns) float32 matrix, many rows in pieces."""
    if len(inputs) <= CHUNK_ROWS:
        return predict(tf.constant(inputs)).numpy()
    starts = range(0, len(inputs), CHUNK_ROWS)
    return np.concatenate(
        [predict(tf.constant(inputs[start : start + CHUNK_ROWS])).numpy() for start in starts]
    )
