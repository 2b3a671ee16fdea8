"""What people pass to a model, in any of its forms, becomes the matrix that the networks take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sensenet.errors import InputError
from sensenet.fields import CategoricalField, Field
from sensenet.preprocess.tabular import ColumnCodec, encode_columns, encode_numbers, encode_row

FORMS = (
    "one point (a list or dict), many points (a list of them, a two-dimensional NumPy array), or a pandas or polars "
    "frame"
)


def encode_points(codecs: Sequence[ColumnCodec], points: Any) -> np.ndarray:
    """The preprocessed matrix of `points`, (rows, columns) float32.

    Args:
        codecs: of the model's fields (see `preprocess.tabular.column_codecs`).
        points: one point, as a list in the order of the fields' indices, a one-dimensional array, or a dict keyed by
            field name or index; or many, as a list of those, a two-dimensional array, or a frame. An empty list is
            no points.

    Raises:
        InputError: none of these forms, or a value that its field cannot take; gives row and field.
    """
    if isinstance(points, np.ndarray):
        return _encode_array(codecs, points)
    if isinstance(points, Mapping):
        return encode_row(codecs, _row_values(codecs, points, 0))
    if hasattr(points, "columns") and hasattr(points, "__getitem__"):
        return _encode_frame(codecs, points)
    if not isinstance(points, (list, tuple)):
        raise InputError(f"expected {FORMS}, got a {type(points).__name__}")
    if points and not _is_row(points[0]):
        return encode_row(codecs, _row_values(codecs, points, 0))
    if len(points) == 1:
        return encode_row(codecs, _row_values(codecs, points[0], 0))
    return _encode_rows(codecs, points)


def _is_row(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray, Mapping))


def _encode_rows(codecs: Sequence[ColumnCodec], points: Sequence[Any]) -> np.ndarray:
    for number, point in enumerate(points):
        if not _is_row(point):
            raise InputError(f"row {number}: expected a list or dict as in row 0, got {point!r:.80}")
    needed = 1 + max((codec.field.index for codec in codecs), default=-1)
    if all(isinstance(point, (list, tuple)) and len(point) >= needed for point in points):
        columns = [[point[codec.field.index] for point in points] for codec in codecs]
    else:
        rows = [_row_values(codecs, point, number) for number, point in enumerate(points)]
        columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in codecs]
    return encode_columns(codecs, columns, len(points))


def _row_values(codecs: Sequence[ColumnCodec], point: Any, number: int) -> list[Any]:
    """The values of one point in the fields' order."""
    if isinstance(point, Mapping):
        return [_keyed_value(codec.field, point, number) for codec in codecs]
    if isinstance(point, np.ndarray) and point.ndim != 1:
        raise InputError(f"row {number}: expected one dimension, got {point.ndim}")
    size = len(point)
    for codec in codecs:
        if codec.field.index >= size:
            raise InputError(f"row {number}: {codec.field} is missing, the row has {size} values")
    return [point[codec.field.index] for codec in codecs]


def _keyed_value(field: Field, point: Mapping[Any, Any], number: int) -> Any:
    for key in (field.name, field.index, str(field.index)):
        if key is not None and key in point:
            return point[key]
    keys = ", ".join(map(repr, list(point)[:20]))
    raise InputError(
        f"row {number}: {field} is missing (null says that a value is unknown); the keys are {keys}"
    )


def _encode_array(codecs: Sequence[ColumnCodec], points: np.ndarray) -> np.ndarray:
    if points.ndim not in (1, 2):
        raise InputError(f"expected an array of one or two dimensions, got {points.ndim}")
    matrix = np.atleast_2d(points)
    for codec in codecs:
        if codec.field.index >= matrix.shape[1]:
            raise InputError(f"row 0: {codec.field} is missing, the rows have {matrix.shape[1]} values")
    indices = [codec.field.index for codec in codecs]
    if matrix.dtype.kind not in "biuf":
        return encode_columns(codecs, [matrix[:, index].tolist() for index in indices], len(matrix))
    if not any(isinstance(codec.field, CategoricalField) for codec in codecs):
        in_place = indices == list(range(matrix.shape[1]))
        return encode_numbers(codecs, matrix if in_place else matrix[:, indices])
    columns = [
        _category_column(matrix[:, codec.field.index])
        if isinstance(codec.field, CategoricalField)
        else matrix[:, codec.field.index]
        for codec in codecs
    ]
    return encode_columns(codecs, columns, len(matrix))


def _category_column(values: np.ndarray) -> list[Any]:
    """A column of numbers as categories: an array of floats has no other way to say the category "1" than 1.0."""
    listed = values.tolist()
    return [int(value) if isinstance(value, float) and value.is_integer() else value for value in listed]


def _encode_frame(codecs: Sequence[ColumnCodec], frame: Any) -> np.ndarray:
    names = list(frame.columns)
    columns = []
    for codec in codecs:
        field = codec.field
        if field.name is not None and field.name in names:
            key = field.name
        elif field.index < len(names):
            key = names[field.index]
        else:
            raise InputError(f"{field} is missing, the frame has {len(names)} columns")
        column = frame[key]
        columns.append(column.to_list() if hasattr(column, "to_list") else list(column))
    return encode_columns(codecs, columns, len(frame))
