"""Which fields a network looks at: expected gradients, summed per field (docs/training.md, "Importances").

Integrated gradients (Sundararajan et al., arXiv 1703.01365, eq. 1) along the path from a baseline b to a point x,
averaged over baselines (expected gradients, Erion et al., arXiv 1906.10670, eq. 3):

    attribution_i(x) = mean over b of (x_i - b_i) * integral over a in [0, 1] of df/dx_i (b + a (x - b))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from pyramid.errors import DataError, TrainingError
from pyramid.tables.encode import Layout
from pyramid.train.integration_paths import draw_paths
from pyramid.train.path_changes import NODES, Ends, FirstProduct, Predict, compile_changes

# the most gradients of one output at one node, and multiplications for them, that a job spends by default
MAX_GRADIENTS = 1 << 23
MAX_MULTIPLICATIONS = 1 << 38
ROWS_PER_CALL = 8192
MULTIPLICATIONS_PER_CALL = 1 << 28
# mean gradients along paths, of which there are some copies
GRADIENTS_PER_CALL = 1 << 21


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
    add_changes = compile_changes(predict, n_columns, outputs, first)
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


def _outputs(predict: Predict, inputs: np.ndarray) -> np.ndarray:
    """(rows, outputs) float64."""
    return np.asarray(predict(tf.constant(inputs)), np.float64)
