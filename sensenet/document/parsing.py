"""Reading single values of a JSON document strictly: what is wrong is said with its place in the document."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NoReturn

import numpy as np

from sensenet.document import wording
from sensenet.errors import ModelFormatError

MAX_DIMENSIONS = 8
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = 2
_BRIEF.maxstring = _BRIEF.maxother = 80
_TRUTH_TYPES = frozenset({bool, np.bool_})


def shown(value: Any) -> str:
    """A short JSON-like text of `value` for an error message."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return wording.shown(value)


def brief(value: Any) -> str:
    """A short `repr` of what people pass, which may contain itself or be nested deeply."""
    return f"{_BRIEF.repr(value):.80}"


def expected(path: str, expectation: str, value: Any) -> NoReturn:
    """Raise the `ModelFormatError` for `value` standing where `expectation` should."""
    raise ModelFormatError(f"{path}: expected {expectation}, got {shown(value)}")


def mapping(value: Any, path: str) -> Mapping[str, Any]:
    """A JSON object."""
    if not isinstance(value, Mapping):
        expected(path, "an object", value)
    return value


def sequence(value: Any, path: str) -> Sequence[Any]:
    """A JSON list."""
    if not isinstance(value, (list, tuple)):
        expected(path, "a list", value)
    return value


def required(raw: Mapping[str, Any], key: str, path: str) -> Any:
    """The value at `key`, which must be there."""
    if key not in raw:
        raise ModelFormatError(f'{path}: "{key}" is missing')
    return raw[key]


def number(value: Any, path: str, low: float = -np.inf, below: float = np.inf) -> float:
    """A finite number in [low, below)."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    # an integer may be too large for a float
    if not good or not low <= value < below or abs(value) > sys.float_info.max:
        bounds = "a number" if np.isinf([low, below]).all() else f"a number in [{low:g}, {below:g})"
        expected(path, bounds, value)
    return float(value)


def integer(value: Any, path: str, low: int, high: int) -> int:
    """An integer in [low, high]."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        expected(path, f"an integer in [{low}, {high}]", value)
    return value


def text_list(value: Any, path: str) -> tuple[str, ...]:
    """A list of names; numbers and truth values among them are kept as their JSON text."""
    names = sequence(value, path)
    for position, name in enumerate(names):
        if not isinstance(name, (str, int, float)):
            expected(f"{path}[{position}]", "a text", name)
    return tuple(str(name).lower() if isinstance(name, bool) else str(name) for name in names)


def array(value: Any, path: str, dimensions: int) -> np.ndarray:
    """Nested lists of finite numbers as one contiguous float32 array of `dimensions` dimensions."""
    expectation = f"numbers in {dimensions} dimension{'s' if dimensions > 1 else ''}"
    if not isinstance(value, (list, np.ndarray)):
        expected(path, expectation, value)
    try:
        numbers = float32_array(value)
    except ValueError as error:
        raise ModelFormatError(f"{path}: expected {expectation}, got {error}") from None
    if numbers.ndim != dimensions:
        given = f"numbers in {numbers.ndim} dimension{'s' if numbers.ndim > 1 else ''}"
        raise ModelFormatError(f"{path}: expected {expectation}, got {given}")
    if not np.isfinite(numbers).all():
        raise ModelFormatError(f"{path}: expected finite numbers, got NaN or infinity")
    return numbers


def float32_array(value: Any) -> np.ndarray:
    """Nested lists of nothing but numbers, or an array of numbers, as a contiguous float32 array.

    Raises:
        ValueError: says what `value` is instead.
    """
    _refuse_deep_lists(value)
    try:
        numbers = np.asarray(value)
    except ValueError:
        raise ValueError("lists of different lengths") from None
    if numbers.size == 0:
        raise ValueError("no numbers")
    if numbers.dtype.kind not in "iuf":
        raise ValueError(f"{numbers.dtype.name} in {numbers.ndim} dimensions")
    with np.errstate(over="ignore"):
        narrowed = np.ascontiguousarray(numbers, dtype=np.float32)
    # among numbers a truth value becomes 0 or 1: only where these stand, the lists need be looked through
    if (
        numbers is not value
        and ((narrowed == 0) | (narrowed == 1)).any()
        and _has_truth_value(value, numbers.ndim)
    ):
        raise ValueError("truth values among numbers")
    return narrowed


def _refuse_deep_lists(value: Any) -> None:
    """NumPy would follow all branches of a list that contains itself twice."""
    for _ in range(MAX_DIMENSIONS + 1):
        if not isinstance(value, (list, tuple)) or not value:
            return
        value = value[0]
    raise ValueError(f"lists nested more than {MAX_DIMENSIONS} levels deep")


def _has_truth_value(nested: Iterable[Any], depth: int) -> bool:
    for _ in range(depth - 1):
        nested = chain.from_iterable(nested)
    return not _TRUTH_TYPES.isdisjoint(map(type, nested))
