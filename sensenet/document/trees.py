"""Decision forests: the JSON trees of a model document, and back, as flat arrays. Needs no TensorFlow.

A tree node is `[feature, threshold, left, right]`, a leaf `[[outputs...], null]`; left is taken when
`value <= threshold`, compared in float32. `feature` counts from the start of the forest's window of columns.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensenet.errors import ModelFormatError

MAX_DEPTH = 512
MAX_NODES = 4_000_000
MAX_FLOAT32 = float(np.finfo(np.float32).max)
PLACE_TURNS = 12
SIDES = ("left", "right")

_Trail = tuple[Any, int] | None


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
        raise _wrong(path, "a list of forests, or null", raw)
    return tuple(_parse_forest(forest, f"{path}[{i}]") for i, forest in enumerate(raw))


def dump_forests(forests: Sequence[Forest]) -> list[Any]:
    """The JSON form of `forests`; every number in it is exactly the float32 that it was."""
    return [[[forest.start, forest.end], _dump_trees(forest)] for forest in forests]


class _Nodes:
    """The nodes of one forest while its document is read."""

    def __init__(self, width: int):
        self.width = width
        self.n_outputs: int | None = None
        self.feature: list[int] = []
        self.threshold: list[float] = []
        self.children: list[list[int]] = []
        self.outputs: list[list[float] | None] = []

    def add(self, feature: int, threshold: float, outputs: list[float] | None) -> int:
        number = len(self.feature)
        self.feature.append(feature)
        self.threshold.append(threshold)
        self.children.append([number, number])
        self.outputs.append(outputs)
        return number

    def add_tree(self, raw: Any, path: str) -> int:
        """Add a tree's nodes, each before its children, and return the tree's depth.

        The stack is our own: a document may be nested deeper than Python recurses, and a Python structure may
        even contain itself.
        """
        deepest = 0
        stack: list[tuple[Any, int, int, _Trail]] = [(raw, 0, -1, None)]
        while stack:
            node, depth, parent, trail = stack.pop()
            deepest = max(deepest, depth)
            if depth > MAX_DEPTH or len(self.feature) >= MAX_NODES:
                where = _place(path, trail)
                raise ModelFormatError(
                    f"{where}: expected at most {MAX_DEPTH} levels and {MAX_NODES:,} nodes"
                )
            number = self._add_node(node, path, trail)
            if parent >= 0 and trail is not None:
                self.children[parent][trail[1]] = number
            if len(node) == 4:
                stack.append((node[3], depth + 1, number, (trail, 1)))
                stack.append((node[2], depth + 1, number, (trail, 0)))
        return deepest

    def _add_node(self, node: Any, path: str, trail: _Trail) -> int:
        if isinstance(node, list) and len(node) == 4:
            feature, threshold = node[:2]
            if not (_is_integer(feature) and 0 <= feature < self.width):
                raise _wrong(_place(path, trail), f"a feature from 0 to {self.width - 1}", feature)
            if not _is_number(threshold):
                raise _wrong(_place(path, trail), "a number as threshold", threshold)
            return self.add(feature, threshold, None)
        if not (isinstance(node, list) and len(node) == 2 and isinstance(node[0], list) and node[1] is None):
            expected = "[feature, threshold, left, right] or a leaf [[outputs...], null]"
            raise _wrong(_place(path, trail), expected, node)
        outputs = node[0]
        if self.n_outputs is None and outputs:
            self.n_outputs = len(outputs)
        if len(outputs) != self.n_outputs or not all(map(_is_float32, outputs)):
            expected = (
                f"{self.n_outputs or 'one or more'} numbers of float32, as in the forest's other leaves"
            )
            raise _wrong(_place(path, trail), expected, outputs)
        return self.add(0, 0.0, outputs)


def _parse_forest(raw: Any, path: str) -> Forest:
    if not (isinstance(raw, list) and len(raw) == 2):
        raise _wrong(path, "[[start, end], [tree, ...]]", raw)
    window, trees = raw
    if not (isinstance(window, list) and len(window) == 2 and all(map(_is_integer, window))):
        raise _wrong(f"{path}[0]", "[start, end], two integers", window)
    if not 0 <= window[0] < window[1] <= np.iinfo(np.int32).max:
        raise _wrong(f"{path}[0]", "0 <= start < end", window)
    if not (isinstance(trees, list) and trees):
        raise _wrong(f"{path}[1]", "a list of at least one tree", trees)
    nodes = _Nodes(window[1] - window[0])
    roots, depths = [], []
    for i, tree in enumerate(trees):
        roots.append(len(nodes.feature))
        depths.append(nodes.add_tree(tree, f"{path}[1][{i}]"))
    nothing = [0.0] * (nodes.n_outputs or 0)
    with np.errstate(over="ignore"):  # a threshold beyond float32 is as good as infinity
        threshold = np.array(nodes.threshold, np.float64).astype(np.float32)
    return Forest(
        start=window[0],
        end=window[1],
        feature=np.array(nodes.feature, np.int32),
        threshold=threshold,
        children=np.array(nodes.children, np.int32),
        values=np.array([outputs or nothing for outputs in nodes.outputs], np.float32),
        roots=np.array(roots, np.int32),
        depth=max(depths),
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


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_float32(value: Any) -> bool:
    return _is_number(value) and abs(value) <= MAX_FLOAT32


def _place(path: str, trail: _Trail) -> str:
    """`path` with the turns that lead to a node, the middle of a long way left out."""
    turns = []
    while trail is not None:
        trail, side = trail
        turns.append(SIDES[side])
    if len(turns) > PLACE_TURNS:
        turns[PLACE_TURNS // 2 : -PLACE_TURNS // 2] = [f"({len(turns) - PLACE_TURNS} more)"]
    return ".".join([path, *reversed(turns)])


def _wrong(path: str, expected: str, found: Any) -> ModelFormatError:
    return ModelFormatError(f"{path}: expected {expected}, got {reprlib.repr(found):.80}")
