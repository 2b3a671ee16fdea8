"""Layers made ready for prediction: fewer of them, and their arrays where TensorFlow computes."""

from __future__ import annotations

from collections.abc import Collection

import tensorflow as tf

from sensenet.layers.activations import Activation
from sensenet.layers.base import NETWORK_INPUT, Layers, LayerSpec
from sensenet.layers.normalization import BatchNormalization


def fold_normalization(layers: Layers, kept: Collection[int] = ()) -> Layers:
    """(Initialized) layers for the same function, with batch normalisation taken into the layer before it.

    It is taken in where that layer is linear and nothing else uses its output. Positions stay: an identity stands
    where the normalisation was.

    Args:
        layers: every parameter an array.
        kept: positions whose output is used from outside the list, beside the last.
    """
    folded = [layer.with_paths(fold_normalization) for layer in layers]
    for position, layer in enumerate(folded):
        if not isinstance(layer, BatchNormalization):
            continue
        source = _only_user_of(folded, position, kept)
        while source is not None and _is_identity(folded[source]):
            source = _only_user_of(folded, source, kept)
        merged = None if source is None else folded[source].followed_by(*layer.affine())
        if source is not None and merged is not None:
            folded[source] = merged
            folded[position] = Activation(activation_function=None, inputs=layer.inputs)
    return tuple(folded)


def _only_user_of(layers: list[LayerSpec], position: int, kept: Collection[int]) -> int | None:
    """The layer before `position`, if nothing else uses its output."""
    (source,) = layers[position].inputs
    if source == NETWORK_INPUT or source in kept:
        return None
    uses = sum(layer.inputs.count(source) for layer in layers)
    return source if uses == 1 else None


def _is_identity(layer: LayerSpec) -> bool:
    return isinstance(layer, Activation) and layer.activation_function is None


def on_device(layers: Layers) -> Layers:
    """(Initialized) layers whose arrays are eager tensors: a traced function refers to those, and copies none."""
    moved = []
    for layer in layers:
        inside = layer.with_paths(on_device)
        moved.append(inside.with_arrays([tf.constant(value) for value in inside.arrays().values()]))
    return tuple(moved)
