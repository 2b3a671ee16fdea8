"""The `image_network` of a document: the layers that turn pixels into features or boxes, and what they expect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sensenet.document.parsing import array, expected, integer, mapping, number, required, sequence
from sensenet.errors import ModelFormatError
from sensenet.layers import dump_layers, parse_layers
from sensenet.layers.base import MAX_OUTPUT, Layers, Shape, initialize_layers, walk_all
from sensenet.preprocess.image import LOADING_METHODS, RESCALE_TYPES

CHANNELS = 3
MAX_SIDE = 16_384
MAX_BRANCHES = 16
MAX_ANCHORS = 64
NUMBERS_A_BOX = 5


@dataclass(frozen=True)
class Branch:
    """One scale of a detector.

    Attributes:
        strides: pixels of the network's input a cell, in both directions.
        anchors: (width, height) in those pixels.
        xyscale: how far beyond its cell a box's centre can lie; 1 is not at all (arXiv 2004.10934).
        input: position of the layer that feeds it.
    """

    strides: int
    anchors: tuple[tuple[float, float], ...]
    xyscale: float
    input: int

    def dump(self) -> dict[str, Any]:
        """The branch's entry in the metadata's `outputs`."""
        anchors = [[_whole(side) for side in anchor] for anchor in self.anchors]
        return {"anchors": anchors, "strides": self.strides, "xyscale": self.xyscale, "input": self.input}


@dataclass(frozen=True, eq=False)
class ImageMetadata:
    """What an image network expects and gives.

    Attributes:
        base_image_network: the name of its topology, or None.
        width, height: of its input in pixels; images are RGB.
        loading_method: one of `sensenet.preprocess.image.LOADING_METHODS`, or None for raw pixels.
        mean_image: subtracted from the pixels first; broadcasts to (height, width, 3); or None.
        outputs: the number of features, or the branches of a detector; None where the document does not say.
        version: of the pretrained weights it began with, or None.
        rescale_type: how images are brought to its size, or None.
        exif_rotation: whether images are turned as their EXIF orientation says.
    """

    base_image_network: str | None
    width: int
    height: int
    loading_method: str | None
    mean_image: np.ndarray | None
    outputs: int | tuple[Branch, ...] | None
    version: str | None
    rescale_type: str | None
    exif_rotation: bool = False

    def dump(self) -> dict[str, Any]:
        """The `metadata` of the document."""
        outputs = self.outputs
        raw = {
            "base_image_network": self.base_image_network,
            "input_image_shape": [self.width, self.height, CHANNELS],
            "loading_method": self.loading_method,
            "mean_image": self.mean_image,
            "outputs": [branch.dump() for branch in outputs] if isinstance(outputs, tuple) else outputs,
            "version": self.version,
            "rescale_type": self.rescale_type,
        }
        return {**raw, "exif_rotation": True} if self.exif_rotation else raw

    def dump_for_bundle(self) -> dict[str, Any]:
        """What a reader of finished functions needs: those subtract the mean image themselves."""
        return replace(self, mean_image=None).dump()


@dataclass(frozen=True, eq=False)
class ImageNetworkSpec:
    """An image network, parsed.

    Attributes:
        layers: from (height, width, 3) pixels, normalised as the metadata says, to features or branches.
        metadata: see `ImageMetadata`.
    """

    layers: Layers
    metadata: ImageMetadata

    @property
    def branches(self) -> tuple[Branch, ...] | None:
        """The branches of a detector; None for other networks."""
        return self.metadata.outputs if isinstance(self.metadata.outputs, tuple) else None

    @property
    def input_shape(self) -> Shape:
        """(height, width, 3)."""
        return (self.metadata.height, self.metadata.width, CHANNELS)

    def dump(self, short: bool = False) -> dict[str, Any]:
        """The `image_network` of the document; arrays stay float32 NumPy, or are names if `short`."""
        return {"layers": dump_layers(self.layers, short), "metadata": self.metadata.dump()}

    def initialize(self, seed: int = 0, path: str = "image_network") -> ImageNetworkSpec:
        """The same network with every parameter an array that fits, and `outputs` known.

        Raises:
            ModelFormatError: layers that do not fit together, or give something else than the metadata says.
        """
        if not self.layers:
            raise ModelFormatError(f"{path}.layers: expected at least one layer, got none")
        layers, output = initialize_layers(self.layers, self.input_shape, (seed,), f"{path}.layers")
        if self.branches is not None:
            return replace(self, layers=layers)
        if len(output) != 1:
            raise ModelFormatError(
                f"{path}.layers[{len(layers) - 1}]: expected one number a feature, got the shape {list(output)}; "
                "image networks end with pooling or flattening"
            )
        if self.metadata.outputs not in (None, output[0]):
            raise ModelFormatError(
                f"{path}.metadata.outputs: expected {output[0]}, as the layers give, got {self.metadata.outputs}"
            )
        return replace(self, layers=layers, metadata=replace(self.metadata, outputs=output[0]))

    def check_branches(self, n_classes: int, path: str = "image_network") -> None:
        """Refuse a detector whose maps do not have the form that its branches and classes ask for.

        Raises:
            ModelFormatError: names the branch.
        """
        shapes = layer_shapes(self.layers, self.input_shape)
        for position, branch in enumerate(self.branches or ()):
            place = f"{path}.metadata.outputs[{position}]"
            if branch.input >= len(self.layers):
                expected(f"{place}.input", f"a layer below {len(self.layers)}", branch.input)
            shape, channels = shapes[branch.input], len(branch.anchors) * (NUMBERS_A_BOX + n_classes)
            if len(shape) != 3 or shape[-1] != channels:
                raise ModelFormatError(
                    f"{place}.input: expected a map of {channels} channels, {NUMBERS_A_BOX} + {n_classes} for each of "
                    f"{len(branch.anchors)} anchors, got the shape {list(shape)}"
                )


def layer_shapes(layers: Layers, shape: Shape) -> list[Shape]:
    """The shape of every (initialized) layer's output for an input of `shape`."""
    return walk_all(layers, shape, lambda position, layer, shapes: layer.initialize(shapes, (0,), "")[1])


def parse_image_network(raw_network: Any, path: str = "image_network") -> ImageNetworkSpec:
    """The image network of a document.

    Raises:
        ModelFormatError: names the place, the expectation and the value.
    """
    raw = mapping(raw_network, path)
    return ImageNetworkSpec(
        layers=parse_layers(required(raw, "layers", path), f"{path}.layers"),
        metadata=parse_metadata(required(raw, "metadata", path), f"{path}.metadata"),
    )


def parse_metadata(raw_metadata: Any, path: str = "metadata") -> ImageMetadata:
    """The metadata of an image network.

    Raises:
        ModelFormatError: names the place, the expectation and the value.
    """
    raw = mapping(raw_metadata, path)
    shape = sequence(required(raw, "input_image_shape", path), f"{path}.input_image_shape")
    if len(shape) != CHANNELS or shape[-1] != CHANNELS:
        expected(f"{path}.input_image_shape", "[width, height, 3]", list(shape))
    width, height = (
        integer(side, f"{path}.input_image_shape[{i}]", 1, MAX_SIDE) for i, side in enumerate(shape[:2])
    )
    exif_rotation = raw.get("exif_rotation")
    if exif_rotation is not None and not isinstance(exif_rotation, bool):
        expected(f"{path}.exif_rotation", "true or false", exif_rotation)
    if width * height * CHANNELS > MAX_OUTPUT:
        raise ModelFormatError(f"{path}.input_image_shape: images of {width} x {height} pixels are too large")
    return ImageMetadata(
        base_image_network=_text(raw, "base_image_network", path),
        width=width,
        height=height,
        loading_method=_choice(raw, "loading_method", LOADING_METHODS, path),
        mean_image=_mean_image(raw.get("mean_image"), (height, width, CHANNELS), f"{path}.mean_image"),
        outputs=_outputs(raw.get("outputs"), f"{path}.outputs"),
        version=_text(raw, "version", path),
        rescale_type=_choice(raw, "rescale_type", RESCALE_TYPES, path),
        exif_rotation=bool(exif_rotation),
    )


def _text(raw: Mapping[str, Any], key: str, path: str) -> str | None:
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        expected(f"{path}.{key}", "a text or null", value)
    return value


def _choice(raw: Mapping[str, Any], key: str, known: Any, path: str) -> str | None:
    value = _text(raw, key, path)
    if value is not None and value not in known:
        expected(f"{path}.{key}", f"null or one of {', '.join(name for name in known if name)}", value)
    return value


def _mean_image(value: Any, shape: Shape, path: str) -> np.ndarray | None:
    if value is None:
        return None
    is_list = isinstance(value, (list, tuple, np.ndarray)) and len(value) > 0
    mean = array(value, path, 3 if is_list and not np.isscalar(value[0]) else 1)
    if mean.shape not in (shape, shape[-1:]):
        raise ModelFormatError(
            f"{path}: expected numbers of shape {list(shape)} or [3], got {list(mean.shape)}"
        )
    return mean


def _outputs(value: Any, path: str) -> int | tuple[Branch, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        return integer(value, path, 1, 2**31 - 1)
    if not 1 <= len(value) <= MAX_BRANCHES:
        expected(path, f"1 to {MAX_BRANCHES} branches", value)
    return tuple(_branch(raw, f"{path}[{i}]") for i, raw in enumerate(value))


def _branch(raw_branch: Any, path: str) -> Branch:
    raw = mapping(raw_branch, path)
    anchors = array(required(raw, "anchors", path), f"{path}.anchors", 2)
    if anchors.shape[1] != 2 or len(anchors) > MAX_ANCHORS or (anchors <= 0).any():
        raise ModelFormatError(f"{path}.anchors: expected 1 to {MAX_ANCHORS} pairs [width, height] above 0")
    return Branch(
        strides=integer(required(raw, "strides", path), f"{path}.strides", 1, MAX_SIDE),
        anchors=tuple((float(width), float(height)) for width, height in anchors),
        xyscale=number(raw.get("xyscale", 1.0), f"{path}.xyscale", 0, 1000),
        input=integer(required(raw, "input", path), f"{path}.input", 0, 2**31 - 1),
    )


def _whole(side: float) -> int | float:
    return int(side) if float(side).is_integer() else side
