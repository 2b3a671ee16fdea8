"""What people pass to a model, in any of its forms, becomes the matrix that the networks take, and images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from sensenet.document.fields import CategoricalField, Field, ImageField, NumericField
from sensenet.document.parsing import brief
from sensenet.errors import InputError
from sensenet.preprocess.tabular import (
    ColumnCodec,
    encode_columns,
    encode_numbers,
    encode_row,
    is_missing,
    raw_codecs,
)
from sensenet.tables.values import NUMBER

FORMS = (
    "one point (a list or dict), many points (a list of them, a two-dimensional NumPy array), or a pandas or polars "
    "frame"
)
NUMBERS = "biuf"
MAX_LISTED = 20
PIXELS = 3
SEVERAL_PIXELS = 4


class Points(NamedTuple):
    """The preprocessed inputs of a call.

    Attributes:
        matrix: (rows, columns) float32; the columns of image fields are 0.
        images: for each image field its codec and the values given, one a row.
    """

    matrix: np.ndarray
    images: tuple[tuple[ColumnCodec, Sequence[Any]], ...] = ()


def encode_points(codecs: Sequence[ColumnCodec], points: Any) -> Points:
    """The preprocessed matrix of `points`, and their images.

    Args:
        codecs: of the model's fields (see `preprocess.tabular.column_codecs`).
        points: one point, as a list in the order of the fields' indices, a one-dimensional array, or a dict keyed by
            field name or index; or many, as a list of those, a two-dimensional array, or a frame. An empty list is
            no points. A model whose only field is an image also takes the image itself (in any form of
            `preprocess.reading`; nested lists of three levels), a list of images that are not paths, or an array
            (or nested lists) of four dimensions. In a row, pixels have to be arrays.

    Raises:
        InputError: none of these forms, or a value that its field cannot take; gives row and field.
    """
    has_images = any(isinstance(codec.field, ImageField) for codec in codecs)
    if (
        has_images
        and len(codecs) == 1
        and (images := plain_images(points, codecs[0].field.index)) is not None
    ):
        return _encode_columns(codecs, [images], len(images))
    if isinstance(points, np.ndarray):
        return _encode_array(codecs, points)
    if isinstance(points, Mapping):
        return _encode_row(codecs, _row_values(codecs, points, 0))
    if hasattr(points, "columns") and hasattr(points, "__getitem__"):
        return _encode_frame(codecs, points)
    if not isinstance(points, (list, tuple)):
        raise InputError(f"expected {FORMS}, got a {type(points).__name__}")
    if points and (not _is_row(points[0]) or (has_images and is_image_value(points[0]))):
        return _encode_row(codecs, _row_values(codecs, points, 0))
    if len(points) == 1:
        return _encode_row(codecs, _row_values(codecs, points[0], 0))
    return _encode_rows(codecs, points)


class Images(NamedTuple):
    """The images of a call to a model that takes nothing else.

    Attributes:
        values: one an image, in any form of `preprocess.reading`.
        several: whether the caller passed several, and expects as many answers.
    """

    values: Sequence[Any]
    several: bool


def encode_images(field: ImageField, points: Any) -> Images:
    """The images of `points`.

    Args:
        field: the model's only field.
        points: an image, a list of images (of one only it is a point: not several), an array of four dimensions, or
            points in any form of `encode_points`.

    Raises:
        InputError: none of these forms.
    """
    if points is None or isinstance(points, (str, os.PathLike)) or is_image_value(points):
        return Images([points], several=False)
    if isinstance(points, np.ndarray) and points.ndim == 1 and points.dtype.kind not in NUMBERS:
        points = points.tolist()
    if isinstance(points, (list, tuple)):
        depth = _depth_of_pixels(points)
        if depth == PIXELS:
            return Images([points], several=False)
        if depth == SEVERAL_PIXELS or not any(
            _is_row(point) and not is_image_value(point) for point in points
        ):
            return Images(points, several=len(points) != 1)
    ((_, values),) = encode_points(raw_codecs([field]), points).images
    return Images(values, several=not isinstance(points, Mapping))


def plain_images(points: Any, index: int = 0) -> Sequence[Any] | None:
    """The images of `points` where these are not in rows: one image, a list of images that are not paths, or an
    array of four dimensions; None for anything else.

    Args:
        points: what a model with one image field was called with.
        index: of that field; where it is not 0, a list is a row.
    """
    if isinstance(points, (str, os.PathLike)) or is_image_value(points):
        return [points]
    if isinstance(points, np.ndarray) and points.ndim == 4 and points.dtype.kind in NUMBERS:
        return list(points)
    if not isinstance(points, (list, tuple)) or not points or index:
        return None
    depth = _depth_of_pixels(points)
    if depth == SEVERAL_PIXELS or _are_images(points):
        return points
    return [points] if depth == PIXELS else None


def is_image_value(value: Any) -> bool:
    """Whether `value` can be nothing but an image: bytes, a PIL image, or numbers in two or three dimensions."""
    if isinstance(value, (bytes, bytearray, memoryview, Image.Image)):
        return True
    return isinstance(value, np.ndarray) and value.ndim in (2, 3) and value.dtype.kind in NUMBERS


def _are_images(points: Sequence[Any]) -> bool:
    """Whether a list is one of images, some of them perhaps missing, and can be no row, which may carry more values
    behind its image: numbers, texts, or a null."""
    given = [is_image_value(point) for point in points]
    return any(given[1:]) and all(is_image or points[i] is None for i, is_image in enumerate(given))


def _depth_of_pixels(points: Any) -> int:
    """How deep lists of pixels are nested: `PIXELS` for rows of pixels of numbers, `SEVERAL_PIXELS` for a list of
    those, else 0. A row of one grey image has four levels, too, but only one value in its second."""
    depth, first = 0, points
    # a list may contain itself
    while isinstance(first, (list, tuple)) and first and depth <= SEVERAL_PIXELS:
        depth, first = depth + 1, first[0]
    if depth not in (PIXELS, SEVERAL_PIXELS) or not isinstance(first, (int, float, np.number)):
        return 0
    return 0 if depth == SEVERAL_PIXELS and len(points[0]) == 1 else depth


def _is_row(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray, Mapping))


def _encode_row(codecs: Sequence[ColumnCodec], values: Sequence[Any]) -> Points:
    return Points(encode_row(codecs, values), _images(codecs, [[value] for value in values]))


def _encode_columns(codecs: Sequence[ColumnCodec], columns: Sequence[Any], n_rows: int) -> Points:
    return Points(encode_columns(codecs, columns, n_rows), _images(codecs, columns))


def _images(
    codecs: Sequence[ColumnCodec], columns: Sequence[Any]
) -> tuple[tuple[ColumnCodec, Sequence[Any]], ...]:
    pairs = zip(codecs, columns, strict=True)
    return tuple((codec, column) for codec, column in pairs if isinstance(codec.field, ImageField))


def _encode_rows(codecs: Sequence[ColumnCodec], points: Sequence[Any]) -> Points:
    for number, point in enumerate(points):
        if not _is_row(point):
            raise InputError(f"row {number}: expected a list or dict as in row 0, got {brief(point)}")
    needed = 1 + max((codec.field.index for codec in codecs), default=-1)
    if all(isinstance(point, (list, tuple)) and len(point) >= needed for point in points):
        columns = [[point[codec.field.index] for point in points] for codec in codecs]
    else:
        rows = [_row_values(codecs, point, number) for number, point in enumerate(points)]
        columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in codecs]
    return _encode_columns(codecs, columns, len(points))


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
    for key in (date_column(field), field.name, field.index, str(field.index)):
        if key is not None and key in point:
            return point[key] if key != date_column(field) else _date(field, point[key], number)
    keys = ", ".join(map(brief, list(point)[:MAX_LISTED]))
    raise InputError(
        f"row {number}: {field} is missing (null says that a value is unknown); the keys are {keys}"
    )


def date_column(field: Field) -> str | None:
    """The name of the column of dates that a number is a part of; None of other fields."""
    return field.date.column if isinstance(field, NumericField) and field.date is not None else None


def _date(field: Field, value: Any, row: int) -> Any:
    """A value of a column of dates, where a number is none: it could be in any unit.

    Raises:
        InputError: a number, or the text of one; gives row and field.
    """
    is_number = isinstance(value, (int, float, np.number)) and not is_missing(value)
    if is_number or (isinstance(value, str) and NUMBER.fullmatch(value.strip())):
        raise InputError(f"row {row}, {field}: expected a date, got {brief(value)}")
    return value


def _encode_array(codecs: Sequence[ColumnCodec], points: np.ndarray) -> Points:
    if points.ndim not in (1, 2):
        raise InputError(f"expected an array of one or two dimensions, got {points.ndim}")
    matrix = np.atleast_2d(points)
    for codec in codecs:
        if codec.field.index >= matrix.shape[1]:
            raise InputError(f"row 0: {codec.field} is missing, the rows have {matrix.shape[1]} values")
    indices = [codec.field.index for codec in codecs]
    if matrix.dtype.kind not in NUMBERS:
        return _encode_columns(codecs, [matrix[:, index].tolist() for index in indices], len(matrix))
    if not any(isinstance(codec.field, (CategoricalField, ImageField)) for codec in codecs):
        in_place = indices == list(range(matrix.shape[1]))
        return Points(encode_numbers(codecs, matrix if in_place else matrix[:, indices]))
    return _encode_columns(codecs, [matrix[:, index] for index in indices], len(matrix))


def _encode_frame(codecs: Sequence[ColumnCodec], frame: Any) -> Points:
    labels = list(frame.columns)
    columns = []
    for codec in codecs:
        label = _column_label(codec.field, labels)
        column = frame[label]
        values = column.to_list() if hasattr(column, "to_list") else list(column)
        if label == date_column(codec.field):
            values = [_date(codec.field, value, row) for row, value in enumerate(values)]
        columns.append(values)
    return _encode_columns(codecs, columns, len(frame))


def _column_label(field: Field, labels: list[Any]) -> Any:
    """The label of a field's column: its name, or its index where the columns, or the field, have no names."""
    keys: list[Any] = [key for key in (date_column(field), field.name) if key is not None]
    if field.name is None or all(map(_is_index, labels)):
        keys += [field.index, str(field.index)]
    label = next((key for key in keys if key in labels), None)
    if label is None:
        listed = ", ".join(map(brief, labels[:MAX_LISTED])) + (", ..." if len(labels) > MAX_LISTED else "")
        hint = (
            ""
            if field.name is not None
            else (
                f"; the model's document gives it no name, by which it could be found: call its column "
                f"{field.index}, name it in the document, or pass lists or an array"
            )
        )
        raise InputError(f"{field} is missing, the frame's columns are {listed or 'none'}{hint}")
    if labels.count(label) > 1:
        raise InputError(f"{field}: the frame has {labels.count(label)} columns {brief(label)}")
    return label


def _is_index(label: Any) -> bool:
    """Whether a frame's label says where its column stands, as those do that frames give of their own."""
    return isinstance(label, (int, np.integer)) or (isinstance(label, str) and label.isdecimal())
