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
from pyramid.frames.summary import ColumnSummary, statistics, summarize
from sensenet.tables.dates import PARTS


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
    made, values = _columns_of(inputs, facts, kind, seen.sample, root)
    if kind.name and not made:
        kind = Kind("", reason="all its values are the same")
    inputs.fields += made
    inputs.summaries.append(summarize(facts, kind.name, "input", n_rows, values))
    if not kind.name:
        inputs.left_out[facts.name] = kind.reason
        if facts.name not in choices.ignore:
            inputs.warnings.append(f'"{facts.name}" is left out: {kind.reason}')
    if kind.warning:
        inputs.warnings.append(kind.warning)


def numeric_column(facts: ColumnFacts, index: int, sample: pl.DataFrame) -> tuple[Column, np.ndarray]:
    """The field of a column of numbers, and some of these, NaN for missing ones."""
    values = sampled(sample, finite_numbers(pl.col(facts.name), facts.dtype))
    mean, stdev = statistics(values)
    info = {"index": index, "name": facts.name, "type": "numeric", "mean": mean, "stdev": stdev}
    return Column(info, facts.name, facts.dtype), values


def _share_of_different(facts: ColumnFacts, sample: pl.DataFrame) -> float:
    """How many different values a column has, as a share of all; of very many values, of some of them."""
    if facts.values.is_complete:
        return len(facts.values) / max(facts.n_present, 1)
    values = sample[facts.name].drop_nulls()
    return values.n_unique() / max(len(values), 1)


def sampled(sample: pl.DataFrame, values: pl.Expr) -> np.ndarray:
    """(rows,) float64: an expression of the sample, NaN for missing ones."""
    return sample.select(values).to_series().cast(pl.Float64).fill_null(np.nan).to_numpy()


def _columns_of(
    inputs: Inputs, facts: ColumnFacts, kind: Kind, sample: pl.DataFrame, root: Path
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
            column, values = numeric_column(facts, index, sample)
            return [column], values
        case "categorical":
            return [_categorical_column(inputs, facts, index)], None
        case "date":
            return _date_columns(inputs, facts, kind, sample)
        case "image":
            return [_image_column(inputs, facts, index, root)], None
    return [], None


def _categorical_column(inputs: Inputs, facts: ColumnFacts, index: int) -> Column:
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
    inputs: Inputs, facts: ColumnFacts, kind: Kind, sample: pl.DataFrame
) -> tuple[list[Column], np.ndarray]:
    """A number for each part of the dates that is not always the same."""
    made: list[Column] = []
    values = np.empty(0)
    if facts.n_dates[kind.day_first] < facts.n_present:
        inputs.warnings.append(f'"{facts.name}": some values are no dates; they count as missing')
    for part in PARTS:
        info = {"index": len(inputs.fields) + len(made), "name": f"{facts.name}.{part}", "type": "numeric"}
        info |= {"column": facts.name, "part": part, **({"day_first": True} if kind.day_first else {})}
        column = Column(info, facts.name, facts.dtype)
        values = sampled(sample, column.values)
        if np.nanmin(values, initial=np.inf) < np.nanmax(values, initial=-np.inf):
            mean, stdev = statistics(values)
            info |= {"mean": mean, "stdev": stdev}
            made.append(column)
    return made, values
