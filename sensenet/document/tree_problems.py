"""What is wrong with trees that cannot be read, and where."""

from __future__ import annotations

import math
import reprlib
from typing import Any, NoReturn

import numpy as np

from sensenet.errors import ModelFormatError

MAX_DEPTH = 512
MAX_NODES = 4_000_000
MAX_FLOAT32 = float(np.finfo(np.float32).max)
INNER, LEAF = 4, 2
"""How many values a node is: `[feature, threshold, left, right]`, or `[[outputs...], null]`."""

PLACE_TURNS = 12
SIDES = ("left", "right")

_Trail = tuple[Any, int] | None


def refuse_trees(trees: list[Any], width: int, path: str) -> NoReturn:
    """Raise the error of the first node of a forest that breaks the format.

    The stack is our own: a document may be nested deeper than Python recurses, and a Python structure may even
    contain itself.

    Args:
        trees: one of them has such a node.
        width: of the forest's window.
        path: of `trees` in the document.
    """
    n_nodes, n_outputs = 0, None
    stack: list[tuple[Any, int, str, _Trail]] = [
        (tree, 0, f"{path}[{i}]", None) for i, tree in reversed(list(enumerate(trees)))
    ]
    while stack:
        node, depth, tree_path, trail = stack.pop()
        if depth > MAX_DEPTH or n_nodes >= MAX_NODES:
            place = _place(tree_path, trail)
            raise ModelFormatError(f"{place}: expected at most {MAX_DEPTH} levels and {MAX_NODES:,} nodes")
        n_nodes += 1
        n_outputs = _check_node(node, width, n_outputs, tree_path, trail)
        if len(node) == INNER:
            stack += [(node[2 + side], depth + 1, tree_path, (trail, side)) for side in (1, 0)]
    raise ModelFormatError(f"{path}: expected lists and numbers of JSON")


def _check_node(node: Any, width: int, n_outputs: int | None, path: str, trail: _Trail) -> int | None:
    """How many outputs the forest has, as far as is known behind this node."""
    if isinstance(node, list) and len(node) == INNER:
        feature, threshold = node[:2]
        if not (is_integer(feature) and 0 <= feature < width):
            raise wrong(_place(path, trail), f"a feature from 0 to {width - 1}", feature)
        if not _is_number(threshold):
            raise wrong(_place(path, trail), "a number as threshold", threshold)
        return n_outputs
    if not (isinstance(node, list) and len(node) == LEAF and isinstance(node[0], list) and node[1] is None):
        expected = "[feature, threshold, left, right] or a leaf [[outputs...], null]"
        raise wrong(_place(path, trail), expected, node)
    outputs = node[0]
    n_outputs = len(outputs) if n_outputs is None and outputs else n_outputs
    if len(outputs) != n_outputs or not all(map(_is_float32, outputs)):
        expected = f"{n_outputs or 'one or more'} numbers of float32, as in the forest's other leaves"
        raise wrong(_place(path, trail), expected, outputs)
    return n_outputs


def wrong(path: str, expected: str, found: Any) -> ModelFormatError:
    """The error for `found` standing where `expected` should."""
    return ModelFormatError(f"{path}: expected {expected}, got {reprlib.repr(found):.80}")


def is_integer(value: Any) -> bool:
    """Whether a JSON value is a whole number."""
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
