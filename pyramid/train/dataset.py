"""The cached matrix as what a training needs: inputs, targets, labels, weights; held out or trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyramid.errors import DataError
from pyramid.fields import Fields, Objective
from pyramid.settings.options import HoldoutOptions, LossOptions, TreeOptions
from pyramid.storage.npy import forget_pages
from pyramid.tables.cached_data import CachedData
from pyramid.tables.encode import Layout
from pyramid.tables.splits import holdout_split, lone_rows_warning
from pyramid.workspace import read_array

BYTES_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Dataset:
    """Encoded rows.

    Attributes:
        inputs: (rows, inputs) float32, tree features first where the job takes them; or of an image job (rows,)
            positions of its images.
        truth: (rows,) labels: class indices (int64), or standardised numbers (float32); or (rows, most, 5) boxes.
        weights: (rows,) float32, the rows' own weights, or None.
        objective: what the labels say.
    """

    inputs: np.ndarray
    truth: np.ndarray
    weights: np.ndarray | None
    objective: Objective

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.inputs)

    @property
    def targets(self) -> np.ndarray:
        """(rows, outputs) float32, made anew: one-hot classes, or one standardised number; boxes as they are."""
        return self.objective.targets(self.truth)

    @property
    def labels(self) -> np.ndarray:
        """(rows,) int: the class of each row; zeros for a numeric objective."""
        return self.objective.class_of(self.truth)

    @property
    def strata(self) -> np.ndarray:
        """(rows,) int: what samples of the rows are stratified by: the class, or the number's quantile bin."""
        return self.objective.strata(self.truth)

    def take(self, rows: np.ndarray) -> Dataset:
        """Some of the rows."""
        weights = None if self.weights is None else self.weights[rows]
        return Dataset(self.inputs[rows], self.truth[rows], weights, self.objective)


@dataclass(frozen=True)
class CachedRows:
    """What a training job says of the cached rows that it reads.

    Attributes:
        cache_file: the matrix that it trains on.
        fields: of the rows.
        trees: whether it looks at their tree features, and how many there are.
    """

    cache_file: Path
    fields: Fields
    trees: TreeOptions


def cached_layout(rows: CachedRows) -> Layout:
    """The columns of the matrix that a training job's `cache_file` holds.

    How many features an image has is what the width of that matrix leaves for the image fields.

    Raises:
        WorkspaceError: there are image fields, and the file is missing or broken.
        DataError: its width leaves no columns for them.
    """
    if not rows.fields.images:
        return Layout.of(rows.fields, rows.trees.tree_inputs)
    *_, row_columns = (0, *read_array(rows.cache_file, "dataset_caching", mmap=True).shape)
    try:
        return Layout.of_width(rows.fields, rows.trees.tree_inputs, row_columns)
    except DataError as error:
        raise DataError(f"{rows.cache_file}: {error}") from error


def read_dataset(path: Path, rows: CachedRows, cached: CachedData) -> Dataset:
    """Read a cached matrix in blocks; without `tree_embedding` its tree features are passed over.

    Raises:
        WorkspaceError: the file is missing or broken, or `cached` tells that it does not belong to the others.
        DataError: it has no rows, other columns than its fields and `tree_inputs` say, or numbers that are not
            finite, or classes that are not one-hot; names the file, and the row.
    """
    layout, objective = cached_layout(rows), rows.fields.objective
    matrix = read_array(path, "dataset_caching", mmap=True)
    if matrix.ndim != 2 or matrix.shape[1] != layout.row_columns:
        raise DataError(
            f"{path}: expected {layout.row_columns} columns ({layout.tree_inputs} tree features, "
            f"{layout.input_size} inputs, the weight if any, {layout.n_outputs} of the objective), got an array of "
            f"shape {list(matrix.shape)}"
        )
    if not len(matrix):
        raise DataError(f"{path}: expected at least one row, got none")
    first = 0 if rows.trees.tree_embedding else layout.tree_inputs
    inputs = np.empty((len(matrix), layout.inputs.stop - first), np.float32)
    truth, weights = [], []
    rows_at_once = max(1, BYTES_AT_ONCE // (layout.row_columns * matrix.itemsize))
    for start in range(0, len(matrix), rows_at_once):
        block = matrix[start : start + rows_at_once]
        _check_finite(path, block, start)
        inputs[start : start + rows_at_once] = block[:, first : layout.inputs.stop]
        truth.append(_labels(path, block[:, layout.objective].astype(np.float32), objective, start))
        if layout.weight is not None:
            weights.append(block[:, layout.weight].astype(np.float32))
        forget_pages(matrix)
    cached.check_array(path, matrix)
    return Dataset(inputs, np.concatenate(truth), np.concatenate(weights) if weights else None, objective)


def split_holdout(
    dataset: Dataset, options: HoldoutOptions, rng: np.random.Generator
) -> tuple[Dataset, Dataset]:
    """The rows to train on and those held out; the same rows twice with `cheat_on_validation`."""
    if options.cheat_on_validation:
        return dataset, dataset
    training, holdout = holdout_rows(dataset, options, rng)
    return dataset.take(training), dataset.take(holdout)


def holdout_rows(
    dataset: Dataset, options: HoldoutOptions, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the rows that `split_holdout` gives for the same `rng`."""
    if options.cheat_on_validation:
        return np.arange(len(dataset)), np.arange(len(dataset))
    return holdout_split(dataset.strata, options.holdout_rate, options.holdout_set_size, rng)


def warn_of_lone_rows(dataset: Dataset, warn: Callable[[str], None]) -> None:
    """Name the classes that have a single row."""
    warning = (
        lone_rows_warning(dataset.labels, dataset.objective.classes)
        if dataset.objective.has_classes
        else None
    )
    if warning is not None:
        warn(warning)


def targets_and_weights(training: Dataset, options: LossOptions) -> tuple[np.ndarray, np.ndarray | None]:
    """The targets of training rows, smoothed as the options say, and their weights in the loss.

    Raises:
        DataError: all rows weigh nothing.
    """
    targets = training.objective.smoothed(training.targets, options.label_smoothing_factor)
    return targets, row_weights(training, options)


def row_weights(training: Dataset, options: LossOptions) -> np.ndarray | None:
    """`loss_weights` of training rows, as the options say.

    Raises:
        DataError: all rows weigh nothing.
    """
    # those of boxes are weights of boxes, not of rows
    class_weights = options.class_weights if training.objective.has_classes else ()
    return loss_weights(training, class_weights)


def loss_weights(dataset: Dataset, class_weights: Sequence[tuple[str, float]]) -> np.ndarray | None:
    """(rows,) float32: how much each row counts in the loss; None where all count the same.

    The product of the row's weight and its class's; a class without one counts as
    the mean of those given. Only ratios matter: the mean
    is 1, so that the learning rate keeps its meaning.

    Raises:
        DataError: all rows weigh nothing.
    """
    if dataset.weights is None and not class_weights:
        return None
    weights = np.ones(len(dataset)) if dataset.weights is None else dataset.weights.astype(np.float64)
    if class_weights:
        given = {str(name): weight for name, weight in class_weights}
        others = sum(given.values()) / len(given)
        per_class = np.array([given.get(name, others) for name in dataset.objective.classes])
        weights = weights * per_class[dataset.labels]
    total = weights.sum()
    if total <= 0:
        raise DataError("the weights of all training rows are 0: nothing would be learnt")
    return (weights * (len(dataset) / total)).astype(np.float32)


def _check_finite(path: Path, block: np.ndarray, first_row: int) -> None:
    if np.isfinite(block.sum(dtype=np.float64)):
        return
    rows, columns = np.nonzero(~np.isfinite(block))
    if len(rows):
        raise DataError(f"{path}: row {first_row + rows[0]}, column {columns[0]}: expected a finite number")


def _labels(path: Path, targets: np.ndarray, objective: Objective, first_row: int) -> np.ndarray:
    """(rows,): the labels behind targets."""
    labels = objective.truth(targets)
    others = (targets != objective.targets(labels)).any(axis=1)
    if others.any():
        raise DataError(
            f"{path}: row {first_row + int(others.argmax())}: expected 1 in the column of its class, and 0 in others"
        )
    return labels
