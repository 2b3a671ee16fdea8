"""Decision forests as plain TensorFlow operations: the same decisions as scikit-learn's, row for row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
import tensorflow as tf

from sensenet.document.trees import Forest, dump_forests, floor_float32, parse_forests
from sensenet.errors import ModelFormatError

__all__ = ["Forest", "block_transform", "dump_forests", "floor_float32", "parse_forests", "tree_features"]

MAX_UNROLLED_DEPTH = 48
WORTH_STOPPING = 0.75


def tree_features(forests: Sequence[Forest], inputs: tf.Tensor) -> tf.Tensor:
    """What the forests answer: for each the mean over its trees, side by side.

    All trees of all forests descend together, level by level, by flat gathers: few operations for one row,
    and loops that XLA fuses for many.

    Args:
        inputs: (rows, columns) float32, the preprocessed inputs.

    Returns:
        (rows, sum of the forests' outputs) float32.

    Raises:
        ModelFormatError: a forest looks at columns that `inputs` does not have.
    """
    if not forests:
        return inputs[:, :0]
    width = inputs.shape[-1]
    for i, forest in enumerate(forests):
        if width is not None and forest.end > width:
            raise ModelFormatError(
                f"trees[{i}][0]: expected a window within {width} inputs, got one to {forest.end}"
            )
    leaves = _descend(forests, inputs)  # (trees, rows)
    means = []
    first_tree = first_node = 0
    for (n_trees, n_outputs), alike in groupby(forests, key=lambda one: (len(one.roots), one.n_outputs)):
        group = list(alike)
        values = np.concatenate([forest.values for forest in group])
        last_tree = first_tree + n_trees * len(group)
        answers = tf.gather(tf.constant(values), leaves[first_tree:last_tree] - first_node)
        by_forest = tf.reshape(answers, (len(group), n_trees, -1, n_outputs))
        of_rows = tf.transpose(tf.reduce_mean(by_forest, axis=1), (1, 0, 2))  # (rows, forests, outputs)
        means.append(tf.reshape(of_rows, (-1, len(group) * n_outputs)))
        first_tree, first_node = last_tree, first_node + len(values)
    return tf.concat(means, axis=1)


def _descend(forests: Sequence[Forest], inputs: tf.Tensor) -> tf.Tensor:
    """(trees, rows) int32: the leaf that each row reaches in each tree, as node number over all forests.

    Rows stand side by side, so that one tree's nodes stay in the processor's cache while all of them descend.
    """
    offsets = _node_offsets(forests)
    feature = tf.constant(np.concatenate([f.feature + np.int32(f.start) for f in forests]))
    threshold = tf.constant(np.concatenate([f.threshold for f in forests]))
    children = np.concatenate([f.children + np.int32(o) for f, o in zip(forests, offsets, strict=True)])
    right_left = tf.constant(np.ascontiguousarray(children[:, ::-1]).reshape(-1))
    roots = np.concatenate([f.roots + np.int32(o) for f, o in zip(forests, offsets, strict=True)])

    shape = tf.shape(inputs)
    flat = tf.reshape(inputs, (-1,))
    row_starts = tf.expand_dims(tf.range(shape[0]) * shape[1], 0)  # (1, rows)

    def step(nodes: tf.Tensor) -> tf.Tensor:
        value = tf.gather(flat, row_starts + tf.gather(feature, nodes))
        is_left = tf.cast(value <= tf.gather(threshold, nodes), tf.int32)
        return tf.gather(right_left, 2 * nodes + is_left)

    depths = np.repeat([forest.depth for forest in forests], [len(forest.roots) for forest in forests])
    deepest_first = np.argsort(-depths, kind="stable")
    nodes = tf.zeros_like(row_starts) + tf.constant(roots[deepest_first, None].astype(np.int32))
    arrived: list[tf.Tensor] = []
    for n_trees, steps in _legs(depths[deepest_first]):
        if n_trees < nodes.shape[0]:
            arrived.insert(0, nodes[n_trees:])
            nodes = nodes[:n_trees]
        nodes = _repeat(step, nodes, steps)
    if arrived:
        nodes = tf.concat([nodes, *arrived], axis=0)
    as_given = np.argsort(deepest_first)
    return nodes if (np.diff(as_given) > 0).all() else tf.gather(nodes, as_given)


def _legs(depths: np.ndarray) -> list[tuple[int, int]]:
    """The (trees that still descend, steps) of the way down; `depths` fall.

    Trees stop early only where enough of them can: each stop costs operations, which one row would feel.
    """
    legs: list[tuple[int, int]] = []
    for level in range(int(depths[0])):
        n_active = int(np.count_nonzero(depths > level))
        if legs and n_active > WORTH_STOPPING * legs[-1][0]:
            legs[-1] = (legs[-1][0], legs[-1][1] + 1)
        else:
            legs.append((n_active, 1))
    return legs


def _repeat(step: Callable[[tf.Tensor], tf.Tensor], nodes: tf.Tensor, times: int) -> tf.Tensor:
    if times > MAX_UNROLLED_DEPTH:
        body = lambda nodes: (step(nodes),)  # noqa: E731
        return tf.while_loop(lambda _: True, body, (nodes,), maximum_iterations=times)[0]
    for _ in range(times):
        nodes = step(nodes)
    return nodes


def _node_offsets(forests: Sequence[Forest]) -> list[int]:
    return [0, *np.cumsum([len(forest.feature) for forest in forests])[:-1].tolist()]


def block_transform(forests: Sequence[Forest], columns: int, rows: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function from (rows, columns) float32 arrays to tree features, compiled for blocks of `rows`.

    Shorter blocks are filled up, as XLA compiles anew for every shape.
    """

    @tf.function(
        input_signature=[tf.TensorSpec((rows, columns), tf.float32)], jit_compile=True, autograph=False
    )
    def compiled(block: tf.Tensor) -> tf.Tensor:
        return tree_features(forests, block)

    # made for one use: TensorFlow would take the functions of several uses for one that is traced time and again
    traced = compiled.get_concrete_function()

    def transform(block: np.ndarray) -> np.ndarray:
        if len(block) == rows:
            return traced(block).numpy()
        filled = np.zeros((rows, columns), np.float32)
        filled[: len(block)] = block
        return traced(filled).numpy()[: len(block)]

    return transform
