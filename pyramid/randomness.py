"""Stateless randomness on the device: bits that are a pure function of a counter and a key."""

from __future__ import annotations

import tensorflow as tf


def mix32(value: tf.Tensor) -> tf.Tensor:
    """A uint32 mixed by Wellons' lowbias32 finaliser: a bijection whose every output bit hangs on every input bit."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        value = (value ^ tf.bitwise.right_shift(value, tf.constant(shift, tf.uint32))) * tf.constant(
            factor, tf.uint32
        )
    return value ^ tf.bitwise.right_shift(value, tf.constant(16, tf.uint32))
