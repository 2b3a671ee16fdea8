"""The tree features of the rows of a caching job: learnt on some of them, computed for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pyramid.tables.layout import Layout
from pyramid.tables.rows import JobRows
from pyramid.tables.splits import stratified_sample
from pyramid.tables.tree_embedding import cross_fitted
from pyramid.tables.tree_embedding.effort import MAX_CELLS
from pyramid.tables.tree_embedding.learn import MAX_LEARNING_ROWS, Embedding, learn_embedding
from sensenet.forest import block_transform, tree_features

ROWS_AT_ONCE = 4096
COMPILED_FROM_ROWS = 16_384

Transform = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class RowTrees:
    """Trees, and which rows they were learnt on.

    Attributes:
        embedding: what was learnt.
        learning_rows: (learning rows,) int64, sorted: those that `embedding.features` describe.
        transform: (rows, inputs) float32 -> (rows, tree features) float32, for all others.
    """

    embedding: Embedding
    learning_rows: np.ndarray
    transform: Transform

    def fill(self, block: np.ndarray, start: int, layout: Layout) -> None:
        """Put the tree features into their columns of encoded rows, the first of them row `start`."""
        if not layout.tree_inputs:
            return
        first, last = np.searchsorted(self.learning_rows, (start, start + len(block)))
        if last - first < len(block):
            block[:, : layout.tree_inputs] = self.transform(block[:, layout.inputs])
        learnt = self.learning_rows[first:last] - start
        block[learnt, : layout.tree_inputs] = self.embedding.features[first:last]


def learn_windows(job_rows: JobRows, rng: np.random.Generator) -> RowTrees:
    """Learn small forests over windows of the inputs."""
    rows = stratified_sample(job_rows.strata(), MAX_LEARNING_ROWS, rng)
    embedding = learn_embedding(
        _inputs(job_rows, rows),
        job_rows.labels[rows],
        job_rows.strata(rows),
        job_rows.encoding.layout,
        job_rows.objective.has_classes,
        rng,
    )
    return RowTrees(embedding, rows, _transform(embedding, job_rows))


def learn_cross_fitted(
    job_rows: JobRows, folds: np.ndarray, seconds: float | None, rng: np.random.Generator
) -> RowTrees:
    """Learn cross-fitted trees; no row of weight 0 learns.

    Args:
        folds: (rows,) the fold of each row of the job.
        seconds: what they and the rest of the job may take, about; None: no clock matters.
    """
    layout, n_rows = job_rows.encoding.layout, len(job_rows.rows)
    most = min(cross_fitted.MAX_LEARNING_ROWS, MAX_CELLS // max(1, layout.input_size))
    weights, counting = None, np.arange(n_rows)
    if job_rows.encoding.fields.weight is not None:
        weights = job_rows.encoding.weights(job_rows.numbers)
        counting = np.flatnonzero(weights > 0)
    rows = counting[stratified_sample(job_rows.strata(counting), most, rng)]
    table = cross_fitted.TableToLearn(
        _inputs(job_rows, rows),
        job_rows.labels[rows],
        job_rows.strata(rows),
        folds[rows],
        layout,
        job_rows.objective.has_classes,
        None if weights is None else weights[rows],
    )
    embedding = cross_fitted.learn_cross_fitted(table, n_rows, seconds, rng)
    return RowTrees(embedding, rows, _transform(embedding, job_rows))


def _inputs(job_rows: JobRows, rows: np.ndarray) -> np.ndarray:
    layout = job_rows.encoding.layout
    return np.ascontiguousarray(job_rows.encoding.encode(job_rows.numbers[rows])[:, layout.inputs])


def _transform(embedding: Embedding, job_rows: JobRows) -> Transform:
    if len(job_rows.rows) >= COMPILED_FROM_ROWS:
        return block_transform(embedding.forests, job_rows.encoding.layout.input_size, ROWS_AT_ONCE)
    return lambda inputs: tree_features(embedding.forests, np.ascontiguousarray(inputs)).numpy()
