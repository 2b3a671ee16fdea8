"""Decision forests: the JSON trees of a model document, and back, as flat arrays. Needs no TensorFlow.

A tree node is `[feature, threshold, left, right]`, a leaf `[[outputs...], null]`; left is taken when
`value <= threshold`, compared in float32. `feature` counts from the start of the forest's window of columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from typing import Any

import numpy as np

from sensenet.collection import no_collection
from sensenet.document.parsing import float32_array
from sensenet.document.tree_problems import (
    INNER,
    LEAF,
    MAX_DEPTH,
    MAX_NODES,
    is_integer,
    refuse_trees,
    wrong,
)


@dataclass(frozen=True)
class Forest:
    """The trees over one window of the preprocessed inputs, as flat arrays over all their nodes.

    A node stands before its children; a leaf is its own child on both sides.

    Attributes:
        start, end: the window: columns of the preprocessed inputs.
        feature: (nodes,) int32, column within the window that a node looks at; 0 in a leaf.
        threshold: (nodes,) float32; 0 in a leaf.
        children: (nodes, 2) int32, where to go: left (value <= threshold), right.
        values: (nodes, outputs) float32, what a leaf answers; 0 in an inner node.
        roots: (trees,) int32, the first node of each tree.
        depth: most steps from a root to a leaf.
    """

    start: int
    end: int
    feature: np.ndarray
    threshold: np.ndarray
    children: np.ndarray
    values: np.ndarray
    roots: np.ndarray
    depth: int

    @property
    def n_outputs(self) -> int:
        """How many numbers the forest answers with."""
        return int(self.values.shape[1])


def floor_float32(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 not above each float64 threshold.

    For every float32 x, `x <= threshold` holds exactly when `x <= floor_float32(threshold)`: rounding to
    nearest instead would send values that lie on a threshold to the wrong side.
    """
    exact = np.asarray(thresholds, np.float64)
    nearest = exact.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > exact, below, nearest)


def parse_forests(raw: Any, path: str = "trees") -> tuple[Forest, ...]:
    """Read the `trees` of a model document: `[[start, end], [tree, ...]]` for each forest; null is no forest.

    Thresholds are rounded to the nearest float32, as the readers of such documents do; those of our own
    documents are float32 already.

    Raises:
        ModelFormatError: names the place, such as `trees[2][1][0].left.right`.
    """
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise wrong(path, "a list of forests, or null", raw)
    with no_collection():
        return tuple(_parse_forest(forest, f"{path}[{i}]") for i, forest in enumerate(raw))


def dump_forests(forests: Sequence[Forest]) -> list[Any]:
    """The JSON form of `forests`; every number in it is exactly the float32 that it was."""
    return [[[forest.start, forest.end], _dump_trees(forest)] for forest in forests]


@dataclass(frozen=True)
class _Level:
    """The nodes of one depth, in all trees of a forest side by side.

    Attributes:
        is_inner: (nodes,) bool.
        feature: (inner nodes,) int64.
        threshold: (inner nodes,) float64.
        values: (leaves, outputs) float32; None where there are no leaves.
        below: the children of the inner nodes, as the document has them.
    """

    is_inner: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    values: np.ndarray | None
    below: list[Any]


def _parse_forest(raw: Any, path: str) -> Forest:
    if not (isinstance(raw, list) and len(raw) == 2):
        raise wrong(path, "[[start, end], [tree, ...]]", raw)
    window, trees = raw
    if not (isinstance(window, list) and len(window) == 2 and all(map(is_integer, window))):
        raise wrong(f"{path}[0]", "[start, end], two integers", window)
    if not 0 <= window[0] < window[1] <= np.iinfo(np.int32).max:
        raise wrong(f"{path}[0]", "0 <= start < end", window)
    if not (isinstance(trees, list) and trees):
        raise wrong(f"{path}[1]", "a list of at least one tree", trees)
    levels = _read_levels(trees, window[1] - window[0])
    if levels is None:
        refuse_trees(trees, window[1] - window[0], f"{path}[1]")
    return _forest(window, levels, len(trees))


def _read_levels(trees: list[Any], width: int) -> list[_Level] | None:
    """The nodes of `trees`, level by level: a million of them in a second. None where one of them is no node."""
    levels: list[_Level] = []
    nodes, n_nodes = trees, 0
    while nodes:
        n_nodes += len(nodes)
        level = _read_level(nodes, width)
        if level is None or len(levels) > MAX_DEPTH or n_nodes > MAX_NODES:
            return None
        levels.append(level)
        nodes = level.below
    widths = {level.values.shape[1] for level in levels if level.values is not None}
    return levels if len(widths) == 1 else None


def _read_level(nodes: list[Any], width: int) -> _Level | None:
    if not _are_all(list, nodes):
        return None
    lengths = np.fromiter(map(len, nodes), np.int64, len(nodes))
    is_inner, is_leaf = lengths == INNER, lengths == LEAF
    if not (is_inner | is_leaf).all():
        return None
    # all by functions that loop in C: forests may have millions of nodes
    features, thresholds, left, right = _transposed(compress(nodes, is_inner.tolist()), INNER)
    outputs, nothing = _transposed(compress(nodes, is_leaf.tolist()), LEAF)
    try:
        feature = _column(features, int, np.int64)
        threshold = _column(thresholds, (int, float), np.float64)
        values = float32_array(list(outputs)) if outputs else None
    except (ValueError, OverflowError):
        return None
    if ((feature < 0) | (feature >= width)).any() or not np.isfinite(threshold).all():
        return None
    if values is not None and (values.ndim != 2 or not np.isfinite(values).all()):
        return None
    if any(one is not None for one in nothing):
        return None
    return _Level(is_inner, feature, threshold, values, [*chain.from_iterable(zip(left, right, strict=True))])


def _transposed(rows: Iterable[Sequence[Any]], width: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) or [()] * width


def _column(values: Sequence[Any], kinds: Any, dtype: Any) -> np.ndarray:
    """(values,) of a dtype.

    Raises:
        ValueError, OverflowError: they are not all of `kinds`, or too large.
    """
    if not _are_all(kinds, values):
        raise ValueError
    return np.array(values, dtype)


def _are_all(kinds: Any, values: Sequence[Any]) -> bool:
    """Whether all values are of some types; a truth value is no number."""
    return all(issubclass(kind, kinds) and kind is not bool for kind in set(map(type, values)))


def _forest(window: list[int], levels: list[_Level], n_trees: int) -> Forest:
    is_inner = np.concatenate([level.is_inner for level in levels])
    n_nodes, n_inner = len(is_inner), np.count_nonzero(is_inner)
    values = np.concatenate([level.values for level in levels if level.values is not None])
    feature = np.zeros(n_nodes, np.int32)
    threshold = np.zeros(n_nodes, np.float32)
    children = np.repeat(np.arange(n_nodes, dtype=np.int32)[:, None], 2, axis=1)
    answers = np.zeros((n_nodes, values.shape[1]), np.float32)
    feature[is_inner] = np.concatenate([level.feature for level in levels])
    with np.errstate(over="ignore"):  # a threshold beyond float32 is as good as infinity
        threshold[is_inner] = np.concatenate([level.threshold for level in levels])
    # below its roots a level is made of the children of the level above, in their order
    children[is_inner] = n_trees + np.arange(2 * n_inner).reshape(-1, 2)
    answers[~is_inner] = values
    return Forest(
        start=window[0],
        end=window[1],
        feature=feature,
        threshold=threshold,
        children=children,
        values=answers,
        roots=np.arange(n_trees, dtype=np.int32),
        depth=len(levels) - 1,
    )


def _dump_trees(forest: Forest) -> list[Any]:
    feature, threshold = forest.feature.tolist(), forest.threshold.tolist()
    children, values = forest.children.tolist(), forest.values.tolist()
    dumped: list[Any] = [None] * len(feature)
    for node in reversed(range(len(feature))):
        left, right = children[node]
        if left == node:
            dumped[node] = [values[node], None]
        else:
            dumped[node] = [feature[node], threshold[node], dumped[left], dumped[right]]
    return [dumped[root] for root in forest.roots]
