"""The words of errors about names and plain JSON values; free of NumPy, so that checking names starts at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import orjson

MAX_SHOWN = 60


def shown(value: Any) -> str:
    """A short JSON-like text of a JSON `value` for an error message."""
    if isinstance(value, (dict, list, tuple)):
        kind = "an object" if isinstance(value, dict) else "a list"
        return f"{kind} of {len(value)}"
    try:
        text = orjson.dumps(value).decode()
    except (TypeError, ValueError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def counted(number: int, what: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def hint(name: Any, known: Iterable[str]) -> str:
    """`; did you mean "relu"?` where `name` is near a known name, else the list of known names."""
    choices = sorted(known)
    near = difflib.get_close_matches(str(name), choices, n=1)
    return f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(choices)}"
