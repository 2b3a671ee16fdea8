"""The objective of a table, and the weight of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from pyramid.errors import DataError
from pyramid.frames.columns import Column, finite_numbers
from pyramid.frames.facts import ColumnFacts
from pyramid.frames.inputs import numeric_column
from pyramid.frames.kinds import MAX_CLASSES, MIN_ID_ROWS, REGRESSION_VALUES, Kind, look_like_numbers
from pyramid.frames.scan import Scan, numbered_batches, without
from pyramid.frames.summary import ColumnSummary, summarize
from sensenet.document.wording import counted
from sensenet.tables.source import Source
from sensenet.tables.values import is_usable

MOST_NAMED = 5


def task_of(facts: ColumnFacts, chosen: str | None) -> str:
    """What is learnt of an objective: classification or regression.

    Raises:
        DataError: there is nothing to learn, or no regression, as was chosen, of such values.
    """
    name = f'the objective "{facts.name}"'
    if not is_usable(facts.dtype) or facts.dtype.is_temporal():
        raise DataError(f"{name} has values of the type {facts.dtype}, expected numbers or classes")
    if not facts.n_present:
        raise DataError(f"{name} has no value in any row")
    if len(facts.values) == 1:
        raise DataError(
            f"{name} has one value only, {facts.values.frame['value'][0]!r:.60}: there is nothing to learn"
        )
    many = not facts.values.is_complete or len(facts.values) > REGRESSION_VALUES
    if chosen is None and many and look_like_numbers(facts) and facts.first_text is not None:
        row, text = facts.first_text
        raise DataError(
            f"{name} is {text!r:.60} in row {row + 1}, but most of its values are numbers: convert or remove what is "
            "not written as one, or choose the task (classification, if they are classes)"
        )
    task = chosen or ("regression" if facts.is_numeric and many else "classification")
    if task == "regression" and facts.n_numbers < facts.n_present:
        row, text = facts.first_text or (0, "")
        raise DataError(f"{name} is {text!r:.60} in row {row + 1}: a regression needs numbers")
    if task == "classification" and (not facts.values.is_complete or len(facts.values) > MAX_CLASSES):
        raise DataError(
            f"{name} has {len(facts.values)} different values or more, at most {MAX_CLASSES} classes can be learnt"
        )
    return task


def objective_column(
    facts: ColumnFacts, task: str, index: int, seen: Scan, n_rows: int
) -> tuple[Column, ColumnSummary, list[str]]:
    """The field of the objective, its summary, and warnings."""
    if task == "regression":
        column, values = numeric_column(facts, index, seen.sample)
        return column, summarize(facts, Kind("numeric"), "objective", n_rows, values), []
    classes = facts.values.frame["value"].sort().to_list()
    info = {"index": index, "name": facts.name, "type": "categorical", "values": classes}
    warnings = []
    lone = facts.values.frame.filter(facts.values.frame["count"] == 1)["value"].sort().to_list()
    if lone:
        names = ", ".join(f'"{name:.40}"' for name in lone[:MOST_NAMED])
        more = f" and {len(lone) - MOST_NAMED} more" if len(lone) > MOST_NAMED else ""
        warnings.append(f"a single row is of the class {names}{more}: it is learnt, but never checked")
    if len(lone) > len(classes) / 2:
        warnings.append(
            f'most classes of the objective "{facts.name}" ({len(lone)} of {len(classes)}) have a single row: is it '
            "rather an id, or a number that is written as text?"
        )
    if facts.is_numeric and len(facts.values) > facts.n_present / 2 and facts.n_present >= MIN_ID_ROWS:
        warnings.append(f'the numbers of the objective "{facts.name}" are taken for classes')
    summary = summarize(facts, Kind("categorical"), "objective", n_rows, None)
    return Column(info, facts.name, facts.dtype), summary, warnings


def weight_column(
    facts: ColumnFacts, index: int, seen: Scan, n_rows: int, source: Source, excluded: np.ndarray
) -> tuple[Column, ColumnSummary]:
    """The field of the weight, and its summary.

    Args:
        source: the table.
        excluded: numbers of rows that need no weight, sorted.

    Raises:
        DataError: a row without a number, or with one that is negative or too large; names the first.
    """
    if facts.numbers.count < n_rows or facts.numbers.low < 0:
        row, value = _first_without_weight(source, facts.name, excluded)
        missing = n_rows - facts.numbers.count
        found = (
            f"{counted(missing, 'row')} {'has' if missing == 1 else 'have'} none"
            if missing
            else f"the numbers go from {facts.numbers.low:g} to {facts.numbers.high:g}"
        )
        raise DataError(
            f'the weight "{facts.name}" has to be a finite number that is not negative in every row; {found}, the '
            f"first wrong one is {value!r:.60} in row {row + 1}"
        )
    column, values = numeric_column(facts, index, seen.sample)
    return column, summarize(facts, Kind("numeric"), "weight", n_rows, values)


def _first_without_weight(source: Source, name: str, excluded: np.ndarray) -> tuple[int, Any]:
    for rows, frame in numbered_batches(source):
        rows, frame = without(rows, frame, excluded)
        right = finite_numbers(pl.col(name), frame.schema[name]) >= 0
        wrong = frame.select(right.fill_null(False).not_()).to_series().arg_true()
        if len(wrong):
            return int(rows[wrong[0]]), frame[name][int(wrong[0])]
    raise DataError(f"{source.name}: it has changed while it was read")
