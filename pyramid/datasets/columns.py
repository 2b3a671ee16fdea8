"""The columns of published lists: found by name, read as numbers and flags, in frames that pay to be joined."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from pyramid.datasets.points import SAFE_ID
from pyramid.progress import Report
from sensenet.tables.source import Reading, Source, open_table
from sensenet.tables.text import GZIP_MAGIC, PIECE_BYTES

ROWS_TOGETHER = 250_000


def open_list(path: Path, columns: Sequence[str]) -> Source:
    """A CSV with a header in which all of these columns are.

    Raises:
        InputError: it cannot be read, or one is missing; names the nearest.
    """
    table = open_table(path, Reading(delimiter=","))
    for column in columns:
        table.position(column, "it is needed")
    return table


def frames_of(table: Source, columns: Sequence[str], report: Report) -> Iterator[pl.DataFrame]:
    """The rows of some columns of a CSV, as texts, `ROWS_TOGETHER` or more at a time.

    Args:
        columns: those that the table does not have are missing in all rows.
        report: told of the share of the file that is read.

    Raises:
        InputError: the file is damaged, or a record of it is; says where.
    """
    absent = [pl.lit(None, pl.String).alias(name) for name in columns if name not in table.columns]
    present = [name for name in columns if name in table.columns]
    waiting: list[pl.DataFrame] = []
    n_waiting, n_read, row_bytes, n_bytes = 0, 0, 0.0, unpacked_bytes(Path(table.name))
    for batch in table.batches():
        row_bytes = row_bytes or min(PIECE_BYTES, n_bytes) / len(batch)
        waiting.append(batch.select(*present, *absent).select(*columns))
        n_waiting, n_read = n_waiting + len(batch), n_read + len(batch)
        report(min(1.0, n_read * row_bytes / max(n_bytes, 1)), message=f"{n_read:,} rows of {table.name}")
        if n_waiting >= ROWS_TOGETHER:
            yield pl.concat(waiting, rechunk=True)
            waiting, n_waiting = [], 0
    if waiting:
        yield pl.concat(waiting, rechunk=True)


def unpacked_bytes(path: Path) -> int:
    """About how large a file is when it is unpacked: what ends a gzipped one says so, up to 4 GiB."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(GZIP_MAGIC)) != GZIP_MAGIC or size < 4:
            return size
        file.seek(-4, os.SEEK_END)
        unpacked = int.from_bytes(file.read(4), "little")
    while unpacked < size:
        unpacked += 2**32
    return unpacked


def number_of(column: str) -> pl.Expr:
    """The numbers of a column of texts; null where there is none, or no finite one."""
    value = pl.col(column).str.strip_chars().cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value)


def is_set(column: str) -> pl.Expr:
    """Whether a flag is 1; it may be 0, -1 (unknown) or missing."""
    return number_of(column).eq(1).fill_null(False)


def is_safe(column: str) -> pl.Expr:
    """Whether ids can be names of files."""
    return pl.col(column).str.contains(SAFE_ID).fill_null(False)
