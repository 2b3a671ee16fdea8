"""What the rows of an image training are to be, in the same words for a job and for a config of `pyramid_train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyramid.fields.box_rules import named_box_problems
from pyramid.fields.kinds import is_number
from pyramid.settings.wording import found

NO_ROWS = "found an empty list; at least one image is needed"


@dataclass(frozen=True)
class Rule:
    """What a value of a row is to be: whether it is, and in words."""

    holds: Callable[[Any], bool]
    expected: str


def value_problem(row: Mapping[str, Any], key: str, rule: Rule) -> str | None:
    """What is wrong with the value of a key that a row needs."""
    value = row.get(key)
    if value is None:
        return f"missing; a row needs it: {rule.expected}"
    return None if rule.holds(value) else f"found {found(value)}, allowed is {rule.expected}"


def not_rows(value: Any) -> str:
    """What is wrong with a value that is no list of rows."""
    return f'found {found(value)}, allowed is a list of {{"file", "label", "weight"}} or {{"file", "boxes", "weight"}}'


def not_a_row(value: Any, label_key: str) -> str:
    """What is wrong with a value that is no row.

    Args:
        label_key: where rows have their labels.
    """
    return f'found {found(value)}, allowed is an object with "file" and "{label_key}"'


def box_row_problems(row: Any) -> list[tuple[str, str]]:
    """What is wrong with a row of an image and its boxes, which may be none.

    Returns:
        JSON pointers from the row on, empty for the row itself, and what is wrong there.
    """
    if not isinstance(row, dict) or not FILE.holds(row.get("file")) or not isinstance(row.get("boxes"), list):
        return [("", f'found {found(row)}, allowed is {{"file", "boxes"}}')]
    return [(f"/boxes{place}", problem) for place, problem in named_box_problems(row["boxes"])]


FILE = Rule(
    lambda value: isinstance(value, str) and bool(value), "the name of an image file, below image_root"
)
WEIGHT = Rule(lambda value: is_number(value) and value >= 0, "a finite number of at least 0")
