"""The augmentations on batches: blocks of a fixed size, each one call of a compiled program.

The program of a block takes one image after the other, so what an image becomes cannot hang on its neighbours, and
an effect that an image did not draw costs nothing. XLA fuses what stands side by side; a `tf.cond` keeps apart what
must not be computed again for each pixel that asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import tensorflow as tf

from pyramid.data.augment.draws import Draws, draws_of, image_keys
from pyramid.data.augment.effects import (
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
from pyramid.data.augment.geometry import image_matrix, warp, warp_boxes
from pyramid.data.augment.pixels import pack, unpack
from pyramid.data.augment.registry import AUGMENTATIONS, FLIPS, Augmentations

BLOCK = 16

_MEAN_USERS = frozenset({"contrast", "cutout"})
_VALUES = frozenset(name for name, spec in AUGMENTATIONS.items() if spec.kind != "geometric") - {"blur"}


def augment(
    images: tf.Tensor, seed: tf.Tensor, epoch: tf.Tensor, indices: tf.Tensor, augmentations: Augmentations
) -> tf.Tensor:
    """Augment a batch; each image becomes a pure function of itself, `seed`, `epoch` and its index.

    Args:
        images: (n, h, w, 3) uint8; h and w are known when this is traced.
        seed: integer scalar.
        epoch: integer scalar.
        indices: (n,) integers: the number of each image in its data set.

    Returns:
        (n, h, w, 3) uint8.
    """
    count = tf.shape(images)[0]
    boxes, valid = tf.zeros((count, 0, 4)), tf.zeros((count, 0), tf.bool)
    return augment_with_boxes(images, boxes, valid, seed, epoch, indices, augmentations)[0]


def augment_with_boxes(
    images: tf.Tensor,
    boxes: tf.Tensor,
    valid: tf.Tensor,
    seed: tf.Tensor,
    epoch: tf.Tensor,
    indices: tf.Tensor,
    augmentations: Augmentations,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Augment a batch and the boxes in its images; the images come out as without boxes.

    Args:
        boxes: (n, k, 4) float32: x1, y1, x2, y2 in pixels, from the upper left corner of the image.
        valid: (n, k) bool: which of them are boxes and not padding.

    Returns:
        (n, h, w, 3) uint8; (n, k, 4) float32, inside the image; (n, k) bool: the boxes that are left.
    """
    if not augmentations.chosen:
        return images, boxes, valid
    program = _program(augmentations)
    keys = image_keys(seed, epoch, indices)
    count = tf.shape(images)[0]
    columns = images, boxes, valid, keys

    def block(start: tf.Tensor) -> tuple[tf.Tensor, ...]:
        size = tf.minimum(count - start, BLOCK)
        return program(size, *(_padded(column[start : start + BLOCK]) for column in columns))

    starts = tf.range(0, count, BLOCK)
    signature = tuple(
        tf.TensorSpec((BLOCK, *column.shape[1:]), column.dtype) for column in (images, boxes, valid)
    )
    results = tf.map_fn(block, starts, fn_output_signature=signature, parallel_iterations=2)
    return tuple(
        tf.reshape(result, tf.concat([[-1], tf.shape(result)[2:]], 0))[:count] for result in results
    )


def _padded(column: tf.Tensor) -> tf.Tensor:
    """A column of at most `BLOCK` rows, with rows of zeros up to it."""
    missing = BLOCK - tf.shape(column)[0]
    padded = tf.pad(column, [[0, missing], *([[0, 0]] * (len(column.shape) - 1))])
    return tf.ensure_shape(padded, (BLOCK, *column.shape[1:]))


@lru_cache(maxsize=32)
def _program(augmentations: Augmentations) -> Callable[..., tuple[tf.Tensor, ...]]:
    """The compiled program of a block; it has as many variants as images have sizes and boxes have counts."""

    def program(
        count: tf.Tensor, images: tf.Tensor, boxes: tf.Tensor, valid: tf.Tensor, keys: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        size = int(images.shape[1]), int(images.shape[2])
        geometric = augmentations.of_kind("geometric")
        if boxes.shape[1] and geometric:
            boxes, valid = _each(
                count,
                lambda boxes, valid, key: warp_boxes(
                    boxes, valid, image_matrix(key, augmentations, size), size
                ),
                (boxes, valid, keys),
            )
        if "blur" in augmentations or geometric - FLIPS:
            (packed,) = _each(
                count, lambda image, key: (_resampled(image, key, augmentations),), (pack(images), keys)
            )
            images = unpack(packed)
        if not _VALUES.isdisjoint(augmentations) or geometric <= FLIPS:
            lines = tf.reshape(images, (BLOCK, size[0], -1))
            images = tf.reshape(_changed_lines(count, lines, keys, augmentations), images.shape)
        return images, boxes, valid

    return tf.function(program, jit_compile=True, autograph=False)


def _each(
    count: tf.Tensor, function: Callable[..., tuple[tf.Tensor, ...]], columns: tuple[tf.Tensor, ...]
) -> tuple[tf.Tensor, ...]:
    """The results of `function` for the first `count` rows of `columns`, one row after the other."""
    rows = int(columns[0].shape[0])
    first = [tf.zeros_like(column[0]) for column in columns]
    outputs = function(*first)
    arrays = tuple(
        tf.TensorArray(output.dtype, rows, element_shape=output.shape) for output in outputs
    )

    def step(row: tf.Tensor, arrays: tuple[tf.TensorArray, ...]) -> tuple[tf.Tensor, tuple[tf.TensorArray, ...]]:
        results = function(*(column[row] for column in columns))
        return row + 1, tuple(array.write(row, result) for array, result in zip(arrays, results, strict=True))

    _, arrays = tf.while_loop(lambda row, _: row < count, step, (tf.constant(0), arrays))
    return tuple(array.stack() for array in arrays)


def _resampled(packed: tf.Tensor, key: tf.Tensor, augmentations: Augmentations) -> tf.Tensor:
    """One packed (h, w) image, warped and blurred."""
    size = int(packed.shape[0]), int(packed.shape[1])
    if augmentations.of_kind("geometric") - FLIPS:
        matrix = image_matrix(key, augmentations, size)
        moves = tf.reduce_any(matrix != tf.eye(3))
        packed = _where(moves, lambda image: warp(image, matrix, "deform" in augmentations), packed)
    if "blur" in augmentations:
        draws = draws_of("blur", key, augmentations["blur"])
        for axis in (0, 1):
            small = blurred_side(draws, size[axis])
            shrinks = small < size[axis]
            packed = _where(shrinks, lambda image, small=small, axis=axis: blur_axis(image, small, axis), packed)
    return packed


def _changed_lines(
    count: tf.Tensor, lines: tf.Tensor, keys: tf.Tensor, augmentations: Augmentations
) -> tf.Tensor:
    """(n, h, w * 3) images with everything that follows the resampling.

    Means and maps of colour have loops of their own: within the loop over the values they would be made anew for
    each value.
    """
    height, length = (int(side) for side in lines.shape[1:])
    means = tf.zeros((BLOCK, CHANNELS))
    if not _MEAN_USERS.isdisjoint(augmentations):
        (sums,) = _each(count, lambda image: (slab_sums(image),), (lines,))
        means = mean_colours(sums, height * length // CHANNELS)
    (maps,) = _each(count, lambda mean, key: (colour_map(mean, key, augmentations),), (means, keys))
    (lines,) = _each(
        count, lambda *columns: (_changed(*columns, augmentations),), (lines, means, maps, keys)
    )
    return lines


def _changed(
    lines: tf.Tensor, mean: tf.Tensor, scale_and_offset: tf.Tensor, key: tf.Tensor, augmentations: Augmentations
) -> tf.Tensor:
    """One (h, w * 3) image with everything that follows the resampling."""
    draws = {name: draws_of(name, key, augmentations[name]) for name in augmentations}
    if augmentations.of_kind("geometric") <= FLIPS:
        lines = _flipped(lines, draws)
    if augmentations.of_kind("colour"):
        lines = recolour(lines, scale_and_offset)
    if "glare" in draws:
        lines = _where(draws["glare"].coin(), lambda lines: glare(lines, draws["glare"]), lines)
    if "gaussian_noise" in draws:
        lines = _where(draws["gaussian_noise"].coin(), lambda lines: noise(lines, draws["gaussian_noise"]), lines)
    if "cutout" in draws:
        colour = recolour(tf.cast(tf.round(mean), tf.uint8)[None], scale_and_offset)[0]
        lines = _where(draws["cutout"].coin(), lambda lines: cutout(lines, draws["cutout"], colour), lines)
    return lines


def _flipped(lines: tf.Tensor, draws: Mapping[str, Draws]) -> tf.Tensor:
    """One (h, w * 3) image, its pixels in reverse where it drew a flip."""
    image = tf.reshape(lines, (lines.shape[0], -1, CHANNELS))
    for axis, name in enumerate(("vertical_flip", "horizontal_flip")):
        if name in draws:
            image = _where(draws[name].coin(), lambda image, axis=axis: tf.reverse(image, [axis]), image)
    return tf.reshape(image, lines.shape)


def _where(condition: tf.Tensor, function: Callable[[tf.Tensor], tf.Tensor], image: tf.Tensor) -> tf.Tensor:
    """`function(image)` where the condition holds, and not computed where it does not."""
    return tf.cond(condition, lambda: function(image), lambda: tf.identity(image))
