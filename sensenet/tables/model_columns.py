"""The columns of a table as a model's fields: found by name, their values read as the fields need them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sensenet.document.fields import CategoricalField, Field, ImageField
from sensenet.document.wording import counted
from sensenet.errors import InputError
from sensenet.files import is_file
from sensenet.inputs import Points, date_column
from sensenet.preprocess.tabular import Codes, ColumnCodec, encode_columns, standardised
from sensenet.tables.dates import dates, part_of
from sensenet.tables.source import Source
from sensenet.tables.values import MISSING_WORDS, is_usable, numbers, plain_types, positions, present, texts

MOST_LISTED = 8
MOST_REMEMBERED = 1000


@dataclass
class Oddities:
    """What could not be taken as it is, in all rows so far.

    Attributes:
        unknown: field -> unknown categories, or texts where a number belongs, and how many rows have them; of very many
            only the first.
        rows: field -> how many rows.
    """

    unknown: dict[str, Counter[str]] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, values: pl.Series) -> None:
        """Remember values of a field that stand for nothing it knows."""
        if not len(values):
            return
        self.rows[name] += len(values)
        known = self.unknown.setdefault(name, Counter())
        counted = (
            values.rename("value").value_counts(name="count").sort("count", "value", descending=[True, False])
        )
        for value, count in counted.iter_rows():
            if value in known or len(known) < MOST_REMEMBERED:
                known[value] += count

    def lines(self) -> list[str]:
        """What people should know, a line for each field."""
        return [
            f'"{name}": values that the model does not know count as missing in {counted(n_rows, "row")}: '
            f"{self.examples(name)}"
            for name, n_rows in self.rows.items()
        ]

    def examples(self, name: str) -> str:
        """The most frequent of the values that a field does not know."""
        return _listed([f'"{value:.40}"' for value, _ in self.unknown[name].most_common()])


@dataclass(frozen=True)
class ModelColumns:
    """Where each field of a model is in a table.

    Attributes:
        codecs: the model's.
        columns: of each field the column; None: the table has none, so it is missing in every row.
    """

    codecs: tuple[ColumnCodec, ...]
    columns: tuple[str | None, ...]

    @property
    def missing(self) -> list[str]:
        """The names of the columns that the table lacks."""
        pairs = zip(self.codecs, self.columns, strict=True)
        return list(dict.fromkeys(_label(codec.field) for codec, column in pairs if column is None))

    @cached_property
    def has_images(self) -> bool:
        """Whether a field is an image."""
        return any(isinstance(codec.field, ImageField) for codec in self.codecs)

    def encode(self, frame: pl.DataFrame, odd: Oddities, image_root: str = "") -> Points:
        """Rows as the model takes them.

        Args:
            frame: some rows of the table; a column that it lacks is missing in them.
            odd: is told what the fields do not know.
            image_root: the folder that names of images are relative to.
        """
        there = set(frame.columns)
        plain = plain_types(frame.select(there.intersection(self.columns)))
        usable = {name for name, dtype in plain.schema.items() if is_usable(dtype)}
        values = []
        for codec, name in zip(self.codecs, self.columns, strict=True):
            series = pl.Series([None], dtype=pl.String).new_from_index(0, len(frame))
            if name in usable:
                series = plain[name]
            values.append(field_values(codec, series, odd))
        images = [
            (codec, _images_there(codec, column, image_root, odd))
            for codec, column in zip(self.codecs, values, strict=True)
            if isinstance(codec.field, ImageField)
        ]
        return Points(encode_columns(self.codecs, values, len(frame)), tuple(images))


def match_columns(codecs: Sequence[ColumnCodec], source: Source, by_position: bool = False) -> ModelColumns:
    """Find a model's fields in a table: by name, or by position where the fields, or the columns, have none.

    Args:
        by_position: whether fields of which no column has the name are found by their position.

    Raises:
        InputError: not one field is found, or the table has not as many columns as positions need.
    """
    columns = [_column_of(codec.field, source.columns) for codec in codecs]
    nameless = not any(map(_names, (codec.field for codec in codecs)))
    if codecs and not any(columns):
        if not by_position and not nameless:
            fields = _listed(list(dict.fromkeys(f'"{_label(codec.field)}"' for codec in codecs)))
            raise InputError(
                f"{source.name}: no column has the name of a field of the model; these are {fields}, the columns are "
                + _listed([f'"{name:.40}"' for name in source.columns])
            )
        _check_width(codecs, source)
        columns = [source.columns[codec.field.index] for codec in codecs]
    return ModelColumns(tuple(codecs), tuple(columns))


def _check_width(codecs: Sequence[ColumnCodec], source: Source) -> None:
    """Positions say something only of a table of the model's fields, perhaps with its objective behind them."""
    width = 1 + max(codec.field.index for codec in codecs)
    if len(source.columns) not in (width, width + 1):
        raise InputError(
            f"{source.name}: no column has the name of a field of the model, and by their positions there have to be "
            f"{width} columns, or {width + 1} with the objective; there are {len(source.columns)}"
        )


def field_values(codec: ColumnCodec, values: pl.Series, odd: Oddities) -> Any:
    """A column as `encode_columns` takes it: numbers, `Codes`, or the names of images.

    Args:
        values: of a type that `plain_types` leaves.
        odd: is told what the field does not know.
    """
    if isinstance(codec.field, ImageField):
        return values.to_frame("v").select(present(pl.col("v"), values.dtype)).to_series().to_list()
    if isinstance(codec.field, CategoricalField):
        return Codes(_positions(codec.field, values, odd))
    return _numbers(codec, values, odd)


def _names(field: Field) -> list[str]:
    """What the column of a field may be called: a column of dates stands before one that is called as their part."""
    return [name for name in (date_column(field), field.name) if name is not None]


def _column_of(field: Field, columns: Sequence[str]) -> str | None:
    return next((name for name in _names(field) if name in columns), None)


def _label(field: Field) -> str:
    return date_column(field) or field.name or f"position {field.index}"


def _positions(field: CategoricalField, values: pl.Series, odd: Oddities) -> np.ndarray:
    """(rows,) int64: the positions of categories, -1 for none."""
    column = pl.col("v")
    text = column.str.strip_chars() if values.dtype == pl.String else texts(column, values.dtype)
    found = values.to_frame("v").select(text).to_series()
    codes = positions(found, field.values)
    odd.add(_label(field), found.filter(codes.is_null() & found.is_not_null() & ~found.is_in(MISSING_WORDS)))
    return codes.fill_null(-1).to_numpy()


def _numbers(codec: ColumnCodec, values: pl.Series, odd: Oddities) -> np.ndarray:
    """(rows,) float64: the numbers of a field, NaN for missing ones."""
    column = pl.col("v")
    known = present(column, values.dtype)
    number = numbers(column, values.dtype)
    if codec.date is not None:
        part = part_of(dates(known, values.dtype, codec.date.day_first), codec.date.part)
        # in a column of dates a number is none, whatever it stands for elsewhere
        number = part if values.name == codec.date.column else pl.coalesce(part, number)
    frame = values.to_frame("v").select(number.alias("number"), known=known)
    found = frame["number"].fill_null(np.nan).to_numpy()
    wrong = np.isnan(found) & frame["known"].is_not_null().to_numpy()
    with np.errstate(over="ignore"):
        wrong |= np.isinf(standardised(found, codec.offset, codec.scale))
    if wrong.any():
        odd.add(_label(codec.field), frame["known"].filter(pl.Series(wrong)).cast(pl.String))
        found = np.where(wrong, np.nan, found)
    return found


def _images_there(
    codec: ColumnCodec, names: Sequence[str | None], root: str, odd: Oddities
) -> list[str | None]:
    """The names of images, None where there is no such file."""
    there = {name: is_file(Path(root, name)) for name in set(names) if name is not None}
    odd.add(
        _label(codec.field), pl.Series([n for n in names if n is not None and not there[n]], dtype=pl.String)
    )
    return [name if name is not None and there[name] else None for name in names]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
