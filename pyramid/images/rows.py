"""The rows of an image job: files, labels and weights, from a list or a `.ser` (spec page 3, "Image rows")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from pyramid.errors import DataError
from pyramid.images.row_rules import (
    FILE,
    NO_ROWS,
    NUMBER,
    WEIGHT,
    Rule,
    not_a_row,
    not_rows,
    stranger,
    value_problem,
)
from pyramid.tables.ser import read_ser
from sensenet.files import read_whole

MOST_SHOWN = 20


@dataclass(frozen=True)
class ImageRows:
    """The images of a job and what is true of them.

    Attributes:
        files: (rows,) names below `image_root`.
        labels: (rows,) int64 classes, or float64 standardised numbers.
        weights: (rows,) float32, or None.
        missing: how many images had no name and are left out: a row may have images in some of its fields only.
    """

    files: Sequence[str]
    labels: np.ndarray
    weights: np.ndarray | None
    missing: int = 0

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.files)


def read_image_rows(settings: Any) -> ImageRows:
    """The rows in `image_training_data`, or else in `cache_file`, a `.json` or a `.ser`.

    Numbers are standardised already in lists and raw in a `.ser`. Of a `.ser` every image field of every row is an
    example.

    Raises:
        DataError: a file that cannot be read, no rows, or rows that break the format; names up to twenty.
    """
    if settings.image_training_data is not None:
        return _of_list(settings.image_training_data, settings, "image_training_data")
    path = Path(settings.cache_file)
    if path.suffix == ".ser":
        return _of_ser(path, settings)
    try:
        rows = orjson.loads(read_whole(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}: expected a .ser file, or JSON with a list of images: {error}") from error
    except ValueError as error:  # a null character in the path
        raise DataError(f"{path} cannot be read: {error}") from error
    return _of_list(rows, settings, str(path))


def listed(problems: Sequence[str]) -> str:
    """At most twenty of `problems`, one a line, and how many more there are."""
    rest = len(problems) - MOST_SHOWN
    more = [f"... and {rest} more"] if rest > 0 else []
    return "\n".join([*problems[:MOST_SHOWN], *more])


def unreadable_images(reasons: Sequence[str], total: int) -> str:
    """What to say of images that cannot be read: how many of `total`, and why each of the first twenty."""
    return f"{len(reasons)} of {total} images cannot be read:\n{listed(reasons)}"


def _of_list(rows: Any, settings: Any, place: str) -> ImageRows:
    if not isinstance(rows, list):
        raise DataError(f"{place}: {not_rows(rows)}")
    if not rows:
        raise DataError(f"{place}: {NO_ROWS}")
    weighted = bool(settings.instance_weights) or any(
        isinstance(row, dict) and row.get("weight") is not None for row in rows
    )
    label_rule = _label_rule(settings.info_list[-1])
    positions = {value: position for position, value in enumerate(settings.info_list[-1].get("values", ()))}
    examples, problems = [], []
    for number, row in enumerate(rows):
        try:
            examples.append(_example(row, label_rule, positions, weighted))
        except DataError as error:
            problems.append(f"row {number}: {error}")
    if problems:
        raise DataError(f"{place}: {len(problems)} of {len(rows)} rows cannot be used:\n{listed(problems)}")
    files, labels, weights = zip(*examples, strict=True)
    return ImageRows(files, np.array(labels), np.array(weights, np.float32) if weighted else None)


def _example(
    row: Any, label_rule: Rule, positions: Mapping[str, int], weighted: bool
) -> tuple[str, Any, float]:
    if not isinstance(row, Mapping):
        raise DataError(not_a_row(row))
    rules = {"file": FILE, "label": label_rule} | ({"weight": WEIGHT} if weighted else {})
    for key, rule in rules.items():
        problem = value_problem(row, key, rule)
        if problem is not None:
            raise DataError(f'"{key}": {problem}')
    label = row["label"]
    if isinstance(label, str):
        if label not in positions:
            raise DataError(f'"label": {stranger(label)}')
        label = positions[label]
    return row["file"], label, float(row["weight"]) if weighted else 1.0


def _label_rule(objective: Mapping[str, Any]) -> Rule:
    """A number, or a class by its name or its index; whether a name is known is looked at later."""
    if objective["type"] == "numeric":
        return NUMBER
    n_classes = len(objective["values"])

    def holds(label: Any) -> bool:
        is_index = isinstance(label, int) and not isinstance(label, bool) and 0 <= label < n_classes
        return isinstance(label, str) or is_index

    return Rule(holds, f"a value of the objective, or its index: an integer from 0 to {n_classes - 1}")


def _of_ser(path: Path, settings: Any) -> ImageRows:
    rows = read_ser(path, settings.info_list, settings.cache_rows)
    if not rows.image_fields:
        raise DataError(f"{path}: info_list has no field of the type image")
    objective = len(settings.info_list) - 1
    try:
        labels = _ser_labels(rows.column(objective), settings.info_list[-1])
        weights = _ser_weights(rows.column(objective - 1)) if settings.instance_weights else None
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


def _ser_labels(raw: np.ndarray, objective: Mapping[str, Any]) -> np.ndarray:
    if objective["type"] == "numeric":
        labels = (raw - objective["mean"]) / (objective["stdev"] or 1.0)
        _refuse(~(np.abs(labels) <= np.finfo(np.float32).max), raw, "objective", "a finite number")
        return labels
    n_classes = len(objective["values"])
    bad = ~((raw >= 0) & (raw < n_classes) & (raw == np.floor(raw)))
    _refuse(bad, raw, "objective", f"a class index from 0 to {n_classes - 1}")
    return raw.astype(np.int64)


def _ser_weights(raw: np.ndarray) -> np.ndarray:
    bad = ~((raw >= 0) & (raw <= np.finfo(np.float32).max))
    _refuse(bad, raw, "weight", "a finite number >= 0")
    return raw.astype(np.float32)


def _refuse(bad: np.ndarray, raw: np.ndarray, what: str, expected: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"row {row}: the {what} is {raw[row]}, expected {expected}")
