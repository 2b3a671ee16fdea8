"""The `training_data` of a config: which objective its labels make, and the rows that an image job takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyramid.errors import Violation
from pyramid.images.row_rules import (
    FILE,
    LABELS,
    NO_ROWS,
    NUMBER,
    WEIGHT,
    not_a_row,
    not_rows,
    stranger,
    value_problem,
)
from pyramid.tables.recipe import categorical_field, numeric_field

Row = dict[str, Any]

OBJECTIVE_INDEX = 1
MOST_SHOWN = 20
NO_DETECTION = "found rows with boxes, but object detection cannot be trained by this version"


@dataclass(frozen=True)
class LabelledImages:
    """The rows of a config.

    Attributes:
        rows: each `{"file", "label", "weight"}`, the weight where any row has one; labels as they were given.
        objective: the field that they make: categorical with its values, or numeric with mean and stdev.
    """

    rows: Sequence[Row]
    objective: Mapping[str, Any]

    def job_rows(self) -> list[Row]:
        """The rows as a job takes them: numbers standardised."""
        if self.objective["type"] == "categorical":
            return list(self.rows)
        mean, stdev = self.objective["mean"], self.objective["stdev"] or 1.0
        return [row | {"label": (row["label"] - mean) / stdev} for row in self.rows]


def read_labels(
    data: Any, given: Mapping[str, Any] | None = None
) -> tuple[LabelledImages | None, list[Violation]]:
    """Understand `training_data`.

    Args:
        data: the value of the key.
        given: the objective that the config states in `info_list`, whose values, or mean and stdev, hold then.

    Returns:
        The rows, or None and what is wrong with them: of wrong rows the first twenty, and how many more there are.
    """
    if not isinstance(data, list):
        return None, [_wrong("", not_rows(data))]
    if not data:
        return None, [_wrong("", NO_ROWS)]
    boxes = given is not None and given["type"] == "bounding_box"
    if boxes or any(isinstance(row, dict) and "boxes" in row for row in data):
        return None, [_wrong("", NO_DETECTION)]
    kind = _kind(data, given)
    problems = [problem for place, row in enumerate(data) for problem in _row_problems(place, row, kind)]
    if not problems:
        rows = _rows(data)
        objective = dict(given) if given is not None else _objective(rows, kind)
        problems = list(_strangers(rows, objective))
        if not problems:
            return LabelledImages(rows, objective), []
    rest = len(problems) - MOST_SHOWN
    more = [_wrong("", f"{rest} more problems of this kind")] if rest > 0 else []
    return None, problems[:MOST_SHOWN] + more


def _kind(data: Sequence[Any], given: Mapping[str, Any] | None) -> str:
    """The objective's type: as stated, else what the first label is."""
    if given is not None:
        return str(given["type"])
    labels = (row["label"] for row in data if isinstance(row, dict) and "label" in row)
    return "numeric" if NUMBER.holds(next(labels, None)) else "categorical"


def _row_problems(place: int, row: Any, kind: str) -> list[Violation]:
    if not isinstance(row, dict):
        return [_wrong(f"/{place}", not_a_row(row))]
    rules = {"file": FILE, "label": LABELS[kind], "weight": WEIGHT}
    problems = [
        _wrong(f"/{place}/{key}", f"unknown key; a row has {', '.join(rules)}")
        for key in row
        if key not in rules
    ]
    for key, rule in rules.items():
        problem = None if key == "weight" and row.get(key) is None else value_problem(row, key, rule)
        if problem is not None:
            problems.append(_wrong(f"/{place}/{key}", problem))
    return problems


def _rows(data: Sequence[Row]) -> list[Row]:
    weighted = any(row.get("weight") is not None for row in data)
    if not weighted:
        return [{"file": row["file"], "label": row["label"]} for row in data]
    return [
        {
            "file": row["file"],
            "label": row["label"],
            "weight": 1 if row.get("weight") is None else row["weight"],
        }
        for row in data
    ]


def _objective(rows: Sequence[Row], kind: str) -> dict[str, Any]:
    if kind == "numeric":
        return numeric_field(OBJECTIVE_INDEX, np.array([row["label"] for row in rows], np.float64))
    return categorical_field(OBJECTIVE_INDEX, sorted({row["label"] for row in rows}))


def _strangers(rows: Sequence[Row], objective: Mapping[str, Any]) -> list[Violation]:
    if objective["type"] != "categorical":
        return []
    values = set(objective["values"])
    return [
        _wrong(f"/{place}/label", stranger(row["label"]))
        for place, row in enumerate(rows)
        if row["label"] not in values
    ]


def _wrong(place: str, message: str) -> Violation:
    return Violation(f"/training_data{place}", message)
