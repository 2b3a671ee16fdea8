"""Images as one int32 a pixel, and weighted sums of such pixels: what warping and blurring are made of.

Moving whole pixels takes a third of the loads that moving channels takes. A weighted sum spreads the three bytes of
a pixel over the 16-bit lanes of one int64, so that a multiplication serves all channels at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

ONE = 256  # a weight of 1
_SPREAD = (1 << 24) + 1
_LANES = 0xFF_00FF_00FF
_HALVES = 0x80_0080_0080


def pack(images: tf.Tensor) -> tf.Tensor:
    """(..., 3) uint8 to (...) int32: red in the lowest byte."""
    red, green, blue = tf.unstack(tf.cast(images, tf.int32), axis=-1)
    return red | tf.bitwise.left_shift(green, 8) | tf.bitwise.left_shift(blue, 16)


def unpack(packed: tf.Tensor) -> tf.Tensor:
    """(...) int32 to (..., 3) uint8, the inverse of `pack`."""
    return tf.bitcast(packed, tf.uint8)[..., :3]


def weighted_sum(taps: Sequence[tf.Tensor], weights: Sequence[tf.Tensor]) -> tf.Tensor:
    """The rounded sum of packed pixels times weights.

    Args:
        taps: packed pixels, all of one shape. Each is used once here: XLA would else load it as often.
        weights: int32 from 0 to `ONE`, of shapes that broadcast to the taps'; together they are `ONE`.
    """
    total = tf.constant(_HALVES, tf.int64)
    for tap, weight in zip(taps, weights, strict=True):
        lanes = tf.cast(tap, tf.int64) * tf.constant(_SPREAD, tf.int64) & tf.constant(_LANES, tf.int64)
        total += lanes * tf.cast(weight, tf.int64)
    total = tf.bitwise.right_shift(total, tf.constant(8, tf.int64))
    red_blue = tf.cast(total, tf.int32) & 0xFF00FF
    green = tf.cast(tf.bitwise.right_shift(total, tf.constant(24, tf.int64)), tf.int32) & 0xFF00
    return red_blue | green
