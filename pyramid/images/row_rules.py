"""What the rows of an image training are to be, in the same words for a job and for a config of `pyramid_train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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


FILE = Rule(
    lambda value: isinstance(value, str) and bool(value), "the name of an image file, below image_root"
)
WEIGHT = Rule(lambda value: is_number(value) and value >= 0, "a finite number of at least 0")
