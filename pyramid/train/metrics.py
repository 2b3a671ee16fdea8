"""How good predictions are: the metrics of holdout checks and of evaluations (docs/training.md, "Metrics").

Larger is better throughout, so error measures are negated. A metric that its inputs leave undefined is 0;
where a prediction is NaN or infinite every metric is NaN, for the monitor to notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.stats import rankdata

from pyramid.errors import DataError

# what float32 softmax can resolve: a smaller probability, 0 above all, counts as this one
LEAST_PROBABILITY = float(np.finfo(np.float32).eps)
CELLS_SORTED_AT_ONCE = 1 << 20

Metrics = Mapping[str, Callable[[Any], float]]


def evaluate_classes(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """All metrics of a classifier.

    Args:
        truth: (rows,) class indices.
        scores: (rows, classes) probabilities, or any other scores.

    Returns:
        Finite values if `scores` are, else NaN for each.

    Raises:
        DataError: there are no rows.
    """
    _check(truth)
    if _are_finite(scores) and scores.shape[1] == 1:
        return dict.fromkeys(CLASS_METRICS, 1.0)
    return _evaluate(CLASS_METRICS, scores, lambda: _Classes(np.asarray(truth), np.asarray(scores)))


def evaluate_numbers(truth: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """All metrics of predicted numbers.

    Args:
        truth, predictions: (rows,).

    Returns:
        Finite values if `predictions` are, else NaN for each.

    Raises:
        DataError: there are no rows.
    """
    _check(truth)
    return _evaluate(
        NUMBER_METRICS,
        predictions,
        lambda: _Numbers(np.asarray(truth, np.float64), np.asarray(predictions, np.float64)),
    )


def _check(truth: np.ndarray) -> None:
    if len(truth) == 0:
        raise DataError("there are no rows to evaluate: metrics need at least one")


def _evaluate(metrics: Metrics, predictions: np.ndarray, make_case: Callable[[], Any]) -> dict[str, float]:
    if not _are_finite(predictions):
        return dict.fromkeys(metrics, float("nan"))
    case = make_case()
    return {name: float(metric(case)) for name, metric in metrics.items()}


def _row_blocks(values: np.ndarray) -> Iterator[slice]:
    """Rows that are looked at together, so that no temporary array is as large as all of them."""
    step = max(1, CELLS_SORTED_AT_ONCE * len(values) // max(1, values.size))
    yield from (slice(start, start + step) for start in range(0, len(values), step))


def _are_finite(values: np.ndarray) -> bool:
    return all(np.isfinite(values[block]).all() for block in _row_blocks(values))


@dataclass(frozen=True)
class _Curve:
    """What thresholds at the scores of each class's own rows do, the highest first: flat arrays, class after class.

    Rows with equal scores pass a threshold together, so they make one step of the curve. Thresholds at scores that
    only other rows have are left out: none of them has the largest phi (it falls while the hits stay the same), and
    sums over the rows of a class are not over them.

    Attributes:
        classes: (steps,), the class of a step.
        passed: (steps,), how many rows have a score of the step's or above.
        hits: (steps,), how many of these are of the class.
        new_passed, new_hits: (steps,), how many of them come with this step.
        positives: (classes,), rows of the class.
    """

    classes: np.ndarray
    passed: np.ndarray
    hits: np.ndarray
    new_passed: np.ndarray
    new_hits: np.ndarray
    positives: np.ndarray

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(classes,): the sum of (steps,) values within each class."""
        return np.bincount(self.classes, values, len(self.positives))


@dataclass(frozen=True)
class _Classes:
    """truth: (rows,) class indices; scores: (rows, classes), finite."""

    truth: np.ndarray
    scores: np.ndarray

    @cached_property
    def true_scores(self) -> np.ndarray:
        """(rows,): the score of each row's class."""
        return self.scores[np.arange(len(self.truth)), self.truth]

    @cached_property
    def curve(self) -> _Curve:
        n_rows, n_classes = self.scores.shape
        positives = np.bincount(self.truth, minlength=n_classes)
        classes = np.repeat(np.arange(n_classes), positives)
        falling = -self.true_scores[
            np.argsort(self.truth.astype(np.min_scalar_type(n_classes)), kind="stable")
        ]
        for own in np.split(falling, np.cumsum(positives[:-1])):
            own.sort()
        changes = (classes[1:] != classes[:-1]) | (falling[1:] != falling[:-1])
        first = np.concatenate([[0], np.flatnonzero(changes) + 1])  # row of each step
        new_hits = np.diff(first, append=n_rows)
        above, passed = _ranks(self.scores, classes[first], falling[first])
        earlier = np.cumsum(positives) - positives  # rows of the classes before
        return _Curve(
            classes=classes[first],
            passed=passed.astype(np.float64),
            hits=(first + new_hits - earlier[classes[first]]).astype(np.float64),
            new_passed=(passed - above).astype(np.float64),
            new_hits=new_hits.astype(np.float64),
            positives=positives.astype(np.float64),
        )


def _ranks(scores: np.ndarray, classes: np.ndarray, falling: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many rows have a higher score than each of some, and how many have it or a higher one.

    Args:
        scores: (rows, classes).
        classes, falling: (steps,), a class, rising, and the negated score.
    """
    above, passed = np.empty(len(classes), np.int64), np.empty(len(classes), np.int64)
    bounds = np.searchsorted(classes, np.arange(scores.shape[1] + 1))
    present = np.unique(classes)
    for block in np.array_split(present, -(-len(present) * len(scores) // CELLS_SORTED_AT_ONCE)):
        columns = -np.ascontiguousarray(scores[:, block].T)  # (classes, rows)
        columns.sort(axis=1)
        for class_, column in zip(block, columns, strict=True):
            steps = slice(bounds[class_], bounds[class_ + 1])
            above[steps] = np.searchsorted(column, falling[steps], "left")
            passed[steps] = np.searchsorted(column, falling[steps], "right")
    return above, passed


@dataclass(frozen=True)
class _Numbers:
    """truth, predictions: (rows,) float64, finite."""

    truth: np.ndarray
    predictions: np.ndarray

    @cached_property
    def errors(self) -> np.ndarray:
        return self.predictions - self.truth


def _accuracy(case: _Classes) -> Any:
    """Share of the rows where the true class alone has the highest score: a tie at the top is a miss."""
    alone = (
        np.count_nonzero(case.scores[block] >= case.true_scores[block, None], axis=1) == 1
        for block in _row_blocks(case.scores)
    )
    return sum(map(np.count_nonzero, alone)) / len(case.truth)


def _likelihood(case: _Classes) -> Any:
    """exp(-log loss), the geometric mean of the probabilities given to the true classes."""
    probabilities = np.clip(case.true_scores.astype(np.float64), LEAST_PROBABILITY, 1.0)
    return np.exp(np.log(probabilities).mean())


def _auc(case: _Classes) -> Any:
    """Area under the ROC curve, one class against the rest, mean over classes.

    A class that no row or every row has counts 0.
    """
    curve = case.curve
    misses = len(case.truth) - curve.positives  # (classes,)
    new_misses = curve.new_passed - curve.new_hits
    below = misses[curve.classes] - (curve.passed - curve.hits) + new_misses / 2
    return np.mean(_ratio(curve.sums(curve.new_hits * below), curve.positives * misses))


def _max_phi(case: _Classes) -> Any:
    """The largest phi coefficient (Matthews) over all thresholds on the class's score, mean over classes."""
    curve, n_rows = case.curve, len(case.truth)
    positives = curve.positives[curve.classes]  # (steps,)
    covariance = n_rows * curve.hits - curve.passed * positives
    spread = np.sqrt(curve.passed * (n_rows - curve.passed)) * np.sqrt(positives * (n_rows - positives))
    largest = np.zeros(len(curve.positives))  # that of a threshold that all rows pass
    np.maximum.at(largest, curve.classes, _ratio(covariance, spread))
    return np.mean(largest)


def _ndcg(case: _Classes) -> Any:
    """Normalised discounted cumulative gain, mean over classes.

    For each class all rows are ranked by its score; a row of the class gains 1 / log2(r + 1) at rank r (from
    1), and the sum is divided by that of the ranking with the class's rows first. Rows with equal scores have
    the mean of their discounts. A class that no row has counts 0.
    """
    curve, n_rows = case.curve, len(case.truth)
    summed = np.concatenate(
        [[0.0], np.cumsum(1 / np.log2(np.arange(n_rows) + 2))]
    )  # of the first r discounts
    passed = curve.passed.astype(np.int64)
    discounts = summed[passed] - summed[passed - curve.new_passed.astype(np.int64)]
    gains = curve.sums(curve.new_hits / curve.new_passed * discounts)
    return np.mean(_ratio(gains, summed[curve.positives.astype(np.int64)]))


def _mean_squared_error(case: _Numbers) -> Any:
    return -np.mean(np.square(case.errors))


def _mean_absolute_error(case: _Numbers) -> Any:
    return -np.mean(np.abs(case.errors))


def _median_absolute_error(case: _Numbers) -> Any:
    return -np.median(np.abs(case.errors))


def _r_squared(case: _Numbers) -> Any:
    """1 - residual / total sum of squares; where the truth is constant 1 if it is met exactly, else 0."""
    residual = np.sum(np.square(case.errors))
    constant = case.truth.min() == case.truth.max()
    total = 0.0 if constant else np.sum(np.square(case.truth - case.truth.mean()))
    if total == 0.0:
        return float(residual == 0.0)
    return 1.0 - residual / total


def _spearman_r(case: _Numbers) -> Any:
    """Correlation of the ranks (ties share their mean rank); 0 where truth or predictions are constant."""
    truth, predictions = (rankdata(values) for values in (case.truth, case.predictions))
    truth, predictions = truth - truth.mean(), predictions - predictions.mean()
    spread = np.sqrt(np.sum(np.square(truth)) * np.sum(np.square(predictions)))
    return np.clip(_ratio(np.sum(truth * predictions), spread), -1.0, 1.0)


def _ratio(numerator: Any, denominator: Any) -> Any:
    """The quotient; 0 where the denominator is 0."""
    safe = np.where(denominator == 0, 1.0, denominator)
    return np.where(denominator == 0, 0.0, numerator / safe)


CLASS_METRICS: Metrics = MappingProxyType(
    {
        "accuracy": _accuracy,
        "likelihood": _likelihood,
        "auc": _auc,
        "max_phi": _max_phi,
        "ndcg": _ndcg,
    }
)
NUMBER_METRICS: Metrics = MappingProxyType(
    {
        "mean_squared_error": _mean_squared_error,
        "mean_absolute_error": _mean_absolute_error,
        "median_absolute_error": _median_absolute_error,
        "r_squared": _r_squared,
        "spearman_r": _spearman_r,
    }
)
