"""Tree embedding: predictions of small random forests, learnt without leakage, as extra inputs of a network.

Each forest sees one window of the encoded inputs. The rows that learn trees are divided into two halves,
and a row's features come from trees that never saw its half; all other rows see trees of both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from pyramid.tables.layout import Layout
from pyramid.tables.splits import stratified_folds
from pyramid.tables.tree_embedding.shap import Tree, shap_values
from sensenet.forest import Forest, floor_float32, tree_features

MAX_LEARNING_ROWS = 2048
MAX_FORESTS = 16
MAX_TREE_FEATURES = 128
SMALLEST_WINDOW = 3
TREES_PER_HALF = 8
FINAL_TREES_PER_HALF = 4
MIN_ROWS_IN_LEAF = 16
MAX_EXPLAINED_ROWS = 256
ROWS_EXPLAINED_AT_ONCE = 64


@dataclass(frozen=True)
class Embedding:
    """What was learnt.

    Attributes:
        forests: the final forests, for every row that learnt no trees.
        features: (learning rows, tree features) float32, of the rows that did.
        importances: for each tree feature the share of each input field (its position in `info_list`, as
            text); the shares sum to 1.
        ensembles: what the columns of cross-fitted trees are (docs/formats.md, "Tree ensembles"); none of others.
    """

    forests: tuple[Forest, ...]
    features: np.ndarray
    importances: list[dict[str, float]]
    ensembles: tuple[dict[str, Any], ...] = ()

    @property
    def n_features(self) -> int:
        """Number of tree features."""
        return int(self.features.shape[1])


def windows(n_features: int, n_outputs: int) -> list[tuple[int, int]]:
    """The (start, end) columns that each forest sees; `n_outputs`: number of classes, 1 for a number."""
    if n_features == 0:
        return []
    n_forests = min(MAX_FORESTS, max(1, min(MAX_TREE_FEATURES, n_features) // n_outputs))
    width = max(SMALLEST_WINDOW, math.ceil(n_features / n_forests))
    starts = [round(i * n_features / n_forests) for i in range(n_forests)]
    return [(start, min(start + width, n_features)) for start in starts]


def learn_embedding(
    inputs: np.ndarray,
    labels: np.ndarray,
    strata: np.ndarray,
    layout: Layout,
    is_classification: bool,
    rng: np.random.Generator,
) -> Embedding:
    """Learn the forests.

    Classes that only one half has seen are left out: their outputs are 0. Where no two classes (or no
    rows) are left to learn from, there are no tree features.

    Args:
        inputs: (rows, layout.input_size) float32, the encoded rows that learn; not more than
            `MAX_LEARNING_ROWS`.
        labels: (rows,) class indices, or standardised numbers.
        strata: (rows,) what the two halves shall have equally much of.
        layout: gives the columns of each field, and the number of classes.
    """
    half_of = stratified_folds(strata, 2, rng)
    halves = [np.flatnonzero(half_of == half) for half in (0, 1)]
    n_outputs = layout.n_outputs if is_classification else 1
    if is_classification:
        classes = np.intersect1d(labels[halves[0]], labels[halves[1]])
        halves_to_learn = [half[np.isin(labels[half], classes)] for half in halves]
    else:
        classes, halves_to_learn = np.zeros(1, np.int64), halves
    spans = windows(layout.input_size, n_outputs)
    if not spans or min(map(len, halves)) == 0 or (is_classification and len(classes) < 2):
        return Embedding((), np.zeros((len(inputs), 0), np.float32), [])

    explained = np.sort(rng.permutation(len(inputs))[:MAX_EXPLAINED_ROWS])
    of_half: tuple[list[Forest], list[Forest]] = ([], [])
    final: list[Forest] = []
    importances: list[dict[str, float]] = []
    for start, end in spans:
        window = inputs[:, start:end]
        both = [
            _learn(window[rows], labels[rows], classes, n_outputs, is_classification, rng)
            for rows in halves_to_learn
        ]
        for forests, trees in zip(of_half, both, strict=True):
            forests.append(to_forest(trees, start, end))
        chosen = [tree for trees in both for tree in trees[:FINAL_TREES_PER_HALF]]
        final.append(to_forest(chosen, start, end))
        importances.extend(field_shares(chosen, window[explained], start, layout))
    features = np.empty((len(inputs), len(spans) * n_outputs), np.float32)
    for half, seen_by in ((0, 1), (1, 0)):
        features[halves[half]] = tree_features(of_half[seen_by], inputs[halves[half]])
    return Embedding(tuple(final), features, importances)


def to_forest(trees: Sequence[Tree], start: int, end: int) -> Forest:
    """The flat arrays of `trees` over the window `start` to `end`, thresholds floored to float32."""
    sizes = [len(tree.feature) for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    children = [np.stack([t.left, t.right], axis=1) + r for t, r in zip(trees, roots, strict=True)]
    return Forest(
        start=start,
        end=end,
        feature=np.concatenate([tree.feature for tree in trees]).astype(np.int32),
        threshold=floor_float32(np.concatenate([tree.threshold for tree in trees])),
        children=np.concatenate(children).astype(np.int32),
        values=np.concatenate([np.where(t.is_leaf[:, None], t.values, 0.0) for t in trees]).astype(
            np.float32
        ),
        roots=roots.astype(np.int32),
        depth=max(_depth(tree) for tree in trees),
    )


def _learn(
    window: np.ndarray,
    labels: np.ndarray,
    classes: np.ndarray,
    n_outputs: int,
    is_classification: bool,
    rng: np.random.Generator,
) -> list[Tree]:
    options = {
        "n_estimators": TREES_PER_HALF,
        "min_samples_leaf": MIN_ROWS_IN_LEAF,
        "random_state": int(rng.integers(2**31)),
    }
    if is_classification:
        forest = RandomForestClassifier(class_weight="balanced", **options)
    else:
        forest = RandomForestRegressor(**options)
    forest.fit(window, labels)
    return [
        Tree.from_sklearn(estimator.tree_, classes.tolist(), n_outputs) for estimator in forest.estimators_
    ]


def field_shares(
    trees: Sequence[Tree], rows: np.ndarray, start: int, layout: Layout
) -> list[dict[str, float]]:
    """For each output of the forest the share of each field that its window touches, sum 1.

    A forest that answers the same to every row gives its fields equal shares.
    """
    blocks = [rows[i : i + ROWS_EXPLAINED_AT_ONCE] for i in range(0, len(rows), ROWS_EXPLAINED_AT_ONCE)]
    strengths = sum(np.abs(shap_values(trees, block)).sum(axis=0) for block in blocks)  # (window, outputs)
    fields = [
        (position, columns.start - start, columns.stop - start)
        for position, columns in layout.fields
        if columns.stop > start and columns.start < start + len(strengths)
    ]
    sums = np.stack([strengths[max(first, 0) : last].sum(axis=0) for _, first, last in fields])
    totals = sums.sum(axis=0)
    shares = np.where(totals > 0, sums / np.where(totals > 0, totals, 1), 1 / len(fields))
    names = [str(position) for position, _, _ in fields]
    return [dict(zip(names, output.tolist(), strict=True)) for output in shares.T]


def _depth(tree: Tree) -> int:
    depth, nodes = 0, np.zeros(1, np.int64)
    while len(nodes := nodes[~tree.is_leaf[nodes]]):
        depth, nodes = depth + 1, np.concatenate([tree.left[nodes], tree.right[nodes]])
    return depth
