"""What is known of the columns of a table after all its rows were seen once, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from sensenet.tables.dates import dates
from sensenet.tables.source import Source
from sensenet.tables.values import LARGEST, is_usable, numbers, plain_types, present, texts

SAMPLED_CELLS = 4_000_000
MAX_COUNTED = 4_000_000
"""How many distinct values are counted, those of all columns together."""

MIN_COUNTED = 2_000
PADDED = r"^[+-]?0\d"
"""An integer with zeros before it is a code, as those of places are."""


@dataclass
class ColumnFacts:
    """What was seen in a column.

    Attributes:
        dtype: see `sensenet.tables.values.plain_types`.
        n_present: how many rows have a value.
        n_numbers: how many of these are numbers, `n_whole` of them integers, `n_beyond` too large for a float32;
            `n_padded` begin with a zero.
        low, high: the least and the greatest of the others; NaN where there is none.
        n_characters: of all texts.
        n_dates: how many values are dates, where the day stands first, and where the month does.
        counts: `value` (as `texts` gives them) and `count`, the most frequent first; `is_complete`: all of them.
        first_text: the number of the first row whose value is no number, and the value.
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
    counts: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"value": pl.String, "count": pl.Int64})
    )
    is_complete: bool = True
    first_text: tuple[int, str] | None = None

    @property
    def n_distinct(self) -> int:
        """How many different values were counted: of all there are where `is_complete`."""
        return len(self.counts)

    @property
    def is_numeric(self) -> bool:
        """Whether every value is a number, and written as one."""
        return 0 < self.n_present == self.n_numbers and not self.n_padded


@dataclass(frozen=True)
class Scan:
    """What was seen in a table.

    Attributes:
        columns: of each what was seen in rows that have an objective.
        n_source_rows: how many rows there are.
        missing_rows: numbers of the rows without objective, sorted.
        infinite_rows: numbers of the rows whose objective is a number that no float32 can be, sorted.
        sample: at most `SAMPLED_CELLS` values of rows that have an objective, in their order.
    """

    columns: dict[str, ColumnFacts]
    n_source_rows: int
    missing_rows: np.ndarray
    infinite_rows: np.ndarray
    sample: pl.DataFrame


def numbered_batches(source: Source) -> Iterator[tuple[np.ndarray, pl.DataFrame]]:
    """The rows of a table, some at a time: their numbers from 0 on, and a frame with all columns in few types."""
    start = 0
    for batch in source.batches():
        rows = np.arange(start, start + len(batch))
        start += len(batch)
        absent = [pl.lit(None, pl.String).alias(name) for name in source.columns if name not in batch.columns]
        yield rows, plain_types(batch.with_columns(absent).select(source.columns))


def without(
    rows: np.ndarray, frame: pl.DataFrame, left_out: np.ndarray | None
) -> tuple[np.ndarray, pl.DataFrame]:
    """A batch without the rows of some numbers."""
    if left_out is None or not len(left_out):
        return rows, frame
    kept = ~np.isin(rows, left_out)
    return rows[kept], frame.filter(pl.Series(kept))


def scan(source: Source, objective: str, left_out: np.ndarray | None, seed: int) -> Scan:
    """See all rows of a table.

    Args:
        objective: a column; rows without it count for nothing else.
        left_out: numbers of rows that are passed over.
        seed: of the sample.
    """
    sample = _Sample(max(1, SAMPLED_CELLS // len(source.columns)), seed)
    limit = max(MIN_COUNTED, MAX_COUNTED // len(source.columns))
    facts: dict[str, ColumnFacts] = {}
    missing, infinite, n_rows = [], [], 0
    for rows, frame in numbered_batches(source):
        n_rows += len(rows)
        rows, frame = without(rows, frame, left_out)
        dtype, column = frame.schema[objective], pl.col(objective)
        is_known = frame.select(present(column, dtype).is_not_null()).to_series()
        missing.append(rows[~is_known.to_numpy()])
        rows, frame = rows[is_known.to_numpy()], frame.filter(is_known)
        beyond = frame.select((numbers(column, dtype).abs() > LARGEST).fill_null(False)).to_series()
        infinite.append(rows[beyond.to_numpy()])
        facts = facts or {name: ColumnFacts(name, kind) for name, kind in frame.schema.items()}
        for name, stats in _statistics(frame, facts).items():
            _add(facts[name], stats, rows)
        _count(frame, facts, limit)
        sample.add(rows, frame)
    return Scan(facts, n_rows, _joined(missing), _joined(infinite), sample.frame())


def _statistics(frame: pl.DataFrame, facts: dict[str, ColumnFacts]) -> dict[str, dict[str, Any]]:
    asked: list[pl.Expr] = []
    for position, (name, dtype) in enumerate(frame.schema.items()):
        asked += [
            expression.alias(f"{position}:{what}")
            for what, expression in _asked(pl.col(name), dtype, facts[name]).items()
        ]
    found = frame.select(asked).row(0, named=True)
    answers: dict[str, dict[str, Any]] = {name: {} for name in frame.columns}
    for key, value in found.items():
        place, _, what = key.partition(":")
        answers[frame.columns[int(place)]][what] = value
    return answers


def _asked(column: pl.Expr, dtype: pl.DataType, facts: ColumnFacts) -> dict[str, pl.Expr]:
    if not is_usable(dtype):
        return {"present": column.count()}
    values, number = present(column, dtype), numbers(column, dtype)
    asked = {"present": values.count()}
    if dtype == pl.String or dtype.is_numeric():
        fits = pl.when(number.abs() <= LARGEST).then(number)
        asked |= {
            "numbers": number.count(),
            "beyond": (number.abs() > LARGEST).sum(),
            "whole": (fits == fits.floor()).sum(),
            "low": fits.min(),
            "high": fits.max(),
        }
    if dtype == pl.String:
        asked |= {
            "padded": values.str.contains(PADDED).sum(),
            "characters": values.str.len_chars().sum(),
            "text": (values.is_not_null() & number.is_null()).arg_max(),
            "text_value": values.filter(number.is_null()).drop_nulls().first(),
        }
    if dtype == pl.String or dtype.is_temporal():
        for day_first, before in facts.n_dates.items():
            # a column is one of dates only where all its values are
            if before == facts.n_present:
                asked[f"dates_{day_first}"] = dates(values, dtype, day_first).count()
    return asked


def _add(facts: ColumnFacts, found: dict[str, Any], rows: np.ndarray) -> None:
    for what in ("present", "numbers", "whole", "beyond", "padded"):
        name = f"n_{what}"
        setattr(facts, name, getattr(facts, name) + (found.get(what) or 0))
    facts.n_characters += found.get("characters") or 0
    for day_first in facts.n_dates:
        facts.n_dates[day_first] += found.get(f"dates_{day_first}") or 0
    if found.get("low") is not None:
        facts.low = float(np.fmin(facts.low, found["low"]))
        facts.high = float(np.fmax(facts.high, found["high"]))
    if facts.first_text is None and found.get("text_value") is not None:
        facts.first_text = int(rows[found["text"]]), found["text_value"]


def _count(frame: pl.DataFrame, facts: dict[str, ColumnFacts], limit: int) -> None:
    for name, dtype in frame.schema.items():
        if not is_usable(dtype):
            continue
        counted = (
            frame.select(texts(pl.col(name), dtype).alias("value"))
            .drop_nulls()
            .group_by("value")
            .agg(pl.len().cast(pl.Int64).alias("count"))
        )
        column = facts[name]
        together = pl.concat([column.counts, counted]).group_by("value").agg(pl.col("count").sum())
        if len(together) > limit:
            # the rarest are forgotten, so that memory does not grow with the rows
            together = most_frequent(together).head(limit // 2)
            column.is_complete = False
        column.counts = together


def most_frequent(counts: pl.DataFrame) -> pl.DataFrame:
    """Values and how often each was seen, the most frequent first, and in the order of texts among equals."""
    return counts.sort(["count", "value"], descending=[True, False])


class _Sample:
    """Rows drawn while they pass: each has a random key, and those with the least keys are kept."""

    def __init__(self, size: int, seed: int):
        self._size = size
        self._draws = np.random.default_rng(seed)
        self._keys, self._rows = np.empty(0), np.empty(0, np.int64)
        self._kept: list[pl.DataFrame] = []

    def add(self, rows: np.ndarray, frame: pl.DataFrame) -> None:
        self._keys = np.concatenate([self._keys, self._draws.random(len(rows))])
        self._rows = np.concatenate([self._rows, rows])
        self._kept.append(frame)
        if len(self._rows) > 2 * self._size:
            self._cut()

    def frame(self) -> pl.DataFrame:
        self._cut()
        return self._kept[0] if self._kept else pl.DataFrame()

    def _cut(self) -> None:
        together = pl.concat(self._kept) if self._kept else pl.DataFrame()
        if len(self._rows) > self._size:
            places = np.sort(np.argpartition(self._keys, self._size)[: self._size])
            together = together[places]
            self._keys, self._rows = self._keys[places], self._rows[places]
        self._kept = [together]


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
