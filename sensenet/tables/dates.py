"""Dates and times as they are written, and the numbers that models take of them.

A time is the one on the clock: where a time zone or an offset is given with it, it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
_TIME = rf"(?:[T ]\s*{_CLOCK}\s*(?:(?P<noon>[AaPp])[Mm])?)?\s*(?:Z|UTC|[+-]\d{{2}}:?\d{{2}})?$"
_YEAR_FIRST = r"^(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})" + _TIME
_DAY_FIRST = r"^(?P<day>\d{1,2})[-/.](?P<month>\d{1,2})[-/.](?P<year>\d{4}|\d{2})" + _TIME
_MONTH_FIRST = r"^(?P<month>\d{1,2})[-/](?P<day>\d{1,2})[-/](?P<year>\d{4}|\d{2})" + _TIME
_DOTTED = r"^(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4}|\d{2})" + _TIME
_DATE_LIKE = r"^\d{1,4}[-/.]\d{1,2}[-/.]\d"
_OFFSET = r":\d{2}(?:[.,]\d{1,9})?\s*(?:[AaPp][Mm])?\s*(Z|UTC|[+-]\d{2}:?\d{2})?$"
_SIMPLE = re.compile(
    r"(?:(\d{4})|\d{1,2})([-/.])\d{1,2}([-/.])(?:\d{4}|\d{1,2})(?:([T ])\d{1,2}:\d{2}(:\d{2})?)?"
)
"""The parts of the commonest forms, which are read at once."""

LAST_HOUR, NOON = 23, 12
DATETIME = pl.Datetime("us")
FIRST_YEAR = 1000
"""Years before it may be years of two digits, that were read as if they had four."""

PIVOT = 69
"""Years of two digits are 1969 to 2068, as in POSIX."""

PARTS: Mapping[str, Any] = MappingProxyType(
    {
        "year": lambda time: time.dt.year(),
        "month": lambda time: time.dt.month(),
        "day": lambda time: time.dt.day(),
        "weekday": lambda time: time.dt.weekday(),
        "hour": lambda time: time.dt.hour() + time.dt.minute() / 60 + time.dt.second() / 3600,
        "timestamp": lambda time: time.dt.timestamp("ms") / 1000,
    }
)
"""What a date gives, as a Polars expression of it: weekdays from 1 (Monday) to 7, hours with their fraction, and
seconds since the beginning of 1970."""


def dates(column: pl.Expr, dtype: pl.DataType, day_first: bool) -> pl.Expr:
    """The dates that values stand for: Datetime without a zone, null for missing ones and for what is no date.

    Args:
        column: texts without spaces around them: ISO 8601 (2024-03-01, 2024-03-01T12:30:15), or with the year last
            (1/3/2024), with a time of 24 or 12 hours (2:30 PM) or without; or of a type of dates.
        day_first: where the year stands last: whether the day stands before the month; between dots it always does.
    """
    if dtype == pl.String:
        return column.map_batches(partial(written_dates, day_first=day_first), return_dtype=DATETIME)
    if dtype == pl.Date:
        return column.cast(DATETIME)
    if isinstance(dtype, pl.Datetime):
        return column.dt.replace_time_zone(None).cast(DATETIME)
    return pl.lit(None, DATETIME)


def written_dates(texts: pl.Series, day_first: bool) -> pl.Series:
    """The dates in texts, see `dates`."""
    found = _quick_dates(texts, day_first)
    patterns = (_YEAR_FIRST, _DAY_FIRST) if day_first else (_YEAR_FIRST, _MONTH_FIRST, _DOTTED)
    for pattern in patterns:
        left = texts.is_not_null() & found.is_null()
        if left.any():
            found = found.scatter(left.arg_true(), _parsed(texts.filter(left), pattern))
    return found


def look_like_dates(texts: pl.Series) -> pl.Series:
    """Which texts may be dates: what is left out is none."""
    return texts.str.contains(_DATE_LIKE)


def offsets(texts: pl.Series) -> set[str]:
    """The offsets that stand behind times in texts, "" where there is none."""
    times = texts.filter(texts.str.contains(_OFFSET).fill_null(False))
    return set(times.str.extract(_OFFSET).fill_null("").unique().to_list())


def part_of(time: pl.Expr, part: str) -> pl.Expr:
    """A part of dates as Float64."""
    return PARTS[part](time).cast(pl.Float64)


def date_numbers(values: Sequence[Any] | np.ndarray, part: str, day_first: bool) -> np.ndarray:
    """A part of dates that people pass: (values,) float64, NaN for what is no date.

    Args:
        values: texts, or what has the text of a date (`datetime`, NumPy's and pandas' types); None is missing.
    """
    texts = pl.Series([None if value is None else str(value).strip() for value in values], dtype=pl.String)
    times = written_dates(texts, day_first).to_frame("time")
    return times.select(part_of(pl.col("time"), part)).to_series().fill_null(np.nan).to_numpy()


def _quick_dates(texts: pl.Series, day_first: bool) -> pl.Series:
    """The dates of those texts that are written as the first one is, if that is one of the commonest forms."""
    first = texts.drop_nulls().head(1).to_list()
    simple = _SIMPLE.fullmatch(first[0]) if first else None
    if simple is None:
        return pl.Series(texts.name, [None], DATETIME).new_from_index(0, len(texts))
    year_first, one, other, mark, seconds = simple.groups()
    last = ("%d", "%m", "%Y") if day_first or one == other == "." else ("%m", "%d", "%Y")
    order = ("%Y", "%m", "%d") if year_first else last
    clock = "" if mark is None else f"{mark}%H:%M" + ("" if seconds is None else ":%S")
    form = f"{order[0]}{one}{order[1]}{other}{order[2]}{clock}"
    if mark is None:
        found = texts.str.to_date(form, strict=False).cast(DATETIME)
    else:
        found = texts.str.to_datetime(form, time_unit="us", strict=False)
    column = pl.col(texts.name)
    return found.to_frame().select(pl.when(column.dt.year() >= FIRST_YEAR).then(column)).to_series()


def _parsed(texts: pl.Series, pattern: str) -> pl.Series:
    """The dates of those texts that the pattern fits."""
    found = texts.str.extract_groups(pattern).struct.unnest()
    whole = found.select(
        pl.col("year", "month", "day", "hour", "minute", "second").cast(pl.Int64).fill_null(0)
    )
    year, month, day, hour, minute, second = (column.to_numpy() for column in whole)
    year = np.where(found["year"].str.len_bytes() == 2, year + np.where(year < PIVOT, 2000, 1900), year)
    noon = found["noon"].str.to_lowercase().fill_null("").to_numpy()
    is_hour = np.where(noon == "", hour <= LAST_HOUR, (hour >= 1) & (hour <= NOON))
    hour = np.where(noon == "", hour, hour % NOON + np.where(noon == "p", NOON, 0))
    months = ((year - 1970) * 12 + month - 1).astype("M8[M]")
    days = months.astype("M8[D]")
    is_day = (day >= 1) & (day <= ((months + 1).astype("M8[D]") - days).astype(np.int64))
    seconds = (
        ("0." + found["fraction"]).cast(pl.Float64).fill_null(0).to_numpy()
        + second
        + 60 * (minute + 60 * hour)
    )
    times = (days + day - 1).astype("M8[us]") + np.rint(seconds * 1e6).astype(np.int64)
    in_range = (month >= 1) & (month <= 12) & (minute < 60) & (second < 60)
    is_date = found["year"].is_not_null().to_numpy() & is_hour & is_day & in_range
    return pl.Series(np.where(is_date, times, np.datetime64("NaT", "us")))
