"""The inputs that the columns of a table give."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from pyramid.frames.choices import TableChoices
from pyramid.frames.columns import Column, finite_numbers
from pyramid.frames.facts import ColumnFacts
from pyramid.frames.images import ImageFiles, n_missing_files
from pyramid.frames.kinds import MAX_CATEGORIES, Kind, kind_of
from pyramid.frames.scan import Scan
from pyramid.frames.summary import ColumnSummary, summarize
from sensenet.tables.dates import PARTS, dates, part_of
from sensenet.tables.values import present

LEAST_STDEV = {"timestamp": 1000.0}
"""A float32 of today's seconds since 1970 stands for two minutes: closer times would all be alike."""


@dataclass
class Inputs:
    """What becomes of the columns, one after the other.

    Attributes:
        fields: the inputs.
        summaries: one a column, also of those that are left out.
        left_out: column -> why.
        warnings: for people.
    """

    fields: list[Column] = field(default_factory=list)
    summaries: list[ColumnSummary] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def add_input(
    inputs: Inputs, facts: ColumnFacts, seen: Scan, n_rows: int, choices: TableChoices, root: Path
) -> None:
    """Add what a column gives, or why it gives nothing.

    Args:
        n_rows: how many rows the table has.
        root: where image files would be.
    """
    kind = Kind("", reason="it is to be ignored")
    if facts.name not in choices.ignore:
        different = _share_of_different(facts, seen.sample)
        kind = kind_of(facts, different, n_rows, choices.types.get(facts.name), root)
    made, values = _columns_of(inputs, facts, kind, seen, root)
    if kind.name and not made:
        kind = Kind("", reason="all its values are the same")
    inputs.fields += made
    inputs.summaries.append(summarize(facts, kind, "input", n_rows, values))
    if not kind.name:
        inputs.left_out[facts.name] = kind.reason
        if facts.name not in choices.ignore:
            inputs.warnings.append(f'"{facts.name}" is left out: {kind.reason}')
    inputs.warnings += kind.warnings


def numeric_column(facts: ColumnFacts, index: int, sample: pl.DataFrame) -> tuple[Column, np.ndarray]:
    """The field of a column of numbers, and some of these, NaN for missing ones."""
    values = sampled(sample[facts.name], finite_numbers(pl.col(facts.name), facts.dtype))
    info = {"index": index, "name": facts.name, "type": "numeric", **facts.numbers.statistics}
    return Column(info, facts.name, facts.dtype), values


def _share_of_different(facts: ColumnFacts, sample: pl.DataFrame) -> float:
    """How many different values a column has, as a share of all; of very many values, of some of them."""
    if facts.values.is_complete:
        return len(facts.values) / max(facts.n_present, 1)
    values = sample[facts.name].drop_nulls()
    return values.n_unique() / max(len(values), 1)


def sampled(column: pl.Series, values: pl.Expr) -> np.ndarray:
    """(rows,) float64: an expression of a column of the sample, NaN for missing ones."""
    return column.to_frame().select(values.cast(pl.Float64)).to_series().to_numpy()


def _columns_of(
    inputs: Inputs, facts: ColumnFacts, kind: Kind, seen: Scan, root: Path
) -> tuple[list[Column], np.ndarray | None]:
    """The fields of a column, and some of its values where they are numbers."""
    index = len(inputs.fields)
    match kind.name:
        case "numeric":
            if facts.n_beyond:
                inputs.warnings.append(
                    f'"{facts.name}": {facts.n_beyond} values are infinite, or too large for a float32; they count as '
                    "missing"
                )
            column, values = numeric_column(facts, index, seen.sample)
            return [column], values
        case "categorical":
            return [_categorical_column(inputs, facts, index)], None
        case "date":
            return _date_columns(len(inputs.fields), facts, kind, seen)
        case "image":
            return [_image_column(inputs, facts, index, root)], None
    return [], None


def _categorical_column(inputs: Inputs, facts: ColumnFacts, index: int) -> Column:
    facts.respell()
    kept = facts.values.frame.head(MAX_CATEGORIES)
    if len(kept) < len(facts.values) or not facts.values.is_complete:
        rows = facts.n_present - int(kept["count"].sum())
        inputs.warnings.append(
            f'"{facts.name}": the most frequent {MAX_CATEGORIES} of its values are categories, the others (of {rows} '
            "rows) count as missing"
        )
    values = kept["value"].sort().to_list()
    info = {"index": index, "name": facts.name, "type": "categorical", "values": values}
    return Column(info, facts.name, facts.dtype)


def _image_column(inputs: Inputs, facts: ColumnFacts, index: int, root: Path) -> Column:
    n_missing = n_missing_files(facts, root)
    if n_missing:
        inputs.warnings.append(
            f'"{facts.name}": {n_missing} of its image files are not there; they count as missing'
        )
    info = {"index": index, "name": facts.name, "type": "image"}
    return Column(info, facts.name, facts.dtype, ImageFiles(root))


def _date_columns(
    index: int, facts: ColumnFacts, kind: Kind, seen: Scan
) -> tuple[list[Column], np.ndarray | None]:
    """A number for each part of the dates that is not always the same; and some of the times."""
    made: list[Column] = []
    for part in PARTS:
        known = facts.parts[kind.day_first, part]
        if known.stdev <= LEAST_STDEV.get(part, 0.0):
            continue
        info = {"index": index + len(made), "name": _unused(f"{facts.name}.{part}", seen), "type": "numeric"}
        info |= {"column": facts.name, "part": part, **({"day_first": True} if kind.day_first else {})}
        info |= known.statistics
        made.append(Column(info, facts.name, facts.dtype))
    time = dates(present(pl.col(facts.name), facts.dtype), facts.dtype, kind.day_first)
    return made, sampled(seen.sample[facts.name], part_of(time, "timestamp"))


def _unused(name: str, seen: Scan) -> str:
    """A name that no column of the table has."""
    unused, number = name, 2
    while unused in seen.columns:
        unused, number = f"{name}_{number}", number + 1
    return unused
