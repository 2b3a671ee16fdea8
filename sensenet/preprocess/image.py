"""Pixels become what an image network takes: rescaled, RGB, normalised. The one resize path of training and prediction.

Everything here is plain TensorFlow operations that give the same numbers eagerly, compiled, in a `tf.data` pipeline
and in an exported model.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from sensenet.document.wording import hint
from sensenet.errors import ModelFormatError
from sensenet.preprocess.geometry import NUMPY, RESCALE_TYPES, TENSORS, geometry, nearest

__all__ = [
    "LOADING_METHODS",
    "RESCALE_TYPES",
    "Placement",
    "normalize",
    "placement",
    "rescale",
    "rescale_all",
    "to_rgb",
]


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
    sides = geometry(rescale_type)
    image = tf.convert_to_tensor(image)
    static = image.shape[:2].as_list()
    if None in static:
        sizes = tf.unstack(tf.shape(image)[:2])
        source, ops = tuple(tf.cast(size, tf.float32) for size in sizes), TENSORS
    else:
        sizes = static
        source, ops = tuple(np.float32(size) for size in static), NUMPY
    down, across = sides(source, (np.float32(height), np.float32(width)), ops)
    rows = nearest(sizes[0], source[0], down, height, ops)
    columns = nearest(sizes[1], source[1], across, width, ops)
    # converted between the two: fewer numbers than before, and wider ones are quicker to gather than bytes
    picture = tf.gather(tf.cast(tf.gather(image, rows), tf.float32), columns, axis=1)
    if rescale_type == "pad":
        below, right = height - tf.shape(picture)[0], width - tf.shape(picture)[1]
        picture = tf.pad(picture, [[0, below], [0, right], [0, 0]], constant_values=tf.reduce_mean(picture))
    picture.set_shape((height, width, image.shape[2]))
    return picture


def rescale_all(images: tf.Tensor, width: int, height: int, rescale_type: str) -> tf.Tensor:
    """`rescale` for several images of one size at once, in operations that every runtime of exported models has.

    Shapes are known in spite of images of any size: indices reach beyond the resized picture, and a mask fills up.

    Args:
        images: (n, h, w, channels) float32, h and w at least 1, channels static.
        width, height: of the result.
        rescale_type: one of `RESCALE_TYPES`.

    Returns:
        (n, height, width, channels) float32 in the range of `images`; what pad fills in is good to 1e-6 of its value.

    Raises:
        SettingsError: an unknown rescale type.
    """
    sizes = tf.unstack(tf.shape(images)[1:3])
    source = [tf.cast(size, tf.float32) for size in sizes]
    down, across = geometry(rescale_type)(
        (source[0], source[1]), (np.float32(height), np.float32(width)), TENSORS
    )
    rows = nearest(sizes[0], source[0], down._replace(kept=height), height, TENSORS)
    columns = nearest(sizes[1], source[1], across._replace(kept=width), width, TENSORS)
    pictures = tf.gather(tf.gather(images, rows, axis=1), columns, axis=2)
    if rescale_type != "pad":
        return pictures
    above = np.arange(height, dtype=np.float32)[:, None, None] < down.kept
    left = np.arange(width, dtype=np.float32)[None, :, None] < across.kept
    inside = tf.cast(above, tf.float32) * tf.cast(left, tf.float32)  # (height, width, 1)
    count = down.kept * across.kept * np.float32(images.shape[3])
    mean = tf.reduce_sum(pictures * inside, axis=(1, 2, 3), keepdims=True) / count
    return pictures * inside + mean * (1.0 - inside)


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
    ops = TENSORS if tf.is_tensor(height) else NUMPY
    source = [tf.cast(size, tf.float32) if ops is TENSORS else np.float32(size) for size in (height, width)]
    if rescale_type == "pad":
        ratio = ops.maximum(*(ops.divide(size, side) for size, side in zip(source, target, strict=True)))
        return Placement(ops.minimum(ratio, source[1]), ops.minimum(ratio, source[0]), 0.0, 0.0)
    down, across = geometry(rescale_type)(tuple(source), target, ops)
    scales = ops.divide(source[1], across.size), ops.divide(source[0], down.size)
    return Placement(*scales, across.offset, down.offset)
