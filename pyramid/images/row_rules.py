"""What the rows of an image training are to be, in the same words for a job and for a config of `pyramid_train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pyramid.settings.wording import found

LARGEST = (2 - 2**-23) * 2.0**127
"""The largest float32."""

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


def stranger(label: str) -> str:
    """What is wrong with a class that the objective does not have."""
    return f"found {found(label)}, which is not among the values of the objective"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


FILE = Rule(
    lambda value: isinstance(value, str) and bool(value), "the name of an image file, below image_root"
)
TEXT = Rule(lambda value: isinstance(value, str), "a string, as the labels are classes")
NUMBER = Rule(_is_number, "a finite number, as the labels are numbers")
WEIGHT = Rule(lambda value: _is_number(value) and value >= 0, "a finite number of at least 0")
LABELS: Mapping[str, Rule] = MappingProxyType({"categorical": TEXT, "numeric": NUMBER})
