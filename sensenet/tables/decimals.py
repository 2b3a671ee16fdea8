"""Decimal commas in files of delimited values: which columns have them is decided once, of all their values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

from sensenet.tables.values import MOSTLY, numbers, present

DECIMAL_COMMA = r"^\s*([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)\s*$"
THOUSANDS = r"^\s*[+-]?[1-9]\d{0,2},\d{3}\s*$"
"""What may as well be thousands as a number with three digits behind its comma."""


class DecimalColumns(NamedTuple):
    """What was found.

    Attributes:
        names: of the columns whose commas are decimal points.
        in_doubt: of those where each may as well be between thousands.
    """

    names: tuple[str, ...]
    in_doubt: tuple[str, ...]


def decimal_columns(frames: Iterable[pl.DataFrame]) -> DecimalColumns:
    """The columns with decimal commas.

    They are numbers but for a few words, each comma in them is one that a number can have, and no number has a point.

    Args:
        frames: all rows, as texts.
    """
    parts = [frame.select(_counts(name).alias(name) for name in frame.columns) for frame in frames]
    if not parts:
        return DecimalColumns((), ())
    sums = pl.concat(parts).select(_sum(name) for name in parts[0].columns).row(0)
    found = [
        (name, counts) for name, counts in zip(parts[0].columns, sums, strict=True) if _is_decimal(counts)
    ]
    in_doubt = tuple(name for name, counts in found if counts["doubtful"] == counts["decimal"])
    return DecimalColumns(tuple(name for name, _ in found if name not in in_doubt), in_doubt)


def with_points(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """The frame with points for the decimal commas of some columns."""
    return frame.with_columns(pl.col(list(names)).str.replace(DECIMAL_COMMA, "$1.$2"))


def _counts(name: str) -> pl.Expr:
    value = present(pl.col(name), pl.String())
    number = numbers(value, pl.String()).is_not_null()
    counts = {
        "present": value.count(),
        "number": number.sum(),
        "pointed": (number & value.str.contains(".", literal=True)).sum(),
        "comma": value.str.contains(",", literal=True).sum(),
        "decimal": value.str.contains(DECIMAL_COMMA).sum(),
        "doubtful": value.str.contains(THOUSANDS).sum(),
    }
    return pl.struct([count.cast(pl.Int64).alias(key) for key, count in counts.items()])


def _sum(name: str) -> pl.Expr:
    keys = ("present", "number", "pointed", "comma", "decimal", "doubtful")
    return pl.struct([pl.col(name).struct.field(key).sum() for key in keys]).alias(name)


def _is_decimal(counts: dict[str, int]) -> bool:
    are_numbers = counts["decimal"] + counts["number"] >= MOSTLY * counts["present"]
    return 0 < counts["decimal"] == counts["comma"] and are_numbers and not counts["pointed"]
