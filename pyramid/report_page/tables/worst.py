"""The rows that the model errs on most, with what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from pyramid.fields import CategoricalField, Field, ImageField
from pyramid.report_page.bounds import cut
from pyramid.report_page.frame import table
from pyramid.report_page.tables.answers import TableAnswers
from pyramid.report_page.tables.sources import FitSources, TableRows
from pyramid.tables.ser import SerRows

MOST_FIELDS = 8


def worst_html(answers: TableAnswers, sources: FitSources) -> str:
    """A table of the worst rows and their most important fields."""
    rows = sources.rows
    told = [answers.told(row) for row in answers.worst.tolist()]
    if rows is None:
        numbers, values, fields = answers.worst, [], []
    else:
        places = rows.places[answers.worst]
        fields = _important(sources)
        numbers, values = rows.numbers[places], list(_values(rows, places, sources, fields))
    cells = [
        [
            str(number + 1),
            *(escape(text) for text in words),
            *(escape(cut(column[line])) for column in values),
        ]
        for line, (number, words) in enumerate(zip(numbers.tolist(), told, strict=True))
    ]
    names = [cut(_name(sources, place)) for place in fields]
    rest = (
        ""
        if len(fields) == len(sources.fields.inputs)
        else f" The {len(fields)} most important fields are shown."
    )
    return (
        f"<p>Rows of the table are counted from 1, without its heading; the worst comes first.{rest}</p>"
        + table(("row", "truth", "prediction", *names), cells)
    )


def _important(sources: FitSources) -> list[int]:
    """The places of the inputs that matter most."""
    order = np.argsort(-np.asarray(sources.document["importances"], np.float64), kind="stable")
    return order[:MOST_FIELDS].tolist()


def _name(sources: FitSources, place: int) -> str:
    return sources.fields.inputs[place].name or f"field {place}"


def _values(
    rows: TableRows, places: np.ndarray, sources: FitSources, fields: Sequence[int]
) -> Iterator[list[str]]:
    some = SerRows(rows.rows.records[places], rows.rows.image_fields)
    for place in fields:
        yield _column(some, place, sources.fields.inputs[place])


def _column(some: SerRows, place: int, field: Field) -> list[str]:
    if isinstance(field, ImageField):
        return some.image_names(place)
    numbers = some.column(place)
    names = field.values if isinstance(field, CategoricalField) else None
    return [_said(number, names) for number in numbers.tolist()]


def _said(number: float, names: Sequence[str] | None) -> str:
    if names is None:
        return "-" if np.isnan(number) else f"{number:.{15 if number.is_integer() else 6}g}"
    return names[int(number)] if 0 <= number < len(names) else "-"
