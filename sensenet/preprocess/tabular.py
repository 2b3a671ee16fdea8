"""Raw values of a table become columns of numbers: standardised, or one column a category.

Numbers are standardised in float32, (value - mean) / stdev, all three narrowed first: as the training matrix is,
and as other readers of the documents do. A value may stand exactly on the threshold of a tree.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sensenet.document.fields import (
    BinaryField,
    CategoricalField,
    DatePart,
    Field,
    ImageField,
    NumericField,
    n_columns,
)
from sensenet.document.parsing import brief
from sensenet.errors import InputError
from sensenet.tables.dates import date_numbers

CONTAINERS = frozenset({list, tuple, dict})
WHOLE_NUMBER = re.compile("0|-?[1-9][0-9]{0,308}")
"""The texts of the integers that a float can be."""

MANY_ROWS = 1000
MISSING_TYPES = frozenset({"NAType", "NaTType"})
"""Names of the types that frames use for missing values beside None and NaN."""


@dataclass(frozen=True)
class Codes:
    """A column of categories that were looked up already: (rows,) integer positions, -1 for none of them."""

    codes: np.ndarray


@dataclass(frozen=True)
class ColumnCodec:
    """How one field's values become its columns.

    Attributes:
        field: the field.
        start: its first column.
        width: how many columns it has.
        offset, scale: a number becomes (value - offset) / scale.
        missing: what a missing number is before that.
        codes: position of each category, see `_category_codes`.
        one_hot: whether a category becomes one column a value, or one column of its position (-1: none of them).
    """

    field: Field
    start: int
    width: int
    offset: float
    scale: float
    missing: float
    codes: dict[Any, int]
    one_hot: bool = True

    @property
    def date(self) -> DatePart | None:
        """What a number is a part of; None of an ordinary one."""
        return self.field.date if isinstance(self.field, NumericField) else None

    def number(self, value: Any, row: int) -> float:
        """The raw number that `value` stands for: of a part of a date it may also be the date.

        Raises:
            InputError: not a number; gives row and field.
        """
        if is_missing(value):
            return self.missing
        if self.date is not None and not isinstance(value, (int, float, np.number)):
            part = date_numbers([value], self.date.part, self.date.day_first)[0]
            value = value if math.isnan(part) else part
        try:
            parsed = float(value)
        except (TypeError, ValueError, OverflowError):
            parsed = math.inf
        if math.isnan(parsed):
            return self.missing
        if math.isinf(parsed):
            kind = "finite number" if self.date is None else "date"
            raise InputError(f"row {row}, {self.field}: expected a {kind}, got {brief(value)}")
        return parsed

    def code(self, value: Any) -> int:
        """The position of a category among the field's values; -1 for a missing or an unknown one.

        Other values than texts are compared as text: 1 and 1.0 are "1", true is "true".
        """
        kind = type(value)
        if kind is str or kind in CONTAINERS or is_missing(value):
            return self.codes.get(value, -1) if kind is str else -1
        if kind is bool or kind is np.bool_:  # true is the same key as 1
            return self.codes.get(str(value).lower(), self.codes.get(str(value), -1))
        try:
            position = self.codes.get(value)
        except TypeError:  # no key at all
            position = None
        return self.codes.get(str(value), -1) if position is None else position

    def positions(self, values: Any) -> np.ndarray:
        """`code` of every value of a column: (rows,) int64."""
        if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
            if len(values) > MANY_ROWS:
                distinct, places = np.unique(values, return_inverse=True)
                return self.positions(distinct.tolist())[places]
            values = values.tolist()
        return np.fromiter(map(self.code, values), np.int64, len(values))

    def numbers(self, values: Any) -> np.ndarray:
        """The raw numbers of a whole column: (rows,) float64.

        Raises:
            InputError: a value that is not a number; gives row and field.
        """
        if self.date is not None and not _are_numbers(values):
            values = self._date_numbers(values)
        quick = False
        # lists in a column may contain themselves, over which NumPy would take for ever
        if isinstance(values, np.ndarray) or CONTAINERS.isdisjoint(map(type, values)):
            with contextlib.suppress(TypeError, ValueError, OverflowError):
                parsed = np.array(values, np.float64)
                quick = parsed.ndim == 1 and not np.isinf(parsed).any()
        if not quick:
            return np.array([self.number(value, row) for row, value in enumerate(values)], np.float64)
        parsed[np.isnan(parsed)] = self.missing
        return parsed

    def _date_numbers(self, values: Any) -> list[Any]:
        """The values, those that are dates as the part of them that the field is."""
        date = self.date
        if date is None:
            return list(values)
        texts = [None if is_missing(value) else value for value in values]
        parts = date_numbers(texts, date.part, date.day_first)
        return [value if math.isnan(part) else part for value, part in zip(texts, parts, strict=True)]


def _are_numbers(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "biuf"


def is_missing(value: Any) -> bool:
    """Whether `value` is None, NaN, or what frames use for a missing value."""
    if value is None or isinstance(value, (float, np.floating)):
        return value is None or bool(value != value)
    return type(value).__name__ in MISSING_TYPES


def _category_codes(values: Sequence[str]) -> dict[Any, int]:
    """Of each category its position, by its text, and by its number where that is whole: 1.0 is the same key as 1."""
    codes: dict[Any, int] = {value: position for position, value in enumerate(values)}
    return {**codes, **{int(value): codes[value] for value in codes if WHOLE_NUMBER.fullmatch(value)}}


def raw_codecs(fields: Sequence[Field]) -> tuple[ColumnCodec, ...]:
    """One codec a field for functions that standardise themselves: one column a field, a category its position,
    and nothing (0) for an image."""
    return tuple(
        replace(codec, start=position, width=1, offset=0.0, scale=1.0, one_hot=False)
        for position, codec in enumerate(column_codecs(fields, image_features=1))
    )


def column_codecs(fields: Sequence[Field], image_features: int = 0) -> tuple[ColumnCodec, ...]:
    """One codec a field, their columns side by side in the fields' order.

    Args:
        fields: of the model.
        image_features: columns of an image field, which the image network fills.

    Raises:
        ModelFormatError: a field is an image, and there is no image network.
    """
    codecs, start = [], 0
    for field in fields:
        width = n_columns(field, image_features)
        offset, scale, missing, codes = 0.0, 1.0, 0.0, {}
        if isinstance(field, NumericField):
            offset, scale, missing = field.mean, field.stdev or 1.0, field.mean
        elif isinstance(field, BinaryField):
            offset, scale = field.zero_value, field.one_value - field.zero_value
            missing = field.zero_value
        elif not isinstance(field, ImageField):
            codes = _category_codes(field.values)
        codecs.append(ColumnCodec(field, start, width, offset, scale, missing, codes))
        start += width
    return tuple(codecs)


def total_columns(codecs: Sequence[ColumnCodec]) -> int:
    """The width of the matrix."""
    return codecs[-1].start + codecs[-1].width if codecs else 0


def encode_row(codecs: Sequence[ColumnCodec], values: Sequence[Any]) -> np.ndarray:
    """One row's values, in the fields' order, as a (1, columns) float32 matrix; the columns of images are 0.

    Raises:
        InputError: a value that its field cannot take; gives the field.
    """
    encoded = [0.0] * total_columns(codecs)
    for codec, value in zip(codecs, values, strict=True):
        if isinstance(codec.field, ImageField):
            continue
        if isinstance(codec.field, CategoricalField):
            code = codec.code(value)
            if not codec.one_hot:
                encoded[codec.start] = float(code)
            elif code >= 0:
                encoded[codec.start + code] = 1.0
        else:
            encoded[codec.start] = standardised(codec.number(value, 0), codec.offset, codec.scale)
    return _checked(np.array([encoded], np.float32), codecs)


def encode_columns(codecs: Sequence[ColumnCodec], columns: Sequence[Any], n_rows: int) -> np.ndarray:
    """Columns of values, in the fields' order, as an (n_rows, columns) float32 matrix; those of images are 0.

    Raises:
        InputError: a value that its field cannot take; gives row and field.
    """
    encoded = np.zeros((n_rows, total_columns(codecs)), np.float32)
    rows = np.arange(n_rows)
    for codec, values in zip(codecs, columns, strict=True):
        if isinstance(codec.field, ImageField):
            continue
        if isinstance(codec.field, CategoricalField):
            codes = values.codes if isinstance(values, Codes) else codec.positions(values)
            known = codes >= 0
            if codec.one_hot:
                encoded[rows[known], codec.start + codes[known]] = 1.0
            else:
                encoded[:, codec.start] = codes
        else:
            encoded[:, codec.start] = standardised(codec.numbers(values), codec.offset, codec.scale)
    return _checked(encoded, codecs)


def encode_numbers(codecs: Sequence[ColumnCodec], values: np.ndarray) -> np.ndarray:
    """A matrix of numbers, one column a field in the fields' order, none of them categorical.

    Raises:
        InputError: an infinite value; gives row and field.
    """
    offset, scale, missing = (
        np.array([getattr(c, k) for c in codecs]) for k in ("offset", "scale", "missing")
    )
    absent = np.isnan(values) if values.dtype.kind == "f" else None
    if absent is not None and absent.any():
        values = np.where(absent, missing, values)
    return _checked(standardised(values, offset, scale), codecs)


def standardised(values: Any, offset: Any, scale: Any) -> Any:
    """`(values - offset) / scale` in float32, each narrowed first; infinite where float32 cannot hold it."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return (np.float32(values) - np.float32(offset)) / np.float32(scale)


def _checked(encoded: np.ndarray, codecs: Sequence[ColumnCodec]) -> np.ndarray:
    """`encoded` itself.

    Raises:
        InputError: a number that is not finite in float32; gives row and field.
    """
    if not np.isfinite(encoded).all():
        row, column = np.argwhere(~np.isfinite(encoded))[0]
        field = next(c.field for c in codecs if c.start <= column < c.start + c.width)
        raise InputError(f"row {row}, {field}: expected a number that is finite when standardised in float32")
    return encoded
