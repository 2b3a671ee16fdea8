"""Where the rows of a table come from: files in several formats, or frames; always as frames of some rows at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from sensenet.document.wording import hint
from sensenet.errors import InputError
from sensenet.tables.decimals import decimal_columns, with_points
from sensenet.tables.delimited import find_dialect, read_delimited
from sensenet.tables.dialect import delimiter_named, unique_names
from sensenet.tables.json_rows import is_json, read_json_rows
from sensenet.tables.text import Warn, check_encoding, first_bytes, no_warning

CELLS_PER_BATCH = 2_000_000
PARQUET_MAGIC = b"PAR1"
ZIP_MAGIC = b"PK\x03\x04"

Batches = Callable[[], Iterator[pl.DataFrame]]


@dataclass(frozen=True)
class Reading:
    """How a file is read.

    Attributes:
        delimiter: of a file of delimited values: a character or its name ("tab"); None: what is found.
        encoding: of a file of text; None: see `sensenet.tables.text.read_text`.
        has_header: whether the first record of delimited values is the names of the columns.
    """

    delimiter: str | None = None
    encoding: str | None = None
    has_header: bool = True


@dataclass(frozen=True)
class Source:
    """A table.

    Attributes:
        name: what messages call it.
        columns: the names of its columns.
        folder: where files that it names lie; None: the current directory.
        batches: its rows from the first one on, at each call: frames whose columns are all or some of `columns` (a
            missing one is all missing), in the same order.
    """

    name: str
    columns: tuple[str, ...]
    folder: Path | None
    batches: Batches = field(repr=False)

    def position(self, column: str, what: str) -> int:
        """Where a column stands.

        Raises:
            InputError: there is none of that name; names the nearest.
        """
        if column not in self.columns:
            raise InputError(
                f'{self.name}: {what}: there is no column "{column}"{hint(column, self.columns)}'
            )
        return self.columns.index(column)


def open_table(source: Any, reading: Reading | None = None, warn: Warn | None = None) -> Source:
    """A table to read.

    Args:
        source: the path of a file (CSV and the like, JSON lines, a JSON list, each gzipped or not; Parquet), a Polars
            frame (a lazy one is collected), a pandas frame, or a source.
        reading: how a file is read.
        warn: is told what had to be assumed.

    Raises:
        InputError: a file that cannot be read or has no columns, or what is none of these.
    """
    reading, warn = reading or Reading(), warn or no_warning
    if isinstance(source, Source):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _open_file(Path(source), reading, _once(warn))
    frame = _polars_frame(source)
    names, renamed = unique_names(frame.columns)
    for message in renamed:
        warn(message)
    frame.columns = list(names)
    return Source("the frame", names, None, lambda: frame.iter_slices(rows_per_batch(len(names))))


def rows_per_batch(n_columns: int) -> int:
    """How many rows are computed with at a time."""
    return max(256, min(65_536, CELLS_PER_BATCH // max(n_columns, 1)))


def _open_file(path: Path, reading: Reading, warn: Warn) -> Source:
    if reading.encoding is not None:
        check_encoding(reading.encoding)
    delimiter = None if reading.delimiter is None else delimiter_named(reading.delimiter)
    beginning = first_bytes(path)
    if beginning.startswith(ZIP_MAGIC):
        raise InputError(f"{path}: a zip archive or a spreadsheet; unpack it, or save the sheet as CSV")
    if beginning.startswith(PARQUET_MAGIC):
        return _open_parquet(path)
    if delimiter is None and is_json(path):
        names = dict.fromkeys(
            name for frame in read_json_rows(path, reading.encoding, warn) for name in frame.columns
        )
        if not names:
            raise InputError(f"{path}: there is no row in it, or no row has a value")
        return Source(
            str(path), tuple(names), path.parent, lambda: read_json_rows(path, reading.encoding, warn)
        )
    dialect = find_dialect(path, reading.encoding, delimiter, reading.has_header, warn)
    for message in dialect.renamed:
        warn(f"{path}: {message}")
    read: Batches = partial(read_delimited, path, dialect, reading.encoding, warn)
    if dialect.decimal_comma:
        read = _with_decimals(path, read, warn)
    return Source(str(path), dialect.names, path.parent, read)


def _with_decimals(path: Path, read: Batches, warn: Warn) -> Batches:
    """What reads a file with points for its decimal commas, which are found by reading all of it once."""
    found = decimal_columns(read())
    for name in found.in_doubt:
        warn(
            f'{path}: "{name}": behind each of its commas there are three digits; they are taken to stand between '
            "thousands, not for decimal points"
        )
    return lambda: (with_points(frame, found.names) for frame in read())


def _open_parquet(path: Path) -> Source:
    with _parquet_errors(path):
        names = tuple(pl.scan_parquet(path, glob=False).collect_schema().names())
    if not names:
        raise InputError(f"{path}: there are no columns in it")
    return Source(str(path), names, path.parent, lambda: _parquet_batches(path, rows_per_batch(len(names))))


def _parquet_batches(path: Path, n_rows: int) -> Iterator[pl.DataFrame]:
    start = 0
    while True:
        with _parquet_errors(path):
            frame = pl.scan_parquet(path, glob=False).slice(start, n_rows).collect()
        if not len(frame):
            return
        yield frame
        start += len(frame)


class _parquet_errors:  # noqa: N801 - read as a function
    """Says of a damaged file which one it is."""

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (pl.exceptions.PolarsError, OSError)):
            raise InputError(f"{self._path}: a Parquet file that is damaged, or not whole") from error


def _polars_frame(source: Any) -> pl.DataFrame:
    """A Polars or a pandas frame, or columns by name, as a Polars frame.

    Raises:
        InputError: anything else.
    """
    if isinstance(source, pl.LazyFrame):
        return source.collect()
    if isinstance(source, pl.DataFrame):
        return source.clone()
    if type(source).__module__.partition(".")[0] == "pandas" and hasattr(source, "columns"):
        return _of_pandas(source)
    if isinstance(source, Mapping):
        return pl.DataFrame([_series(str(name), values) for name, values in source.items()])
    raise InputError(
        f"expected the path of a table, or a Polars or pandas frame, got a {type(source).__name__}"
    )


def _of_pandas(frame: Any) -> pl.DataFrame:
    """Column by column, so that one that Polars cannot take costs only itself; it becomes texts."""
    names, _ = unique_names([str(name) for name in frame.columns])
    return pl.DataFrame([_pandas_series(name, frame.iloc[:, i]) for i, name in enumerate(names)])


def _pandas_series(name: str, series: Any) -> pl.Series:
    if getattr(series.dtype, "tz", None) is not None:
        series = series.dt.tz_localize(None)
    if type(series.dtype).__module__.partition(".")[0] == "numpy" and series.dtype != object:
        return _series(name, series.to_numpy())
    pairs = zip(series.isna().tolist(), series.astype(object).tolist(), strict=True)
    return _series(name, [None if gone else value for gone, value in pairs])


def _series(name: str, values: Any) -> pl.Series:
    """A column of what Python has; values that no one type can be become texts."""
    with suppress(pl.exceptions.PolarsError, TypeError, ImportError):
        series = pl.Series(name, values, strict=False)
        if series.dtype != pl.Object:
            return series
    return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)


def _once(warn: Warn) -> Warn:
    told: set[str] = set()

    def once(message: str) -> None:
        if message not in told:
            told.add(message)
            warn(message)

    return once
