"""Which fields a network looks at: expected gradients, summed per field (docs/training.md, "Importances").

Integrated gradients (Sundararajan et al., arXiv 1703.01365, eq. 1) along the path from a baseline b to a point x,
averaged over baselines (expected gradients, Erion et al., arXiv 1906.10670, eq. 3):

    attribution_i(x) = mean over b of (x_i - b_i) * integral over a in [0, 1] of df/dx_i (b + a (x - b))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pyramid.errors import DataError, TrainingError
from pyramid.tables.encode import Layout
from pyramid.train.integration_paths import draw_paths
from pyramid.train.traced import trace

# evenly spaced nodes on a path: Gauss-Legendre nodes do worse, for the gradient of a relu network jumps. With 8 the
# sum of a point's attributions is about 2% off, which is then shared out; shares of fields are good to 0.1%
NODES = 8
# the most gradients of one output at one node, and multiplications for them, that a job spends by default
MAX_GRADIENTS = 1 << 23
MAX_MULTIPLICATIONS = 1 << 38
ROWS_PER_CALL = 8192
MULTIPLICATIONS_PER_CALL = 1 << 28
# mean gradients along paths, of which there are some copies
GRADIENTS_PER_CALL = 1 << 21
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


def expected_gradients(
    predict: Predict,
    points: np.ndarray,
    baselines: np.ndarray,
    seed: int,
    max_gradients: int = MAX_GRADIENTS,
    first: FirstProduct | None = None,
    outputs: slice = slice(None),
) -> np.ndarray:
    """Attribute each output at each point to the input columns.

    Complete: the attributions of a point sum to output(point) - mean output(baselines). What the quadrature of a
    path leaves over (about 2%) is shared out in proportion to the size of its attributions. All pairs are used; for
    networks with very many weights or outputs a seeded sample of them, and completeness holds for the sample.

    Args:
        predict: (rows, columns) float32 -> (rows, outputs); differentiable, row by row on its own.
        points: (points, columns) float32.
        baselines: (baselines, columns) float32; where they are the points themselves, paths are used both ways.
        seed: draws the sample and the places of the nodes.
        max_gradients: the most gradients of one output at one row to take, but at least one path a point.
        first: what comes before `predict`, which takes its (rows, nodes) then.
        outputs: the outputs to attribute; the sample is the same for whichever.

    Returns:
        (points, columns, outputs) float32.

    Raises:
        DataError: there are no points or no baselines.
    """
    n_columns = points.shape[1] if first is None else len(first.offset)
    attribute = attributions_of(predict, n_columns, first, outputs)
    return attribute(points, baselines, seed, max_gradients)


Attribute = Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]
"""`expected_gradients` of one network: (points, baselines, seed, max_gradients) -> attributions."""


def attributions_of(
    predict: Predict, n_columns: int, first: FirstProduct | None = None, outputs: slice = slice(None)
) -> Attribute:
    """`expected_gradients` for networks that take turns in the variables that `predict` reads: it is traced once.

    Args:
        predict: no `tf.function`: the backward pass of one takes several times as long to trace.
        n_columns: that `predict` takes.
    """
    rows = tf.TensorSpec((None, n_columns), tf.float32)
    answer = tf.function(predict, input_signature=[rows], autograph=False)
    add_changes = _compile_changes(_jacobian(predict, n_columns, outputs), n_columns, first)
    return partial(_attributions, answer, add_changes, first, outputs)


def _attributions(
    predict: Predict,
    add_changes: Any,
    first: FirstProduct | None,
    outputs: slice,
    points: np.ndarray,
    baselines: np.ndarray,
    seed: int,
    max_gradients: int,
) -> np.ndarray:
    if len(points) == 0 or len(baselines) == 0:
        raise DataError("importances need at least one point and one baseline")
    points, baselines = points.astype(np.float32, copy=False), baselines.astype(np.float32, copy=False)
    rng = np.random.default_rng(seed)
    ends = Ends(points, points if first is None else first.of(points))
    starts = Ends(baselines, baselines if first is None else first.of(baselines))
    answers, base_answers = _outputs(predict, ends.inner), _outputs(predict, starts.inner)
    n_weights = _weights(add_changes)
    n_first = 0 if first is None else first.kernel.size
    budget = _Budget.of(n_weights, n_first, answers.shape[1], max_gradients)
    paths = draw_paths(points, baselines, budget.most_paths, rng)
    differences = (answers[paths.ends] - base_answers[paths.starts])[:, outputs].astype(np.float32)
    n_outputs, n_columns = differences.shape[1], points.shape[1]
    ends, starts = (Ends(*map(tf.constant, one)) for one in (ends, starts))
    total = tf.zeros((len(points), n_outputs * n_columns))
    paths_per_call = max(1, min(budget.paths_per_call, GRADIENTS_PER_CALL // (n_outputs * n_columns)))
    for first_path in range(0, len(paths), paths_per_call):
        part = np.arange(first_path, min(first_path + paths_per_call, len(paths)))
        total = add_changes(
            total,
            starts.take(paths.starts[part]),
            ends.take(paths.ends[part]),
            tf.constant(paths.shifts[part]),
            tf.constant(differences[part]),
            tf.constant(paths.shares(part)),
        )
    attributions: np.ndarray = total.numpy().reshape(-1, n_outputs, n_columns).swapaxes(1, 2)
    return attributions


def field_importances(
    columns: np.ndarray, layout: Layout, tree_importances: Sequence[Mapping[str, float]] | None
) -> list[float]:
    """The share of each input field in what the network looks at.

    The strengths of columns are summed per field; a tree feature's is passed on to the fields that its trees look at.

    Args:
        columns: (columns,) strengths: of tree features, then of inputs. Without `tree_importances` the tree features
            may be missing.
        tree_importances: for each tree feature a map from an input field's position to its share.

    Returns:
        One share per input field, in the order of `layout.fields`; they sum to 1. Equal shares where nothing was
        attributed at all.

    Raises:
        DataError: `tree_importances` do not fit the columns or the fields.
        TrainingError: attributions that are not finite.
    """
    n_fields = len(layout.fields)
    if n_fields == 1:
        return [1.0]
    n_trees = len(columns) - layout.input_size
    inputs = columns[n_trees:]
    shares = np.array([inputs[where].sum() for _, where in layout.fields])
    shares += columns[:n_trees] @ _tree_shares(tree_importances or (), n_trees, layout)
    total = shares.sum()
    if not np.isfinite(total):
        raise TrainingError("the importances are not finite: the gradients of the trained network overflow")
    return [1 / n_fields] * n_fields if total == 0 else (shares / total).tolist()


def _tree_shares(tree_importances: Sequence[Mapping[str, float]], n_trees: int, layout: Layout) -> np.ndarray:
    """(tree features, fields)."""
    if len(tree_importances) != n_trees:
        raise DataError(
            f"tree_importances.json describes {len(tree_importances)} tree features, "
            f"but the network takes {n_trees}"
        )
    where = {str(position): number for number, (position, _) in enumerate(layout.fields)}
    shares = np.zeros((n_trees, len(layout.fields)))
    for feature, importances in enumerate(tree_importances):
        for position, share in importances.items():
            if position not in where:
                raise DataError(
                    f"tree_importances.json: tree feature {feature} names the input field {position}, "
                    f"but the fields are 0 to {len(where) - 1}"
                )
            shares[feature, where[position]] = share
    return shares


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


@dataclass(frozen=True)
class _Budget:
    """How much work a network is worth.

    Attributes:
        most_paths: the most paths to integrate along.
        paths_per_call: as many as the memory of one call should hold.
    """

    most_paths: int
    paths_per_call: int

    @classmethod
    def of(cls, n_weights: int, n_first: int, n_outputs: int, max_gradients: int) -> _Budget:
        # a row and output costs at least one multiplication for each weight
        most_rows = min(max_gradients, MAX_MULTIPLICATIONS // (n_weights + n_first)) // n_outputs
        rows_per_call = min(ROWS_PER_CALL, MULTIPLICATIONS_PER_CALL // n_weights)
        return cls(max(1, most_rows // NODES), rows_per_call // NODES)


def _weights(function: Any) -> int:
    """How many weights a concrete function has, at least 1."""
    return max(1, sum(int(np.prod(variable.shape)) for variable in function.graph.variables))


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
            return tape.gradient(means, move)[:, None]  # a loop of one round would take as long to trace as all else
        # a loop over outputs, not pfor: pfor traces ten times longer and runs no faster
        return tape.batch_jacobian(means, move, experimental_use_pfor=False)

    return jacobian


def _compile_changes(jacobian: Jacobian, n_columns: int, first: FirstProduct | None) -> Any:
    """The function that adds what changes along some paths to (points, outputs * columns) means."""
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


def _outputs(predict: Predict, inputs: np.ndarray) -> np.ndarray:
    """(rows, outputs) float64."""
    return np.asarray(predict(tf.constant(inputs)), np.float64)
