"""The augmentations on batches: blocks of a fixed size, each one call of a compiled program.

A block is always of one size, so that a batch of any size runs the same program, and a last, smaller batch does not
wait for a compiler.
"""

from __future__ import annotations

import tensorflow as tf

from pyramid.images.augment.draws import image_keys
from pyramid.images.augment.program import BLOCK, block_program
from pyramid.images.augment.registry import Augmentations


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
    program = block_program(augmentations)
    keys = image_keys(seed, epoch, indices)
    count = tf.shape(images)[0]
    columns = images, boxes, valid, keys

    def one() -> tuple[tf.Tensor, ...]:
        return tuple(result[:count] for result in program(count, *(_padded(column) for column in columns)))

    def block(start: tf.Tensor) -> tuple[tf.Tensor, ...]:
        size = tf.minimum(count - start, BLOCK)
        return program(size, *(_padded(column[start : start + BLOCK]) for column in columns))

    def many() -> tuple[tf.Tensor, ...]:
        signature = tuple(tf.TensorSpec((BLOCK, *column.shape[1:]), column.dtype) for column in columns[:3])
        results = tf.map_fn(
            block, tf.range(0, count, BLOCK), fn_output_signature=signature, parallel_iterations=2
        )
        return tuple(
            tf.reshape(result, tf.concat([[-1], tf.shape(result)[2:]], 0))[:count] for result in results
        )

    # A batch that is one block is spared the copy that puts blocks together.
    known = images.shape[0]
    if known is None:
        results = tf.cond(count <= BLOCK, one, many)
    else:
        results = one() if known <= BLOCK else many()
    for result, column in zip(results, columns, strict=False):
        result.set_shape(column.shape)
    return results


def _padded(column: tf.Tensor) -> tf.Tensor:
    """A column of at most `BLOCK` rows, with rows of zeros up to it."""
    missing = BLOCK - tf.shape(column)[0]
    padded = tf.pad(column, [[0, missing], *([[0, 0]] * (len(column.shape) - 1))])
    return tf.ensure_shape(padded, (BLOCK, *column.shape[1:]))
