"""Which fold each row is in."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pyramid.errors import DataError, SettingsError, Violation
from pyramid.tables.cached_data import CACHING, CachedData
from pyramid.tables.splits import stratified_folds
from pyramid.train.dataset import Dataset
from pyramid.workspace import Workspace, read_array


def row_folds(
    cache_file: Path, dataset: Dataset, n_folds: int, cached: CachedData, rng: np.random.Generator
) -> np.ndarray:
    """(rows,) int64: the fold of each row of a job's `cache_file`, 0 to `n_folds - 1`.

    They are those of the caching job, where it left some; else they are drawn.

    Raises:
        SettingsError: caching divided the rows into another number of folds, or others than those of this file.
        DataError: there is one row, or `folds.npy` tells of other rows.
        WorkspaceError: `folds.npy` cannot be used.
    """
    if len(dataset) < 2:
        raise DataError(f"{cache_file}: expected at least two rows to divide into folds, got {len(dataset)}")
    rows_file = cache_file.resolve()
    workspace = Workspace(rows_file.parent)
    path = workspace.folds
    if not path.exists():
        return stratified_folds(dataset.strata, n_folds, rng)
    if rows_file.name != workspace.full_dataset.name:
        message = (
            f"found {cache_file}, but {path} has the folds of {workspace.full_dataset.name}: train on that"
        )
        raise SettingsError([Violation("/cache_file", message)])
    folds = read_array(path, CACHING)
    cached.check_array(path, folds)
    if folds.shape != (len(dataset),) or folds.min() < 0:
        raise DataError(
            f"{path}: expected the fold of each of the {len(dataset)} rows of {cache_file.name}, counted from 0, got "
            f"an array of shape {list(folds.shape)}"
        )
    if folds.min() == folds.max():
        raise DataError(f"{path}: expected rows in several folds, got all of them in one")
    found = int(folds.max()) + 1
    if found != n_folds:
        message = f"found {n_folds}, but {path} has {found} folds: the trees were learnt with these"
        raise SettingsError([Violation("/folds", message)])
    return folds.astype(np.int64)
