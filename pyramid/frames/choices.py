"""What people can choose about a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pyramid.errors import DataError
from sensenet.document.wording import hint
from sensenet.tables.source import Reading, Source

KINDS = ("numeric", "categorical", "date", "date:day_first", "date:month_first", "image")
TASKS = ("classification", "regression")


@dataclass(frozen=True)
class TableChoices:
    """What is not left to the table itself.

    Attributes:
        types: column -> one of `KINDS`, in place of what its values say; "date:day_first": dates, and 1/3/2024 is one
            in March.
        ignore: columns that are no inputs.
        weights: the column that tells how much a row counts.
        task: one of `TASKS`, in place of what the objective says.
        rows_left_out: numbers of rows that are not part of the table (kept for a test, say), sorted.
        image_root: where image files are that the table names; None: beside the table, else the current directory.
        image_folder: where image files get names that are short enough for a `.ser`, if need be.
        seed: of what is drawn.
        reading: how a file is read.
    """

    types: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    weights: str | None = None
    task: str | None = None
    rows_left_out: np.ndarray | None = None
    image_root: Path | None = None
    image_folder: Path | None = None
    seed: int = 0
    reading: Reading = field(default_factory=Reading)

    def check(self, source: Source, objective: str) -> None:
        """Refuse choices that the table cannot follow.

        Raises:
            DataError: an unknown kind or task, or a column that is chosen for two things.
            InputError: a column that there is not; names the nearest.
        """
        source.position(objective, "objective")
        for what, names in (
            ("types", tuple(self.types)),
            ("ignore", self.ignore),
            ("weights", () if self.weights is None else (self.weights,)),
        ):
            for name in names:
                source.position(name, what)
        for name, kind in self.types.items():
            if kind not in KINDS:
                raise DataError(f'types: "{name}": there is no type "{kind}"{hint(kind, KINDS)}')
        if self.task is not None and self.task not in TASKS:
            raise DataError(f'there is no task "{self.task}"{hint(self.task, TASKS)}')
        if objective in self.ignore or objective == self.weights:
            raise DataError(f'"{objective}" is the objective, so it can be neither ignored nor the weight')
        if objective in self.types:
            raise DataError(
                f'types: "{objective}" is the objective: choose the task, {" or ".join(TASKS)}, in place of a type'
            )
        if self.weights in self.ignore:
            raise DataError(f'"{self.weights}" is the weight, so it cannot be ignored')
        if self.weights is not None and self.types.get(self.weights, "numeric") != "numeric":
            raise DataError(f'types: "{self.weights}" is the weight, so it is numeric')
