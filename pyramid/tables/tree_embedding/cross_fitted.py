"""Cross-fitted trees: three ensembles over all inputs; a row's features come from trees that never saw its fold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np

from pyramid.storage.files import dumps
from pyramid.tables.layout import Layout
from pyramid.tables.splits import stratified_sample
from pyramid.tables.tree_embedding.boosting import BOOSTING, fit_boosting
from pyramid.tables.tree_embedding.effort import FOREST_BYTES, Effort, Table, affordable, chosen_effort
from pyramid.tables.tree_embedding.ensembles import Fitted, Lesson, one_thread_each
from pyramid.tables.tree_embedding.forests import EXTRA_TREES, RANDOM_FOREST, fit_forest
from pyramid.tables.tree_embedding.learn import Embedding, field_shares, to_forest
from pyramid.tables.tree_embedding.shap import Tree
from sensenet.forest import Forest, dump_forests, tree_features

MAX_LEARNING_ROWS = 100_000
MOST_CLASSES_OF_TWO_FORESTS = 100
MAX_EXPLAINED_ROWS, MAX_EXPLAINED_LEAVES, MAX_EXPLAINED_NUMBERS = 128, 3000, 10_000_000
ROWS_AT_ONCE = 4096
MAX_FLOAT32 = float(np.finfo(np.float32).max)
MOST_NODE_BYTES, MOST_NUMBER_BYTES = 45, 16
"""JSON of a leaf and of the node above it, and of each number that the leaf answers, at most."""


@dataclass(frozen=True)
class TableToLearn:
    """The encoded rows that may learn.

    Attributes:
        inputs: (rows, layout.input_size) float32.
        labels: (rows,) class indices, or standardised numbers.
        strata: (rows,) what samples of the rows shall have equally much of.
        folds: (rows,) the fold of each row.
        layout: gives the columns of each field, and the number of classes.
        has_classes: whether a label is one of several classes.
        weights: (rows,) above 0, how much each row counts; None: alike.
    """

    inputs: np.ndarray
    labels: np.ndarray
    strata: np.ndarray
    folds: np.ndarray
    layout: Layout
    has_classes: bool
    weights: np.ndarray | None = None

    @property
    def n_classes(self) -> int:
        """0 of numbers."""
        return self.layout.n_outputs if self.has_classes else 0

    def is_worth_learning(self) -> bool:
        """Whether there are inputs, rows in two folds, and two classes of two rows or more."""
        if not self.layout.input_size or len(np.unique(self.folds)) < 2:
            return False
        return not self.has_classes or int(np.count_nonzero(np.bincount(self.labels) >= 2)) >= 2

    def only(self, rows: np.ndarray) -> TableToLearn:
        """Some of the rows."""
        taken = {name: getattr(self, name)[rows] for name in ("inputs", "labels", "strata", "folds")}
        return replace(self, weights=None if self.weights is None else self.weights[rows], **taken)


@dataclass(frozen=True)
class _Part:
    """What one ensemble adds to the embedding."""

    forests: tuple[Forest, ...]
    features: np.ndarray  # (learning rows, outputs) float32
    importances: list[dict[str, float]]
    facts: dict[str, Any]


def learn_cross_fitted(
    table: TableToLearn, n_rows: int, seconds: float | None, rng: np.random.Generator
) -> Embedding:
    """Learn the ensembles: random forest, extra trees, boosting, in this order.

    Left out are extra trees and boosting where classes are many, boosting where columns are, and an ensemble whose
    answers are too large for float32. Where there is nothing to learn from, there are no tree features.

    Args:
        n_rows: how many rows will be described, all in all.
        seconds: what may pass until they are, about; None: no clock matters.
    """
    if not table.is_worth_learning():
        return _nothing(table)
    size = Table(
        n_rows, len(table.inputs), table.inputs.shape[1], max(1, table.n_classes), len(np.unique(table.folds))
    )
    if seconds is None:
        effort = chosen_effort(size)
    else:
        effort = affordable(size, table.inputs, table.labels.astype(np.float64), seconds)
    learning = stratified_sample(table.strata, effort.learning_rows, rng)
    sample = table.only(learning)
    if not sample.is_worth_learning():
        return _nothing(table)
    weights = None if sample.weights is None else sample.weights / sample.weights.mean()
    lesson = Lesson(sample.inputs, sample.labels, sample.folds, sample.n_classes, weights)
    parts = [
        _part(fitted, lesson, table.layout, rng)
        for fitted in _fit(lesson, effort, rng)
        if _answers_float32(fitted)
    ]
    if not parts:
        return _nothing(table)
    forests = tuple(forest for part in parts for forest in part.forests)
    features = np.concatenate([part.features for part in parts], axis=1)
    ends = accumulate((part.features.shape[1] for part in parts), initial=0)
    return Embedding(
        forests,
        _of_all(features, learning, forests, table.inputs),
        [shares for part in parts for shares in part.importances],
        tuple({**part.facts, "first": first} for part, first in zip(parts, ends, strict=False)),
    )


def _nothing(table: TableToLearn) -> Embedding:
    return Embedding((), np.zeros((len(table.inputs), 0), np.float32), [])


def _fit(lesson: Lesson, effort: Effort, rng: np.random.Generator) -> Iterator[Fitted]:
    with one_thread_each() as threads:
        yield fit_forest(RANDOM_FOREST, lesson, effort, rng, threads)
        if lesson.n_classes <= MOST_CLASSES_OF_TWO_FORESTS:
            yield fit_forest(EXTRA_TREES, lesson, effort, rng, threads)
        if effort.iterations and _folds_leave_classes(lesson):
            yield fit_boosting(lesson, effort, rng, threads)


def _folds_leave_classes(lesson: Lesson) -> bool:
    """Whether without any of the folds there are as many scores as with all: scikit-learn has one for two classes."""
    least = min(lesson.n_classes, 3)
    return not least or all(len(np.unique(lesson.labels[seen])) >= least for seen, _ in lesson.splits())


def _answers_float32(fitted: Fitted) -> bool:
    """Whether the sums of answers that readers make fit into float32."""
    largest = [
        max(float(np.abs(tree.values).max()) for tree in trees) * len(trees) for trees in fitted.forests
    ]
    return max(largest) <= MAX_FLOAT32


def _part(fitted: Fitted, lesson: Lesson, layout: Layout, rng: np.random.Generator) -> _Part:
    # the trees of a boosted sum hang on their number: none may be missing
    make = to_forest if fitted.name == BOOSTING else _forest
    forests = tuple(make(trees, 0, layout.input_size) for trees in fitted.forests)
    features = fitted.features.astype(np.float32)
    facts = {
        "name": fitted.name,
        "outputs": features.shape[1],
        "gives": fitted.gives,
        "scale": fitted.scale,
        "trees": sum(len(forest.roots) for forest in forests),
        "out_of_fold_loss": fitted.loss,
    }
    shares = [share for trees in fitted.forests for share in _shares(trees, lesson, layout, rng)]
    return _Part(forests, features, shares, facts)


def _forest(trees: Sequence[Tree], start: int, end: int) -> Forest:
    """The forest of the first trees, as many as its document has room for."""
    forest = to_forest(trees, start, end)
    if len(forest.feature) * (MOST_NODE_BYTES + MOST_NUMBER_BYTES * forest.n_outputs) <= 2 * FOREST_BYTES:
        return forest
    size_bytes = len(dumps(dump_forests([forest])))
    if size_bytes <= FOREST_BYTES:
        return forest
    return to_forest(trees[: max(1, len(trees) * FOREST_BYTES // size_bytes - 1)], start, end)


def _shares(
    trees: tuple[Tree, ...], lesson: Lesson, layout: Layout, rng: np.random.Generator
) -> list[dict[str, float]]:
    """The shares of fields in what some of the trees, evenly spread, say of some rows."""
    leaves = np.array([np.count_nonzero(tree.is_leaf) for tree in trees])
    n_trees = int(np.clip(MAX_EXPLAINED_LEAVES / leaves.mean(), 1, len(trees)))
    chosen = [trees[i] for i in np.linspace(0, len(trees) - 1, n_trees).round().astype(int)]
    numbers_of_row = layout.input_size * trees[0].values.shape[1]
    n_rows = min(MAX_EXPLAINED_ROWS, max(1, MAX_EXPLAINED_NUMBERS // numbers_of_row))
    rows = np.sort(rng.permutation(len(lesson.inputs))[:n_rows])
    return field_shares(chosen, lesson.inputs[rows], 0, layout)


def _of_all(
    features: np.ndarray, learning: np.ndarray, forests: tuple[Forest, ...], inputs: np.ndarray
) -> np.ndarray:
    """The features of all `inputs`: those of the rows that learnt, and for others what the final forests say."""
    if len(learning) == len(inputs):
        return features
    every = np.empty((len(inputs), features.shape[1]), np.float32)
    for start in range(0, len(inputs), ROWS_AT_ONCE):
        every[start : start + ROWS_AT_ONCE] = tree_features(forests, inputs[start : start + ROWS_AT_ONCE])
    every[learning] = features
    return every
