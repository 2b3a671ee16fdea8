"""What is predicted: one class for each kind of objective, which answers for all that depends on the kind.

Another kind is one more class here, with its entry in `OBJECTIVES`, and its losses in `settings.semantics.LOSSES`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from pyramid.errors import DataError, SettingsError, Violation
from pyramid.fields.kinds import (
    CategoricalField,
    Field,
    NumericField,
    RawField,
    is_number,
    refuse_rows,
)
from pyramid.settings.semantics import LOSSES
from pyramid.settings.wording import found
from pyramid.tables.splits import numeric_strata
from pyramid.train.metrics import evaluate_classes, evaluate_numbers


class Compared(NamedTuple):
    """Predictions beside the truth.

    Attributes:
        truth, predictions: (rows,) classes, or numbers in the objective's own units.
        errors: (rows,), the larger the worse.
        shares: (rows, classes) that the network gives to each class; None of numbers.
    """

    truth: np.ndarray
    predictions: np.ndarray
    errors: np.ndarray
    shares: np.ndarray | None = None


class Objective(Field):
    """What is predicted.

    A *label* is what a network learns of a row: the position of its class, or its standardised number. *Targets* are
    labels as the columns of a matrix, *outputs* a network's answers in the same columns.

    Attributes:
        label_form: what labels of people are, for messages.
        losses: the names of those that it can be trained with; the first is taken where nobody chooses.
        headline: the metrics that are shown first.
        has_classes: whether a label is one of several classes.
        activation: the last one of a network that answers it; None is the identity.
    """

    label_form: ClassVar[str]
    losses: ClassVar[tuple[str, ...]]
    headline: ClassVar[tuple[str, str]]
    has_classes: ClassVar[bool]
    activation: ClassVar[str | None]

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """How many numbers a network answers with."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; none of a number."""
        return ()

    @classmethod
    @abstractmethod
    def of_labels(cls, labels: Sequence[Any], index: int) -> Self:
        """The objective that some labels of people make: each `is_label`."""

    @staticmethod
    @abstractmethod
    def is_label(value: Any) -> bool:
        """Whether a JSON value can be a label of people: the name of a class, or a number in its own units."""

    @abstractmethod
    def standardised(self, label: Any) -> Any:
        """A label of people as rows of jobs have it, see `read_label`."""

    @property
    @abstractmethod
    def row_label_form(self) -> str:
        """What labels in rows of jobs are, for messages."""

    @abstractmethod
    def is_row_label(self, value: Any) -> bool:
        """Whether a JSON value has the form of a label in rows of jobs, where numbers are standardised already."""

    @abstractmethod
    def read_label(self, label: Any) -> int | float:
        """The label of a row of a job, which `is_row_label`.

        Raises:
            DataError: the name of a class that there is not.
        """

    @abstractmethod
    def labels(self, raw: np.ndarray, first_row: int = 0) -> np.ndarray:
        """(rows,): the labels of (rows,) raw float64 numbers of a `.ser`: int64 classes, or float64 numbers.

        Args:
            first_row: the number of the first of them in the file, for messages.

        Raises:
            DataError: one that is missing or cannot be; names the row.
        """

    @abstractmethod
    def encode_into(self, labels: np.ndarray, out: np.ndarray) -> None:
        """Write labels into (rows, outputs) float32 targets."""

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """(rows, outputs) float32: labels as a network learns them."""
        targets = np.zeros((len(labels), self.n_outputs), np.float32)
        self.encode_into(labels, targets)
        return targets

    @abstractmethod
    def truth(self, targets: np.ndarray) -> np.ndarray:
        """(rows,): the labels behind (rows, outputs) targets, int64 or float32."""

    @abstractmethod
    def class_of(self, labels: np.ndarray) -> np.ndarray:
        """(rows,) int64: the classes of labels; zeros where there are none."""

    @abstractmethod
    def strata(self, labels: np.ndarray) -> np.ndarray:
        """(rows,) int64: what samples of rows are stratified by: the class, or the number's quantile bin."""

    @abstractmethod
    def smoothed(self, targets: np.ndarray, factor: float) -> np.ndarray:
        """Targets with `factor` of their mass spread over all classes (arXiv 1512.00567, section 7); numbers stay."""

    @abstractmethod
    def evaluate(self, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """The metrics of (rows, outputs) for the labels `truth`; larger is better.

        Raises:
            DataError: there are no rows.
        """

    @abstractmethod
    def in_units(self, labels: np.ndarray) -> list[Any]:
        """Labels as people know them: names of classes, or numbers in the objective's own units."""

    @abstractmethod
    def said(self, prediction: np.ndarray) -> Any:
        """One prediction of a finished model, (outputs,) in the objective's own units, as people know it."""

    @abstractmethod
    def compare(self, truth: np.ndarray, outputs: np.ndarray) -> Compared:
        """What a network says in (rows, outputs), beside the labels that are true."""

    def difference_from(self, output: RawField) -> str | None:
        """Why a model with this `output_exposition` answers another question; None where it answers this one."""
        return None if output["type"] == self.kind else f"its objective is {output['type']}"

    def dump_output(self) -> dict[str, Any]:
        """The model's `output_exposition`."""
        return {"type": self.kind, **self._named(), **self.statistics()}


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

    @classmethod
    def of_labels(cls, labels: Sequence[Any], index: int) -> Self:
        """See `Objective.of_labels`."""
        numbers = np.array(labels, np.float64)
        return cls(index=index, mean=float(np.nanmean(numbers)), stdev=float(np.nanstd(numbers)))

    @staticmethod
    def is_label(value: Any) -> bool:
        """See `Objective.is_label`."""
        return is_number(value)

    def standardised(self, label: Any) -> Any:
        """See `Objective.standardised`."""
        return (label - self.mean) / self.scale

    @property
    def row_label_form(self) -> str:
        """See `Objective.row_label_form`."""
        return self.label_form

    def is_row_label(self, value: Any) -> bool:
        """See `Objective.is_row_label`."""
        return self.is_label(value)

    def read_label(self, label: Any) -> float:
        """See `Objective.read_label`."""
        return float(label)

    def labels(self, raw: np.ndarray, first_row: int = 0) -> np.ndarray:
        """See `Objective.labels`."""
        with np.errstate(over="ignore"):
            labels = (raw - self.mean) / self.scale
            bad = ~np.isfinite(labels.astype(np.float32))
        refuse_rows(bad, raw, first_row, "objective", "a finite number")
        return labels

    def encode_into(self, labels: np.ndarray, out: np.ndarray) -> None:
        """See `Objective.encode_into`."""
        out[:, 0] = labels

    def truth(self, targets: np.ndarray) -> np.ndarray:
        """See `Objective.truth`."""
        return targets[:, 0]

    def class_of(self, labels: np.ndarray) -> np.ndarray:
        """See `Objective.class_of`."""
        return np.zeros(len(labels), np.int64)

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """See `Objective.strata`."""
        return numeric_strata(labels)

    def smoothed(self, targets: np.ndarray, factor: float) -> np.ndarray:
        """See `Objective.smoothed`."""
        return targets

    def evaluate(self, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """See `Objective.evaluate`."""
        return evaluate_numbers(truth, outputs[:, 0])

    def in_units(self, labels: np.ndarray) -> list[Any]:
        """See `Objective.in_units`."""
        return [float(label) * self.scale + self.mean for label in labels]

    def said(self, prediction: np.ndarray) -> float:
        """See `Objective.said`."""
        return float(prediction[0])

    def compare(self, truth: np.ndarray, outputs: np.ndarray) -> Compared:
        """See `Objective.compare`."""
        true = truth.astype(np.float64) * self.scale + self.mean
        # where all numbers are equal, so are all predictions of the model
        predictions = outputs[:, 0].astype(np.float64) * self.stdev + self.mean
        return Compared(true, predictions, np.abs(predictions - true))


class CategoricalObjective(CategoricalField, Objective):
    """One of several classes."""

    label_form = "a string, as the labels are classes"
    losses = LOSSES["categorical"]
    headline = ("likelihood", "accuracy")
    has_classes = True
    activation = "softmax"

    @classmethod
    def of_labels(cls, labels: Sequence[Any], index: int) -> Self:
        """See `Objective.of_labels`."""
        return cls(index=index, values=tuple(sorted(set(labels))))

    @staticmethod
    def is_label(value: Any) -> bool:
        """See `Objective.is_label`."""
        return isinstance(value, str)

    def standardised(self, label: Any) -> Any:
        """See `Objective.standardised`: as it is."""
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
    def row_label_form(self) -> str:
        """See `Objective.row_label_form`."""
        return f"a value of the objective, or its index: an integer from 0 to {len(self.values) - 1}"

    def is_row_label(self, value: Any) -> bool:
        """See `Objective.is_row_label`: the name of a class, or its position."""
        is_position = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(self.values)
        return isinstance(value, str) or is_position

    def read_label(self, label: Any) -> int:
        """See `Objective.read_label`."""
        position: int = self._positions.get(label, -1) if isinstance(label, str) else label
        if position < 0:
            raise DataError(f'"label": {not_a_class(label)}')
        return position

    def labels(self, raw: np.ndarray, first_row: int = 0) -> np.ndarray:
        """See `Objective.labels`."""
        bad = ~((raw >= 0) & (raw < self.n_outputs) & (raw == np.floor(raw)))
        refuse_rows(bad, raw, first_row, "objective", f"a class index from 0 to {self.n_outputs - 1}")
        return raw.astype(np.int64)

    def truth(self, targets: np.ndarray) -> np.ndarray:
        """See `Objective.truth`."""
        return targets.argmax(axis=1)

    def class_of(self, labels: np.ndarray) -> np.ndarray:
        """See `Objective.class_of`."""
        return labels

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """See `Objective.strata`."""
        return labels

    def smoothed(self, targets: np.ndarray, factor: float) -> np.ndarray:
        """See `Objective.smoothed`."""
        return targets * np.float32(1 - factor) + np.float32(factor / targets.shape[1]) if factor else targets

    def evaluate(self, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """See `Objective.evaluate`."""
        return evaluate_classes(truth, outputs)

    def in_units(self, labels: np.ndarray) -> list[Any]:
        """See `Objective.in_units`."""
        return [self.values[label] for label in labels]

    def said(self, prediction: np.ndarray) -> str:
        """See `Objective.said`."""
        return self.values[int(prediction.argmax())]

    def compare(self, truth: np.ndarray, outputs: np.ndarray) -> Compared:
        """See `Objective.compare`."""
        return Compared(truth, outputs.argmax(axis=1), -outputs[np.arange(len(truth)), truth], outputs)

    def difference_from(self, output: RawField) -> str | None:
        """See `Objective.difference_from`."""
        difference = super().difference_from(output)
        if difference is None and output.get("values") != list(self.values):
            return "its classes are others, or in another order"
        return difference


OBJECTIVES: Mapping[str, type[Objective]] = MappingProxyType(
    {kind.kind: kind for kind in (NumericObjective, CategoricalObjective)}
)
"""What can be predicted, by the type of the objective."""


def not_a_class(label: str) -> str:
    """What is wrong with a class that the objective does not have."""
    return f"found {found(label)}, which is not among the values of the objective"


def parse_objective(raw: RawField) -> Objective:
    """The objective of an entry of `info_list`.

    Raises:
        SettingsError: one that cannot be trained.
    """
    if raw["type"] not in OBJECTIVES:
        message = f"found {raw['type']}, which this build does not train"
        raise SettingsError([Violation("/objective_type", message)])
    return OBJECTIVES[raw["type"]].parse(raw)
