"""What every kind of answers on the rows of a table can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from pyramid.report_page.tables.sources import OutOfFold

N_WORST = 20


@dataclass(frozen=True, eq=False)
class TableAnswers(ABC):
    """What a model says of the rows of a table, beside what is true.

    Attributes:
        kind: the type of the objective.
        worst: (at most `N_WORST`,) int64: the rows with the largest errors, the largest first.
    """

    kind: ClassVar[str]
    worst: np.ndarray

    @classmethod
    @abstractmethod
    def of(cls, answers: OutOfFold) -> Self:
        """What is shown of them; its size is bounded, and so is the memory that making it takes."""

    @abstractmethod
    def told(self, row: int) -> tuple[str, str]:
        """Truth and prediction of a row, in words."""

    @abstractmethod
    def html(self) -> str:
        """All but the worst rows, as markup."""


def largest(errors: np.ndarray) -> np.ndarray:
    """See `TableAnswers.worst`; (rows,) errors."""
    return np.argsort(-errors, kind="stable")[:N_WORST]
