"""From a weight file to the arrays of a network's layers: matched by order and shape, never by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sensenet.document.parsing import shown
from sensenet.errors import ModelFormatError, WeightsError
from sensenet.formats.h5 import stored_weights
from sensenet.layers import parse_layers
from sensenet.layers.base import Layers, initialize_layers
from sensenet.pretrained.networks import network_document

SIGNATURE = b"\x89HDF\r\n\x1a\n"


class PretrainedLayers(NamedTuple):
    """The initialized layers of a published network.

    Attributes:
        image: from normalised pixels (height, width, 3) to features (or a detector's maps).
        readout: from features to classes; empty for a detector.
    """

    image: Layers
    readout: Layers


def read_layers(name: str, path: str | os.PathLike[str]) -> PretrainedLayers:
    """The layers of the published network `name` with the arrays of a weight file.

    Arrays go straight from the file into the layers: no Keras model is built.

    Raises:
        WeightsError: not a weight file, or one of another network; says what differs.
    """
    document = network_document(name)
    image = parse_layers(document["image_network"]["layers"], "image_network.layers")
    readout = parse_layers(document["layers"], "layers")
    filled = fill_layers(image + readout, path, name)
    width, height, channels = document["image_network"]["metadata"]["input_image_shape"]
    image, readout = filled[: len(image)], filled[len(image) :]
    try:
        image, shape = initialize_layers(image, (height, width, channels), (0,), "image_network.layers")
        readout, _ = initialize_layers(readout, shape, (0,), "layers")
    except ModelFormatError as error:
        raise _not_the_weights(path, name, str(error)) from error
    return PretrainedLayers(image, readout)


def fill_layers(layers: Layers, path: str | os.PathLike[str], name: str) -> Layers:
    """`layers` with the arrays of a weight file; their shapes are not looked at.

    Args:
        layers: their untrained or trained specs, one for each layer of the file among them.
        name: of the network, for errors.

    Raises:
        WeightsError: not a weight file, or one of other layers.
    """
    stored = _stored(path, name)
    weighted = [position for position, layer in enumerate(layers) if layer.arrays()]
    if len(weighted) != len(stored):
        raise _not_the_weights(path, name, f"expected {len(weighted)} layers with weights, got {len(stored)}")
    filled = list(layers)
    for position, (stored_name, arrays) in zip(weighted, stored, strict=True):
        layer = layers[position]
        if len(layer.arrays()) != len(arrays):
            raise _not_the_weights(
                path,
                name,
                f"layer {stored_name}: expected {', '.join(layer.arrays())} of {layer.type_name}, "
                f"got {len(arrays)} arrays",
            )
        filled[position] = layer.with_arrays(arrays)
    return tuple(filled)


def _stored(path: str | os.PathLike[str], name: str) -> list[tuple[str, list[np.ndarray]]]:
    with Path(path).open("rb") as file:
        begin = file.read(len(SIGNATURE))
    if begin != SIGNATURE:
        text = shown(begin.decode("latin-1"))
        raise _not_the_weights(path, name, f"expected an HDF5 file, got one that begins with {text}")
    try:
        return stored_weights(path)
    except ModelFormatError as error:
        raise WeightsError(str(error)) from error


def _not_the_weights(path: str | os.PathLike[str], name: str, difference: str) -> WeightsError:
    return WeightsError(f"{os.fspath(path)}: not the weights of {name}: {difference}")
