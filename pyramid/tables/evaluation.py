"""What a model says of the rows of a table that tells the truth, too; the table is read some rows at a time."""

from __future__ import annotations

import tempfile
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
from sensenet.tables.values import plain_types, present


@dataclass(frozen=True)
class Evaluated:
    """The rows of a table that have a truth.

    Attributes:
        truth: (rows,) int64 positions among the model's classes, or float64 numbers.
        outputs: (rows, outputs) float32: what the model says; in a file that nobody sees, which goes with the array.
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
    """Predict a table that tells the truth, too. Memory holds the truths, neither the predictions nor the table.

    Args:
        objective: the column of the truth; None: the one that has the name of the model's objective.
        by_position: whether the names of the columns say nothing about fields.

    Raises:
        DataError: no truth, or one that the model does not know.
        InputError: the table cannot be read, or has no such column.
        OSError: there is no room for the predictions among the temporary files.
    """
    name = model.output.name if objective is None else objective
    if name is None:
        raise DataError("the model does not say what it predicts: name the column of the truth (--objective)")
    source.position(name, "objective")
    columns = match_columns(model.codecs, source, by_position)
    (codec,) = column_codecs([_truth_field(model)])
    truths, n_rows, odd = [], 0, Oddities()
    with tempfile.TemporaryFile() as file:
        for frame, predicted in predict_table(model, source, columns, odd):
            truth = _truth(frame, name, codec, source.name, n_rows)
            known = ~np.isnan(truth)
            truths.append(truth[known])
            file.write(predicted[known].astype(np.float32).tobytes())
            n_rows += len(frame)
        n_known = sum(map(len, truths))
        if not n_known:
            raise DataError(f'{source.name}: there is no row with a value of "{name}"')
        file.flush()
        outputs = np.memmap(
            file, np.float32, "r", shape=(n_known, 1 if model.classes is None else len(model.classes))
        )
    missing = [
        f'there is no column "{column}"; it counts as missing in every row' for column in columns.missing
    ]
    dtype = np.float64 if model.classes is None else np.int64
    return Evaluated(
        np.concatenate(truths).astype(dtype), outputs, n_rows - n_known, (*missing, *odd.lines())
    )


def _truth_field(model: Deepnet) -> Field:
    name = model.output.name
    if model.classes is None:
        return NumericField(index=0, name=name, mean=0.0, stdev=1.0)
    return CategoricalField(index=0, name=name, values=model.classes)


def _truth(frame: pl.DataFrame, name: str, codec: ColumnCodec, table: str, n_before: int) -> np.ndarray:
    """(rows,) float64: positions of classes or numbers, NaN where there is none.

    Raises:
        DataError: a truth that the model does not predict; names the first row, which come after `n_before`.
    """
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    values = plain_types(frame.select(name)).to_series()
    found = field_values(codec, values, Oddities())
    truth = np.where(found.codes < 0, np.nan, found.codes) if isinstance(found, Codes) else found
    is_present = values.to_frame().select(present(pl.col(name), values.dtype).is_not_null()).to_series()
    wrong = np.flatnonzero(np.isnan(truth) & is_present.to_numpy())
    if len(wrong):
        first = int(wrong[0])
        raise DataError(
            f'{table}, row {n_before + first + 1}: "{name}" is {values[first]!r:.60}, which the model does not predict'
        )
    return truth
