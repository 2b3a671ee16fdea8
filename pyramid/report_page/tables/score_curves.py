"""ROC, precision-recall and calibration curves of many rows, in the memory of a few thousand thresholds.

Probabilities are counted on a grid of logits, so that those near 0 and near 1 are told apart as well as those between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

BINS, LARGEST_LOGIT = 2048, 16.0
CALIBRATION_BINS = 10
GRID = np.linspace(0.0, 1.0, 101)

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class ScoreCounts:
    """How many rows have which score, for each class against the rest; the highest scores come first.

    Attributes:
        hits: (classes, BINS) int64, rows of the class.
        misses: (classes, BINS) int64, rows of other classes.
    """

    hits: np.ndarray
    misses: np.ndarray

    @classmethod
    def of(cls, parts: Iterable[tuple[np.ndarray, np.ndarray]], n_classes: int) -> ScoreCounts:
        """The counts of rows that come in parts.

        Args:
            parts: (rows,) true classes and (rows, classes) probabilities.
        """
        hits, rows = np.zeros(n_classes * BINS, np.int64), np.zeros(n_classes * BINS, np.int64)
        first = np.arange(n_classes) * BINS
        for truth, shares in parts:
            places = _bins(shares) + first
            rows += np.bincount(places.reshape(-1), minlength=len(rows))
            hits += np.bincount(places[np.arange(len(truth)), truth], minlength=len(hits))
        return cls(hits.reshape(n_classes, BINS), (rows - hits).reshape(n_classes, BINS))

    @cached_property
    def positives(self) -> np.ndarray:
        """(classes,): rows of each class."""
        return self.hits.sum(axis=1)

    @cached_property
    def defined(self) -> np.ndarray:
        """The classes that have both rows of their own and others."""
        return np.flatnonzero((self.positives > 0) & (self.misses.sum(axis=1) > 0))

    @cached_property
    def auc(self) -> np.ndarray:
        """(classes,): areas under the ROC curves; NaN where they are not defined."""
        areas = (self.misses * (self.hits.cumsum(axis=1) - self.hits / 2)).sum(axis=1)
        return _ratio(areas, self.positives * self.misses.sum(axis=1))

    @cached_property
    def average_precision(self) -> np.ndarray:
        """(classes,): the mean precision at the scores of the class's rows; NaN without any."""
        return _ratio((self.hits * self._precision).sum(axis=1), self.positives)

    @cached_property
    def _precision(self) -> np.ndarray:
        hits = self.hits.cumsum(axis=1)
        return hits / np.maximum(hits + self.misses.cumsum(axis=1), 1)

    def roc(self, one: int) -> tuple[np.ndarray, np.ndarray]:
        """The shares of other rows, and of the class's, that are above each threshold; from (0, 0) to (1, 1)."""
        return _shares(self.misses[one]), _shares(self.hits[one])

    def precision_recall(self, one: int) -> tuple[np.ndarray, np.ndarray]:
        """Recall and precision at each threshold that any row passes, from the highest one."""
        there = self.hits[one] + self.misses[one] > 0
        return _shares(self.hits[one])[1:][there], self._precision[one][there]

    def mean_roc(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean over the classes, at equal shares of other rows."""
        curves = [np.interp(GRID, *self.roc(one)) for one in self.defined]
        # a line goes up at 0 as far as the highest score takes it
        return np.concatenate([[0.0], GRID]), np.concatenate([[0.0], np.mean(curves, axis=0)])

    def mean_precision_recall(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean over the classes, at equal recalls."""
        return GRID, np.mean([np.interp(GRID, *self.precision_recall(one)) for one in self.defined], axis=0)


@dataclass(frozen=True)
class Calibration:
    """Whether what is said to be likely is as frequent as that, in bins of equal width.

    Attributes:
        counts: (bins,) rows.
        said: (bins,) the mean probability; NaN in an empty bin.
        found: (bins,) the share of the rows for which it came true; NaN in an empty bin.
    """

    counts: np.ndarray
    said: np.ndarray
    found: np.ndarray

    @classmethod
    def of(cls, said: np.ndarray, came_true: np.ndarray) -> Calibration:
        """The bins of (rows,) probabilities, and of what (rows,) became of them."""
        bins = np.clip((said * CALIBRATION_BINS).astype(np.int64), 0, CALIBRATION_BINS - 1)
        counts, sums, hits = (
            np.bincount(bins, weights, CALIBRATION_BINS) for weights in (None, said, came_true)
        )
        return cls(counts.astype(np.int64), _ratio(sums, counts), _ratio(hits, counts))

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance over all rows (Guo et al., arXiv 1706.04599)."""
        there = self.counts > 0
        distances = np.abs(self.said - self.found)[there]
        return float(distances @ self.counts[there] / self.counts.sum())


def drawn(across: np.ndarray, up: np.ndarray, most: int = 150) -> Points:
    """At most about `most` of the points of a line, evenly along its length."""
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(across)) + np.abs(np.diff(up)))])
    places = np.searchsorted(length, np.linspace(0.0, length[-1], most))
    kept = np.unique(np.concatenate([[0], np.minimum(places, len(across) - 1)]))
    return list(zip(across[kept].tolist(), up[kept].tolist(), strict=True))


def _bins(shares: np.ndarray) -> np.ndarray:
    """The place of each probability on the grid of logits, int64; 0 is the highest."""
    shares = np.clip(shares, 0.0, 1.0)
    with np.errstate(divide="ignore"):
        logits = np.log(shares) - np.log1p(-shares)
    logits = np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)
    places = ((LARGEST_LOGIT - logits) * (BINS / (2 * LARGEST_LOGIT))).astype(np.int64)
    return np.minimum(places, BINS - 1)


def _shares(counts: np.ndarray) -> np.ndarray:
    """The share of all that has come, before each bin and after the last."""
    cumulated = np.concatenate([[0], counts.cumsum()])
    return cumulated / max(cumulated[-1], 1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
