"""Weight files with random numbers, in the layout of the published ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from sensenet.layers import parse_layers
from sensenet.layers.base import initialize_layers
from sensenet.pretrained import network_document

Arrays = list[list[np.ndarray]]


def random_arrays(name: str, seed: int) -> Arrays:
    """The arrays of each layer of a published network that has some."""
    document = network_document(name)
    width, height, channels = document["image_network"]["metadata"]["input_image_shape"]
    image = parse_layers(document["image_network"]["layers"])
    initialized, shape = initialize_layers(image, (height, width, channels), (seed,), "")
    readout, _ = initialize_layers(parse_layers(document["layers"]), shape, (seed,), "")
    return [list(layer.arrays().values()) for layer in initialized + readout if layer.arrays()]


def write_file(path: Path, layers: Sequence[Sequence[np.ndarray]]) -> Path:
    """A whole-model weight file of the legacy layout; names in it mean nothing."""
    with h5py.File(path, "w") as file:
        names = ["input", *(f"layer_{position}" for position in range(len(layers)))]
        file.attrs["layer_names"] = np.array(names, "S")
        for name, arrays in zip(names, [[], *layers], strict=True):
            group = file.create_group(name)
            group.attrs["weight_names"] = np.array([f"{name}/w{i}:0" for i in range(len(arrays))], "S")
            for position, array in enumerate(arrays):
                group.create_dataset(f"{name}/w{position}:0", data=array)
    return path
