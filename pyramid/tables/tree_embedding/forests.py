"""The two kinds of forests, cross-fitted.

Random forests: Breiman, Machine Learning 45 (2001). Extra trees: Geurts, Ernst, Wehenkel, Machine Learning 63 (2006).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from pyramid.tables.tree_embedding.effort import MAX_DEPTH, Effort, final_size
from pyramid.tables.tree_embedding.ensembles import Fitted, Lesson, rounded, single_leaf
from pyramid.tables.tree_embedding.shap import Tree

TREES_AT_ONCE = 16


@dataclass(frozen=True)
class ForestKind:
    """A kind of forest.

    Attributes:
        is_resampled: whether each tree learns from as many rows, drawn with replacement.
        leaf_rows: the least rows of a leaf, to choose from; the middle one where there is no time to.
        columns: what share of them a node of a tree that predicts numbers chooses from.
    """

    name: str
    of_classes: Callable[..., Any]
    of_numbers: Callable[..., Any]
    is_resampled: bool
    leaf_rows: tuple[int, ...]
    columns: float


RANDOM_FOREST = ForestKind(
    "random_forest", DecisionTreeClassifier, DecisionTreeRegressor, True, (1, 3, 8), 0.4
)
EXTRA_TREES = ForestKind("extra_trees", ExtraTreeClassifier, ExtraTreeRegressor, False, (1, 2, 4), 0.6)


@dataclass(frozen=True)
class _Growth:
    """How trees grow."""

    kind: ForestKind
    leaf_rows: int
    most_leaves: int


def fit_forest(
    kind: ForestKind, lesson: Lesson, effort: Effort, rng: np.random.Generator, threads: Executor
) -> Fitted:
    """A forest whose least rows in a leaf are those with the lowest loss on folds not seen."""
    growths = [_Growth(kind, rows, effort.leaves) for rows in kind.leaf_rows]
    growth, said, n_said = growths[len(growths) // 2], np.zeros((len(lesson.labels), lesson.n_outputs)), 0
    if n_screened := effort.screened_trees:
        tried = [_cross_fit(one, lesson, n_screened, rng, threads)[0] for one in growths]
        best = int(np.argmin([lesson.loss(_with_prior(sums, n_screened, lesson)) for sums in tried]))
        growth, said, n_said = growths[best], tried[best], n_screened
    more, n_leaves = _cross_fit(growth, lesson, effort.fold_trees - n_said, rng, threads)
    features = _with_prior(said + more, effort.fold_trees, lesson)
    n_trees, most_leaves = final_size(effort, n_leaves, lesson.n_outputs)
    grow = partial(_grow, replace(growth, most_leaves=most_leaves), lesson, np.arange(len(lesson.labels)))
    sizes = [min(TREES_AT_ONCE, n_trees - first) for first in range(0, n_trees, TREES_AT_ONCE)]
    grown = [tree for some in threads.map(grow, sizes, rng.spawn(len(sizes))) for tree in some]
    gives = "probabilities" if lesson.n_classes else "numbers"
    return Fitted(kind.name, (forest_trees(grown, lesson),), features, gives, 1.0, lesson.loss(features))


def _cross_fit(
    growth: _Growth, lesson: Lesson, n_trees: int, rng: np.random.Generator, threads: Executor
) -> tuple[np.ndarray, float]:
    """(rows, outputs): the sum of what trees say of rows that they have not seen; and the leaves of a tree."""

    def of_fold(seen: np.ndarray, unseen: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        trees = _grow(growth, lesson, seen, n_trees, rng)
        said = np.zeros((len(unseen), lesson.n_outputs))
        for tree in trees:
            said += _answers(tree, lesson.inputs[unseen], lesson)
        return said, float(np.mean([tree.get_n_leaves() for tree in trees]))

    splits = lesson.splits()
    seen, unseen = zip(*splits, strict=True)
    sums, leaves = np.zeros((len(lesson.labels), lesson.n_outputs)), []
    for rows, (said, n_leaves) in zip(
        unseen, threads.map(of_fold, seen, unseen, rng.spawn(len(splits))), strict=True
    ):
        sums[rows] = said
        leaves.append(n_leaves)
    return sums, float(np.mean(leaves))


def _grow(
    growth: _Growth, lesson: Lesson, rows: np.ndarray, n_trees: int, rng: np.random.Generator
) -> list[Any]:
    """As scikit-learn's forests do, without what these take for each tree beside it, and for their threads."""
    kind, inputs, labels = growth.kind, lesson.inputs[rows], lesson.labels[rows]
    own = lesson.weights_of(rows)
    trees = []
    for _ in range(n_trees):
        tree = (kind.of_classes if lesson.n_classes else kind.of_numbers)(
            min_samples_leaf=growth.leaf_rows,
            max_features="sqrt" if lesson.n_classes else kind.columns,
            max_leaf_nodes=growth.most_leaves if growth.most_leaves < len(rows) else None,
            max_depth=MAX_DEPTH,
            random_state=int(rng.integers(2**31)),
        )
        drawn = rng.integers(len(rows), size=len(rows)) if kind.is_resampled else np.arange(len(rows))
        times = np.bincount(drawn, minlength=len(rows)).astype(np.float64)
        weights = times if own is None else times * own
        trees.append(tree.fit(inputs, labels, sample_weight=weights, check_input=False))
    return trees


def _answers(tree: Any, inputs: np.ndarray, lesson: Lesson) -> np.ndarray:
    """(rows, outputs)."""
    if not lesson.n_classes:
        return tree.predict(inputs, check_input=False)[:, None]
    spread = np.zeros((len(inputs), lesson.n_classes))
    spread[:, tree.classes_] = tree.predict_proba(inputs, check_input=False)
    return spread[:, -lesson.n_outputs :]


def _prior(lesson: Lesson) -> np.ndarray:
    counts = np.bincount(lesson.labels, weights=lesson.weights, minlength=lesson.n_classes)
    return rounded(counts[-lesson.n_outputs :] / counts.sum())


def _with_prior(sums: np.ndarray, n_trees: int, lesson: Lesson) -> np.ndarray:
    """The mean over `n_trees`, of classes with one more that always gives their shares: no probability is 0."""
    return (sums + _prior(lesson)) / (n_trees + 1) if lesson.n_classes else sums / n_trees


def forest_trees(grown: Sequence[Any], lesson: Lesson) -> tuple[Tree, ...]:
    """Fitted trees of scikit-learn as those of a document, before them of classes a leaf that gives their shares."""
    trees = [single_leaf(_prior(lesson))] if lesson.n_classes else []
    for one in grown:
        classes = one.classes_.astype(int).tolist() if lesson.n_classes else [0]
        tree = Tree.from_sklearn(one.tree_, classes, max(lesson.n_classes, 1))
        trees.append(replace(tree, values=rounded(tree.values[:, -lesson.n_outputs :])))
    return tuple(trees)
