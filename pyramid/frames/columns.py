"""The columns of the rows that jobs take: how each is computed of a column of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pyramid.frames.images import ImageFiles
from sensenet.tables.dates import dates, part_of
from sensenet.tables.values import LARGEST, numbers, present, texts

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
    positions = pl.Series(np.arange(len(values), dtype=np.float64))
    return texts(column, dtype).replace_strict(
        pl.Series(values, dtype=pl.String), positions, default=None, return_dtype=pl.Float64
    )


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
    found = frame.select([column.values.alias(str(i)) for i, column in enumerate(columns)])
    rows = np.zeros(len(frame), dtype)
    for i, column in enumerate(columns):
        series = found[str(i)]
        if column.images is not None:
            rows[f"f{i}"] = column.images.names(series)
        else:
            rows[f"f{i}"] = series.fill_null(np.nan).to_numpy()
    return rows
