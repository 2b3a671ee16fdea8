"""What a network's answers change along paths, through the gradient on them, shared out among the columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pyramid.train.traced import trace

# evenly spaced nodes on a path: Gauss-Legendre nodes do worse, for the gradient of a relu network jumps. With 8 the
# sum of a point's attributions is about 2% off, which is then shared out; shares of fields are good to 0.1%
NODES = 8
# what attributions of a path sum to if the gradient is as good as 0 everywhere on it
VANISHED = 1e-30

Predict = Callable[[tf.Tensor], tf.Tensor]
Jacobian = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
"""(starts, ends, shifts) -> mean gradient along each path, (paths, outputs, columns)."""


@dataclass(frozen=True)
class FirstProduct:
    """`rows @ kernel + offset`, which a straight path goes through without being bent.

    Attributes:
        kernel: (columns, nodes) float32.
        offset: (nodes,) float32.
    """

    kernel: np.ndarray
    offset: np.ndarray

    def of(self, rows: np.ndarray) -> np.ndarray:
        """(rows, nodes) float32."""
        products: np.ndarray = rows @ self.kernel + self.offset
        return products

    def gradients(self, behind: tf.Tensor) -> tf.Tensor:
        """(paths, outputs, columns): the gradients of rows, of the (paths, outputs, nodes) of their products."""
        flat = tf.matmul(tf.reshape(behind, (-1, behind.shape[-1])), self.kernel, transpose_b=True)
        return tf.reshape(flat, (-1, behind.shape[1], len(self.kernel)))


class Ends(NamedTuple):
    """The rows at one end of some paths, and what `predict` takes of them: the products of the first, or the same."""

    rows: tf.Tensor
    inner: tf.Tensor

    def take(self, numbers: np.ndarray) -> Ends:
        """Some of them."""
        return Ends(*(tf.gather(rows, numbers) for rows in self))


def compile_changes(predict: Predict, n_columns: int, some: slice, first: FirstProduct | None = None) -> Any:
    """The concrete function that adds what changes along some paths to (points, outputs * columns) means.

    Args:
        predict: see `attributions_of`.
        n_columns: that it takes.
        some: of its outputs.
        first: what comes before it.

    Returns:
        `(means, starts, ends, (paths,) shifts, (paths, outputs) differences, (points, paths) shares) -> means`, all
        float32.
    """
    jacobian = _jacobian(predict, n_columns, some)
    numbers, columns = tf.TensorSpec((None,), tf.float32), tf.TensorSpec((None, None), tf.float32)
    ends = Ends(columns, tf.TensorSpec((None, n_columns), tf.float32))

    @tf.function(input_signature=[columns, ends, ends, numbers, columns, columns], autograph=False)
    def add_changes(
        means: tf.Tensor,
        starts: Ends,
        ends: Ends,
        shifts: tf.Tensor,
        differences: tf.Tensor,
        shares: tf.Tensor,
    ) -> tf.Tensor:
        gradients = jacobian(starts.inner, ends.inner, shifts)
        if first is not None:
            gradients = first.gradients(gradients)
        moves = ends.rows - starts.rows
        changes = _completed(gradients * moves[:, None], moves, differences)
        return means + tf.matmul(shares, tf.reshape(changes, (-1, tf.shape(means)[1])))

    return trace(add_changes)


def _jacobian(predict: Predict, n_columns: int, some: slice) -> Jacobian:
    def jacobian(starts: tf.Tensor, ends: tf.Tensor, shifts: tf.Tensor) -> tf.Tensor:
        along = (tf.range(NODES, dtype=tf.float32) + shifts[:, None]) / NODES  # (paths, nodes)
        nodes = starts[:, None] + along[:, :, None] * (ends - starts)[:, None]  # (paths, nodes, columns)
        with tf.GradientTape(persistent=True) as tape:
            # the gradient of a move of all nodes is the sum of theirs: it is made before outputs are put side by side
            move = tf.zeros_like(starts)
            tape.watch(move)
            outputs = predict(tf.reshape(nodes + move[:, None], (-1, n_columns)))[:, some]
            means = tf.reduce_mean(tf.reshape(outputs, (-1, NODES, outputs.shape[1])), axis=1)
        if means.shape[1] == 1:
            # a loop of one round would take as long to trace as all else
            return tape.gradient(means, move)[:, None]
        # a loop over outputs, not pfor: pfor traces ten times longer and runs no faster
        return tape.batch_jacobian(means, move, experimental_use_pfor=False)

    return jacobian


def _completed(attributions: tf.Tensor, moves: tf.Tensor, differences: tf.Tensor) -> tf.Tensor:
    """(paths, outputs, columns) attributions that sum to the (paths, outputs) differences over the columns."""
    sizes = tf.abs(attributions)
    total = tf.reduce_sum(sizes, axis=2)

    def with_moves() -> tuple[tf.Tensor, tf.Tensor]:
        moved = tf.where(total[:, :, None] < VANISHED, tf.abs(moves)[:, None], sizes)
        return moved, tf.reduce_sum(moved, axis=2)

    # where the gradient vanishes at all nodes, what is missing goes to the columns by the way they move
    sizes, total = tf.cond(tf.reduce_any(total < VANISHED), with_moves, lambda: (sizes, total))
    missing = differences - tf.reduce_sum(attributions, axis=2)
    # the total is 0 where a path has no length: there nothing is missing
    return attributions + sizes * tf.math.divide_no_nan(missing, total)[:, :, None]
