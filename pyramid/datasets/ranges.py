"""Rows of Parquet files by ranges of their ids: what is too much for the memory is sorted a range at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

SAMPLED = 50
"""One row of so many tells where ranges begin."""
ROWS_TOGETHER = 1_000_000
"""So many are divided at once: rows in no order go into every range, and small files cost more than their rows."""


def range_starts(folder: Path, kind: str, rows_at_once: int) -> pl.Series:
    """Ids that divide the rows of all files of a kind into ranges of about so many; sorted, the first one is empty."""
    ids = [pl.read_parquet(path, columns=["id"]).gather_every(SAMPLED) for path in parts(folder, kind)]
    sampled = pl.concat(ids).get_column("id").sort()
    starts = sampled.gather_every(max(1, rows_at_once // SAMPLED))[1:]
    return pl.concat([pl.Series("id", [""]), starts.unique().sort()])


def divide(folder: Path, kind: str, starts: pl.Series) -> None:
    """Divide the files of a kind into those of ranges, which `read_range` reads."""
    for number, frame in enumerate(_larger_frames(folder, kind)):
        for position, rows in enumerate(in_ranges(frame.sort("id", maintain_order=True), starts)):
            if len(rows):
                rows.write_parquet(folder / f"{_prefix(kind, position)}-{number:06}.parquet")


def _larger_frames(folder: Path, kind: str) -> Iterator[pl.DataFrame]:
    """The rows of all files of a kind, about `ROWS_TOGETHER` at once; the files are removed."""
    waiting: list[pl.DataFrame] = []
    for path in parts(folder, kind):
        waiting.append(pl.read_parquet(path))
        path.unlink()
        if sum(map(len, waiting)) >= ROWS_TOGETHER:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)


def in_ranges(frame: pl.DataFrame, starts: pl.Series) -> list[pl.DataFrame]:
    """The rows in each range of a frame that is sorted by id."""
    begins = frame.get_column("id").search_sorted(starts, side="left").to_list()
    return [frame[begin:end] for begin, end in zip(begins, [*begins[1:], len(frame)], strict=True)]


def read_range(folder: Path, kind: str, position: int, columns: list[str] | None = None) -> pl.DataFrame:
    """The rows of a range in the order that they were written in, sorted by id."""
    pieces = [pl.read_parquet(path, columns=columns) for path in parts(folder, _prefix(kind, position))]
    return pl.concat(pieces).sort("id", maintain_order=True) if pieces else _NO_IDS


def rows_of_ids(folder: Path, kind: str, n_ranges: int) -> pl.DataFrame:
    """How many rows each id has, sorted by id: id, len."""
    ranges = (read_range(folder, kind, position, ["id"]) for position in range(n_ranges))
    return pl.concat([ids.group_by("id", maintain_order=True).len() for ids in ranges])


def parts(folder: Path, kind: str) -> list[Path]:
    """The Parquet files of one kind, in the order of their numbers."""
    return sorted(folder.glob(f"{kind}-*.parquet"))


def _prefix(kind: str, position: int) -> str:
    return f"range-{kind}-{position:06}"


_NO_IDS = pl.DataFrame(schema={"id": pl.String})
