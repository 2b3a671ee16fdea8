"""What a model says of the rows of a table that tells the truth, too; the table is read some rows at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from pyramid.errors import DataError
from sensenet.document.fields import CategoricalField, Field, NumericField
from sensenet.models.deepnet import Deepnet
from sensenet.preprocess.tabular import Codes, ColumnCodec, column_codecs
from sensenet.tables.model_columns import Oddities, field_values, match_columns
from sensenet.tables.predictions import predict_table
from sensenet.tables.source import Source
from sensenet.tables.values import plain_types


@dataclass(frozen=True)
class Evaluated:
    """The rows of a table that have a truth.

    Attributes:
        truth: (rows,) int64 positions among the model's classes, or float64 numbers.
        outputs: (rows, outputs) float32: what the model says.
        rows_without_truth: how many others there are.
        warnings: for people.
    """

    truth: np.ndarray
    outputs: np.ndarray
    rows_without_truth: int
    warnings: tuple[str, ...]


def evaluate_table(
    model: Deepnet, source: Source, objective: str | None, by_position: bool = False
) -> Evaluated:
    """Predict a table that tells the truth, too. Memory holds the predictions, never the table.

    Args:
        objective: the column of the truth; None: the one that has the name of the model's objective.
        by_position: whether the names of the columns say nothing about fields.

    Raises:
        DataError: no truth, or one that the model does not know.
        InputError: the table cannot be read, or has no such column.
    """
    name = model.output.name if objective is None else objective
    if name is None:
        raise DataError("the model does not say what it predicts: name the column of the truth (--objective)")
    source.position(name, "objective")
    columns = match_columns(model.codecs, source, by_position)
    (codec,) = column_codecs([_truth_field(model)])
    truths, outputs, n_rows = [], [], 0
    odd, odd_truths = Oddities(), Oddities()
    for frame, predicted in predict_table(model, source, columns, odd):
        truth = _truth(frame, name, codec, odd_truths)
        if odd_truths.rows:
            (field,) = odd_truths.rows
            raise DataError(
                f'{source.name}, rows {n_rows + 1} to {n_rows + len(frame)}: "{name}" has values that the model does '
                f"not predict: {odd_truths.examples(field)}"
            )
        known = ~np.isnan(truth)
        truths.append(truth[known])
        outputs.append(predicted[known])
        n_rows += len(frame)
    n_known = sum(map(len, truths))
    if not n_known:
        raise DataError(f'{source.name}: there is no row with a value of "{name}"')
    missing = [
        f'there is no column "{column}"; it counts as missing in every row' for column in columns.missing
    ]
    dtype = np.float64 if model.classes is None else np.int64
    return Evaluated(
        np.concatenate(truths).astype(dtype),
        np.concatenate(outputs),
        n_rows - n_known,
        (*missing, *odd.lines()),
    )


def _truth_field(model: Deepnet) -> Field:
    name = model.output.name
    if model.classes is None:
        return NumericField(index=0, name=name, mean=0.0, stdev=1.0)
    return CategoricalField(index=0, name=name, values=model.classes)


def _truth(frame: pl.DataFrame, name: str, codec: ColumnCodec, odd: Oddities) -> np.ndarray:
    """(rows,) float64: positions of classes or numbers, NaN where there is none."""
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    values = field_values(codec, plain_types(frame.select(name)).to_series(), odd)
    if not isinstance(values, Codes):
        return values
    return np.where(values.codes < 0, np.nan, values.codes)
