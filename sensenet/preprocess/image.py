"""Pixels become what an image network takes: rescaled, RGB, normalised. The one resize path of training and prediction.

Everything here is plain TensorFlow operations that give the same numbers eagerly, compiled, in a `tf.data` pipeline
and in an exported model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from sensenet.document.wording import hint
from sensenet.errors import ModelFormatError, SettingsError


class _Arithmetic(NamedTuple):
    """The operations of the geometry below on float32 scalars, which are NumPy's or tensors."""

    divide: Callable[[Any, Any], Any]
    minimum: Callable[[Any, Any], Any]
    maximum: Callable[[Any, Any], Any]
    round: Callable[[Any], Any]


_NUMPY = _Arithmetic(np.divide, np.minimum, np.maximum, np.round)
# the optimiser turns a plain division by a constant into a multiplication by its reciprocal, which rounds differently
_TENSORS = _Arithmetic(tf.math.divide_no_nan, tf.math.minimum, tf.math.maximum, tf.math.round)


class _Side(NamedTuple):
    """How one side of an image is resized, in whole pixels that are held as float32.

    Attributes:
        size: what it is scaled to.
        offset: how many of these pixels are cut off before the first one of the result.
        kept: how many are in the result.
    """

    size: Any
    offset: Any
    kept: Any


def _warp(
    source: tuple[Any, Any], target: tuple[np.float32, np.float32], ops: _Arithmetic
) -> tuple[_Side, ...]:
    return tuple(_Side(side, np.float32(0), side) for side in target)


def _pad(
    source: tuple[Any, Any], target: tuple[np.float32, np.float32], ops: _Arithmetic
) -> tuple[_Side, ...]:
    ratio = ops.minimum(*(ops.divide(side, size) for side, size in zip(target, source, strict=True)))
    sizes = [ops.maximum(ops.round(size * ratio), np.float32(1)) for size in source]
    return tuple(_Side(size, np.float32(0), size) for size in sizes)


def _crop(
    source: tuple[Any, Any], target: tuple[np.float32, np.float32], ops: _Arithmetic
) -> tuple[_Side, ...]:
    ratio = ops.maximum(*(ops.divide(side, size) for side, size in zip(target, source, strict=True)))
    sides = []
    for size, kept in zip(source, target, strict=True):
        scaled = size * ratio
        resized = ops.maximum(ops.round(scaled), kept)
        offset = ops.maximum(ops.round((scaled - kept) * np.float32(0.5)), np.float32(0))
        sides.append(_Side(resized, ops.minimum(offset, resized - kept), kept))
    return tuple(sides)


_GEOMETRIES: Mapping[str, Callable[..., tuple[_Side, ...]]] = MappingProxyType(
    {"warp": _warp, "pad": _pad, "crop": _crop}
)
RESCALE_TYPES = tuple(_GEOMETRIES)


def _geometry(rescale_type: str) -> Callable[..., tuple[_Side, ...]]:
    if rescale_type not in _GEOMETRIES:
        raise SettingsError(f"rescale_type: there is no {rescale_type!r}{hint(rescale_type, RESCALE_TYPES)}")
    return _GEOMETRIES[rescale_type]


def rescale(image: Any, width: int, height: int, rescale_type: str) -> tf.Tensor:
    """`image` at the size that a network takes, by nearest neighbours with half-pixel centres.

    Output index i takes source index `min(floor((i + 0.5) * s), n_in - 1)`, `s = n_in / n_out`, all in float32.
    warp resizes both sides. pad and crop resize by the smaller and the larger of the two ratios target / source, to
    sizes rounded half to even (at least one pixel). pad puts the picture top left and fills the rest with the mean
    of the resized picture, over all its pixels and channels, not rounded. crop cuts the centre.

    Args:
        image: (h, w, c) uint8 or float32, h and w at least 1 and static or not, c static or not.
        width, height: of the result.
        rescale_type: one of `RESCALE_TYPES`.

    Returns:
        (height, width, c) float32 in the range of `image`.

    Raises:
        SettingsError: an unknown rescale type.
    """
    geometry = _geometry(rescale_type)
    image = tf.convert_to_tensor(image)
    static = image.shape[:2].as_list()
    if None in static:
        sizes = tf.unstack(tf.shape(image)[:2])
        source, ops = tuple(tf.cast(size, tf.float32) for size in sizes), _TENSORS
    else:
        sizes = static
        source, ops = tuple(np.float32(size) for size in static), _NUMPY
    down, across = geometry(source, (np.float32(height), np.float32(width)), ops)
    rows = _nearest(sizes[0], source[0], down, height, ops)
    columns = _nearest(sizes[1], source[1], across, width, ops)
    # converted between the two: fewer numbers than before, and wider ones are quicker to gather than bytes
    picture = tf.gather(tf.cast(tf.gather(image, rows), tf.float32), columns, axis=1)
    if rescale_type == "pad":
        below, right = height - tf.shape(picture)[0], width - tf.shape(picture)[1]
        picture = tf.pad(picture, [[0, below], [0, right], [0, 0]], constant_values=tf.reduce_mean(picture))
    picture.set_shape((height, width, image.shape[2]))
    return picture


def _nearest(n_in: Any, size: Any, side: _Side, target: int, ops: _Arithmetic) -> tf.Tensor:
    """The source indices of one side's kept pixels, (kept,) int32; `size` is `n_in` as float32."""
    centres = np.arange(target, dtype=np.float32) + np.float32(0.5)
    if isinstance(side.kept, tf.Tensor):
        centres = tf.constant(centres)[: tf.cast(side.kept, tf.int32)]
    else:
        centres = centres[: int(side.kept)]
    positions = (side.offset + centres) * ops.divide(size, side.size)
    # positions are not negative, so that the conversion is the floor
    return tf.minimum(tf.cast(positions, tf.int32), n_in - 1)


def to_rgb(pixels: Any, color_space: str) -> Any:
    """`pixels` (..., 3 or 4 channels) as (..., 3): without alpha, and in the order red, green, blue.

    Args:
        pixels: tensor or array of any type.
        color_space: what the channels are: rgb, rgba, bgr or bgra, in any case. Three channels are taken as they
            are where the alpha channel is missing.
    """
    order = color_space.lower()
    if order.startswith("bgr"):
        return pixels[..., 2::-1]
    return pixels[..., :3] if order.endswith("a") else pixels


class LoadingMethod(NamedTuple):
    """How a network was trained to see pixels of 0..255: `(pixels - offset) / scale`, in BGR order or not."""

    offset: tuple[float, ...]
    scale: tuple[float, ...]
    reverses: bool = False

    def __call__(self, pixels: tf.Tensor, mean_image: Any = None) -> tf.Tensor:
        """Normalised `pixels`, (..., 3) float32; `mean_image` is subtracted between reversal and offset."""
        if self.reverses:
            pixels = pixels[..., ::-1]
        if mean_image is not None:
            pixels = pixels - tf.cast(mean_image, tf.float32)
        if any(self.offset):
            pixels = pixels - tf.constant(self.offset, tf.float32)
        return pixels if set(self.scale) == {1.0} else pixels / tf.constant(self.scale, tf.float32)


LOADING_METHODS: Mapping[str | None, LoadingMethod] = MappingProxyType(
    {
        None: LoadingMethod((0.0,), (1.0,)),
        "normalizing": LoadingMethod((0.0,), (255.0,)),
        "centering": LoadingMethod((127.5,), (127.5,)),
        "skewed_centering": LoadingMethod((128.0,), (128.0,)),
        "channelwise_centering": LoadingMethod((103.939, 116.779, 123.68), (1.0,), reverses=True),
        "channelwise_standardizing": LoadingMethod(
            (255 * 0.485, 255 * 0.456, 255 * 0.406), (255 * 0.229, 255 * 0.224, 255 * 0.225)
        ),
    }
)
"""The values of a network's `loading_method`; None leaves pixels as they are."""


def normalize(pixels: Any, loading_method: str | None, mean_image: Any = None) -> tf.Tensor:
    """RGB `pixels` as a network was trained to see them.

    Args:
        pixels: (..., 3), 0..255.
        loading_method: a key of `LOADING_METHODS`.
        mean_image: subtracted first (after the reversal to BGR where there is one); anything that broadcasts to
            `pixels`, or None.

    Returns:
        float32 of the shape of `pixels`.

    Raises:
        ModelFormatError: an unknown loading method.
    """
    if loading_method not in LOADING_METHODS:
        known = [name for name in LOADING_METHODS if name is not None]
        raise ModelFormatError(
            f"loading_method: there is no {loading_method!r}{hint(loading_method, known)}, or null"
        )
    return LOADING_METHODS[loading_method](tf.cast(pixels, tf.float32), mean_image)


class Placement(NamedTuple):
    """Where a network's input lies in the original image: `original_x = (x + offset_x) * scale_x`, y likewise.

    Coordinates are continuous: pixel i reaches from i to i + 1. They are not clipped: the padding is outside.

    Attributes:
        scale_x, scale_y: original pixels a pixel of the network's input; float32 scalars, or tensors of them.
        offset_x, offset_y: pixels (of the resized image) that were cut off left and above.
    """

    scale_x: Any
    scale_y: Any
    offset_x: Any
    offset_y: Any

    def to_original(self, corners: Any) -> Any:
        """Boxes (..., 4) x1, y1, x2, y2 of the network's input in pixels of the original image."""
        return (corners + self._pairs(self.offset_x, self.offset_y)) * self._pairs(self.scale_x, self.scale_y)

    def to_input(self, corners: np.ndarray) -> np.ndarray:
        """Boxes (..., 4) of the original image in pixels of the network's input; of NumPy placements."""
        return corners / self._pairs(self.scale_x, self.scale_y) - self._pairs(self.offset_x, self.offset_y)

    def _pairs(self, x: Any, y: Any) -> Any:
        """(4,) float32: x, y, x, y."""
        stack = tf.stack if tf.is_tensor(self.scale_x) else np.stack
        return stack([np.float32(side) if isinstance(side, float) else side for side in (x, y, x, y)])


def placement(height: Any, width: Any, target_height: int, target_width: int, rescale_type: str) -> Placement:
    """How `rescale` placed an image of `height` x `width` (numbers, or scalar tensors) in its target.

    For pad both scales are the unrounded ratio, as in the published package, whose boxes are right for pad (unless a
    side would scale to less than a pixel). The rounding of the scaled size is at most half a pixel of the network's
    input.

    Raises:
        SettingsError: an unknown rescale type.
    """
    target = np.float32(target_height), np.float32(target_width)
    ops = _TENSORS if tf.is_tensor(height) else _NUMPY
    source = [tf.cast(size, tf.float32) if ops is _TENSORS else np.float32(size) for size in (height, width)]
    if rescale_type == "pad":
        ratio = ops.maximum(*(ops.divide(size, side) for size, side in zip(source, target, strict=True)))
        return Placement(ops.minimum(ratio, source[1]), ops.minimum(ratio, source[0]), 0.0, 0.0)
    down, across = _geometry(rescale_type)(tuple(source), target, ops)
    scales = ops.divide(source[1], across.size), ops.divide(source[0], down.size)
    return Placement(*scales, across.offset, down.offset)
