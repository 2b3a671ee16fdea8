"""Rows of Parquet files by ranges of their ids: what is too much for the memory is sorted a range at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

MERGED_ROWS = 3_000_000


def parts(folder: Path, kind: str) -> list[Path]:
    """The Parquet files of one kind, in the order of their numbers."""
    return sorted(folder.glob(f"{kind}-*.parquet"))


def rows_of_ids(folder: Path, kind: str) -> pl.DataFrame:
    """How many rows each id has, sorted by id: id, len."""
    counted = [pl.DataFrame(schema={"id": pl.String, "len": pl.UInt32})]
    for path in parts(folder, kind):
        counted.append(pl.read_parquet(path, columns=["id"]).group_by("id").len())
        if sum(map(len, counted)) > MERGED_ROWS:
            counted = [_merged(counted)]
    return _merged(counted).sort("id")


def _merged(counted: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(counted).group_by("id").agg(pl.col("len").sum())


def split_ids(ids: pl.DataFrame, rows_at_once: int) -> Iterator[pl.DataFrame]:
    """Sorted ids, in pieces of about so many rows: of `len`, which counts them."""
    if not len(ids):
        return
    group = (ids.get_column("len").cast(pl.Int64).cum_sum() - 1).to_numpy() // rows_at_once
    starts = np.flatnonzero(np.diff(group, prepend=-1)).tolist()
    for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
        yield ids.select("id")[start:end]


def divide(folder: Path, kind: str, first_ids: pl.Series) -> None:
    """Divide the files of a kind into those of ranges, which begin with these ids; `read_range` reads them."""
    for number, path in enumerate(parts(folder, kind)):
        frame = pl.read_parquet(path).sort("id", maintain_order=True)
        starts = frame.get_column("id").search_sorted(first_ids, side="left").to_list()
        for position, (start, end) in enumerate(zip(starts, [*starts[1:], len(frame)], strict=True)):
            if start < end:
                frame[start:end].write_parquet(folder / _name(kind, position, number))
        path.unlink()


def read_range(folder: Path, kind: str, position: int, ids: pl.DataFrame) -> pl.DataFrame:
    """The rows of some ids in a range, sorted by id, those of one in the order that they were written in."""
    pieces = [pl.read_parquet(path) for path in sorted(folder.glob(_name(kind, position, None)))]
    rows = pl.concat(pieces).join(ids, on="id", how="semi", maintain_order="left")
    return rows.sort("id", maintain_order=True)


def _name(kind: str, position: int, number: int | None) -> str:
    return f"range-{position:06}-{kind}-{'*' if number is None else f'{number:06}'}.parquet"
