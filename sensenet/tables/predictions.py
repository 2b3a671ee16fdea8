"""A model's predictions of all rows of a table, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from sensenet.models.deepnet import Deepnet
from sensenet.preprocess.tabular import total_columns
from sensenet.tables.model_columns import ModelColumns, Oddities
from sensenet.tables.source import Source, rows_per_batch

IMAGES_PER_CALL = 64


class Predicted(NamedTuple):
    """Some rows.

    Attributes:
        frame: as the table has them.
        outputs: (rows, outputs) float32.
    """

    frame: pl.DataFrame
    outputs: np.ndarray


def predict_table(
    model: Deepnet, source: Source, columns: ModelColumns, odd: Oddities
) -> Iterator[Predicted]:
    """The predictions of a table, in the order of its rows; memory does not grow with them.

    Args:
        columns: where the model's fields are.
        odd: is told what the fields do not know.

    Raises:
        InputError: the table cannot be read, or an image that is there.
    """
    root = model.settings.image_path_prefix or ""
    most = IMAGES_PER_CALL if columns.has_images else rows_per_batch(total_columns(columns.codecs))
    for batch in source.batches():
        for frame in batch.iter_slices(most):
            yield Predicted(frame, model.predict(columns.encode(frame, odd, root)))


def predictions_frame(model: Deepnet, outputs: np.ndarray, with_probabilities: bool) -> pl.DataFrame:
    """Predictions as a table for people: `prediction`, and of classes their probabilities if asked for.

    Args:
        outputs: (rows, outputs), as the model gives them.
    """
    if model.classes is None:
        return pl.DataFrame({"prediction": outputs[:, 0]})
    classes = pl.Series(model.classes, dtype=pl.String)
    columns: dict[str, Any] = {"prediction": classes.gather(outputs.argmax(axis=1))}
    if with_probabilities:
        columns |= {f"probability {name}": outputs[:, i] for i, name in enumerate(model.classes)}
    return pl.DataFrame(columns)
