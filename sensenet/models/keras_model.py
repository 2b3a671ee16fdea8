"""A whole model as one functional Keras model: what weight files are written from and read into."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

from sensenet.forest import tree_features
from sensenet.layers.base import Layers, build_layers, trained_layers
from sensenet.models.compiled import FittedModel
from sensenet.trees import Forest


class TreeFeatures(keras.layers.Layer):
    """The forests' features, before what they were made from: (rows, columns) -> (rows, features + columns)."""

    def __init__(self, forests: tuple[Forest, ...], **options: Any):
        """Keep `forests`; `options` are those of every Keras layer."""
        super().__init__(**options)
        self._forests = forests

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return keras.ops.concatenate([tree_features(self._forests, inputs), inputs], axis=1)


class KerasModel(NamedTuple):
    """The functional model of preprocessed inputs, and the Keras layers of each network's layers."""

    model: keras.Model
    parts: tuple[Any, ...]


def build_model(fitted: FittedModel) -> KerasModel:
    """Connect a model's networks side by side; the output is their mean, as standardised as the input.

    The graph has the shape that the published package builds, for Keras orders layers by their depth, and weight
    files are matched by that order.
    """
    spec = fitted.spec
    source = keras.Input((spec.input_size,), dtype="float32")
    with_trees = source
    if spec.forests and any(network.uses_trees for network in spec.networks):
        with_trees = TreeFeatures(spec.forests)(source)
    built = [
        build_layers(layers, with_trees if network.uses_trees else source)
        for network, layers in zip(spec.networks, fitted.networks, strict=True)
    ]
    output = built[0].output if len(built) == 1 else keras.layers.Average()([one.output for one in built])
    return KerasModel(keras.Model(source, output), tuple(one.parts for one in built))


def trained_networks(fitted: FittedModel, built: KerasModel) -> tuple[Layers, ...]:
    """The layers of each network with the weights that the Keras model holds now."""
    return tuple(
        trained_layers(layers, parts) for layers, parts in zip(fitted.networks, built.parts, strict=True)
    )
