"""The random numbers of an image: a pure function of (seed, epoch, index, augmentation)."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from pyramid.images.augment.registry import AUGMENTATIONS
from pyramid.randomness import mix32

MAX_DRAWS = 16
_NUMBERS = {name: number for number, name in enumerate(AUGMENTATIONS)}


def image_keys(seed: tf.Tensor, epoch: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """(n,) int32, a key for each image.

    Args:
        seed: integer scalar.
        epoch: integer scalar.
        indices: (n,) integers, the number of each image in its data set.
    """
    run = mix32(mix32(_word(seed)) + _word(epoch))
    return tf.bitcast(mix32(run + mix32(_word(indices))), tf.int32)


def _word(number: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.cast(number, tf.int64) & tf.constant(0xFFFFFFFF, tf.int64), tf.uint32)


class Draws(NamedTuple):
    """The random numbers of one augmentation of one image.

    Attributes:
        key: uint32 scalar.
        n: the strength of the augmentation.
    """

    key: tf.Tensor
    n: float

    def uniform(
        self, low: float = 0.0, high: float = 1.0, slot: int = 0, count: int | None = None
    ) -> tf.Tensor:
        """A float32 from `low` to `high`, or (count,) of them; each slot, and those after it, is another draw."""
        slots = tf.constant([*range(slot, slot + count)] if count else slot, tf.uint32)
        bits = tf.bitwise.right_shift(mix32(self.key + slots), tf.constant(8, tf.uint32))
        return low + (high - low) / 2**24 * tf.cast(tf.bitcast(bits, tf.int32), tf.float32)

    def around(self, center: float = 0.0, slot: int = 0, count: int | None = None) -> tf.Tensor:
        """A float32 from center - n to center + n, or (count,) of them."""
        return self.uniform(center - self.n, center + self.n, slot, count)

    def coin(self) -> tf.Tensor:
        """A bool that is true for half of the images; it uses up the last slot."""
        return self.uniform(slot=MAX_DRAWS - 1) < 0.5


def draws_of(name: str, key: tf.Tensor, n: float) -> Draws:
    """The random numbers of the augmentation `name` for the image with `key`."""
    number = tf.constant((_NUMBERS[name] + 1) * 0x9E3779B9 & 0xFFFFFFFF, tf.uint32)
    return Draws(mix32(tf.bitcast(key, tf.uint32) ^ number), n)
