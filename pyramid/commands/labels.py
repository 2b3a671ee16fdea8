"""The `training_data` of a config: which objective its labels or boxes make, and the rows that an image job takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.errors import Violation
from pyramid.fields import OBJECTIVES, Objective, RawField, parse_objective
from pyramid.fields.boxes import BoxesObjective
from pyramid.fields.objective import not_a_class
from pyramid.fields.objectives import CategoricalObjective
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

TRAINING_DATA, HOLDOUT_DATA = "training_data", "holdout_data"
OBJECTIVE_INDEX = 1
MOST_SHOWN = 20
ROW_KEYS = frozenset(kind.row_key for kind in OBJECTIVES.values())


@dataclass(frozen=True)
class LabelledImages:
    """The rows of a config.

    Attributes:
        rows: each `{"file", "label", "weight"}`, or "boxes" in place of "label"; the weight where any row has one;
            labels as they were given.
        objective: what they are labels of.
        holdout: as `rows`: those to hold out; empty: the job chooses them.
    """

    rows: Sequence[Row]
    objective: Objective
    holdout: Sequence[Row] = ()

    def job_rows(self) -> list[Row]:
        """The rows as a job takes them: numbers standardised."""
        return self._standardised(self.rows)

    def job_holdout(self) -> list[Row]:
        """As `job_rows`: those to hold out."""
        return self._standardised(self.holdout)

    def _standardised(self, rows: Sequence[Row]) -> list[Row]:
        key = self.objective.row_key
        return [row | {key: self.objective.standardised(row[key])} for row in rows]


def label_kind(data: Any, given: RawField | None = None) -> type[Objective]:
    """The kind of objective that `training_data` makes, be it right or wrong: what its first label is, if not stated.

    Args:
        data, given: see `read_labels`.
    """
    if given is not None:
        return type(parse_objective(given))
    rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
    if any(BoxesObjective.row_key in row for row in rows):
        return BoxesObjective
    first = next((row["label"] for row in rows if "label" in row), None)
    return next((kind for kind in OBJECTIVES.values() if kind.is_label(first)), CategoricalObjective)


def read_labels(
    data: Any, given: RawField | None = None, holdout: Any = None
) -> tuple[LabelledImages | None, list[Violation]]:
    """Understand `training_data`, and `holdout_data` where there is some.

    Args:
        data, holdout: the values of the keys.
        given: the objective that the config states in `info_list`, whose values, or mean and stdev, hold then.

    Returns:
        The rows, or None and what is wrong with them: of wrong rows the first twenty, and how many more there are.
    """
    kind = label_kind(data, given)
    rows, problems = sound_rows(data, kind)
    if rows is None:
        return None, problems
    labels = [row[kind.row_key] for row in rows]
    objective = kind.of_labels(labels, OBJECTIVE_INDEX) if given is None else parse_objective(given)
    if problems := [*_unknown_names(labels, objective)] or [*_absent_names(labels, objective)]:
        return None, _first(problems)
    if holdout is None:
        return LabelledImages(rows, objective), []
    held_out, problems = sound_rows(holdout, kind, HOLDOUT_DATA)
    if held_out is None:
        return None, problems
    if problems := [*_unknown_names([row[kind.row_key] for row in held_out], objective, HOLDOUT_DATA)]:
        return None, _first(problems, HOLDOUT_DATA)
    return LabelledImages(rows, objective, held_out), []


def sound_rows(
    data: Any, kind: type[Objective], key: str = TRAINING_DATA
) -> tuple[list[Row] | None, list[Violation]]:
    """The rows of a key of a config, each as it is to be; a training may still need more of them together.

    Args:
        data: the value of the key.
        kind: see `label_kind`.
        key: `training_data`, or `holdout_data`.

    Returns:
        As `LabelledImages.rows`, or None and what is wrong, as `read_labels`.
    """
    if not isinstance(data, list):
        return None, [_wrong("", not_rows(data), key)]
    if not data:
        return None, [_wrong("", NO_ROWS, key)]
    problems = [problem for place, row in enumerate(data) for problem in _row_problems(place, row, kind, key)]
    return (None, _first(problems, key)) if problems else (_rows(data, kind.row_key), [])


def _first(problems: list[Violation], key: str = TRAINING_DATA) -> list[Violation]:
    rest = len(problems) - MOST_SHOWN
    more = [_wrong("", f"{rest} more problems of this kind", key)] if rest > 0 else []
    return problems[:MOST_SHOWN] + more


def _row_problems(place: int, row: Any, kind: type[Objective], data_key: str) -> list[Violation]:
    if not isinstance(row, dict):
        return [_wrong(f"/{place}", not_a_row(row, kind.row_key), data_key)]
    form = Rule(lambda value: True, kind.label_form)
    rules = {"file": FILE, kind.row_key: form, "weight": WEIGHT}
    problems = [
        _wrong(f"/{place}/{key}", _unknown_key(key, rules), data_key) for key in row if key not in rules
    ]
    for key, rule in rules.items():
        problem = None if key == "weight" and row.get(key) is None else value_problem(row, key, rule)
        if problem is not None:
            problems.append(_wrong(f"/{place}/{key}", problem, data_key))
    label = row.get(kind.row_key)
    wrong = [] if label is None else kind.label_problems(label)
    return problems + [_wrong(f"/{place}/{kind.row_key}{at}", why, data_key) for at, why in wrong]


def _unknown_key(key: str, known: Iterable[str]) -> str:
    others = ", as other rows have" if key in ROW_KEYS else ""
    return f"unknown key; a row has {', '.join(known)}{others}"


def _rows(data: Sequence[Row], label_key: str) -> list[Row]:
    keys = ("file", label_key)
    weighted = any(row.get("weight") is not None for row in data)
    if not weighted:
        return [{key: row[key] for key in keys} for row in data]
    return [
        {key: row[key] for key in keys} | {"weight": 1 if row.get("weight") is None else row["weight"]}
        for row in data
    ]


def _unknown_names(
    labels: Sequence[Any], objective: Objective, key: str = TRAINING_DATA
) -> Iterator[Violation]:
    known = frozenset(objective.classes)
    for place, label in enumerate(labels):
        for at, name in objective.names_in(label):
            if name not in known:
                yield _wrong(f"/{place}/{objective.row_key}{at}", not_a_class(name), key)


def _absent_names(labels: Sequence[Any], objective: Objective) -> Iterator[Violation]:
    """Boxes of each class must be there; a class of whole images may be missing."""
    if not isinstance(objective, BoxesObjective):
        return
    counts = Counter(name for label in labels for _, name in objective.names_in(label))
    absence = objective.absence([counts[name] for name in objective.classes])
    if absence is not None:
        yield _wrong("", absence)


def _wrong(place: str, message: str, key: str = TRAINING_DATA) -> Violation:
    return Violation(f"/{key}{place}", message)
