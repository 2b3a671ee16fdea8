"""Seeded, stratified choices of rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyramid.settings.wording import found

SMALLEST_SPLIT = 32
MOST_NAMED = 20
QUANTILE_BINS = 10
FOLDS, FOLDS_OF_FEW_ROWS, FEW_ROWS = 5, 10, 500


def numeric_strata(values: np.ndarray, bins: int = QUANTILE_BINS) -> np.ndarray:
    """(rows,) int64: the quantile bin of each number, so that samples of a number keep its spread."""
    inner = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]) if len(values) else []
    return np.searchsorted(np.unique(inner), values, side="left")


def holdout_split(
    labels: np.ndarray, holdout_rate: float, holdout_set_size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on, and rows held out to see when to stop.

    Of each class `min(holdout_rate, holdout_set_size / n)` is held out, but at least one row and not all of them; the
    row of a class that has no other is trained on. With 32 rows or fewer, or where one side would be empty, all rows
    are on both sides.

    Args:
        labels: (rows,) int, the class of each row; for a numeric objective its `numeric_strata`, or zeros.

    Returns:
        The sorted indices of the rows to train on and of those held out.
    """
    n_rows = len(labels)
    everything = np.arange(n_rows)
    if n_rows <= SMALLEST_SPLIT:
        return everything, everything
    rate = min(holdout_rate, holdout_set_size / n_rows)
    order, counts = _shuffled_strata(labels, rng)
    shares = np.rint(counts * rate).astype(np.int64)
    held_out = np.clip(shares, np.minimum(counts - 1, 1), counts - 1)
    if shares.sum() == n_rows or not held_out.any():
        return everything, everything
    holdout = _first_of_each(order, counts, held_out)
    return np.setdiff1d(everything, holdout, assume_unique=True), holdout


def lone_rows_warning(labels: np.ndarray, values: Sequence[str]) -> str | None:
    """What to tell of classes that have a single row; None where there are none.

    Args:
        labels: (rows,) int, the class of each row.
        values: the names of the classes.
    """
    lone = [values[label] for label in np.flatnonzero(np.bincount(labels) == 1).tolist()]
    if not lone:
        return None
    more = f" and {len(lone) - MOST_NAMED} more" if len(lone) > MOST_NAMED else ""
    names = ", ".join(found(name) for name in lone[:MOST_NAMED])
    return (
        f"warning: a single row is of {names}{more}: such a class is learnt, but never held out to check with"
    )


def stratified_sample(strata: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The sorted indices of `size` rows (all where there are no more), each stratum in proportion.

    Every stratum gives at least one row as long as `size` allows; what rounding leaves over goes to the
    largest remainders.
    """
    n_rows = len(strata)
    if n_rows <= size:
        return np.arange(n_rows)
    order, counts = _shuffled_strata(strata, rng)
    return _first_of_each(order, counts, allocate(counts, size))


def default_folds(n_rows: int) -> int:
    """How many folds rows have where nobody chooses."""
    return FOLDS_OF_FEW_ROWS if n_rows < FEW_ROWS else FOLDS


def stratified_folds(strata: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """(rows,) int8 of 0 to `n_folds` - 1: the fold of each row; every stratum is divided as evenly as it can be."""
    order, _ = _shuffled_strata(strata, rng)
    folds = np.empty(len(strata), np.int8)
    folds[order] = np.arange(len(strata)) % n_folds
    return folds


def allocate(counts: np.ndarray, size: int) -> np.ndarray:
    """How many of `size` places each stratum of `counts` rows gets: in proportion, none more than it has.

    Every stratum gets at least one place as long as there are enough of them.
    """
    size = min(size, int(counts.sum()))
    least = np.minimum(counts, 1) if size >= np.count_nonzero(counts) else np.zeros_like(counts)
    spare = counts - least
    share = spare * ((size - least.sum()) / max(spare.sum(), 1))
    places = np.floor(share).astype(np.int64)
    left_over = size - int(least.sum() + places.sum())
    by_remainder = np.argsort(places - share, kind="stable")
    by_remainder = by_remainder[places[by_remainder] < spare[by_remainder]]
    places[by_remainder[:left_over]] += 1
    return least + places


def _shuffled_strata(strata: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """All row indices, stratum after stratum, shuffled within each; and how many rows each stratum has."""
    _, codes, counts = np.unique(strata, return_inverse=True, return_counts=True)
    order = rng.permutation(len(strata))
    return order[np.argsort(codes[order], kind="stable")], counts


def _first_of_each(order: np.ndarray, counts: np.ndarray, places: np.ndarray) -> np.ndarray:
    starts = np.cumsum(counts) - counts
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    return np.sort(order[rank < np.repeat(places, counts)])
