"""The fields of a job, parsed once: its inputs, the weight of a row, and the objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from pyramid.errors import DataError
from pyramid.fields.kinds import (
    LARGEST,
    CategoricalField,
    Field,
    ImageField,
    NumericField,
    RawField,
    refuse_rows,
)
from pyramid.fields.objective import Objective
from pyramid.fields.objectives import OBJECTIVES, parse_objective

__all__ = [
    "OBJECTIVES",
    "CategoricalField",
    "Field",
    "Fields",
    "ImageField",
    "NumericField",
    "Objective",
    "RawField",
    "has_images",
    "objective_entry",
    "parse_columns",
    "parse_objective",
]

FIELDS: Mapping[str, type[Field]] = MappingProxyType(
    {kind.kind: kind for kind in (NumericField, CategoricalField, ImageField)}
)
"""What can be an input, by its type."""


@dataclass(frozen=True)
class Fields:
    """The columns of a job's rows, in the order of the data: the inputs, the weight, the objective.

    Attributes:
        weight: how much a row counts; None where all count the same.
    """

    inputs: tuple[Field, ...]
    weight: NumericField | None
    objective: Objective

    @classmethod
    def parse(cls, info_list: Sequence[RawField], instance_weights: bool = False) -> Fields:
        """The fields that an `info_list` tells of.

        Args:
            instance_weights: whether the field before the objective is the weight.

        Raises:
            DataError: there is no objective, or no weight, or an input of an unknown type.
            SettingsError: see `parse_objective`.
        """
        n_inputs = len(info_list) - (2 if instance_weights else 1)
        if n_inputs < 0:
            raise DataError(
                f"info_list has {len(info_list)} fields: the objective (or the weight) is missing"
            )
        weight = NumericField.parse(info_list[n_inputs]) if instance_weights else None
        return cls(parse_columns(info_list[:n_inputs]), weight, parse_objective(info_list[-1]))

    @property
    def all(self) -> tuple[Field, ...]:
        """Every field, in the order of the data."""
        return (*self.inputs, *(() if self.weight is None else (self.weight,)), self.objective)

    @property
    def images(self) -> tuple[int, ...]:
        """The positions of the image fields."""
        return tuple(place for place, field in enumerate(self.inputs) if isinstance(field, ImageField))

    def row_weights(self, raw: np.ndarray, first_row: int = 0) -> np.ndarray:
        """(rows,) float64: the weights of rows, as they stand.

        Raises:
            DataError: a weight that is missing, infinite or negative; names the row.
        """
        refuse_rows(~((raw >= 0) & (raw <= LARGEST)), raw, first_row, "weight", "a finite number >= 0")
        return raw

    def optypes(self) -> list[str | None]:
        """The type of each column of the rows that the model predicts; None for columns it does not know."""
        types = {field.index: field.kind for field in self.all if field.index is not None}
        return [types.get(column) for column in range(max(types, default=-1) + 1)]


def objective_entry(info_list: Any) -> RawField | None:
    """The entry of the objective in what should be an `info_list`; None where there is none."""
    entry = info_list[-1] if isinstance(info_list, list) and info_list else None
    return entry if isinstance(entry, dict) else None


def has_images(preprocess: Sequence[RawField]) -> bool:
    """Whether one of the fields of a document is an image."""
    return any(raw["type"] == ImageField.kind for raw in preprocess)


def parse_columns(info_list: Sequence[RawField]) -> tuple[Field, ...]:
    """The columns of rows, whatever each is for.

    Raises:
        DataError: a field of an unknown type.
    """
    return tuple(_parse_column(raw) for raw in info_list)


def _parse_column(raw: RawField) -> Field:
    if raw["type"] not in FIELDS:
        raise DataError(f"a field has the unknown type {raw['type']!r}")
    return FIELDS[raw["type"]].parse(raw)
