"""The `training_data` of a config: which objective its labels make, and the rows that an image job takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.errors import Violation
from pyramid.fields import OBJECTIVES, Objective, RawField, is_trained, parse_objective
from pyramid.fields.objectives import CategoricalObjective, not_a_class
from pyramid.images.row_rules import (
    FILE,
    NO_ROWS,
    WEIGHT,
    Rule,
    not_a_row,
    not_rows,
    value_problem,
)

Row = dict[str, Any]

OBJECTIVE_INDEX = 1
MOST_SHOWN = 20
NO_DETECTION = "found rows with boxes, but object detection cannot be trained by this version"


@dataclass(frozen=True)
class LabelledImages:
    """The rows of a config.

    Attributes:
        rows: each `{"file", "label", "weight"}`, the weight where any row has one; labels as they were given.
        objective: what they are labels of.
    """

    rows: Sequence[Row]
    objective: Objective

    def job_rows(self) -> list[Row]:
        """The rows as a job takes them: numbers standardised."""
        return [row | {"label": self.objective.standardised(row["label"])} for row in self.rows]


def read_labels(data: Any, given: RawField | None = None) -> tuple[LabelledImages | None, list[Violation]]:
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
    boxes = given is not None and not is_trained(given)
    if boxes or any(isinstance(row, dict) and "boxes" in row for row in data):
        return None, [_wrong("", NO_DETECTION)]
    stated = None if given is None else parse_objective(given)
    kind = _kind(data) if stated is None else type(stated)
    problems = [problem for place, row in enumerate(data) for problem in _row_problems(place, row, kind)]
    if not problems:
        rows = _rows(data)
        objective = stated or kind.of_labels([row["label"] for row in rows], OBJECTIVE_INDEX)
        problems = list(_unknown_labels(rows, objective))
        if not problems:
            return LabelledImages(rows, objective), []
    rest = len(problems) - MOST_SHOWN
    more = [_wrong("", f"{rest} more problems of this kind")] if rest > 0 else []
    return None, problems[:MOST_SHOWN] + more


def _kind(data: Sequence[Any]) -> type[Objective]:
    """The objective's kind is what the first label is."""
    labels = (row["label"] for row in data if isinstance(row, dict) and "label" in row)
    first = next(labels, None)
    return next((kind for kind in OBJECTIVES.values() if kind.is_label(first)), CategoricalObjective)


def _row_problems(place: int, row: Any, kind: type[Objective]) -> list[Violation]:
    if not isinstance(row, dict):
        return [_wrong(f"/{place}", not_a_row(row))]
    rules = {"file": FILE, "label": Rule(kind.is_label, kind.label_form), "weight": WEIGHT}
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


def _unknown_labels(rows: Sequence[Row], objective: Objective) -> list[Violation]:
    if not objective.has_classes:
        return []
    values = set(objective.classes)
    return [
        _wrong(f"/{place}/label", not_a_class(row["label"]))
        for place, row in enumerate(rows)
        if row["label"] not in values
    ]


def _wrong(place: str, message: str) -> Violation:
    return Violation(f"/training_data{place}", message)
