"""What a final model is worth on rows that no part of its search has seen."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import polars as pl

from pyramid.errors import DataError
from pyramid.train.metrics import evaluate_classes, evaluate_numbers
from sensenet.tables.source import Source
from sensenet.tables.values import numbers, texts

MODELS = "sensenet.models.wrappers"


class Measuring:
    """Predicts a table with a document; TensorFlow is imported in the background from the beginning on."""

    def __init__(self, test: Source, objective: str):
        """Begin.

        Args:
            test: the rows.
            objective: the column that is true.
        """
        self._test, self._objective = test, objective
        self._import = Thread(target=import_module, args=(MODELS,), daemon=True)
        self._import.start()

    def metrics(self, document: Path, image_root: str) -> dict[str, float]:
        """The metrics of a model, as `pyramid.train.metrics` gives them; numbers in their own units.

        Args:
            document: the path of the model's document.
            image_root: where image files are that the table names.

        Raises:
            DataError: no row has an objective that the model can know.
            sensenet.errors.SensenetError: the rows cannot be read or predicted.
        """
        self._import.join()
        model: Any = import_module(MODELS).create_model(document, {"image_path_prefix": image_root})
        classes = model._classes
        truth, predictions = [], []
        for frame in self._test.batches():
            labels, known = _labels(frame, self._objective, classes)
            if known.any():
                truth.append(labels[known])
                predictions.append(np.asarray(model(frame.drop(self._objective).filter(pl.Series(known)))))
        if not truth:
            raise DataError(
                f'{self._test.name}: no row has an objective ("{self._objective}") that the model knows'
            )
        outputs = np.concatenate(predictions)
        if classes is None:
            return evaluate_numbers(np.concatenate(truth), outputs[:, 0])
        return evaluate_classes(np.concatenate(truth), outputs)


def _labels(frame: pl.DataFrame, name: str, classes: list[str] | None) -> tuple[np.ndarray, np.ndarray]:
    """(rows,) labels, and which of them are there and known to the model."""
    column, dtype = pl.col(name), frame.schema[name]
    if classes is None:
        values = frame.select(numbers(column, dtype)).to_series().to_numpy()
        return values, np.isfinite(values)
    positions = {value: position for position, value in enumerate(classes)}
    written = frame.select(texts(column, dtype)).to_series()
    places = np.array([positions.get(text, -1) for text in written.to_list()])
    return places, places >= 0
