"""Which rows each of many networks trains on in a step: as `pyramid.train.sampling`, each on rows of its own.

The rows are held once. A network's training rows are all but those of one fold: it draws places in a table of their
numbers, one for each fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pyramid.randomness import mix32
from pyramid.train.sampling import BETA_QUANTILES, SampledRows, below, beta_quantiles, mixed_seed, permute

PURPOSES = ("epoch", "balance", "partner", "share", "dropout")
NO_FOLD = -1
"""The fold of a network that trains on all rows."""


@dataclass(frozen=True)
class TrainingRows:
    """The training rows of each network, on the device; classes that a network does not see are left out.

    Attributes:
        table: (folds * rows,) int32: for each fold the numbers of the rows outside of it, class after class.
        first: (nets,) int32, where in the table the network's rows begin.
        counts: (nets,) int32, how many they are.
        n_classes: (nets,) int32, how many classes they have.
        class_starts, class_sizes: (nets, classes) int32, of the classes that are there, counted from `first`.
        class_number: (nets, classes) int32, the place of each class among those that are there.
    """

    table: tf.Tensor
    first: tf.Tensor
    counts: tf.Tensor
    n_classes: tf.Tensor
    class_starts: tf.Tensor
    class_sizes: tf.Tensor
    class_number: tf.Tensor


def training_rows(labels: np.ndarray, folds: np.ndarray, fold_of_net: Sequence[int]) -> TrainingRows:
    """The rows that networks train on.

    Args:
        labels: (rows,) int, the class of each row; zeros for a numeric objective.
        folds: (rows,) int, the fold of each row.
        fold_of_net: the fold that each network does not see, or `NO_FOLD`.
    """
    by_class = np.argsort(labels, kind="stable").astype(np.int32)
    width = int(labels.max()) + 1
    distinct = sorted(set(fold_of_net))
    tables = np.zeros((len(distinct), len(labels)), np.int32)
    facts = {}
    for place, fold in enumerate(distinct):
        rows = by_class[folds[by_class] != fold]
        tables[place, : len(rows)] = rows
        counts = np.bincount(labels[rows], minlength=width)
        there = np.flatnonzero(counts)
        sizes = np.zeros(width, np.int32)
        sizes[: len(there)] = counts[there]
        number = np.zeros(width, np.int32)
        number[there] = np.arange(len(there))
        facts[fold] = (place * len(labels), len(rows), len(there), np.cumsum(sizes) - sizes, sizes, number)
    columns = zip(*(facts[fold] for fold in fold_of_net), strict=True)
    return TrainingRows(
        tf.constant(tables.ravel()), *(tf.constant(np.stack(one), tf.int32) for one in columns)
    )


class Place(NamedTuple):
    """Where each network's batch begins in what it draws.

    Attributes:
        epoch: (nets,) uint32, of the first row.
        offset: (nets,) int32, rows of that epoch before it.
        turn: (nets,) int32, the class of the first row of a balanced batch.
        low, high: uint32, how many rows each has drawn before.
    """

    epoch: tf.Tensor
    offset: tf.Tensor
    turn: tf.Tensor
    low: tf.Tensor
    high: tf.Tensor

    def after(self, rows: tf.Tensor) -> Place:
        """The place so many rows (an int32) later: offset and turn just go on."""
        return self._replace(
            offset=self.offset + rows, turn=self.turn + rows, low=self.low + tf.cast(rows, tf.uint32)
        )


def purpose_keys(seeds: Sequence[int]) -> dict[str, tf.Tensor]:
    """(nets, 1) uint32: the key of each network, by its seed, for each purpose of `PURPOSES`."""
    return {
        purpose: tf.constant([[mixed_seed(seed, purpose)] for seed in seeds], tf.uint32)
        for purpose in PURPOSES
    }


@dataclass(frozen=True)
class StackedSampler:
    """Draws the batches of all networks, as a pure function of the step.

    Attributes:
        rows: what is drawn from.
        labels: (rows,) int32, the class of each row.
        keys: (nets, 1) uint32, the key of each network for each purpose.
        batch_size: rows of a step.
        balanced: each batch draws every class equally often.
        mixup_alpha: 0, or the parameter of Beta(alpha, alpha).
    """

    rows: TrainingRows
    labels: tf.Tensor
    keys: Mapping[str, tf.Tensor]
    batch_size: int
    balanced: bool
    mixup_alpha: float

    def place(self, step: int) -> Place:
        """Where the batches of a step begin."""
        position = step * self.batch_size
        counts, classes = (one.numpy().astype(np.int64) for one in (self.rows.counts, self.rows.n_classes))
        return Place(
            epoch=tf.constant(position // counts % 2**32, tf.uint32),
            offset=tf.constant(position % counts, tf.int32),
            turn=tf.constant(position % classes, tf.int32),
            low=tf.constant(position % 2**32, tf.uint32),
            high=tf.constant(position // 2**32, tf.uint32),
        )

    def draw(self, place: Place) -> SampledRows:
        """What the step that begins there trains on: each (nets, batch)."""
        places = self._balanced(place) if self.balanced else self._epochs(place)
        rows = self._numbers(places)
        return self._mixed(rows, place) if self.mixup_alpha else SampledRows(rows)

    def _numbers(self, places: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.rows.table, self.rows.first[:, None] + places)

    def _epochs(self, place: Place) -> tf.Tensor:
        offset = tf.cast(place.offset[:, None] + self._slots(), tf.uint32)
        size = tf.cast(self.rows.counts, tf.uint32)[:, None]
        key = mix32((place.epoch[:, None] + offset // size) ^ self.keys["epoch"])
        return tf.cast(permute(offset % size, size, key), tf.int32)

    def _balanced(self, place: Place) -> tf.Tensor:
        group = (place.turn[:, None] + self._slots()) % self.rows.n_classes[:, None]
        sizes = tf.gather(self.rows.class_sizes, group, batch_dims=1)
        offset = below(self._chances(place, "balance"), tf.cast(sizes, tf.uint32))
        return tf.gather(self.rows.class_starts, group, batch_dims=1) + tf.cast(offset, tf.int32)

    def _mixed(self, rows: tf.Tensor, place: Place) -> SampledRows:
        """Partners of other classes, on the ring of all training rows: what follows the end of a row's own class."""
        number = tf.gather(self.rows.class_number, tf.gather(self.labels, rows), batch_dims=1)
        alone = self.rows.n_classes[:, None] == 1
        own = tf.where(alone, 0, tf.gather(self.rows.class_sizes, number, batch_dims=1))
        end = tf.where(alone, 0, tf.gather(self.rows.class_starts, number, batch_dims=1) + own)
        count = self.rows.counts[:, None]
        offset = below(self._chances(place, "partner"), tf.cast(count - own, tf.uint32))
        partners = self._numbers((end + tf.cast(offset, tf.int32)) % count)
        cell = below(self._chances(place, "share"), tf.constant(BETA_QUANTILES, tf.uint32))
        table = tf.constant(beta_quantiles(self.mixup_alpha), tf.float32)
        return SampledRows(rows, partners, tf.gather(table, tf.cast(cell, tf.int32)))

    def _slots(self) -> tf.Tensor:
        """(1, batch) int32."""
        return tf.range(self.batch_size)[None, :]

    def _chances(self, place: Place, purpose: str) -> tf.Tensor:
        """(nets, batch) uniform uint32."""
        word = self.keys[purpose]
        return mix32(mix32((place.low + tf.cast(self._slots(), tf.uint32)) ^ word) + mix32(place.high + word))
