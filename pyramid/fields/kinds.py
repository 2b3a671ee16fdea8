"""The kinds of fields: what is known of the values of a column, and how documents say it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from typing_extensions import override

from pyramid.errors import DataError
from sensenet.document.fields import DatePart

COMPARED_VALUES = 8
LARGEST = float(np.finfo(np.float32).max)

RawField = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Field(ABC):
    """A column of a job's rows.

    Attributes:
        kind: what `info_list` and documents call its type.
        index: its position in the rows that the model predicts; None if there is none.
        name: its name in rows that have names; None if it has none.
    """

    kind: ClassVar[str]
    index: int | None = None
    name: str | None = None

    @classmethod
    @abstractmethod
    def parse(cls, raw: RawField) -> Self:
        """The field of an entry of `info_list` that the schema of jobs allows."""

    @abstractmethod
    def statistics(self) -> dict[str, Any]:
        """What is known of its values, as documents say it."""

    def dump(self) -> dict[str, Any]:
        """The field's entry in `preprocess`."""
        index = {} if self.index is None else {"index": self.index}
        return {"type": self.kind, **index, **self._named(), **self.statistics()}

    def _named(self) -> dict[str, Any]:
        return {} if self.name is None else {"name": self.name}


@dataclass(frozen=True, kw_only=True)
class NumericField(Field):
    """A number; networks see (value - mean) / scale.

    Attributes:
        date: what it is a part of; None of an ordinary number.
    """

    kind: ClassVar[str] = "numeric"
    mean: float
    stdev: float
    date: DatePart | None = None

    @classmethod
    @override
    def parse(cls, raw: RawField) -> Self:
        return cls(
            index=raw.get("index"),
            name=raw.get("name"),
            mean=raw["mean"],
            stdev=raw["stdev"],
            date=DatePart(raw["column"], raw["part"], raw.get("day_first", False)) if "part" in raw else None,
        )

    @property
    def scale(self) -> float:
        """The standard deviation; 1 where all numbers are equal."""
        return float(self.stdev) or 1.0

    @override
    def statistics(self) -> dict[str, Any]:
        return {"mean": self.mean, "stdev": self.stdev, **({} if self.date is None else self.date.dump())}


@dataclass(frozen=True, kw_only=True)
class ClassesField(Field):
    """What is of some of several classes.

    Attributes:
        values: their names.
    """

    values: tuple[str, ...]

    @classmethod
    @override
    def parse(cls, raw: RawField) -> Self:
        return cls(index=raw.get("index"), name=raw.get("name"), values=tuple(raw["values"]))

    @override
    def statistics(self) -> dict[str, Any]:
        return {"values": list(self.values)}


@dataclass(frozen=True, kw_only=True)
class CategoricalField(ClassesField):
    """One of `values`; rows hold its position, networks see one column for each."""

    kind: ClassVar[str] = "categorical"

    def encode_into(self, codes: np.ndarray, out: np.ndarray) -> None:
        """Write 1 into the column of each code, 0 elsewhere; a code that is no column leaves a row of zeros.

        Args:
            codes: (rows,) positions in `values`.
            out: (rows, values) float32.
        """
        n_values = len(self.values)
        if n_values <= COMPARED_VALUES:
            for value in range(n_values):
                np.equal(codes, value, out=out[:, value])
            return
        out[...] = 0.0
        valid = (codes >= 0) & (codes < n_values) & (codes == np.floor(codes))
        rows = np.flatnonzero(valid)
        out[rows, codes[rows].astype(np.int64)] = 1.0


@dataclass(frozen=True, kw_only=True)
class ImageField(Field):
    """The name of an image file; networks see the features that an image network gives."""

    kind: ClassVar[str] = "image"

    @classmethod
    @override
    def parse(cls, raw: RawField) -> Self:
        return cls(index=raw.get("index"), name=raw.get("name"))

    @override
    def statistics(self) -> dict[str, Any]:
        return {}


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number that a float32 can be."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


def refuse_rows(bad: np.ndarray, raw: np.ndarray, first_row: int, what: str, expected: str) -> None:
    """Refuse the first row that is `bad`.

    Raises:
        DataError: there is one; names it.
    """
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"row {first_row + row}: the {what} is {raw[row]}, expected {expected}")
