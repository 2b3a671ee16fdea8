"""What finds the boxes of a detector: its document's network, or the functions of a bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from typing_extensions import override

from sensenet.detection import (
    Boxes,
    Decoded,
    Suppression,
    decode,
    find_objects,
    in_original,
    padded,
    unrounded_corners,
)
from sensenet.document.image_network import ImageMetadata, ImageNetworkSpec
from sensenet.errors import ModelFormatError
from sensenet.formats.smbundle.functions import SavedFunctions, call_raw
from sensenet.formats.smbundle.serving import (
    IMAGE_INPUT,
    Rescaled,
    all_boxes_function,
    box_function,
    rescaled,
)
from sensenet.layers.base import forward_all
from sensenet.layers.folding import fold_normalization, on_device
from sensenet.models.predict.box_arrays import BoxArrays
from sensenet.models.predict.images import CHUNK_IMAGES, RawImages, image_loader, numbered
from sensenet.models.settings import Settings
from sensenet.preprocess.image import Placement, normalize, placement

DEFAULT_RESCALE_TYPE = "pad"
DEFAULT_THRESHOLD = 0.5
DEFAULT_MAX_OBJECTS = 32


def compile_boxes(network: ImageNetworkSpec) -> Any:
    """The concrete function (n, height, width, 3) float32 RGB of 0 to 255 -> `Decoded`, as a dict."""
    metadata, branches = network.metadata, network.branches or ()
    layers = on_device(fold_normalization(network.layers, kept=[branch.input for branch in branches]))

    def boxes(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        normalized = normalize(pixels, metadata.loading_method, metadata.mean_image)
        outputs = forward_all(layers, normalized)
        return decode([outputs[branch.input] for branch in branches], branches)._asdict()

    signature = tf.TensorSpec((None, *network.input_shape), tf.float32, name="pixels")
    return tf.function(boxes, input_signature=[signature], autograph=False).get_concrete_function()


def suppression(settings: Settings) -> Suppression:
    """Which boxes the settings keep."""
    threshold, iou_threshold = settings.bounding_box_threshold, settings.iou_threshold
    return Suppression(
        threshold=DEFAULT_THRESHOLD if threshold is None else threshold,
        iou_threshold=DEFAULT_THRESHOLD if iou_threshold is None else iou_threshold,
        max_objects=settings.max_objects or DEFAULT_MAX_OBJECTS,
        class_agnostic=bool(settings.class_agnostic_nms),
    )


class Finder(Protocol):
    """What a detector stands on."""

    def find(self, images: Sequence[Any]) -> list[Boxes]:
        """Of each image the boxes that the settings keep, best first, in its own pixels.

        Raises:
            InputError: an image that cannot be read; names it.
        """

    def functions(self) -> SavedFunctions:
        """What a SavedModel of the detector holds."""


class BoxFinder(Finder):
    """Finds boxes with a function of pixels.

    Attributes:
        metadata: of the image network.
        rule: which boxes are kept.
        loader: what reads and rescales the images.
    """

    def __init__(self, metadata: ImageMetadata, settings: Settings, make_function: Callable[[], Any]):
        """Keep how to make the function of pixels (see `compile_boxes`): it is made when the first image comes."""
        self.metadata = metadata
        self.rule = suppression(settings)
        self.loader = image_loader(metadata, settings, settings.rescale_type or DEFAULT_RESCALE_TYPE)
        self._make_function = make_function

    @cached_property
    def function(self) -> Any:
        """The function (n, height, width, 3) -> `Decoded`, as a dict."""
        return self._make_function()

    @override
    def find(self, images: Sequence[Any]) -> list[Boxes]:
        return [find_objects(decoded, place, self.rule) for decoded, place in self._decode(images)]

    @override
    def functions(self) -> SavedFunctions:
        raw = box_function(self._rescaled, self.rule)
        return SavedFunctions(raw, None, self.function, None, BoxArrays._fields)

    def raw_function(self) -> Any:
        """The concrete function of raw pixels to all boxes: see `formats.smbundle.serving.all_boxes_function`."""
        return all_boxes_function(self._rescaled)

    @property
    def _rescaled(self) -> Rescaled:
        return rescaled(self.function, self.loader)

    def find_all(self, images: Sequence[Any]) -> list[Boxes]:
        """Of each image all boxes in its own pixels, in the order: branches, rows, columns, anchors.

        Raises:
            InputError: an image that cannot be read; names it.
        """
        return [in_original(decoded, place) for decoded, place in self._decode(images)]

    def unrounded_corners(self, images: Sequence[Any]) -> list[np.ndarray]:
        """Of each image the corners that `find_all` rounds: (boxes, 4) float32.

        Raises:
            InputError: an image that cannot be read; names it.
        """
        return [unrounded_corners(decoded.corners, place) for decoded, place in self._decode(images)]

    def find_padded(self, images: Sequence[Any]) -> list[tuple[Boxes, int]]:
        """Of each image always `max_objects` rows, and how many of them are what `find` gives.

        Raises:
            InputError: an image that cannot be read; names it.
        """
        found = []
        for decoded, place in self._decode(images):
            first = in_original(Decoded(*(each[:1] for each in decoded)), place)
            found.append(padded(find_objects(decoded, place, self.rule), first, self.rule.max_objects))
        return found

    def _decode(self, images: Sequence[Any]) -> list[tuple[Decoded, Placement]]:
        """Of each image all boxes in pixels of the network's input, and where that lies in the image."""
        decoded = []
        for start in range(0, len(images), CHUNK_IMAGES):
            loaded = self.loader.load(images[start : start + CHUNK_IMAGES], numbered("image", start))
            batch = self.function(loaded.pixels)
            columns = (batch[name].numpy() for name in Decoded._fields)
            for *each, (height, width) in zip(*columns, loaded.sizes.tolist(), strict=True):
                decoded.append((Decoded(*each), self._placement(height, width)))
        return decoded

    def _placement(self, height: int, width: int) -> Placement:
        return placement(height, width, self.metadata.height, self.metadata.width, self.loader.rescale_type)


@dataclass(frozen=True, eq=False)
class RawBoxFinder(Finder):
    """The finished function of the published package's bundles: one image of any size -> the boxes kept.

    Attributes:
        saved: its raw function gives boxes (1, k, 4) and scores (1, k) of float32, and classes (1, k) of int32.
        images: what makes its pixels.
    """

    saved: SavedFunctions
    images: RawImages

    @override
    def find(self, images: Sequence[Any]) -> list[Boxes]:
        return [self._find_one(self.images.one(image, f"image {i}")) for i, image in enumerate(images)]

    @override
    def functions(self) -> SavedFunctions:
        return self.saved

    def _find_one(self, pixels: np.ndarray) -> Boxes:
        given = call_raw(self.saved, **{IMAGE_INPUT: tf.constant(pixels)})
        corners, scores, classes = (given[name].numpy()[0] for name in self.saved.raw_outputs or ())
        return Boxes(np.rint(corners).astype(np.int32), scores, classes)


def box_outputs(function: Any) -> list[str]:
    """The names of a bundle's boxes, scores and classes, which only their ranks and types tell apart.

    Raises:
        ModelFormatError: the function gives something else.
    """
    given = function.structured_outputs
    kinds = {(spec.shape.rank, spec.dtype): name for name, spec in given.items()}
    wanted = [(3, tf.float32), (2, tf.float32), (2, tf.int32)]
    if len(given) != len(wanted) or set(kinds) != set(wanted):
        raise ModelFormatError(
            f"saved_model.pb: expected a function that gives boxes, scores and classes, got {given}"
        )
    return [kinds[kind] for kind in wanted]
