"""Path-dependent SHAP values of trees (Lundberg, Erion, Lee: arXiv 1802.03888), exact and vectorised.

The game of the paper: where a feature is unknown, a node's children count by their share of the training
    rows.
Its value is a sum over leaves, and for one leaf a product over the features on its path: with S known,
`v(S) = value * prod(z_j for j in S) * prod(r_j for j not in S)`, where z_j says whether the row satisfies the
path's conditions on feature j, and r_j is the product of the shares along them. By the multilinear
extension of a game (Owen, Management Science 18(5), 1972) the Shapley value of j is an integral over the
probability t that a feature is known:

    phi_j = value * (z_j - r_j) * integral_0^1 prod(t z_i + (1 - t) r_i for i != j) dt

a polynomial of degree d - 1 for d features on the path, which d / 2 points of Gauss-Legendre integrate
exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

ROWS_PER_BLOCK = 64


@dataclass(frozen=True)
class Tree:
    """One learnt tree as flat arrays over its nodes; node 0 is the root, children stand behind their parent.

    Attributes:
        feature: (nodes,) int.
        threshold: (nodes,) float; left is taken when `value <= threshold`.
        left, right: (nodes,) int; a leaf's own number in a leaf.
        cover: (nodes,) float > 0, the weight of the training rows that reached the node.
        values: (nodes, outputs) float.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    cover: np.ndarray
    values: np.ndarray

    @classmethod
    def from_sklearn(cls, tree: Any, columns: Sequence[int], n_outputs: int) -> Tree:
        """The tree behind a scikit-learn estimator's `tree_`.

        Args:
            columns: where the tree's own outputs stand among the `n_outputs`; the others stay 0.
        """
        own = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        values = np.zeros((tree.node_count, n_outputs))
        values[:, columns] = tree.value[:, 0, :]
        return cls(
            feature=np.where(leaf, 0, tree.feature),
            threshold=np.where(leaf, 0.0, tree.threshold),
            left=np.where(leaf, own, tree.children_left),
            right=np.where(leaf, own, tree.children_right),
            cover=np.asarray(tree.weighted_n_node_samples, np.float64),
            values=values,
        )

    @cached_property
    def is_leaf(self) -> np.ndarray:
        """(nodes,) bool."""
        return self.left == np.arange(len(self.left))


@dataclass(frozen=True)
class _Leaves:
    """All leaves of some trees; a slot is one feature on a leaf's path, an unused one says nothing.

    A row satisfies a slot when `low < value <= high`; `ratio` is r_j of the module's formula.
    """

    feature: np.ndarray  # (leaves, slots)
    low: np.ndarray  # (leaves, slots)
    high: np.ndarray  # (leaves, slots)
    ratio: np.ndarray  # (leaves, slots)
    values: np.ndarray  # (leaves, outputs)


def shap_values(trees: Sequence[Tree], rows: np.ndarray) -> np.ndarray:
    """The contribution of each feature to the mean answer of `trees`.

    Args:
        rows: (rows, features).

    Returns:
        (rows, features, outputs) float64; summed over the features it is the answer minus `expected_values`.
    """
    leaves = _leaves(trees)
    n_rows, n_features = rows.shape
    contributions = np.zeros((n_rows, n_features, leaves.values.shape[1]))
    is_used = np.isfinite(leaves.low) | np.isfinite(leaves.high)
    by_feature = [np.nonzero(is_used & (leaves.feature == feature)) for feature in range(n_features)]
    for start in range(0, n_rows, ROWS_PER_BLOCK):
        block = slice(start, start + ROWS_PER_BLOCK)
        shares = _shares(leaves, rows[block])  # (rows, leaves, slots)
        for feature, (leaf, slot) in enumerate(by_feature):
            contributions[block, feature] = shares[:, leaf, slot] @ leaves.values[leaf]
    return contributions


def expected_values(trees: Sequence[Tree]) -> np.ndarray:
    """(outputs,): the mean answer of `trees` where nothing is known of a row."""
    leaves = _leaves(trees)
    return leaves.ratio.prod(axis=1) @ leaves.values


def _shares(leaves: _Leaves, rows: np.ndarray) -> np.ndarray:
    """(rows, leaves, slots): phi_j of each leaf's game for a leaf value of 1."""
    values = rows[:, leaves.feature]  # (rows, leaves, slots)
    known = ((values > leaves.low) & (values <= leaves.high)).astype(np.float64)
    slots = leaves.feature.shape[1]
    integral = np.zeros_like(known)
    points, weights = np.polynomial.legendre.leggauss(max(1, (slots + 1) // 2))
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        factors = point * known + (1 - point) * leaves.ratio  # positive: every ratio is, and point < 1
        integral += weight * factors.prod(axis=2, keepdims=True) / factors
    return (known - leaves.ratio) * integral


def _leaves(trees: Sequence[Tree]) -> _Leaves:
    paths: list[dict[int, tuple[float, float, float]]] = []
    values = []
    for tree in trees:
        leaf = tree.is_leaf
        paths.extend(path for path, ends in zip(_paths(tree), leaf, strict=True) if ends)
        values.append(tree.values[leaf] / len(trees))
    slots = max(1, *map(len, paths))
    feature = np.zeros((len(paths), slots), np.int64)
    conditions = np.tile([-np.inf, np.inf, 1.0], (len(paths), slots, 1))
    for i, path in enumerate(paths):
        feature[i, : len(path)] = list(path)
        conditions[i, : len(path)] = list(path.values()) or np.zeros((0, 3))
    low, high, ratio = np.moveaxis(conditions, 2, 0)
    return _Leaves(feature, low, high, ratio, np.concatenate(values))


def _paths(tree: Tree) -> list[dict[int, tuple[float, float, float]]]:
    """For each node the conditions on the way to it: feature -> (low, high, ratio)."""
    paths: list[dict[int, tuple[float, float, float]]] = [{} for _ in tree.feature]
    for node in np.flatnonzero(~tree.is_leaf):
        feature, threshold = int(tree.feature[node]), float(tree.threshold[node])
        low, high, ratio = paths[node].get(feature, (-np.inf, np.inf, 1.0))
        for child, is_left in ((tree.left[node], True), (tree.right[node], False)):
            share = ratio * tree.cover[child] / tree.cover[node]
            bounds = (low, min(high, threshold)) if is_left else (max(low, threshold), high)
            paths[child] = {**paths[node], feature: (*bounds, float(share))}
    return paths
