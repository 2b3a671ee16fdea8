"""Rows that are kept for a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pyramid.errors import DataError
from pyramid.frames.objective import task_of
from pyramid.frames.scan import numbered_batches, scan, without
from pyramid.tables.splits import numeric_strata, stratified_sample
from sensenet.tables.source import Reading, Source, open_table
from sensenet.tables.values import numbers, texts


def held_out_rows(
    source: Any,
    objective: str,
    share: float,
    seed: int,
    task: str | None = None,
    reading: Reading | None = None,
) -> np.ndarray:
    """Numbers of rows to keep for a test: a stratified sample of those that have an objective, sorted.

    The only row of a class is never among them.

    Args:
        source: see `open_table`.
        share: of the rows, between 0 and 1.
        task: see `TableChoices`.

    Raises:
        DataError: there is nothing to learn, or no row would be left on one side.
        InputError: the table cannot be read, or has no such column.
    """
    table = open_table(source, reading)
    table.position(objective, "objective")
    if not 0 < share < 1:
        raise DataError(f"the share of rows for the test is {share:g}, expected a number between 0 and 1")
    rows, strata = _strata(table, objective, task, seed)
    size = round(share * len(rows))
    _, places, counts = np.unique(strata, return_inverse=True, return_counts=True)
    together = np.flatnonzero(counts[places] > 1)
    if not 0 < size < len(together):
        raise DataError(f"a share of {share:g} of {len(rows)} rows leaves none for the training or the test")
    chosen = stratified_sample(strata[together], size, np.random.default_rng(seed))
    return rows[together[chosen]]


def save_rows(
    source: Any, rows: np.ndarray, path: str | os.PathLike[str], reading: Reading | None = None
) -> None:
    """Write some rows of a table as a Parquet file.

    Args:
        rows: their numbers, sorted.

    Raises:
        InputError: the table cannot be read.
        OSError: the file cannot be written.
    """
    batches = numbered_batches(open_table(source, reading))
    parts = [frame.filter(pl.Series(np.isin(numbered, rows))) for numbered, frame in batches]
    pl.concat(parts).write_parquet(Path(path))


def _only(table: Source, column: str) -> Iterator[pl.DataFrame]:
    for batch in table.batches():
        yield batch.select([column] if column in batch.columns else [pl.lit(None, pl.String).alias(column)])


def _strata(table: Source, objective: str, chosen: str | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows that have an objective, and the stratum of each: its class, or its bin among the numbers."""
    narrow = Source(table.name, (objective,), table.folder, lambda: _only(table, objective))
    seen = scan(narrow, objective, None, seed)
    task = task_of(seen.columns[objective], chosen)
    labels, rows = [], []
    for numbered, frame in numbered_batches(narrow):
        numbered, frame = without(numbered, frame, seen.rows_without_objective(task))
        column, dtype = pl.col(objective), frame.schema[objective]
        value = numbers(column, dtype) if task == "regression" else texts(column, dtype)
        labels.append(frame.select(value).to_series())
        rows.append(numbered)
    together = pl.concat(labels)
    strata = (
        numeric_strata(together.to_numpy()) if task == "regression" else together.rank("dense").to_numpy()
    )
    return np.concatenate(rows), strata
