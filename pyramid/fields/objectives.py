"""What is predicted: one class for each kind of objective, which answers for all that depends on the kind.

Another kind is one more class here, with its entry in `OBJECTIVES`, and its losses in `settings.semantics.LOSSES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from typing_extensions import override

from pyramid.errors import DataError, SettingsError, Violation
from pyramid.fields.boxes import BoxesObjective
from pyramid.fields.kinds import (
    CategoricalField,
    NumericField,
    RawField,
    is_number,
    refuse_rows,
)
from pyramid.fields.objective import Objective, not_a_class
from pyramid.settings.semantics import LOSSES
from pyramid.tables.splits import numeric_strata
from pyramid.train.metrics import evaluate_classes, evaluate_numbers


class NumericObjective(NumericField, Objective):
    """A number."""

    label_form = "a finite number, as the labels are numbers"
    losses = LOSSES["numeric"]
    headline = ("r_squared", "mean_squared_error")
    has_classes = False
    activation = None

    @property
    def n_outputs(self) -> int:
        """One."""
        return 1

    @property
    @override
    def label_unit(self) -> float:
        return self.scale

    @classmethod
    @override
    def of_labels(cls, labels: Sequence[Any], index: int) -> Self:
        numbers = np.array(labels, np.float64)
        return cls(index=index, mean=float(np.nanmean(numbers)), stdev=float(np.nanstd(numbers)))

    @staticmethod
    @override
    def is_label(value: Any) -> bool:
        return is_number(value)

    @override
    def standardised(self, label: Any) -> Any:
        return (label - self.mean) / self.scale

    @property
    @override
    def row_label_form(self) -> str:
        return self.label_form

    @override
    def is_row_label(self, value: Any) -> bool:
        return self.is_label(value)

    @override
    def read_label(self, label: Any) -> float:
        return float(label)

    @override
    def labels(self, raw: np.ndarray, first_row: int = 0) -> np.ndarray:
        with np.errstate(over="ignore"):
            labels = (raw - self.mean) / self.scale
            bad = ~np.isfinite(labels.astype(np.float32))
        refuse_rows(bad, raw, first_row, "objective", "a finite number")
        return labels

    @override
    def encode_into(self, labels: np.ndarray, out: np.ndarray) -> None:
        out[:, 0] = labels

    @override
    def truth(self, targets: np.ndarray) -> np.ndarray:
        return targets[:, 0]

    @override
    def class_of(self, labels: np.ndarray) -> np.ndarray:
        return np.zeros(len(labels), np.int64)

    @override
    def strata(self, labels: np.ndarray) -> np.ndarray:
        return numeric_strata(labels)

    @override
    def smoothed(self, targets: np.ndarray, factor: float) -> np.ndarray:
        return targets

    @override
    def evaluate(self, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        return evaluate_numbers(truth, outputs[:, 0])

    @override
    def in_units(self, labels: np.ndarray) -> list[Any]:
        return [float(label) * self.scale + self.mean for label in labels]

    @override
    def said(self, prediction: np.ndarray) -> float:
        return float(prediction[0])


class CategoricalObjective(CategoricalField, Objective):
    """One of several classes."""

    label_form = "a string, as the labels are classes"
    losses = LOSSES["categorical"]
    headline = ("likelihood", "accuracy")
    has_classes = True
    activation = "softmax"

    @classmethod
    @override
    def of_labels(cls, labels: Sequence[Any], index: int) -> Self:
        return cls(index=index, values=tuple(sorted(set(labels))))

    @staticmethod
    @override
    def is_label(value: Any) -> bool:
        return isinstance(value, str)

    @override
    def names_in(self, label: Any) -> list[tuple[str, str]]:
        return [("", label)]

    @override
    def standardised(self, label: Any) -> Any:
        return label

    @property
    def n_outputs(self) -> int:
        """One for each class."""
        return len(self.values)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.values

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {value: position for position, value in enumerate(self.values)}

    @property
    @override
    def row_label_form(self) -> str:
        return f"a value of the objective, or its index: an integer from 0 to {len(self.values) - 1}"

    @override
    def is_row_label(self, value: Any) -> bool:
        is_position = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(self.values)
        return isinstance(value, str) or is_position

    @override
    def read_label(self, label: Any) -> int:
        position: int = self._positions.get(label, -1) if isinstance(label, str) else label
        if position < 0:
            raise DataError(f'"label": {not_a_class(label)}')
        return position

    @override
    def labels(self, raw: np.ndarray, first_row: int = 0) -> np.ndarray:
        bad = ~((raw >= 0) & (raw < self.n_outputs) & (raw == np.floor(raw)))
        refuse_rows(bad, raw, first_row, "objective", f"a class index from 0 to {self.n_outputs - 1}")
        return raw.astype(np.int64)

    @override
    def truth(self, targets: np.ndarray) -> np.ndarray:
        return targets.argmax(axis=1)

    @override
    def class_of(self, labels: np.ndarray) -> np.ndarray:
        return labels

    @override
    def strata(self, labels: np.ndarray) -> np.ndarray:
        return labels

    @override
    def smoothed(self, targets: np.ndarray, factor: float) -> np.ndarray:
        return targets * np.float32(1 - factor) + np.float32(factor / targets.shape[1]) if factor else targets

    @override
    def evaluate(self, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        return evaluate_classes(truth, outputs)

    @override
    def in_units(self, labels: np.ndarray) -> list[Any]:
        return [self.values[label] for label in labels]

    @override
    def said(self, prediction: np.ndarray) -> str:
        return self.values[int(prediction.argmax())]


OBJECTIVES: Mapping[str, type[Objective]] = MappingProxyType(
    {kind.kind: kind for kind in (NumericObjective, CategoricalObjective, BoxesObjective)}
)
"""What can be predicted, by the type of the objective."""


def parse_objective(raw: RawField) -> Objective:
    """The objective of an entry of `info_list`.

    Raises:
        SettingsError: one that cannot be trained.
    """
    if raw["type"] not in OBJECTIVES:
        message = f"found {raw['type']}, which this build does not train"
        raise SettingsError([Violation("/objective_type", message)])
    return OBJECTIVES[raw["type"]].parse(raw)
