"""What is known of the columns of a table after their values were seen, some rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from pyramid.frames.moments import Moments, column_moments
from sensenet.tables.dates import PARTS, dates, look_like_dates, offsets, part_of
from sensenet.tables.values import (
    LARGEST,
    PADDED,
    TRUTH,
    WRITTEN_NUMBER,
    canonical,
    is_usable,
    numbers,
    present,
    texts,
)

COUNTS: Mapping[str, Any] = {"value": pl.String, "count": pl.UInt32}
MOST_TRUTHS = 6
"""true, True and TRUE, and the same of false."""

Seen = tuple[int, str]
"""The number of a row and the text in it."""


class ValueCounts:
    """How often each value of a column was seen, the rarest perhaps forgotten.

    Attributes:
        is_complete: whether none was forgotten.
    """

    def __init__(self, most: int) -> None:
        """Nothing was seen.

        Args:
            most: how many of the most frequent are remembered when twice as many were seen.
        """
        self.is_complete = True
        self._most = most
        self._known: list[pl.DataFrame] = []
        self._new: list[pl.DataFrame] = []

    def __len__(self) -> int:
        """How many different values are remembered."""
        return len(self.frame)

    @property
    def frame(self) -> pl.DataFrame:
        """(values,) `value`, as `texts` gives them, and `count`: the most frequent first, then as texts are ordered."""
        if self._new:
            joined = pl.concat([*self._known, *self._new]).lazy().drop_nulls()
            if len(self._known) + len(self._new) > 1:
                joined = joined.group_by("value").agg(pl.col("count").sum())
            self._known = [joined.sort(["count", "value"], descending=[True, False]).collect()]
            self._new = []
        return self._known[0] if self._known else pl.DataFrame(schema=COUNTS)

    def add(self, seen: pl.Series) -> None:
        """Count values.

        Args:
            seen: texts.
        """
        self._new.append(seen.alias("value").value_counts(name="count"))
        most = 2 * self._most
        if sum(map(len, [*self._known, *self._new])) > most and len(self) > most:
            self._known = [self.frame.head(self._most)]
            self.is_complete = False

    def respell(self) -> None:
        """Count numbers and truth values that are written in several ways as one."""
        spelled = pl.Series("value", map(canonical, self.frame["value"]), dtype=pl.String)
        self._known, self._new = [self.frame.clear()], [self.frame.with_columns(spelled)]


def _undated() -> dict[bool, Seen | None]:
    return {True: None, False: None}


@dataclass
class ColumnFacts:
    """What was seen in a column.

    Attributes:
        dtype: see `sensenet.tables.values.plain_types`.
        values: how often each.
        n_present: how many rows have a value.
        n_numbers: how many of these are numbers, `n_whole` of them integers, `n_beyond` too large for a float32;
            `n_padded` are texts that begin with a zero and another digit, `n_written` numbers only to people.
        numbers: of those that a float32 can be.
        n_characters: of all texts.
        n_dates: how many values are dates where the day stands first, and where the month does.
        parts: of these dates: the numbers that each part gives.
        first_undated: the first value that is no date.
        first_ambiguous: the first value that is another date where the day stands first.
        offsets: those of times, "" where there is none.
        first_text: the first text that is no number.
    """

    name: str
    dtype: pl.DataType
    values: ValueCounts
    n_present: int = 0
    n_numbers: int = 0
    n_whole: int = 0
    n_beyond: int = 0
    n_padded: int = 0
    n_written: int = 0
    numbers: Moments = field(default_factory=Moments)
    n_characters: int = 0
    n_dates: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    parts: dict[tuple[bool, str], Moments] = field(default_factory=dict)
    first_undated: dict[bool, Seen | None] = field(default_factory=_undated)
    first_ambiguous: Seen | None = None
    offsets: set[str] = field(default_factory=set)
    first_text: Seen | None = None

    @property
    def is_numeric(self) -> bool:
        """Whether every value is a number, and written as one."""
        return 0 < self.n_present == self.n_numbers and not self.n_padded

    def respell(self) -> None:
        """All rows were seen: numbers and truth values become one category each, however they are written."""
        is_truth = len(self.values) <= MOST_TRUTHS and all(
            text.lower() in TRUTH for text in self.values.frame["value"]
        )
        if is_truth or self.is_numeric:
            self.values.respell()


def add_rows(facts: Mapping[str, ColumnFacts], rows: np.ndarray, frame: pl.DataFrame) -> None:
    """See some more rows.

    Args:
        facts: by column.
        rows: their numbers.
        frame: (rows, columns), see `plain_types`.
    """
    schema = frame.schema
    for name, n_missing in zip(schema, frame.null_count().row(0), strict=True):
        if not is_usable(schema[name]):
            facts[name].n_present += len(frame) - n_missing
    usable = {name: dtype for name, dtype in schema.items() if is_usable(dtype)}
    clean = frame.select([present(pl.col(name), dtype).alias(name) for name, dtype in usable.items()])
    others = {name: dtype for name, dtype in usable.items() if dtype != pl.String}
    written = clean.with_columns([texts(pl.col(name), dtype).alias(name) for name, dtype in others.items()])
    for name, n_missing in zip(clean.columns, clean.null_count().row(0), strict=True):
        facts[name].n_present += len(clean) - n_missing
        facts[name].values.add(written[name])
    numeric = {name: dtype for name, dtype in usable.items() if dtype == pl.String or dtype.is_numeric()}
    found = clean.select([numbers(pl.col(name), dtype).fill_null(np.nan) for name, dtype in numeric.items()])
    matrix = found.to_numpy().reshape(len(frame), len(numeric))
    _add_numbers([facts[name] for name in numeric], matrix)
    of_texts = [name for name, dtype in usable.items() if dtype == pl.String]
    _add_texts([facts[name] for name in of_texts], clean.select(of_texts))
    for name, number in zip(numeric, matrix.T, strict=True):
        other = np.isnan(number) & clean[name].is_not_null().to_numpy()
        # a column of numbers has no dates, and no text to tell of
        if numeric[name] == pl.String and other.any():
            _add_others(facts[name], rows, clean[name], other)
            _add_dates(facts[name], rows, clean[name])
    for name, dtype in usable.items():
        if dtype == pl.Date or isinstance(dtype, pl.Datetime):
            _add_dates(facts[name], rows, clean[name])


def _add_numbers(facts: list[ColumnFacts], numbers: np.ndarray) -> None:
    """(rows, columns): NaN for what is no number."""
    fits = np.where(np.abs(numbers) <= LARGEST, numbers, np.nan)
    n_numbers = np.count_nonzero(~np.isnan(numbers), axis=0).tolist()
    n_whole = np.count_nonzero(fits == np.floor(fits), axis=0).tolist()
    for column, n, whole, moments in zip(facts, n_numbers, n_whole, column_moments(fits), strict=True):
        column.n_numbers += n
        column.n_whole += whole
        column.n_beyond += n - moments.count
        column.numbers.add(moments)


def _add_texts(facts: list[ColumnFacts], clean: pl.DataFrame) -> None:
    if not facts or not len(clean):
        return
    n_padded = clean.select(pl.all().str.contains(PADDED).sum()).row(0)
    n_characters = clean.select(pl.all().str.len_chars().sum()).row(0)
    for column, padded, characters in zip(facts, n_padded, n_characters, strict=True):
        column.n_padded += padded
        column.n_characters += characters


def _add_others(facts: ColumnFacts, rows: np.ndarray, values: pl.Series, other: np.ndarray) -> None:
    """Texts that are no numbers, where `other` is true."""
    facts.n_written += int(values.filter(pl.Series(other)).str.contains(WRITTEN_NUMBER).sum())
    facts.first_text = facts.first_text or _first(rows, values, other)


def _add_dates(facts: ColumnFacts, rows: np.ndarray, values: pl.Series) -> None:
    """Texts, or values of a type of dates."""
    is_present = values.is_not_null()
    likely = (look_like_dates(values) if values.dtype == pl.String else is_present).fill_null(False)
    some, places = values.filter(likely), likely.to_numpy()
    read = {
        day_first: some.to_frame("v").select(dates(pl.col("v"), values.dtype, day_first)).to_series()
        for day_first in facts.n_dates
    }
    for day_first, times in read.items():
        dated = places.copy()
        dated[places] = times.is_not_null().to_numpy()
        facts.n_dates[day_first] += int(dated.sum())
        undated = _first(rows, values, is_present.to_numpy() & ~dated)
        facts.first_undated[day_first] = facts.first_undated[day_first] or undated
        if len(times):
            parts = times.to_frame("v").select([part_of(pl.col("v"), part).alias(part) for part in PARTS])
            for part, moments in zip(PARTS, column_moments(parts.to_numpy()), strict=True):
                facts.parts.setdefault((day_first, part), Moments()).add(moments)
    if values.dtype == pl.String and len(some):
        facts.offsets |= offsets(some)
        differ = (read[True] != read[False]).fill_null(False).to_numpy()
        facts.first_ambiguous = facts.first_ambiguous or _first(rows[places], some, differ)


def _first(rows: np.ndarray, values: pl.Series, wanted: np.ndarray) -> Seen | None:
    """The first value where `wanted` is true, and its row."""
    place = int(wanted.argmax()) if len(wanted) else 0
    return (int(rows[place]), str(values[place])) if len(wanted) and wanted[place] else None
