"""What the values of a column stand for: missing, numbers, categories. Polars expressions, for any type of column."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

MISSING_WORDS = (
    "", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "<NA>", "NaT",
)  # fmt: skip
"""Texts that stand for a missing value, without the spaces around them."""

WHOLE = r"^([+-]?\d+)\.0*$"
LARGEST = 3.4028234663852886e38
"""The largest number that a float32 can be."""

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
PADDED = r"^[+-]?0\d"
"""A number with a zero before it is a code, as those of places are."""

WRITTEN_NUMBER = (
    r"^[+-]?\s*[$€£¥]?\s*[+-]?(?:\d{1,3}(?:[ ,.'’\x{00A0}\x{202F}]\d{3})+|\d+)(?:[.,]\d+)?"
    r"\s*(?:%|[$€£¥]|EUR|USD|GBP|CHF)?$"
)
"""Numbers as people write them: with thousands apart, decimal commas, percent signs and currencies."""

EXACT = 2**53
"""Up to here a float is every integer."""

MOSTLY = 0.95
"""The share of numbers, or dates, in a column whose other values are missing ones."""

TRUTH = ("false", "true")


def plain_types(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with columns of few types: texts, truth values, integers, floats, dates with and without time, and
    what nothing can be done with as it is."""
    return frame.with_columns(
        [_plain(name, dtype) for name, dtype in frame.schema.items() if _plain(name, dtype) is not None]
    )


def is_usable(dtype: pl.DataType) -> bool:
    """Whether values of a type can be those of a field, after `plain_types`."""
    return dtype in (pl.String, pl.Boolean) or dtype.is_numeric() or dtype.is_temporal()


def present(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The values without those that stand for a missing one: of texts without the spaces around them."""
    if dtype == pl.String:
        stripped = column.str.strip_chars()
        return pl.when(stripped.is_in(MISSING_WORDS)).then(None).otherwise(stripped)
    return column.fill_nan(None) if dtype.is_float() else column


def numbers(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The numbers that values stand for, Float64; null for missing ones and for what is no number."""
    if dtype == pl.String:
        return column.str.strip_chars().cast(pl.Float64, strict=False).fill_nan(None)
    if dtype.is_numeric() or dtype == pl.Boolean:
        return present(column, dtype).cast(pl.Float64, strict=False)
    return pl.lit(None, pl.Float64)


def texts(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The values as categories have them: a whole number is the text of its integer, truth is `true` or `false`."""
    values = present(column, dtype)
    if dtype == pl.String:
        return values
    if dtype == pl.Boolean:
        return pl.when(values).then(pl.lit("true")).when(values.not_()).then(pl.lit("false"))
    if dtype.is_float():
        return values.cast(pl.String).str.replace(WHOLE, "$1")
    return values.cast(pl.String)


def canonical(text: str) -> str:
    """The one text of a number or a truth value, which can be written in several ways; any other text as it is.

    1, +1, 1.00 and 1e0 are "1", 1.50 is "1.5", TRUE is "true". A code that begins with a zero is no number.
    """
    if text.lower() in TRUTH:
        return text.lower()
    if not NUMBER.fullmatch(text) or re.match(PADDED, text):
        return text
    digits = re.sub(WHOLE, r"\1", text).removeprefix("+")
    if digits.removeprefix("-").isdecimal():
        return digits
    number = float(text)
    return str(int(number)) if abs(number) < EXACT and number.is_integer() else repr(number)


def positions(found: pl.Series, categories: Sequence[str]) -> pl.Series:
    """The positions of texts among categories, Int64; null for missing texts and those that are none of them.

    A text is the category that is written like it, else one that is the same number or truth value.
    """
    exact = {category: position for position, category in enumerate(categories)}
    alike = {canonical(category): position for category, position in exact.items()}
    distinct = found.unique().drop_nulls()
    places = [exact.get(text, alike.get(canonical(text))) for text in distinct]
    return found.replace_strict(
        distinct, pl.Series(places, dtype=pl.Int64), default=None, return_dtype=pl.Int64
    )


def _plain(name: str, dtype: pl.DataType) -> pl.Expr | None:
    column = pl.col(name)
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return column.cast(pl.String)
    if isinstance(dtype, pl.Decimal):
        return column.cast(pl.Float64)
    if isinstance(dtype, pl.Duration):
        return column.dt.total_microseconds() / 1e6
    if isinstance(dtype, pl.Null):
        return column.cast(pl.String)
    return None
