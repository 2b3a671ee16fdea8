"""The compiled program that augments one block of images.

It takes one image after the other, so what an image becomes cannot hang on its neighbours, and an effect that an image
did not draw costs nothing. XLA fuses what stands side by side, and then computes a value again for each pixel that
asks for it; the loops and the `tf.cond` here also stand between what should not be fused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial

import tensorflow as tf

from pyramid.images.augment.draws import Draws, draws_of
from pyramid.images.augment.effects import (
    CHANNELS,
    blur_axis,
    blurred_side,
    colour_map,
    cutout,
    glare,
    mean_colours,
    noise,
    recolour,
    slab_sums,
)
from pyramid.images.augment.geometry import Size, image_matrix, warp, warp_boxes
from pyramid.images.augment.pixels import pack, unpack
from pyramid.images.augment.registry import FLIPS, Augmentations

BLOCK = 32

_MEAN_USERS = frozenset({"contrast", "cutout"})

BlockProgram = Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


@lru_cache(maxsize=32)
def block_program(augmentations: Augmentations) -> BlockProgram:
    """The program for some augmentations; it has as many variants as images have sizes and boxes have counts.

    Returns:
        A function from the number of images that count, (block, h, w, 3) uint8 images, (block, k, 4) float32 boxes,
        (block, k) bool, whether they are boxes, and (block,) int32 keys, to new images, boxes and whether they are.
    """

    def program(
        count: tf.Tensor, images: tf.Tensor, boxes: tf.Tensor, valid: tf.Tensor, keys: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        geometric = augmentations.of_kind("geometric")
        if boxes.shape[1] and geometric:
            size = int(images.shape[1]), int(images.shape[2])
            move = partial(_moved_boxes, augmentations=augmentations, size=size)
            boxes, valid = _each(count, move, boxes, valid, keys)
        if "blur" in augmentations or geometric - FLIPS:
            resample = partial(_resampled, augmentations=augmentations)
            images = unpack(_each_one(count, resample, pack(images), keys))
        if set(augmentations) - geometric - {"blur"} or (geometric and geometric <= FLIPS):
            lines = tf.reshape(images, (BLOCK, images.shape[1], -1))
            images = tf.reshape(_changed_block(count, lines, keys, augmentations), images.shape)
        return images, boxes, valid

    return tf.function(program, jit_compile=True, autograph=False)


def _each(
    count: tf.Tensor, function: Callable[..., tuple[tf.Tensor, ...]], *columns: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """The results of `function` for the first `count` rows of `columns`, one row after the other; then zeros."""
    shown = function(*(tf.zeros_like(column[0]) for column in columns))
    arrays = tuple(tf.TensorArray(output.dtype, BLOCK, element_shape=output.shape) for output in shown)

    def step(
        row: tf.Tensor, arrays: tuple[tf.TensorArray, ...]
    ) -> tuple[tf.Tensor, tuple[tf.TensorArray, ...]]:
        results = function(*(column[row] for column in columns))
        return row + 1, tuple(array.write(row, result) for array, result in zip(arrays, results, strict=True))

    _, arrays = tf.while_loop(lambda row, _: row < count, step, (tf.constant(0), arrays))
    return tuple(array.stack() for array in arrays)


def _each_one(count: tf.Tensor, function: Callable[..., tf.Tensor], *columns: tf.Tensor) -> tf.Tensor:
    """As `_each`, for a function that gives one tensor."""
    return _each(count, lambda *row: (function(*row),), *columns)[0]


def _where(condition: tf.Tensor, function: Callable[[tf.Tensor], tf.Tensor], image: tf.Tensor) -> tf.Tensor:
    """`function(image)` where the condition holds, and not computed where it does not."""
    return tf.cond(condition, lambda: function(image), lambda: tf.identity(image))


def _moved_boxes(
    boxes: tf.Tensor, valid: tf.Tensor, key: tf.Tensor, augmentations: Augmentations, size: Size
) -> tuple[tf.Tensor, tf.Tensor]:
    """The (k, 4) boxes of one image, and which are left."""
    return warp_boxes(boxes, valid, image_matrix(key, augmentations, size), size)


def _resampled(packed: tf.Tensor, key: tf.Tensor, augmentations: Augmentations) -> tf.Tensor:
    """One packed (h, w) image, warped and blurred."""
    size = int(packed.shape[0]), int(packed.shape[1])
    if augmentations.of_kind("geometric") - FLIPS:
        matrix = image_matrix(key, augmentations, size)
        moves = tf.reduce_any(matrix != tf.eye(3))
        packed = _where(moves, partial(warp, matrix=matrix, projective="deform" in augmentations), packed)
    if "blur" in augmentations:
        draws = draws_of("blur", key, augmentations["blur"])
        for axis, side in enumerate(size):
            small = blurred_side(draws, side)
            packed = _where(small < side, partial(blur_axis, small=small, axis=axis), packed)
    return packed


def _changed_block(
    count: tf.Tensor, lines: tf.Tensor, keys: tf.Tensor, augmentations: Augmentations
) -> tf.Tensor:
    """(block, h, w * 3) images with everything that follows the resampling.

    Means and maps of colours have loops of their own: in the loop over the values they would be made anew for each.
    """
    means = tf.zeros((BLOCK, CHANNELS))
    if not _MEAN_USERS.isdisjoint(augmentations):
        pixels = int(lines.shape[1]) * int(lines.shape[2]) // CHANNELS
        means = mean_colours(_each_one(count, slab_sums, lines), pixels)
    maps = _each_one(count, partial(colour_map, augmentations=augmentations), means, keys)
    change = partial(_changed, augmentations=augmentations)
    return _each_one(count, change, lines, means, maps, keys)


def _changed(
    lines: tf.Tensor,
    mean: tf.Tensor,
    scale_and_offset: tf.Tensor,
    key: tf.Tensor,
    augmentations: Augmentations,
) -> tf.Tensor:
    """One (h, w * 3) image with everything that follows the resampling."""
    drawn = {name: draws_of(name, key, augmentations[name]) for name in augmentations}
    if augmentations.of_kind("geometric") <= FLIPS:
        lines = _flipped(lines, drawn)
    if augmentations.of_kind("colour"):
        lines = recolour(lines, scale_and_offset)
    if draws := drawn.get("glare"):
        lines = _where(draws.coin(), partial(glare, draws=draws), lines)
    if draws := drawn.get("gaussian_noise"):
        lines = _where(draws.coin(), partial(noise, draws=draws), lines)
    if draws := drawn.get("cutout"):
        colour = recolour(tf.cast(tf.round(mean), tf.uint8)[None], scale_and_offset)[0]
        lines = _where(draws.coin(), partial(cutout, draws=draws, colour=colour), lines)
    return lines


def _flipped(lines: tf.Tensor, drawn: Mapping[str, Draws]) -> tf.Tensor:
    """One (h, w * 3) image, its pixels in reverse where it drew a flip."""
    image = tf.reshape(lines, (lines.shape[0], -1, CHANNELS))
    for axis, name in enumerate(("vertical_flip", "horizontal_flip")):
        if name in drawn:
            image = _where(drawn[name].coin(), partial(tf.reverse, axis=[axis]), image)
    return tf.reshape(image, lines.shape)
