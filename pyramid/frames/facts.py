"""What is known of the columns of a table after their values were seen, some rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from sensenet.tables.dates import dates
from sensenet.tables.values import LARGEST, is_usable, numbers, present, texts

PADDED = r"^[+-]?0\d"
"""A number with a zero before it is a code, as those of places are."""

COUNTS: Mapping[str, Any] = {"value": pl.String, "count": pl.Int64}


class ValueCounts:
    """How often each value of a column was seen, the rarest perhaps forgotten.

    Attributes:
        is_complete: whether none was forgotten.
    """

    def __init__(self) -> None:
        """Nothing was seen."""
        self.is_complete = True
        self._parts = [pl.DataFrame(schema=COUNTS)]

    def __len__(self) -> int:
        """How many different values are remembered."""
        return len(self.frame)

    @property
    def frame(self) -> pl.DataFrame:
        """(values,) `value`, as `texts` gives them, and `count`: the most frequent first, then as texts are ordered."""
        if len(self._parts) > 1:
            joined = pl.concat(self._parts).group_by("value").agg(pl.col("count").sum())
            self._parts = [joined.sort(["count", "value"], descending=[True, False])]
        return self._parts[0]

    def add(self, seen: pl.Series, most: int) -> None:
        """Count values, of which the most frequent `most` are remembered when twice as many were seen.

        Args:
            seen: texts.
        """
        counted = seen.drop_nulls().rename("value").value_counts(name="count")
        counted = counted.with_columns(pl.col("count").cast(pl.Int64))
        self._parts.append(counted)
        if sum(map(len, self._parts)) <= 2 * most:
            return
        if len(self.frame) > most:
            self._parts = [self.frame.head(most)]
            self.is_complete = False


@dataclass
class ColumnFacts:
    """What was seen in a column.

    Attributes:
        dtype: see `sensenet.tables.values.plain_types`.
        n_present: how many rows have a value.
        n_numbers: how many of these are numbers, `n_whole` of them integers, `n_beyond` too large for a float32;
            `n_padded` are texts that begin with a zero and another digit.
        low, high: the least and the greatest of the numbers that a float32 can be; NaN where there is none.
        n_characters: of all texts.
        n_dates: how many values are dates where the day stands first, and where the month does. Counted as long as all
            values are.
        first_text: the number of the first row whose text is no number, and the text.
    """

    name: str
    dtype: pl.DataType
    n_present: int = 0
    n_numbers: int = 0
    n_whole: int = 0
    n_beyond: int = 0
    n_padded: int = 0
    low: float = np.nan
    high: float = np.nan
    n_characters: int = 0
    n_dates: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    first_text: tuple[int, str] | None = None
    values: ValueCounts = field(default_factory=ValueCounts)

    @property
    def is_numeric(self) -> bool:
        """Whether every value is a number, and written as one."""
        return 0 < self.n_present == self.n_numbers and not self.n_padded


def add_rows(
    facts: Mapping[str, ColumnFacts], rows: np.ndarray, frame: pl.DataFrame, most_values: int
) -> None:
    """See some more rows.

    Args:
        facts: by column.
        rows: their numbers.
        frame: (rows, columns), see `plain_types`.
        most_values: how many values of a column are counted.
    """
    usable = {name: dtype for name, dtype in frame.schema.items() if is_usable(dtype)}
    clean = frame.select([present(pl.col(name), dtype).alias(name) for name, dtype in usable.items()])
    numeric = {name: dtype for name, dtype in usable.items() if dtype == pl.String or dtype.is_numeric()}
    number = clean.select([numbers(pl.col(name), dtype) for name, dtype in numeric.items()])
    asked: list[tuple[ColumnFacts, str, pl.Expr]] = []
    for name in frame.columns:
        source = clean if name in usable else frame
        facts[name].n_present += len(source) - source[name].null_count()
    for name in numeric:
        asked += [(facts[name], what, expression) for what, expression in _of_numbers(pl.col(name)).items()]
    _ask(number, asked)
    asked = []
    for name, dtype in usable.items():
        expressions = _of_texts(pl.col(name)) if dtype == pl.String else {}
        asked += [(facts[name], what, expression) for what, expression in expressions.items()]
    _ask(clean, asked)
    written = clean.select([texts(pl.col(name), dtype).alias(name) for name, dtype in usable.items()])
    for name, dtype in usable.items():
        facts[name].values.add(written[name], most_values)
        # a column of numbers has no dates, and no text to tell of
        if name not in numeric or number[name].null_count() > clean[name].null_count():
            _add_dates(facts[name], clean[name], dtype)
            if dtype == pl.String:
                _find_text(facts[name], rows, clean[name], number[name])


def _of_numbers(number: pl.Expr) -> dict[str, pl.Expr]:
    fits = pl.when(number.abs() <= LARGEST).then(number)
    return {
        "n_numbers": number.count(),
        "n_beyond": (number.abs() > LARGEST).sum(),
        "n_whole": (fits == fits.floor()).sum(),
        "low": fits.min(),
        "high": fits.max(),
    }


def _of_texts(value: pl.Expr) -> dict[str, pl.Expr]:
    return {"n_padded": value.str.contains(PADDED).sum(), "n_characters": value.str.len_chars().sum()}


def _ask(frame: pl.DataFrame, asked: list[tuple[ColumnFacts, str, pl.Expr]]) -> None:
    """Compute figures of columns, all at once, and add them to what is known."""
    if not asked:
        return
    found = frame.select([expression.alias(str(i)) for i, (_, _, expression) in enumerate(asked)]).row(0)
    for (facts, what, _), value in zip(asked, found, strict=True):
        if value is not None:
            known = getattr(facts, what)
            join = {"low": np.fmin, "high": np.fmax}.get(what)
            setattr(facts, what, known + value if join is None else float(join(known, value)))


def _add_dates(facts: ColumnFacts, values: pl.Series, dtype: pl.DataType) -> None:
    n_present = len(values) - values.null_count()
    if not n_present or not (dtype == pl.String or dtype.is_temporal()):
        return
    for day_first, before in facts.n_dates.items():
        if before == facts.n_present - n_present:
            column = pl.col(values.name)
            found = values.to_frame().select(dates(column, dtype, day_first).count()).item()
            facts.n_dates[day_first] += found


def _find_text(facts: ColumnFacts, rows: np.ndarray, values: pl.Series, number: pl.Series) -> None:
    if facts.first_text is None:
        place = (values.is_not_null() & number.is_null()).arg_max()
        if place is not None and values[place] is not None and number[place] is None:
            facts.first_text = int(rows[place]), values[place]
