"""All that moves pixels, as one projective matrix for each image, and what it does to pixels and to boxes.

Coordinates are continuous: pixel (row i, column j) covers [j, j + 1] x [i, i + 1]. A matrix maps (x, y, 1) of the
image to (x', y', 1) of the augmented one, up to scale (Hartley & Zisserman, Multiple View Geometry, 2.3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from types import MappingProxyType

import tensorflow as tf

from pyramid.images.augment.draws import Draws, draws_of
from pyramid.images.augment.pixels import ONE, weighted_sum
from pyramid.images.augment.registry import Augmentations

LEAST_ZOOM = 0.05
MOST_SHEAR_DEGREES = 85.0
MOST_DEFORMATION = 0.9
LEAST_AREA_LEFT = 0.25

Size = tuple[int, int]  # height, width
Matrix = Callable[[Draws, Size], tf.Tensor]


def _rows(*numbers: tf.Tensor | float) -> tf.Tensor:
    """(3, 3) float32 of nine numbers, row by row."""
    return tf.reshape(tf.stack([tf.convert_to_tensor(number, tf.float32) for number in numbers]), (3, 3))


def _mirror(x: tf.Tensor | float, y: tf.Tensor | float) -> tf.Tensor:
    return _rows(x, 0, 0, 0, y, 0, 0, 0, 1)


def _sign(negative: tf.Tensor) -> tf.Tensor:
    return 1.0 - 2.0 * tf.cast(negative, tf.float32)


def _shift(x: tf.Tensor | float, y: tf.Tensor | float) -> tf.Tensor:
    """By whole pixels, so that a shift alone stays as sharp as the image."""
    return _rows(1, 0, tf.round(x), 0, 1, tf.round(y), 0, 0, 1)


def _rotation(draws: Draws, size: Size) -> tf.Tensor:
    angle = draws.around() * (math.pi / 180)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    return _rows(cosine, -sine, 0, sine, cosine, 0, 0, 0, 1)


def _shear(draws: Draws, size: Size) -> tf.Tensor:
    degrees = tf.clip_by_value(draws.around(), -MOST_SHEAR_DEGREES, MOST_SHEAR_DEGREES)
    return _rows(1, tf.tan(degrees * (math.pi / 180)), 0, 0, 1, 0, 0, 0, 1)


def _zoom(draws: Draws, size: Size) -> tf.Tensor:
    scale = tf.maximum(draws.around(1.0), LEAST_ZOOM)
    return _mirror(scale, scale)


def _deform(draws: Draws, size: Size) -> tf.Tensor:
    """One corner moves by (x, y), parts of the sides, and the others stay (Heckbert, 1989, equations 2.13 on).

    The unit square whose corner (1, 1) goes to (X, Y) = (1 - x, 1 - y) is mapped by
    ((D X, 0, 0), (0, D Y, 0), (D X - 1, D Y - 1, 1)) with D = 1 / (X + Y - 1), D being what divides at that corner.
    Mirrors before and after it make it another corner.
    """
    height, width = size
    moves = draws.uniform(0.0, draws.n, count=2)
    moves *= tf.minimum(1.0, MOST_DEFORMATION / tf.maximum(tf.reduce_sum(moves), MOST_DEFORMATION))
    x, y = 1.0 - moves[0], 1.0 - moves[1]
    divisor = 1.0 / (x + y - 1.0)
    square = _rows(divisor * x, 0, 0, 0, divisor * y, 0, divisor * x - 1.0, divisor * y - 1.0, 1)
    corner = draws.uniform(slot=2, count=2) < 0.5
    mirror = _mirror(_sign(corner[0]), _sign(corner[1]))
    to_square = _rows(1 / width, 0, 0.5, 0, 1 / height, 0.5, 0, 0, 1)
    from_square = _rows(width, 0, -width / 2, 0, height, -height / 2, 0, 0, 1)
    matrix = _product(mirror, from_square, square, to_square, mirror)
    return tf.where(draws.coin(), matrix, tf.eye(3))


# In the order in which they act; each about the centre of the image.
MATRICES: Mapping[str, Matrix] = MappingProxyType(
    {
        "deform": _deform,
        "horizontal_flip": lambda draws, size: _mirror(_sign(draws.coin()), 1),
        "vertical_flip": lambda draws, size: _mirror(1, _sign(draws.coin())),
        "zoom": _zoom,
        "shear": _shear,
        "rotation": _rotation,
        "width_shift": lambda draws, size: _shift(draws.around() * size[1], 0.0),
        "height_shift": lambda draws, size: _shift(0.0, draws.around() * size[0]),
    }
)


def image_matrix(key: tf.Tensor, augmentations: Augmentations, size: Size) -> tf.Tensor:
    """(3, 3) float32: all geometric augmentations of the image with `key`, as one."""
    center = size[1] / 2, size[0] / 2
    frame = size if augmentations.frame is None else (augmentations.frame, augmentations.frame)
    steps = [
        matrix(draws_of(name, key, augmentations[name]), frame if name == "deform" else size)
        for name, matrix in MATRICES.items()
        if name in augmentations
    ]
    return _product(
        _rows(1, 0, center[0], 0, 1, center[1], 0, 0, 1),
        *reversed(steps),
        _rows(1, 0, -center[0], 0, 1, -center[1], 0, 0, 1),
    )


def _product(*matrices: tf.Tensor) -> tf.Tensor:
    """The matrix product, written out: sums of products in one fixed order give one result everywhere."""
    return reduce(lambda a, b: tf.reduce_sum(a[:, :, None] * b[None, :, :], axis=1), matrices)


def _inverse(matrix: tf.Tensor) -> tf.Tensor:
    """(3, 3) the inverse up to scale: the adjugate, whose rows are cross products of the columns."""
    a, b, c = tf.unstack(matrix, axis=1)
    adjugate = tf.stack([tf.linalg.cross(b, c), tf.linalg.cross(c, a), tf.linalg.cross(a, b)])
    return adjugate / adjugate[2, 2]


def warp(packed: tf.Tensor, matrix: tf.Tensor, projective: bool) -> tf.Tensor:
    """Resample a packed image once, bilinearly; outside of it is its nearest pixel.

    Args:
        packed: (h, w) int32, from `pixels.pack`.
        matrix: (3, 3) float32.
        projective: False where the matrix is known to be affine, which saves the divisions.
    """
    height, width = (int(side) for side in packed.shape)
    back = _inverse(matrix)
    rows = tf.range(height, dtype=tf.float32)[:, None] + 0.5
    columns = tf.range(width, dtype=tf.float32)[None, :] + 0.5
    x, y, scale = (line[0] * columns + (line[1] * rows + line[2]) for line in tf.unstack(back))
    if projective:
        x, y = x / scale, y / scale
    x, y = _fixed(x, width), _fixed(y, height)
    right, below = x & (ONE - 1), y & (ONE - 1)
    corner = tf.bitwise.right_shift(right * below + ONE // 2, 8)
    first = tf.bitwise.right_shift(y, 8) * width + tf.bitwise.right_shift(x, 8)
    # Where a coordinate is at the last pixel, what lies beyond has no weight, so it may be any pixel.
    last = height * width - 1
    flat = tf.reshape(packed, [-1])
    taps = [tf.gather(flat, tf.minimum(first + step, last)) for step in (0, 1, width, width + 1)]
    return weighted_sum(taps, [ONE - right - below + corner, right - corner, below - corner, corner])


def _fixed(coordinate: tf.Tensor, side: int) -> tf.Tensor:
    """Where a continuous coordinate lies between the centres of pixels: int32, in parts of 256, kept inside."""
    return tf.cast(tf.clip_by_value(coordinate - 0.5, 0.0, side - 1.0) * ONE + 0.5, tf.int32)


def warp_boxes(
    boxes: tf.Tensor, valid: tf.Tensor, matrix: tf.Tensor, size: Size
) -> tuple[tf.Tensor, tf.Tensor]:
    """The boxes around the four corners' new places, clipped to the image.

    Args:
        boxes: (k, 4) float32: x1, y1, x2, y2.
        valid: (k,) bool.

    Returns:
        The boxes, and which of them are left: those that were, and have a quarter of their area inside.
    """
    x = tf.gather(boxes, [0, 2, 2, 0], axis=1)  # (k, 4 corners)
    y = tf.gather(boxes, [1, 1, 3, 3], axis=1)
    new_x, new_y, scale = (line[0] * x + line[1] * y + line[2] for line in tf.unstack(matrix))
    points = tf.stack([new_x / scale, new_y / scale], axis=-1)  # (k, 4 corners, 2)
    whole = tf.concat([tf.reduce_min(points, axis=1), tf.reduce_max(points, axis=1)], axis=1)
    height, width = size
    clipped = tf.clip_by_value(whole, 0.0, tf.constant([width, height, width, height], tf.float32))
    left = valid & (_area(clipped) >= LEAST_AREA_LEFT * _area(whole))
    return tf.where(left[:, None], clipped, 0.0), left


def _area(boxes: tf.Tensor) -> tf.Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
