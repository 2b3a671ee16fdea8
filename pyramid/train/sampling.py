"""Which rows each optimiser step trains on, drawn on the device as a pure function of (seed, step).

Everything here is traced into the compiled loop: nothing is stored between steps, so a run can be cut into calls
anywhere and draws the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy.special import betaincinv

from pyramid.randomness import mix32
from pyramid.train.dataset import Dataset

SHUFFLE_ROUNDS = 12
BETA_QUANTILES = 4096


@dataclass(frozen=True, eq=False)
class ClassTargets:
    """Class probabilities that are made of classes when a batch is drawn: a thousand classes take no more memory.

    Attributes:
        classes: (rows,) int32.
        own, other: what a row has in the column of its class, and in each other one; float32.
        n_classes: how many columns there are.
    """

    classes: tf.Tensor
    own: float
    other: float
    n_classes: int

    @classmethod
    def smoothed(cls, classes: np.ndarray, n_classes: int, factor: float) -> ClassTargets:
        """One-hot classes as `CategoricalObjective.smoothed` makes them, the same numbers."""
        other = np.float32(factor / n_classes)
        own = np.float32(1 - factor) + other
        return cls(tf.constant(classes, tf.int32), float(own), float(other), n_classes)

    def gather(self, indices: tf.Tensor) -> tf.Tensor:
        """(..., classes) float32 of rows at (...) indices."""
        return tf.one_hot(tf.gather(self.classes, indices), self.n_classes, self.own, self.other)


def device_targets(training: Dataset, smoothing_factor: float) -> tf.Tensor | ClassTargets:
    """The targets of training rows, those of classes smoothed."""
    if not training.objective.has_classes:
        return tf.constant(training.targets)
    return ClassTargets.smoothed(training.truth, training.objective.n_outputs, smoothing_factor)


class Rows(NamedTuple):
    """Training rows, on the device.

    Attributes:
        inputs: (rows, inputs) float32.
        targets: (rows, outputs) float32; class probabilities, or one standardised number. `ClassTargets` where batches
            are yet to be drawn of the rows.
        weights: (rows,) float32 of mean 1, or None where all rows count the same.
    """

    inputs: tf.Tensor
    targets: Any
    weights: tf.Tensor | None


class SampledRows(NamedTuple):
    """What some consecutive steps train on.

    Attributes:
        rows: (steps, batch) int32 row indices.
        partners: (steps, batch) int32 rows to mix with, or None without mixup.
        shares: (steps, batch) float32 share of the row itself in the mixture, in [0, 1]; None without mixup.
    """

    rows: tf.Tensor
    partners: tf.Tensor | None = None
    shares: tf.Tensor | None = None


Sampler = Callable[[tf.Tensor], SampledRows]


def make_sampler(
    labels: np.ndarray, seed: int, steps: int, batch_size: int, balanced: bool, mixup_alpha: float
) -> Sampler:
    """The function that draws `steps` batches from a first step on.

    Args:
        labels: (rows,) int: the class of each row; zeros for a numeric objective.
        balanced: each batch draws every class equally often, else an epoch is a permutation of the rows.
        mixup_alpha: 0, or the parameter of Beta(alpha, alpha) that mixes rows of different classes.

    Returns:
        A function from the first step (int64 scalar) to `SampledRows`.
    """
    shape = (steps, batch_size)
    draw = _balanced_draw(labels, seed, shape) if balanced else _epoch_draw(len(labels), seed, shape)
    if not mixup_alpha:
        return lambda first_step: SampledRows(draw(first_step * batch_size))
    mix = _mixup(labels, seed, mixup_alpha)
    return lambda first_step: mix(draw(first_step * batch_size), first_step * batch_size)


def _epoch_draw(n_rows: int, seed: int, shape: tuple[int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Each epoch takes every row once, in an order of its own; batches run on over the end of an epoch."""

    def draw(first_position: tf.Tensor) -> tf.Tensor:
        # the epochs are counted in 64 bits once, so that all else is done in 32
        first_epoch = tf.cast(first_position // n_rows, tf.uint32)
        offset = tf.cast(first_position % n_rows, tf.int32)
        position = tf.cast(offset + _slots(shape), tf.uint32)
        size = tf.constant(n_rows, tf.uint32)
        epoch = first_epoch + position // size
        key = mix32(epoch ^ tf.constant(mixed_seed(seed, "epoch"), tf.uint32))
        return tf.cast(permute(position % size, n_rows, key), tf.int32)

    return draw


def _balanced_draw(labels: np.ndarray, seed: int, shape: tuple[int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """The slots of a batch go round the classes that have rows; within a class rows are drawn at random."""
    _, counts = np.unique(labels, return_counts=True)
    by_class = tf.constant(np.argsort(labels, kind="stable"), tf.int32)
    starts = tf.constant(np.cumsum(counts) - counts, tf.int32)
    sizes = tf.constant(counts, tf.uint32)
    key = mixed_seed(seed, "balance")

    def draw(first_position: tf.Tensor) -> tf.Tensor:
        turn = tf.cast(first_position % len(counts), tf.int32)
        group = (turn + _slots(shape)) % len(counts)
        offset = below(_chances(first_position, shape, key), tf.gather(sizes, group))
        return tf.gather(by_class, tf.gather(starts, group) + tf.cast(offset, tf.int32))

    return draw


def _mixup(labels: np.ndarray, seed: int, alpha: float) -> Callable[[tf.Tensor, tf.Tensor], SampledRows]:
    """Mixup (arXiv 1710.09412) between rows of different classes; of any two rows where the labels are all one.

    Beta(alpha, alpha) is drawn from a table of its quantiles, as XLA has no gamma sampler.
    """
    table = tf.constant(beta_quantiles(alpha), tf.float32)
    classes, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    own = counts if len(classes) > 1 else np.zeros(1, np.int64)
    by_class = tf.constant(np.argsort(labels, kind="stable"), tf.int32)
    ends = tf.constant(np.cumsum(own)[inverse], tf.int32)  # (rows,) where the others of the sorted ring begin
    others = tf.constant((len(labels) - own)[inverse], tf.uint32)
    partner_key, share_key = mixed_seed(seed, "partner"), mixed_seed(seed, "share")

    def mix(rows: tf.Tensor, first_position: tf.Tensor) -> SampledRows:
        shape = (int(rows.shape[0]), int(rows.shape[1]))
        offset = below(_chances(first_position, shape, partner_key), tf.gather(others, rows))
        partner = (tf.gather(ends, rows) + tf.cast(offset, tf.int32)) % len(labels)
        cell = below(_chances(first_position, shape, share_key), tf.constant(BETA_QUANTILES, tf.uint32))
        return SampledRows(rows, tf.gather(by_class, partner), tf.gather(table, tf.cast(cell, tf.int32)))

    return mix


def beta_quantiles(alpha: float) -> np.ndarray:
    """(BETA_QUANTILES,) float64: as many equally likely values of Beta(alpha, alpha)."""
    return betaincinv(alpha, alpha, (np.arange(BETA_QUANTILES) + 0.5) / BETA_QUANTILES)


def permute(values: tf.Tensor, n: int | tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """The keyed swap-or-not shuffle (Hoang, Morris, Rogaway, CRYPTO 2012): a bijection of 0..n-1.

    It gives any element of a permutation without making the others, so an epoch's order needs neither memory
    nor a sort.

    Args:
        values: uint32 below `n`, any shape.
        n: an integer, or several of a shape that broadcasts to `values`.
        key: uint32, of a shape that broadcasts to `values`; one permutation each.
    """
    size = tf.cast(n, tf.uint32)

    def swap(round_: tf.Tensor, value: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        round_key = mix32(key + round_ * tf.constant(0x9E3779B9, tf.uint32))
        center = below(round_key, size)
        other = tf.where(center >= value, center - value, center - value + size)
        coin = mix32(tf.maximum(value, other) ^ round_key) & tf.constant(1, tf.uint32)
        return round_ + tf.constant(1, tf.uint32), tf.where(coin == tf.constant(1, tf.uint32), other, value)

    return tf.while_loop(
        lambda round_, _: round_ < tf.constant(SHUFFLE_ROUNDS, tf.uint32),
        swap,
        (tf.constant(0, tf.uint32), values),
    )[1]


def below(chance: tf.Tensor, limit: tf.Tensor) -> tf.Tensor:
    """A uniform uint32 below `limit` from a uniform uint32 (Lemire, arXiv 1805.10941, without rejection)."""
    product = tf.cast(chance, tf.uint64) * tf.cast(limit, tf.uint64)
    return tf.cast(tf.bitwise.right_shift(product, tf.constant(32, tf.uint64)), tf.uint32)


def _slots(shape: tuple[int, int]) -> tf.Tensor:
    """(steps, batch) int32: 0, 1, 2, ... in the order in which rows are drawn."""
    return tf.reshape(tf.range(shape[0] * shape[1]), shape)


def _chances(first_position: tf.Tensor, shape: tuple[int, int], key: int) -> tf.Tensor:
    """(steps, batch) uniform uint32, a function of each position, an int64, and the key."""
    position = first_position + tf.cast(_slots(shape), tf.int64)
    low = tf.cast(position & tf.constant(0xFFFFFFFF, tf.int64), tf.uint32)
    high = tf.cast(tf.bitwise.right_shift(position, tf.constant(32, tf.int64)), tf.uint32)
    word = tf.constant(key, tf.uint32)
    return mix32(mix32(low ^ word) + mix32(high + word))


def mixed_seed(seed: int, purpose: str) -> int:
    """A 32-bit key of its own for each purpose, from the job's seed."""
    return int(np.random.SeedSequence([seed, *purpose.encode()]).generate_state(1)[0])
