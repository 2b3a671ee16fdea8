"""What every kind of objective answers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from pyramid.fields.kinds import Field, RawField
from pyramid.settings.wording import found


class Objective(Field):
    """What is predicted.

    A *label* is what a network learns of a row: the position of its class, or its standardised number. *Targets* are
    labels as the columns of a matrix, *outputs* a network's answers in the same columns.

    Attributes:
        label_form: what labels of people are, for messages.
        losses: the names of those that it can be trained with; the first is taken where nobody chooses.
        headline: the metrics that are shown first.
        decisive: the metrics that tell whether a training gets better; none are all.
        row_key: where rows have their labels.
        has_classes: whether a label is one of several classes.
        activation: the last one of a network that answers it; None is the identity.
    """

    label_form: ClassVar[str]
    losses: ClassVar[tuple[str, ...]]
    headline: ClassVar[tuple[str, str]]
    decisive: ClassVar[tuple[str, ...]] = ()
    row_key: ClassVar[str] = "label"
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

    @property
    def label_unit(self) -> float:
        """How many of the objective's own units a label, or the error of one, of 1 stands for; 1 of classes."""
        return 1.0

    @classmethod
    @abstractmethod
    def of_labels(cls, labels: Sequence[Any], index: int) -> Self:
        """The objective that some labels of people make: each `is_label`."""

    @staticmethod
    @abstractmethod
    def is_label(value: Any) -> bool:
        """Whether a JSON value can be a label of people: the name of a class, or a number in its own units."""

    @classmethod
    def label_problems(cls, value: Any) -> list[tuple[str, str]]:
        """What keeps a JSON value from being a label of people: JSON pointers from it on, and what is wrong there."""
        return [] if cls.is_label(value) else [("", f"found {found(value)}, allowed is {cls.label_form}")]

    def names_in(self, label: Any) -> list[tuple[str, str]]:
        """The names of classes in a label of people, with JSON pointers from it on; none in a number."""
        return []

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
    def read_label(self, label: Any) -> Any:
        """The label of a row of a job, which `is_row_label`.

        Raises:
            DataError: the name of a class that there is not; a box that cannot be.
        """

    def stack(self, labels: Sequence[Any]) -> np.ndarray:
        """(rows, ...): labels as `read_label` gives them."""
        return np.array(labels)

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

    def difference_from(self, output: RawField) -> str | None:
        """Why a model with this `output_exposition` answers another question; None where it answers this one."""
        if output["type"] != self.kind:
            return f"its objective is {output['type']}"
        if self.classes and output.get("values") != list(self.classes):
            return "its classes are others, or in another order"
        return None

    def dump_output(self) -> dict[str, Any]:
        """The model's `output_exposition`."""
        return {"type": self.kind, **self._named(), **self.statistics()}


def not_a_class(name: Any) -> str:
    """What is wrong with a class that the objective does not have."""
    return f"found {found(name)}, which is not among the values of the objective"
