"""What a final model is worth on rows that no part of its search has seen."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

from pyramid.train.metrics import evaluate_classes, evaluate_numbers
from sensenet.tables.source import Source

EVALUATION = "pyramid.commands.table_evaluation"


class Measuring:
    """Predicts a table with a document; TensorFlow is imported in the background from the beginning on."""

    def __init__(self, test: Source, objective: str):
        """Begin.

        Args:
            test: the rows.
            objective: the column that is true.
        """
        self._test, self._objective = test, objective
        self._import = Thread(target=import_module, args=(EVALUATION,), daemon=True)
        self._import.start()

    def metrics(self, document: Path, image_root: str) -> dict[str, float]:
        """The metrics of a model, as `pyramid.train.metrics` gives them; numbers in their own units.

        Args:
            document: the path of the model's document.
            image_root: where image files are that the table names.

        Raises:
            PyramidError, sensenet.errors.SensenetError: the rows cannot be read or predicted.
        """
        self._import.join()
        settings = {"image_path_prefix": image_root} if image_root else {}
        model: Any = import_module("sensenet").create_model(document, settings)
        rows = import_module(EVALUATION).evaluate_table(model, self._test, self._objective)
        if model.classes is None:
            return evaluate_numbers(rows.truth, rows.outputs[:, 0])
        return evaluate_classes(rows.truth, rows.outputs)
