"""Ordered layers as one flat Keras model, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from sensenet.errors import ModelFormatError
from sensenet.layers import LayerSpec, without_dropout
from sensenet.layers.activations import keras_activation
from sensenet.layers.base import Layers, Shape, build_layers, initialize_layers, trained_layers


@dataclass(frozen=True)
class Network:
    """A connected network; spec and Keras layers stay paired, so that writing it back needs no search.

    Attributes:
        layers: the specs, every parameter an array (what the Keras layers began with).
        model: functional, blocks laid out flat; takes (rows, *input_shape) float32.
        logits_model: the same layers up to `final_activation`.
        final_activation: name of the last non-linear function; None where the network ends without one.
        parts: the Keras layers of each spec.
    """

    layers: Layers
    model: keras.Model
    logits_model: keras.Model
    final_activation: str | None
    parts: tuple[Any, ...]

    def trained_layers(self) -> Layers:
        """The layers with the weights that `model` holds now, for a final document: dropout is left out."""
        return without_dropout(trained_layers(self.layers, self.parts))


def initialize_network(
    layers: Sequence[LayerSpec], input_shape: int | Shape, seed: int = 0, path: str = "layers"
) -> tuple[Layers, int]:
    """Layers whose untrained parameters are drawn and whose arrays fit, and the channels of their output.

    Args:
        layers: as `sensenet.layers.parse_layers` gives them; at least one.
        input_shape: columns that the network takes, or (height, width, channels).
        seed: for layers without one of their own.
        path: of the list in the document, for errors.

    Raises:
        ModelFormatError: no layers, or an array that does not fit its input; gives the place.
    """
    if not layers:
        raise ModelFormatError(f"{path}: expected at least one layer, got none")
    initialized, shape = initialize_layers(tuple(layers), _row_shape(input_shape), (seed,), path)
    return initialized, shape[-1]


def _row_shape(input_shape: int | Shape) -> Shape:
    return (input_shape,) if isinstance(input_shape, int) else input_shape


def build_network(layers: Sequence[LayerSpec], input_shape: int | Shape, seed: int = 0) -> Network:
    """Connect `layers` in one ordered pass.

    Args:
        layers: as `sensenet.layers.parse_layers` gives them; at least one.
        input_shape: columns of the input, tree features included; or (height, width, channels) of images.
        seed: for untrained layers and dropout without a seed of their own.

    Raises:
        ModelFormatError: no layers, or an array that does not fit its input; gives the place.
    """
    initialized, _ = initialize_network(layers, input_shape, seed)
    last, final_activation = initialized[-1].split_activation()
    source = keras.Input(_row_shape(input_shape), dtype="float32")
    built = build_layers((*initialized[:-1], last), source)
    output = built.output
    if final_activation is not None:
        output = keras.layers.Activation(keras_activation(final_activation))(output)
    return Network(
        layers=initialized,
        model=keras.Model(source, output),
        logits_model=keras.Model(source, built.output),
        final_activation=final_activation,
        parts=built.parts,
    )


def identity_network(n_columns: int) -> Network:
    """A network of no layers: what goes in comes out."""
    source = keras.Input((n_columns,), dtype="float32")
    return Network((), keras.Model(source, source), keras.Model(source, source), None, ())
