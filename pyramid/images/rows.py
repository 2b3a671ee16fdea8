"""The rows of an image job: files, labels and weights, from a list or a `.ser` (docs/formats.md, "Images")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from pyramid.errors import DataError
from pyramid.fields import Fields, Objective
from pyramid.images.row_rules import (
    FILE,
    NO_ROWS,
    WEIGHT,
    Rule,
    not_a_row,
    not_rows,
    value_problem,
)
from pyramid.settings.options import RowOptions
from pyramid.tables.ser import read_ser
from sensenet.files import read_whole

MOST_SHOWN = 20


@dataclass(frozen=True)
class ImageRows:
    """The images of a job and what is true of them.

    Attributes:
        files: (rows,) names below `image_root`.
        labels: (rows,) int64 classes, or float64 standardised numbers; or (rows, most, 5) boxes in pixels of the files.
        weights: (rows,) float32, or None.
        missing: how many images had no name and are left out: a row may have images in some of its fields only.
        held_out: so many of the last rows are the holdout; 0: nobody has chosen one.
    """

    files: Sequence[str]
    labels: np.ndarray
    weights: np.ndarray | None
    missing: int = 0
    held_out: int = 0

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.files)


def read_image_rows(options: RowOptions, fields: Fields) -> ImageRows:
    """The rows in `image_training_data`, or else in `cache_file`, a `.json` or a `.ser`.

    Numbers are standardised already in lists and raw in a `.ser`. Of a `.ser` every image field of every row is an
    example. Those in `image_holdout_data` come last.

    Raises:
        DataError: a file that cannot be read, no rows, or rows that break the format; names up to twenty.
    """
    if options.image_training_data is not None:
        training = _of_list(options.image_training_data, fields, "image_training_data")
        if options.image_holdout_data is None:
            return training
        return _with_holdout(
            training, _of_list(options.image_holdout_data, fields, "image_holdout_data"), fields
        )
    assert options.cache_file is not None, "one of them is there"
    path = Path(options.cache_file)
    if path.suffix == ".ser":
        return _of_ser(path, fields, options.cache_rows)
    try:
        rows = orjson.loads(read_whole(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}: expected a .ser file, or JSON with a list of images: {error}") from error
    except ValueError as error:  # a null character in the path
        raise DataError(f"{path} cannot be read: {error}") from error
    return _of_list(rows, fields, str(path))


def _with_holdout(training: ImageRows, holdout: ImageRows, fields: Fields) -> ImageRows:
    """Both; what weighs nothing by itself counts as 1 where training rows have weights."""
    weights = training.weights
    if weights is not None:
        others = np.ones(len(holdout), np.float32) if holdout.weights is None else holdout.weights
        weights = np.concatenate([weights, others])
    return ImageRows(
        files=[*training.files, *holdout.files],
        labels=fields.objective.stack([*training.labels, *holdout.labels]),
        weights=weights,
        held_out=len(holdout),
    )


def listed(problems: Sequence[str]) -> str:
    """At most twenty of `problems`, one a line, and how many more there are."""
    rest = len(problems) - MOST_SHOWN
    more = [f"... and {rest} more"] if rest > 0 else []
    return "\n".join([*problems[:MOST_SHOWN], *more])


def unreadable_images(reasons: Sequence[str], total: int) -> str:
    """What to say of images that cannot be read: how many of `total`, and why each of the first twenty."""
    return f"{len(reasons)} of {total} images cannot be read:\n{listed(reasons)}"


def _of_list(rows: Any, fields: Fields, place: str) -> ImageRows:
    if not isinstance(rows, list):
        raise DataError(f"{place}: {not_rows(rows)}")
    if not rows:
        raise DataError(f"{place}: {NO_ROWS}")
    weighted = fields.weight is not None or any(
        isinstance(row, dict) and row.get("weight") is not None for row in rows
    )
    examples, problems = [], []
    for number, row in enumerate(rows):
        try:
            examples.append(_example(row, fields.objective, weighted))
        except DataError as error:
            problems.append(f"row {number}: {error}")
    if problems:
        raise DataError(f"{place}: {len(problems)} of {len(rows)} rows cannot be used:\n{listed(problems)}")
    files, labels, weights = zip(*examples, strict=True)
    stacked = fields.objective.stack(labels)
    return ImageRows(files, stacked, np.array(weights, np.float32) if weighted else None)


def _example(row: Any, objective: Objective, weighted: bool) -> tuple[str, Any, float]:
    if not isinstance(row, Mapping):
        raise DataError(not_a_row(row, objective.row_key))
    label = Rule(objective.is_row_label, objective.row_label_form)
    rules = {"file": FILE, objective.row_key: label} | ({"weight": WEIGHT} if weighted else {})
    for key, rule in rules.items():
        problem = value_problem(row, key, rule)
        if problem is not None:
            raise DataError(f'"{key}": {problem}')
    weight = float(row["weight"]) if weighted else 1.0
    return row["file"], objective.read_label(row[objective.row_key]), weight


def _of_ser(path: Path, fields: Fields, cache_rows: int | None) -> ImageRows:
    rows = read_ser(path, fields.all, cache_rows)
    if not rows.image_fields:
        raise DataError(f"{path}: info_list has no field of the type image")
    objective = len(fields.all) - 1
    try:
        labels = fields.objective.labels(rows.column(objective))
        weights = None
        if fields.weight is not None:
            weights = fields.row_weights(rows.column(objective - 1)).astype(np.float32)
        names = [rows.image_names(field) for field in rows.image_fields]
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    files = [name for row in zip(*names, strict=True) for name in row]
    there = [position for position, name in enumerate(files) if name]
    if not there:
        raise DataError(f"{path}: all images are missing")
    rows_of_images = np.array(there) // len(names)
    return ImageRows(
        files=[files[position] for position in there],
        labels=labels[rows_of_images],
        weights=None if weights is None else weights[rows_of_images],
        missing=len(files) - len(there),
    )
