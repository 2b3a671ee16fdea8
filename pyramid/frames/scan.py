"""What is known of the columns of a table after all its rows were seen once, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from pyramid.errors import DataError
from pyramid.frames.facts import ColumnFacts, ValueCounts, add_rows
from pyramid.frames.kinds import MAX_CLASSES
from sensenet.tables.source import Source
from sensenet.tables.values import LARGEST, numbers, plain_types, present

SAMPLED_CELLS = 4_000_000
MAX_COUNTED = 1_000_000
"""How many distinct values are counted, those of all columns together."""

MIN_COUNTED = 600
"""That many of each column; of the objective as many as there can be classes."""

FEW_SPELLINGS = 60
"""Of more different texts there are more than a few numbers, however these are written."""

GATHERED_BYTES = 2**26
COLUMNS_AT_ONCE = 250
"""Polars needs some kilobytes to plan an expression, and there are several a column."""


@dataclass(frozen=True)
class Scan:
    """What was seen in a table.

    Attributes:
        columns: of each what was seen in rows that have an objective.
        n_source_rows: how many rows there are.
        missing_rows: numbers of the rows without objective, sorted.
        infinite_rows: numbers of the rows whose objective is a number that no float32 can be, sorted.
        sample: at most `SAMPLED_CELLS` values of rows that have an objective, in their order.
    """

    columns: dict[str, ColumnFacts]
    n_source_rows: int
    missing_rows: np.ndarray
    infinite_rows: np.ndarray
    sample: pl.DataFrame

    def rows_without_objective(self, task: str) -> np.ndarray:
        """Numbers of the rows that cannot be learnt from, sorted."""
        if task == "classification":
            return self.missing_rows
        return np.union1d(self.missing_rows, self.infinite_rows)


def numbered_batches(source: Source) -> Iterator[tuple[np.ndarray, pl.DataFrame]]:
    """The rows of a table, some at a time: their numbers from 0 on, and a frame with all columns in few types."""
    start = 0
    for frame in _gathered(source):
        yield np.arange(start, start + len(frame)), frame
        start += len(frame)


def _gathered(source: Source) -> Iterator[pl.DataFrame]:
    """The rows of a table, all columns in few types; of wide tables several batches, which have few rows, at once."""
    parts: list[pl.DataFrame] = []
    for batch in source.batches():
        there = set(batch.columns)
        absent = [pl.lit(None, pl.String).alias(name) for name in source.columns if name not in there]
        parts.append(plain_types(batch.with_columns(absent).select(source.columns)))
        if sum(part.estimated_size() for part in parts) >= GATHERED_BYTES:
            yield pl.concat(parts)
            parts = []
    if parts:
        yield pl.concat(parts)


def without(
    rows: np.ndarray, frame: pl.DataFrame, left_out: np.ndarray | None
) -> tuple[np.ndarray, pl.DataFrame]:
    """A batch without the rows of some numbers, which are sorted."""
    if left_out is None or not len(rows):
        return rows, frame
    first, end = np.searchsorted(left_out, [rows[0], rows[-1] + 1])
    if first == end:
        return rows, frame
    kept = ~np.isin(rows, left_out[first:end])
    return rows[kept], frame.filter(pl.Series(kept))


def scan(source: Source, objective: str, left_out: np.ndarray | None, seed: int) -> Scan:
    """See all rows of a table.

    Args:
        objective: a column; rows without it count for nothing else.
        left_out: numbers of rows that are passed over.
        seed: of the sample.

    Raises:
        DataError: there are no rows.
    """
    sample = _Sample(max(1, SAMPLED_CELLS // len(source.columns)), seed)
    limit = max(MIN_COUNTED, MAX_COUNTED // len(source.columns))
    facts: dict[str, ColumnFacts] = {}
    missing, infinite, n_rows = [], [], 0
    for rows, frame in numbered_batches(source):
        n_rows += len(rows)
        rows, frame = without(rows, frame, left_out)
        dtype, column = frame.schema[objective], pl.col(objective)
        is_known = frame.select(present(column, dtype).is_not_null()).to_series()
        missing.append(rows[~is_known.to_numpy()])
        rows, frame = rows[is_known.to_numpy()], frame.filter(is_known)
        beyond = frame.select((numbers(column, dtype).abs() > LARGEST).fill_null(False)).to_series()
        infinite.append(rows[beyond.to_numpy()])
        facts = facts or {
            name: ColumnFacts(
                name, kind, ValueCounts(max(limit, MAX_CLASSES) if name == objective else limit)
            )
            for name, kind in frame.schema.items()
        }
        for first in range(0, frame.width, COLUMNS_AT_ONCE):
            add_rows(facts, rows, frame[:, first : first + COLUMNS_AT_ONCE])
        sample.add(frame)
    if not n_rows:
        raise DataError(f"{source.name}: there are no rows")
    for name, seen in facts.items():
        if name == objective or len(seen.values) <= FEW_SPELLINGS:
            seen.respell()
    return Scan(facts, n_rows, _joined(missing), _joined(infinite), sample.frame())


class _Sample:
    """Rows drawn while they pass: each has a random key, and those with the least keys are kept."""

    def __init__(self, size: int, seed: int):
        self._size = size
        self._draws = np.random.default_rng(seed)
        self._keys = np.empty(0)
        self._kept: list[pl.DataFrame] = []

    def add(self, frame: pl.DataFrame) -> None:
        self._keys = np.concatenate([self._keys, self._draws.random(len(frame))])
        self._kept.append(frame)
        if len(self._keys) > 2 * self._size:
            self._cut()

    def frame(self) -> pl.DataFrame:
        self._cut()
        return self._kept[0] if self._kept else pl.DataFrame()

    def _cut(self) -> None:
        together = pl.concat(self._kept) if self._kept else pl.DataFrame()
        if len(self._keys) > self._size:
            places = np.sort(np.argpartition(self._keys, self._size)[: self._size])
            together = together[places]
            self._keys = self._keys[places]
        self._kept = [together]


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
