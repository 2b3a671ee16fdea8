"""What the rows of an image training are to be, in the same words for a job and for a config of `pyramid_train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from pyramid.fields.boxes import BOX_FORM, box_problem
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
    return f'found {found(value)}, allowed is a list of {{"file", "label", "weight"}}'


def not_a_row(value: Any) -> str:
    """What is wrong with a value that is no row."""
    return f'found {found(value)}, allowed is an object with "file" and "label"'


def is_box(value: Any) -> TypeGuard[list[Any]]:
    """Whether a value is a box of a row: its corners in pixels, and the name of its class."""
    return box_problem(value) is None and isinstance(value[-1], str)


def box_row_problems(row: Any) -> list[tuple[str, str]]:
    """What is wrong with a row of an image and its boxes, which may be none.

    Returns:
        JSON pointers from the row on, empty for the row itself, and what is wrong there.
    """
    if not isinstance(row, dict) or not FILE.holds(row.get("file")) or not isinstance(row.get("boxes"), list):
        return [("", f'found {found(row)}, allowed is {{"file", "boxes"}}')]
    return [
        (f"/boxes/{number}", f"found {found(box)}, allowed is {BOX.expected}")
        for number, box in enumerate(row["boxes"])
        if not BOX.holds(box)
    ]


FILE = Rule(
    lambda value: isinstance(value, str) and bool(value), "the name of an image file, below image_root"
)
BOX = Rule(is_box, f"{BOX_FORM} and a string")
WEIGHT = Rule(lambda value: is_number(value) and value >= 0, "a finite number of at least 0")
