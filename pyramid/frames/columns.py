"""The columns of the rows that jobs take: how each is computed of a column of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from pyramid.frames.images import ImageFiles
from pyramid.frames.scan import COLUMNS_AT_ONCE
from sensenet.tables.dates import dates, part_of
from sensenet.tables.values import LARGEST, numbers, positions, present, texts

Info = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A field of the rows.

    Attributes:
        info: its entry in `info_list`.
        source: the column of the table that it is computed of.
        dtype: of that.
        images: of an image: where the files are.
    """

    info: Info
    source: str
    dtype: pl.DataType
    images: ImageFiles | None = None

    @property
    def values(self) -> pl.Expr:
        """Float64 numbers, or positions among `values`, null where one is missing; of images the names as texts."""
        column = pl.col(self.source)
        if self.info["type"] == "categorical":
            return category_codes(column, self.dtype, self.info["values"])
        if self.info["type"] == "image":
            return present(column, self.dtype)
        if "part" in self.info:
            time = dates(present(column, self.dtype), self.dtype, self.info.get("day_first", False))
            return part_of(time, self.info["part"])
        return finite_numbers(column, self.dtype)


def finite_numbers(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Numbers that a float32 can be, Float64; null for all other values."""
    number = numbers(column, dtype)
    return pl.when(number.abs() <= LARGEST).then(number)


def category_codes(column: pl.Expr, dtype: pl.DataType, values: Sequence[str]) -> pl.Expr:
    """The positions of categories among `values`, Float64; null for all others."""
    look_up = partial(positions, categories=values)
    return texts(column, dtype).map_batches(look_up, return_dtype=pl.Int64).cast(pl.Float64)


def encode(columns: Sequence[Column], frame: pl.DataFrame, dtype: np.dtype) -> np.ndarray:
    """Rows of a `.ser`.

    Args:
        frame: rows of the table, see `sensenet.tables.values.plain_types`.
        dtype: see `pyramid.tables.ser.row_dtype`.

    Returns:
        (rows,) structured.

    Raises:
        DataError: an image whose name is too long, and no folder for short ones.
        OSError: an image cannot be put into that folder.
    """
    rows = np.zeros(len(frame), dtype)
    for first in range(0, len(columns), COLUMNS_AT_ONCE):
        some = columns[first : first + COLUMNS_AT_ONCE]
        found = frame.select([column.values.alias(str(i)) for i, column in enumerate(some)])
        for i, column in enumerate(some):
            series = found[str(i)]
            numbered = series.to_numpy() if column.images is None else column.images.names(series)
            rows[f"f{first + i}"] = numbered
    return rows
