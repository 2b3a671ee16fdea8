"""What a final model is worth on rows that no part of its search has seen."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

from pyramid.train.metrics import evaluate_classes, evaluate_numbers
from sensenet.document.wording import counted
from sensenet.tables.source import Source

EVALUATION = "pyramid.tables.evaluation"


@dataclass(frozen=True)
class Measured:
    """What a final model is worth on a table.

    Attributes:
        metrics: as `pyramid.train.metrics` gives them; numbers in their own units.
        warnings: of the table, for people.
    """

    metrics: dict[str, float]
    warnings: tuple[str, ...]


class Measuring:
    """Predicts a table with a document; TensorFlow is imported in the background from the beginning on."""

    def __init__(self, test: Source, objective: str):
        """Begin.

        Args:
            test: the rows.
            objective: the column that is true.
        """
        self._test, self._objective = test, objective
        self._import = Thread(target=import_module, args=(EVALUATION,))
        self._import.start()

    def measured(self, document: Path) -> Measured:
        """Measure a model; image files are looked up where the table is.

        Args:
            document: the path of the model's document.

        Raises:
            PyramidError, sensenet.errors.SensenetError: the rows cannot be read or predicted.
        """
        self._import.join()
        folder = self._test.folder or Path()
        model: Any = import_module("sensenet").create_model(document, {"image_path_prefix": str(folder)})
        rows = import_module(EVALUATION).evaluate_table(model, self._test, self._objective)
        warnings = [f"the test rows: {warning}" for warning in rows.warnings]
        if rows.rows_without_truth:
            left_out = counted(rows.rows_without_truth, "row")
            warnings.append(f"the test rows: left out for want of the objective: {left_out}")
        if model.classes is None:
            return Measured(evaluate_numbers(rows.truth, rows.outputs[:, 0]), tuple(warnings))
        return Measured(evaluate_classes(rows.truth, rows.outputs), tuple(warnings))
