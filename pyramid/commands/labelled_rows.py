"""The rows that a model is evaluated on: inputs and the truth, from any of the forms that people have them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.errors import DataError
from pyramid.images.row_rules import box_row_problems
from pyramid.images.rows import listed


@dataclass(frozen=True)
class LabelledRows:
    """Inputs and what is true of them.

    Attributes:
        inputs: names of image files, or rows as `sensenet` models take them.
        labels: one of each input, as it was given.
        are_images: whether the inputs are names of files.
        image_root: the folder of image files, where the data say one.
        allow_outside_root: whether they may lie elsewhere, too.
    """

    inputs: Sequence[Any]
    labels: Sequence[Any]
    are_images: bool
    image_root: str = ""
    allow_outside_root: bool = False


@dataclass(frozen=True)
class BoxRows:
    """Images and the boxes that are in them.

    Attributes:
        files: names of image files.
        boxes: of each image `[x1, y1, x2, y2, class]` in pixels.
        image_root, allow_outside_root: see `LabelledRows`.
    """

    files: Sequence[str]
    boxes: Sequence[Sequence[Sequence[Any]]]
    image_root: str = ""
    allow_outside_root: bool = False


def read_rows(data: Any, class_index: int | None = None) -> LabelledRows | BoxRows:
    """Understand the data of an evaluation.

    Args:
        data: a list of rows, or a config of `pyramid_train`. A row is `{"file", "label"}`, `{"input", "label"}`,
            an object of values by field with the key "label" among them, or a list of values. Where one has the key
            "boxes" all are `{"file", "boxes"}`.
        class_index: where the truth stands in a list; None: it is the last value.

    Raises:
        DataError: rows that cannot be used; names up to twenty.
    """
    root, allows = "", False
    if isinstance(data, Mapping):
        if "training_data" not in data:
            raise DataError("expected a list of rows, or a config with training_data")
        root, allows = data.get("image_root") or "", data.get("allow_outside_root") or False
        data = data["training_data"]
        if not isinstance(root, str):
            raise DataError("image_root: expected a string")
        if not isinstance(allows, bool):
            raise DataError("allow_outside_root: expected true or false")
    if not isinstance(data, list) or not data:
        what = "an empty list" if data == [] else f"a {type(data).__name__}"
        raise DataError(f"expected a list of at least one row, got {what}")
    if any(isinstance(row, dict) and "boxes" in row for row in data):
        problems = [f"row {i}{at}: {why}" for i, row in enumerate(data) for at, why in box_row_problems(row)]
        if problems:
            raise DataError(f"{len(problems)} boxes or rows cannot be used:\n{listed(problems)}")
        return BoxRows([row["file"] for row in data], [row["boxes"] for row in data], root, allows)
    are_images = isinstance(data[0], dict) and "file" in data[0]
    pairs, problems = [], []
    for number, row in enumerate(data):
        try:
            pairs.append(_image(row) if are_images else _table_row(row, class_index))
        except DataError as error:
            problems.append(f"row {number}: {error}")
    if problems:
        raise DataError(f"{len(problems)} of {len(data)} rows cannot be used:\n{listed(problems)}")
    inputs, labels = zip(*pairs, strict=True)
    return LabelledRows(inputs, labels, are_images, root, allows)


def _image(row: Any) -> tuple[str, Any]:
    if not isinstance(row, dict) or not isinstance(row.get("file"), str) or not row["file"]:
        raise DataError(f'expected an object with "file" and "label", as the first row is, got {row!r:.80}')
    return row["file"], _label(row)


def _table_row(row: Any, class_index: int | None) -> tuple[Any, Any]:
    if isinstance(row, dict):
        label = _label(row)
        rest = {key: value for key, value in row.items() if key != "label"}
        if rest.keys() - {"weight"} != {"input"}:
            return rest, label
        given = rest["input"]
        return (given if isinstance(given, (list, dict)) else [given]), label
    if not isinstance(row, list):
        raise DataError(f"expected an object or a list, got {row!r:.80}")
    place = len(row) - 1 if class_index is None else class_index
    if len(row) <= max(place, 0):
        raise DataError(f"expected the truth at position {max(place, 0)}, got {len(row)} values")
    if row[place] is None:
        raise DataError(f"the truth, at position {place}, is missing")
    return (row[:place] if place == len(row) - 1 else row), row[place]


def _label(row: Mapping[str, Any]) -> Any:
    if row.get("label") is None:
        raise DataError('"label" is missing')
    return row["label"]
