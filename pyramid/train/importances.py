"""Which fields a network looks at: expected gradients, summed per field (spec page 8).

Integrated gradients (Sundararajan et al., arXiv 1703.01365, eq. 1) along the line from a baseline b to a point x,
averaged over baselines (expected gradients, Erion et al., arXiv 1906.10670, eq. 3):

    attribution_i(x) = mean over b of (x_i - b_i) * integral over a in [0, 1] of df/dx_i (b + a (x - b))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from pyramid.data.encode import Layout
from pyramid.errors import DataError, TrainingError
from pyramid.train.lines import Lines, draw_lines

# evenly spaced nodes on a line: Gauss-Legendre nodes do worse, for the gradient of a relu network jumps
LEAST_NODES, MOST_NODES = 16, 32
# mean error of completeness, in units of the mean absolute difference, above which the lines that contribute
# most to it get more nodes: each time a quarter of the lines and four times the nodes, so always the same work
ENOUGH_ERROR = 0.005
MOST_REFINEMENTS = 4
REFINEMENT = 4
# a gradient is that of one output at one node: as many as a small net does in about a second ...
CHEAP_GRADIENTS = 1_500_000
# ... and what they all may be by default, however many outputs its network has, or weights
MAX_GRADIENTS = 1 << 24
MAX_MULTIPLICATIONS = 1 << 38
ROWS_PER_CALL = 8192
MULTIPLICATIONS_PER_CALL = 1 << 28

Predict = Callable[[tf.Tensor], tf.Tensor]


def expected_gradients(
    predict: Predict,
    points: np.ndarray,
    baselines: np.ndarray,
    seed: int,
    max_gradients: int = MAX_GRADIENTS,
) -> np.ndarray:
    """Attribute each output at each point to the input columns.

    For each point the attributions sum to output(point) - mean output(baselines), up to the error of the
    quadrature. All pairs are used; for networks with very many weights or outputs a seeded sample of them, with
    the sampling error of that.

    Args:
        predict: (rows, columns) float32 -> (rows, outputs); differentiable, row by row on its own.
        points: (points, columns) float32.
        baselines: (baselines, columns) float32; where they are the points themselves, lines are used both ways.
        seed: draws the sample and the places of the nodes.
        max_gradients: the most gradients of one output at one row to take, but at least one line a point.

    Returns:
        (points, columns, outputs) float64.

    Raises:
        DataError: there are no points or no baselines.
    """
    if len(points) == 0 or len(baselines) == 0:
        raise DataError("importances need at least one point and one baseline")
    points, baselines = points.astype(np.float32, copy=False), baselines.astype(np.float32, copy=False)
    rng = np.random.default_rng(seed)
    jacobian = _compile_jacobian(predict, points.shape[1])
    budget = _Budget.of(jacobian, max_gradients)
    lines = draw_lines(points, baselines, budget.most_lines, rng)
    integrator = _Integrator(jacobian, lines, points, baselines, budget.rows_per_call)
    differences = _outputs(predict, points)[lines.ends] - _outputs(predict, baselines)[lines.starts]
    n_nodes = budget.nodes(len(lines))
    return _refine(integrator, differences, n_nodes, budget.refinements(len(lines) * n_nodes))


def field_importances(
    attributions: np.ndarray, layout: Layout, tree_importances: Sequence[Mapping[str, float]] | None
) -> list[float]:
    """The share of each input field in what the network looks at.

    Mean absolute attribution of each column, summed per field and over outputs; a tree feature's is passed on to
    the fields that its trees look at.

    Args:
        attributions: (points, columns, outputs); columns are tree features, then inputs. Without
            `tree_importances` the tree features may be missing.
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
    columns = np.mean(np.abs(attributions), axis=0).sum(axis=1)  # (columns,)
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


@dataclass(frozen=True)
class _Integrator:
    """Integrated gradients along lines, `rows_per_call` nodes at once."""

    jacobian: Any
    lines: Lines
    points: np.ndarray
    baselines: np.ndarray
    rows_per_call: int

    def attributions(self, chosen: np.ndarray, n_nodes: int) -> np.ndarray:
        """(chosen lines, columns, outputs) float32."""
        starts, ends = self.baselines[self.lines.starts[chosen]], self.points[self.lines.ends[chosen]]
        gradients = self.jacobian(starts, ends, self.lines.shifts[chosen], tf.constant(n_nodes)).numpy()
        return gradients.swapaxes(1, 2) * (ends - starts)[:, :, None]

    def chunks(self, chosen: np.ndarray, n_nodes: int) -> Iterator[np.ndarray]:
        """`chosen` in parts that fit a call."""
        size = max(1, self.rows_per_call // n_nodes)
        return (chosen[start : start + size] for start in range(0, len(chosen), size))


def _refine(
    integrator: _Integrator, differences: np.ndarray, n_nodes: int, most_refinements: int
) -> np.ndarray:
    """The points' attributions, with more nodes for the lines that are least complete while it matters.

    Args:
        differences: (lines, outputs), what the attributions of each line should sum to.
    """
    lines = integrator.lines
    chosen = np.arange(len(lines))
    enough = ENOUGH_ERROR * np.abs(lines.means(chosen, differences)).mean()
    errors = -differences
    total = np.zeros(())
    for refinement in range(most_refinements + 1):
        for part in integrator.chunks(chosen, n_nodes):
            attributions = integrator.attributions(part, n_nodes)
            errors[part] = attributions.sum(axis=1) - differences[part]
            if refinement:
                attributions -= integrator.attributions(part, n_nodes // REFINEMENT)
            total = total + lines.means(part, attributions)
        if np.abs(lines.means(np.arange(len(lines)), errors)).mean() <= enough:
            break
        worst_first = np.argsort(-np.abs(errors[chosen]).sum(axis=1), kind="stable")
        chosen = np.sort(chosen[worst_first[: max(1, len(chosen) // REFINEMENT)]])
        n_nodes *= REFINEMENT
    return total


@dataclass(frozen=True)
class _Budget:
    """How much work a network is worth: `n_weights` multiplications a row and output, at the least."""

    n_outputs: int
    n_weights: int
    max_gradients: int

    @classmethod
    def of(cls, jacobian: Any, max_gradients: int) -> _Budget:
        graph = jacobian.get_concrete_function().graph
        n_weights = sum(int(np.prod(variable.shape)) for variable in graph.variables)
        return cls(int(graph.structured_outputs.shape[1]), max(1, n_weights), max_gradients)

    @property
    def most_rows(self) -> int:
        return min(self.max_gradients, MAX_MULTIPLICATIONS // self.n_weights) // self.n_outputs

    @property
    def most_lines(self) -> int:
        return max(1, self.most_rows // LEAST_NODES)

    def nodes(self, n_lines: int) -> int:
        n_rows = min(CHEAP_GRADIENTS // self.n_outputs, self.most_rows)
        return int(np.clip(n_rows // n_lines, LEAST_NODES, MOST_NODES))

    def refinements(self, n_rows: int) -> int:
        return max(0, min(MOST_REFINEMENTS, self.most_rows // n_rows - 1))

    @property
    def rows_per_call(self) -> int:
        return max(MOST_NODES, min(ROWS_PER_CALL, MULTIPLICATIONS_PER_CALL // self.n_weights))


def _compile_jacobian(predict: Predict, n_columns: int) -> Any:
    """The function (starts, ends, shifts, nodes) -> mean gradient along each line, (lines, outputs, columns)."""
    rows = tf.TensorSpec((None, n_columns), tf.float32)
    signature = [rows, rows, tf.TensorSpec((None,), tf.float32), tf.TensorSpec((), tf.int32)]

    @tf.function(input_signature=signature)
    def jacobian(starts: tf.Tensor, ends: tf.Tensor, shifts: tf.Tensor, n_nodes: tf.Tensor) -> tf.Tensor:
        steps = tf.range(n_nodes, dtype=tf.float32) + shifts[:, None]  # (lines, nodes)
        along = (steps / tf.cast(n_nodes, tf.float32))[:, :, None]
        nodes = starts[:, None] + along * (ends - starts)[:, None]  # (lines, nodes, columns)
        inputs = tf.reshape(nodes, (-1, n_columns))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            outputs = predict(inputs)
        # a loop over outputs, not pfor: pfor traces ten times longer and runs no faster
        gradients = tape.batch_jacobian(outputs, inputs, experimental_use_pfor=False)
        by_line = tf.reshape(gradients, (-1, n_nodes, outputs.shape[1], n_columns))
        return tf.reduce_mean(by_line, axis=1)

    return jacobian


def _outputs(predict: Predict, inputs: np.ndarray) -> np.ndarray:
    """(rows, outputs) float64."""
    return np.asarray(predict(tf.constant(inputs)), np.float64)
