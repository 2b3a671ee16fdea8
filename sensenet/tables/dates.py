"""Dates and times as they are written, and the numbers that models take of them.

A time is the one on the clock: where a time zone or an offset is given with it, it is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

_CLOCK = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(?:([AaPp])[Mm])?"
_TIME = rf"(?:[T ]\s*{_CLOCK})?\s*(?:Z|UTC|[+-]\d{{2}}:?\d{{2}})?$"
_YEAR_FIRST = r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _TIME
_YEAR_LAST = r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})" + _TIME
NO_HOUR = 99
PIVOT = 69
"""Years of two digits are 1969 to 2068, as in POSIX."""

PARTS: Mapping[str, Any] = MappingProxyType(
    {
        "year": lambda time: time.dt.year(),
        "month": lambda time: time.dt.month(),
        "day": lambda time: time.dt.day(),
        "weekday": lambda time: time.dt.weekday(),
        "hour": lambda time: time.dt.hour() + time.dt.minute() / 60,
        "timestamp": lambda time: time.dt.timestamp("ms") / 1000,
    }
)
"""What a date gives, as a Polars expression of it: weekdays from 1 (Monday) to 7, hours with their fraction, and
seconds since the beginning of 1970."""


def dates(column: pl.Expr, dtype: pl.DataType, day_first: bool) -> pl.Expr:
    """The dates that values stand for: Datetime without a zone, null for missing ones and for what is no date.

    Args:
        column: texts: ISO 8601 (2024-03-01, 2024-03-01T12:30:15), or with the year last (1/3/2024), with a time of 24
            or 12 hours (2:30 PM) or without; or of a type of dates.
        day_first: where the year stands last: whether the day stands before the month.
    """
    if dtype == pl.String:
        first = _written(column, _YEAR_FIRST, (0, 1, 2))
        return pl.coalesce(first, _written(column, _YEAR_LAST, (2, 1, 0) if day_first else (2, 0, 1)))
    if dtype == pl.Date:
        return column.cast(pl.Datetime("us"))
    if isinstance(dtype, pl.Datetime):
        return column.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    return pl.lit(None, pl.Datetime("us"))


def part_of(time: pl.Expr, part: str) -> pl.Expr:
    """A part of dates as Float64."""
    return PARTS[part](time).cast(pl.Float64)


def date_numbers(values: Sequence[Any] | np.ndarray, part: str, day_first: bool) -> np.ndarray:
    """A part of dates that people pass: (values,) float64, NaN for what is no date.

    Args:
        values: texts, or what has the text of a date (`datetime`, NumPy's and pandas' types); None is missing.
    """
    texts = pl.Series("date", [None if value is None else str(value) for value in values], pl.String)
    time = dates(pl.col("date").str.strip_chars(), pl.String(), day_first)
    return texts.to_frame().select(part_of(time, part)).to_series().fill_null(np.nan).to_numpy()


def _written(column: pl.Expr, pattern: str, order: tuple[int, int, int]) -> pl.Expr:
    found = column.str.extract_groups(pattern)
    year, month, day = (found.struct[place] for place in order)
    short = year.cast(pl.Int32, strict=False)
    century = pl.when(short < PIVOT).then(short + 2000).otherwise(short + 1900)
    full = pl.when(year.str.len_bytes() == 2).then(century).otherwise(short)
    hour, noon = found.struct[3].cast(pl.Int32, strict=False), found.struct[7].str.to_lowercase()
    afternoon = pl.when(noon == "p").then(12).otherwise(0)
    hour = pl.when(noon.is_null()).then(hour).when(hour > 12).then(NO_HOUR).otherwise(hour % 12 + afternoon)
    normal = pl.format(
        "{}-{}-{} {}:{}:{}.{}",
        full.cast(pl.String).str.zfill(4),
        month.str.zfill(2),
        day.str.zfill(2),
        hour.fill_null(0).cast(pl.String).str.zfill(2),
        found.struct[4].fill_null("00"),
        found.struct[5].fill_null("00"),
        found.struct[6].fill_null("0").str.pad_end(9, "0"),
    )
    return normal.str.to_datetime("%Y-%m-%d %H:%M:%S.%9f", time_unit="us", strict=False)
