"""What a model takes and gives: its input fields in order, and its output. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sensenet.document.parsing import expected, integer, mapping, number, required, sequence, text_list
from sensenet.errors import ModelFormatError

MAX_INDEX = 2**31 - 1
DATE_PARTS = ("year", "month", "day", "weekday", "hour", "timestamp")
"""What `sensenet.tables.dates` computes of a date."""


@dataclass(frozen=True, kw_only=True)
class _Field:
    """Where a field's value is in a row.

    Attributes:
        index: its position in a row.
        name: its key in rows that are dicts or frames; None if the document tells none.
    """

    index: int
    name: str | None = None

    def __str__(self) -> str:
        return f"field {self.index}" if self.name is None else f'field "{self.name}" (index {self.index})'


@dataclass(frozen=True)
class DatePart:
    """What a number was computed of.

    Attributes:
        column: the name of the column that holds dates.
        part: one of `DATE_PARTS`.
        day_first: whether 1/3/2024 is a day in March.
    """

    column: str
    part: str
    day_first: bool = False

    def dump(self) -> dict[str, Any]:
        """Its keys in the entry of a field."""
        day_first = {"day_first": True} if self.day_first else {}
        return {"column": self.column, "part": self.part, **day_first}


@dataclass(frozen=True, kw_only=True)
class NumericField(_Field):
    """A number, standardised to (value - mean) / stdev; missing ones are the mean.

    Attributes:
        date: what it is a part of; None of an ordinary number.
    """

    mean: float
    stdev: float
    date: DatePart | None = None

    def dump(self) -> dict[str, Any]:
        """The field's entry in `preprocess`."""
        date = {} if self.date is None else self.date.dump()
        return {"type": "numeric", **_place(self), "mean": self.mean, "stdev": self.stdev, **date}


@dataclass(frozen=True, kw_only=True)
class BinaryField(_Field):
    """A number of an old model: (value - zero) / (one - zero); missing ones are the zero value."""

    zero_value: float
    one_value: float

    def dump(self) -> dict[str, Any]:
        """The field's entry in `preprocess`."""
        return {
            "type": "numeric",
            **_place(self),
            "zero_value": self.zero_value,
            "one_value": self.one_value,
        }


@dataclass(frozen=True, kw_only=True)
class CategoricalField(_Field):
    """One of `values`, compared as text: one column each; missing and unknown ones are all zeros."""

    values: tuple[str, ...]

    def dump(self) -> dict[str, Any]:
        """The field's entry in `preprocess`."""
        return {"type": "categorical", **_place(self), "values": list(self.values)}


@dataclass(frozen=True, kw_only=True)
class ImageField(_Field):
    """An image, which the document's image network turns into features; missing ones are black."""

    def dump(self) -> dict[str, Any]:
        """The field's entry in `preprocess`."""
        return {"type": "image", **_place(self)}


Field = NumericField | BinaryField | CategoricalField | ImageField


@dataclass(frozen=True)
class FieldInfo:
    """What callers need to know of an input field.

    Attributes:
        name: its key in rows that are dicts, and in frames; None if the document tells none.
        type: numeric, categorical or image.
        index: its position in rows that are lists.
        values: the categories; None for other types.
    """

    name: str | None
    type: str
    index: int
    values: tuple[str, ...] | None


def field_infos(fields: Iterable[Field]) -> tuple[FieldInfo, ...]:
    """What callers need to know of each of `fields`."""
    return tuple(
        FieldInfo(
            name=field.name,
            type=str(field.dump()["type"]),
            index=field.index,
            values=field.values if isinstance(field, CategoricalField) else None,
        )
        for field in fields
    )


@dataclass(frozen=True)
class NumericOutput:
    """A number: the network's output * stdev + mean.

    Attributes:
        name: of the objective; None if the document tells none.
    """

    mean: float
    stdev: float
    name: str | None = None

    @property
    def size(self) -> int:
        """Columns of a prediction."""
        return 1

    def dump(self) -> dict[str, Any]:
        """The model's `output_exposition`."""
        return {"type": "numeric", **_named(self.name), "mean": self.mean, "stdev": self.stdev}


@dataclass(frozen=True)
class CategoricalOutput:
    """One probability for each of `values`.

    Attributes:
        name: of the objective; None if the document tells none.
    """

    values: tuple[str, ...]
    name: str | None = None

    @property
    def size(self) -> int:
        """Columns of a prediction."""
        return len(self.values)

    def dump(self) -> dict[str, Any]:
        """The model's `output_exposition`."""
        return {"type": "categorical", **_named(self.name), "values": list(self.values)}


@dataclass(frozen=True)
class BoxOutput:
    """Boxes, each around one of `values`.

    Attributes:
        name: of the objective; None if the document tells none.
    """

    values: tuple[str, ...]
    name: str | None = None

    def dump(self) -> dict[str, Any]:
        """The model's `output_exposition`."""
        return {"type": "bounding_box", **_named(self.name), "values": list(self.values)}


Output = NumericOutput | CategoricalOutput | BoxOutput


def parse_fields(raw_list: Any, path: str = "preprocess") -> tuple[Field, ...]:
    """The input fields of a document.

    Raises:
        ModelFormatError: names the place, the expectation and the value.
    """
    fields = sequence(raw_list, path)
    return tuple(_parse_field(mapping(raw, f"{path}[{i}]"), f"{path}[{i}]") for i, raw in enumerate(fields))


def parse_output(raw_output: Any, path: str = "output_exposition") -> Output:
    """The output of a document.

    Raises:
        ModelFormatError: names the place, the expectation and the value.
    """
    raw = mapping(raw_output, path)
    kind, name = required(raw, "type", path), _name(raw, path)
    if kind == "numeric":
        return NumericOutput(_number(raw, "mean", path), _deviation(raw, path), name)
    if kind not in ("categorical", "bounding_box"):
        expected(f"{path}.type", '"numeric", "categorical" or "bounding_box"', kind)
    values = text_list(required(raw, "values", path), f"{path}.values")
    return CategoricalOutput(values, name) if kind == "categorical" else BoxOutput(values, name)


def n_columns(field: Field, image_features: int = 0) -> int:
    """How many columns of the preprocessed matrix a field takes.

    Args:
        field: the field.
        image_features: how many numbers the document's image network gives; 0 where there is none.

    Raises:
        ModelFormatError: an image, and no image network.
    """
    if isinstance(field, ImageField):
        if not image_features:
            raise ModelFormatError(f'{field}: an image field needs an "image_network" that gives features')
        return image_features
    return len(field.values) if isinstance(field, CategoricalField) else 1


def _place(field: _Field) -> dict[str, Any]:
    return {"index": field.index, **_named(field.name)}


def _named(name: str | None) -> dict[str, str]:
    return {} if name is None else {"name": name}


def _name(raw: Mapping[str, Any], path: str) -> str | None:
    name = raw.get("name")
    if name is not None and not isinstance(name, str):
        expected(f"{path}.name", "a text", name)
    return name


def _parse_field(raw: Mapping[str, Any], path: str) -> Field:
    kind = required(raw, "type", path)
    index = integer(required(raw, "index", path), f"{path}.index", 0, MAX_INDEX)
    name = _name(raw, path)
    if kind == "categorical":
        values = text_list(required(raw, "values", path), f"{path}.values")
        return CategoricalField(index=index, name=name, values=values)
    if kind == "image":
        return ImageField(index=index, name=name)
    if kind != "numeric":
        expected(f"{path}.type", '"numeric", "categorical" or "image"', kind)
    if "zero_value" not in raw:
        return NumericField(
            index=index,
            name=name,
            mean=_number(raw, "mean", path),
            stdev=_deviation(raw, path),
            date=_date_part(raw, path),
        )
    zero, one = _number(raw, "zero_value", path), _number(raw, "one_value", path)
    if zero == one:
        expected(f"{path}.one_value", "another number than zero_value", one)
    return BinaryField(index=index, name=name, zero_value=zero, one_value=one)


def _date_part(raw: Mapping[str, Any], path: str) -> DatePart | None:
    part, column, day_first = raw.get("part"), raw.get("column"), raw.get("day_first", False)
    if part is None and column is None:
        return None
    if part not in DATE_PARTS:
        expected(f"{path}.part", f"one of {', '.join(DATE_PARTS)}", part)
    if not isinstance(column, str):
        expected(f"{path}.column", "the name of a column", column)
    if not isinstance(day_first, bool):
        expected(f"{path}.day_first", "true or false", day_first)
    return DatePart(column, part, day_first)


def _number(raw: Mapping[str, Any], key: str, path: str) -> float:
    return number(required(raw, key, path), f"{path}.{key}")


def _deviation(raw: Mapping[str, Any], path: str) -> float:
    return number(required(raw, "stdev", path), f"{path}.stdev", low=0)
