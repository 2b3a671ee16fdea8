"""Decision forests: the JSON trees of a model document, and back, as flat arrays. Needs no TensorFlow.

A tree node is `[feature, threshold, left, right]`, a leaf `[[outputs...], null]`; left is taken when
`value <= threshold`, compared in float32. `feature` counts from the start of the forest's window of columns.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from types import UnionType
from typing import Any

import numpy as np
import orjson

from sensenet.collection import collection_paused
from sensenet.errors import ModelFormatError

MAX_DEPTH = 512
MAX_NODES = 4_000_000
MAX_FLOAT32 = float(np.finfo(np.float32).max)
PLACE_TURNS = 12
SIDES = ("left", "right")


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
    with collection_paused():
        return tuple(_parse_forest(forest, f"{path}[{i}]") for i, forest in enumerate(raw))


def dump_forests(forests: Sequence[Forest]) -> list[Any]:
    """The JSON form of `forests`; every number in it is the shortest that is read as the float32 that it was."""
    with collection_paused():
        return [[[forest.start, forest.end], _dump_trees(forest)] for forest in forests]


@dataclass(frozen=True)
class _Level:
    """What stands equally deep in the trees of a forest, as flat arrays.

    Attributes:
        inner: (nodes,) bool, whether a node has children.
        feature, threshold: (inner nodes,).
        outputs: (leaves, outputs).
        below: the JSON of the inner nodes' children: left and right of the first, of the second, ...
    """

    inner: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    outputs: np.ndarray
    below: list[Any]


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
    levels = _parse_levels(trees, window[1] - window[0], f"{path}[1]")
    return _join(levels, window[0], window[1], len(trees))


def _parse_levels(trees: list[Any], width: int, path: str) -> list[_Level]:
    """All nodes of some trees, level by level: a million of them take no loop of Python's own."""
    levels: list[_Level] = []
    nodes, n_nodes, n_outputs = trees, 0, 0
    while nodes:
        n_nodes += len(nodes)
        if len(levels) > MAX_DEPTH or n_nodes > MAX_NODES:
            where = _place(path, levels, 0)
            raise ModelFormatError(f"{where}: expected at most {MAX_DEPTH} levels and {MAX_NODES:,} nodes")
        level = _parse_level(nodes, width, n_outputs)
        if level is None:
            raise _wrong_node(nodes, width, n_outputs, levels, path)
        n_outputs = n_outputs or level.outputs.shape[1]
        levels.append(level)
        nodes = level.below
    return levels


def _parse_level(nodes: list[Any], width: int, n_outputs: int) -> _Level | None:
    """The nodes of one level; None where one of them is wrong.

    Args:
        n_outputs: of the leaves above; 0 where there are none.
    """
    lengths = np.array([len(node) if isinstance(node, list) else 0 for node in nodes])
    inner = lengths == 4
    if not (inner | (lengths == 2)).all():
        return None
    feature, threshold, below = np.zeros(0, np.int32), np.zeros(0), []
    if inner.any():
        features, thresholds, left, right = zip(*compress(nodes, inner.tolist()), strict=True)
        if not (_are(features, int) and min(features) >= 0 and max(features) < width):
            return None
        numbers = _numbers(thresholds)
        if numbers is None:
            return None
        feature, threshold = np.array(features, np.int32), numbers
        below = list(chain.from_iterable(zip(left, right, strict=True)))
    outputs = np.zeros((0, n_outputs))
    if not inner.all():
        lists, nulls = zip(*compress(nodes, (~inner).tolist()), strict=True)
        if any(null is not None for null in nulls) or not _are(lists, list):
            return None
        sizes = {n_outputs or len(lists[0]), *map(len, lists)}
        numbers = _numbers(list(chain.from_iterable(lists)))
        if len(sizes) > 1 or 0 in sizes or numbers is None or (np.abs(numbers) > MAX_FLOAT32).any():
            return None
        outputs = numbers.reshape(len(lists), -1)
    return _Level(inner, feature, threshold, outputs, below)


def _join(levels: Sequence[_Level], start: int, end: int, n_trees: int) -> Forest:
    inner = np.concatenate([level.inner for level in levels])
    feature = np.zeros(len(inner), np.int32)
    feature[inner] = np.concatenate([level.feature for level in levels])
    threshold = np.zeros(len(inner), np.float32)
    with np.errstate(over="ignore"):  # a threshold beyond float32 is as good as infinity
        threshold[inner] = np.concatenate([level.threshold for level in levels])
    children = np.repeat(np.arange(len(inner), dtype=np.int32)[:, None], 2, axis=1)
    # level after level the children stand in the order of their parents
    children[inner] = np.arange(n_trees, len(inner), dtype=np.int32).reshape(-1, 2)
    n_outputs = levels[-1].outputs.shape[1]
    values = np.zeros((len(inner), n_outputs), np.float32)
    values[~inner] = np.concatenate([level.outputs for level in levels if not level.inner.all()])
    roots = np.arange(n_trees, dtype=np.int32)
    return Forest(start, end, feature, threshold, children, values, roots, depth=len(levels) - 1)


def _wrong_node(
    nodes: list[Any], width: int, n_outputs: int, above: Sequence[_Level], path: str
) -> ModelFormatError:
    """What is wrong with the first wrong one of the nodes of a level."""
    for number, node in enumerate(nodes):
        problem = _problem(node, width, n_outputs)
        if problem is not None:
            return _wrong(_place(path, above, number), *problem)
        if len(node) == 2:
            n_outputs = len(node[0])
    raise AssertionError("a level is read where all of its nodes are right")


def _problem(node: Any, width: int, n_outputs: int) -> tuple[str, Any] | None:
    """What was expected in place of a node or a part of it, and what was found; None where nothing is wrong."""
    if isinstance(node, list) and len(node) == 4:
        feature, threshold = node[:2]
        if not (_is_integer(feature) and 0 <= feature < width):
            return f"a feature from 0 to {width - 1}", feature
        return None if _is_number(threshold) else ("a number as threshold", threshold)
    if not (isinstance(node, list) and len(node) == 2 and isinstance(node[0], list) and node[1] is None):
        return "[feature, threshold, left, right] or a leaf [[outputs...], null]", node
    outputs = node[0]
    if len(outputs) != (n_outputs or max(1, len(outputs))) or not all(map(_is_float32, outputs)):
        return f"{n_outputs or 'one or more'} numbers of float32, as in the forest's other leaves", outputs
    return None


def _are(values: Iterable[Any], kind: type | UnionType) -> bool:
    return all(issubclass(found, kind) and found is not bool for found in set(map(type, values)))


def _numbers(values: Sequence[Any]) -> np.ndarray | None:
    """(values,) float64; None where one is no finite number."""
    if not _are(values, int | float):
        return None
    try:
        numbers = np.array(values, np.float64)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return numbers if np.isfinite(numbers).all() else None


def _dump_trees(forest: Forest) -> list[Any]:
    feature, threshold = forest.feature.tolist(), _shortest(forest.threshold).tolist()
    children, values = forest.children.tolist(), _shortest(forest.values).tolist()
    dumped: list[Any] = [None] * len(feature)
    for node in reversed(range(len(feature))):
        left, right = children[node]
        if left == node:
            dumped[node] = [values[node], None]
        else:
            dumped[node] = [feature[node], threshold[node], dumped[left], dumped[right]]
    return [dumped[root] for root in forest.roots]


def _shortest(numbers: np.ndarray) -> np.ndarray:
    """As float64 the numbers with the shortest decimals that are read as the same float32."""
    decimals = np.array(orjson.loads(orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)), np.float64)
    decimals = decimals.reshape(numbers.shape)
    return np.where(decimals.astype(np.float32) == numbers, decimals, numbers)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _numbers([value]) is not None


def _is_float32(value: Any) -> bool:
    return _is_number(value) and abs(value) <= MAX_FLOAT32


def _place(path: str, above: Sequence[_Level], number: int) -> str:
    """`path` with the turns that lead to a node of the level below `above`, the middle of a long way left out."""
    turns = []
    for level in reversed(above):
        parent, side = divmod(number, 2)
        turns.append(SIDES[side])
        number = int(np.flatnonzero(level.inner)[parent])
    if len(turns) > PLACE_TURNS:
        turns[PLACE_TURNS // 2 : -PLACE_TURNS // 2] = [f"({len(turns) - PLACE_TURNS} more)"]
    return ".".join([f"{path}[{number}]", *reversed(turns)])


def _wrong(path: str, expected: str, found: Any) -> ModelFormatError:
    return ModelFormatError(f"{path}: expected {expected}, got {reprlib.repr(found):.80}")
