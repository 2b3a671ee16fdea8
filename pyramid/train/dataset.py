"""The cached matrix as what a training needs: inputs, targets, labels, weights; held out or trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.errors import DataError
from pyramid.tables.cached_data import CachedData
from pyramid.tables.encode import Layout
from pyramid.tables.splits import holdout_split, lone_rows_warning, numeric_strata
from pyramid.workspace import read_array


@dataclass(frozen=True)
class Dataset:
    """Encoded rows.

    Attributes:
        inputs: (rows, inputs) float32, tree features first where the job takes them; or of an image job (rows,)
            positions of its images.
        targets: (rows, outputs) float32: one-hot classes, or one standardised number.
        weights: (rows,) float32, the rows' own weights, or None.
        objective_type: "categorical" or "numeric".
    """

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    objective_type: str

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.inputs)

    @property
    def truth(self) -> np.ndarray:
        """(rows,): class indices (int), or standardised numbers (float32)."""
        return self.targets.argmax(axis=1) if self.objective_type == "categorical" else self.targets[:, 0]

    @property
    def labels(self) -> np.ndarray:
        """(rows,) int: the class of each row; zeros for a numeric objective."""
        return self.truth if self.objective_type == "categorical" else np.zeros(len(self), np.int64)

    @property
    def strata(self) -> np.ndarray:
        """(rows,) int: what samples of the rows are stratified by: the class, or the number's quantile bin."""
        return self.truth if self.objective_type == "categorical" else numeric_strata(self.truth)

    def take(self, rows: np.ndarray) -> Dataset:
        """Some of the rows."""
        weights = None if self.weights is None else self.weights[rows]
        return Dataset(self.inputs[rows], self.targets[rows], weights, self.objective_type)


def job_layout(settings: Any) -> Layout:
    """The columns of the matrix that a training job's `cache_file` holds.

    How many features an image has is what the width of that matrix leaves for the image fields.

    Raises:
        WorkspaceError: there are image fields, and the file is missing or broken.
        DataError: its width leaves no columns for them.
    """
    fields = (settings.info_list, bool(settings.instance_weights), settings.tree_inputs or 0)
    if not any(field["type"] == "image" for field in settings.info_list):
        return Layout.from_info_list(*fields)
    path = Path(settings.cache_file)
    *_, row_columns = (0, *read_array(path, "dataset_caching", mmap=True).shape)
    try:
        return Layout.of_width(*fields, row_columns)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_dataset(path: Path, settings: Any, cached: CachedData) -> Dataset:
    """Read a cached matrix; without `tree_embedding` its tree features are passed over.

    Raises:
        WorkspaceError: the file is missing or broken, or `cached` tells that it does not belong to the others.
        DataError: it has no rows, other columns than `info_list` and `tree_inputs` say, or numbers that are not
            finite; names the file, and the row.
    """
    layout = job_layout(settings)
    matrix = read_array(path, "dataset_caching")
    if matrix.ndim != 2 or matrix.shape[1] != layout.row_columns:
        raise DataError(
            f"{path}: expected {layout.row_columns} columns ({layout.tree_inputs} tree features, "
            f"{layout.input_size} inputs, the weight if any, {layout.n_outputs} of the objective), got an array of "
            f"shape {list(matrix.shape)}"
        )
    if not len(matrix):
        raise DataError(f"{path}: expected at least one row, got none")
    if not np.isfinite(matrix.sum(dtype=np.float64)):
        _refuse_non_finite(path, matrix)
    cached.check_array(path, matrix)
    first = 0 if settings.tree_embedding else layout.tree_inputs
    return Dataset(
        inputs=np.ascontiguousarray(matrix[:, first : layout.inputs.stop], dtype=np.float32),
        targets=np.ascontiguousarray(matrix[:, layout.objective], dtype=np.float32),
        weights=None if layout.weight is None else matrix[:, layout.weight].astype(np.float32),
        objective_type=settings.objective_type,
    )


def split_holdout(dataset: Dataset, settings: Any, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
    """The rows to train on and those held out; the same rows twice with `cheat_on_validation`."""
    if settings.cheat_on_validation:
        return dataset, dataset
    training, holdout = holdout_rows(dataset, settings, rng)
    return dataset.take(training), dataset.take(holdout)


def holdout_rows(dataset: Dataset, settings: Any, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the rows that `split_holdout` gives for the same `rng`."""
    if settings.cheat_on_validation:
        return np.arange(len(dataset)), np.arange(len(dataset))
    return holdout_split(dataset.strata, settings.holdout_rate, settings.holdout_set_size, rng)


def tell_lone_rows(dataset: Dataset, settings: Any, warn: Callable[[str], None]) -> None:
    """Name the classes that have a single row."""
    if dataset.objective_type != "categorical":
        return
    warning = lone_rows_warning(dataset.labels, settings.info_list[-1]["values"])
    if warning is not None:
        warn(warning)


def smoothed_targets(targets: np.ndarray, factor: float) -> np.ndarray:
    """One-hot (rows, classes) with `factor` of the mass spread over all classes (arXiv 1512.00567, section 7)."""
    return targets * np.float32(1 - factor) + np.float32(factor / targets.shape[1])


def learnt_rows(training: Dataset, settings: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """The targets of training rows, smoothed as the settings say, and their weights in the loss.

    Raises:
        DataError: all rows weigh nothing.
    """
    smoothing = settings.label_smoothing_factor or 0.0
    targets = training.targets
    if smoothing and training.objective_type == "categorical":
        targets = smoothed_targets(targets, smoothing)
    return targets, loss_weights(training, settings.class_weights, settings.info_list[-1].get("values"))


def loss_weights(
    dataset: Dataset, class_weights: Sequence[tuple[str, float]] | None, values: Sequence[str] | None
) -> np.ndarray | None:
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
        per_class = np.array([given.get(str(value), others) for value in values or ()])
        weights = weights * per_class[dataset.labels]
    total = weights.sum()
    if total <= 0:
        raise DataError("the weights of all training rows are 0: nothing would be learnt")
    return (weights * (len(dataset) / total)).astype(np.float32)


def _refuse_non_finite(path: Path, matrix: np.ndarray) -> None:
    rows, columns = np.nonzero(~np.isfinite(matrix))
    if len(rows):
        raise DataError(f"{path}: row {rows[0]}, column {columns[0]}: expected a finite number")
