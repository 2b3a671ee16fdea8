"""The published networks with the deterministic weights that their recorded outputs were made with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sensenet.document.image_network import ImageNetworkSpec
from sensenet.document.model import dump_model, parse_model
from sensenet.layers import dump_layers, parse_layers
from sensenet.layers.base import Layers, initialize_layers
from sensenet.pretrained import network_document

BATCH_NORMALIZATION = {
    "gamma": lambda draws, shape: draws.uniform(0.8, 1.2, shape),
    "variance": lambda draws, shape: draws.uniform(0.8, 1.2, shape),
    "beta": lambda draws, shape: 0.05 * draws.standard_normal(shape),
    "mean": lambda draws, shape: 0.05 * draws.standard_normal(shape),
}
BIASES = ("bias", "offset")


def recorded_cases(conformance: Path, name: str) -> dict[str, Any]:
    return json.loads((conformance / "pretrained_goldens.json").read_text())["networks"][name]


def recorded_document(name: str, scales: dict[str, Any]) -> dict[str, Any]:
    """The document of the network `name` with weights drawn as the recording says; arrays are NumPy."""
    document = network_document(name)
    spec = parse_model(document)
    images = spec.image_network
    assert images is not None
    draws = _draws(scales)
    layers, shape = initialize_layers(images.layers, images.input_shape, (0,), "image_network.layers")
    readout, _ = initialize_layers(parse_layers(document["layers"] or []), shape, (0,), "layers")
    images = ImageNetworkSpec(_drawn(layers, draws), images.metadata)
    return {**dump_model(spec), "image_network": images.dump(), "layers": dump_layers(_drawn(readout, draws))}


def _drawn(layers: Layers, draws: Iterator[Any]) -> Layers:
    return tuple(
        layer.with_arrays(
            [next(draws)(layer.type_name, name, values.shape) for name, values in layer.arrays().items()]
        )
        for layer in layers
    )


def _draws(scales: dict[str, Any]) -> Iterator[Any]:
    """For each array in turn, a function of its layer's type, its name and shape."""
    position = 0
    while True:
        yield lambda kind, name, shape, k=position: _draw(k, kind, name, shape, scales)
        position += 1


def _draw(k: int, kind: str, name: str, shape: tuple[int, ...], scales: dict[str, Any]) -> np.ndarray:
    draws = np.random.RandomState(1000 + k)
    if name in BATCH_NORMALIZATION:
        return BATCH_NORMALIZATION[name](draws, shape).astype(np.float32)
    if name in BIASES:
        return (0.01 * draws.standard_normal(shape)).astype(np.float32)
    scale = scales["body_kernel_scale"]
    if k == 0:
        scale = scales["first_kernel_scale"]
    elif k in scales["last_kernel_tensor_indices"]:
        scale = scales["last_kernel_scale"]
    is_depthwise = kind == "depthwise_convolution_2d" or name == "depth_kernel"
    fan_in = np.prod(shape[:2] if is_depthwise else shape[:-1])
    return (draws.standard_normal(shape) * np.sqrt(2 / fan_in) * scale).astype(np.float32)
