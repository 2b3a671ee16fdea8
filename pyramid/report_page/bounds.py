"""What keeps a page small, whatever the size of a training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

MOST_TEXT = 160
CELLS_AT_ONCE = 2_000_000


def cut(text: str) -> str:
    """At most `MOST_TEXT` characters of a text that somebody else wrote; of a longer one its two ends."""
    if len(text) <= MOST_TEXT:
        return text
    return f"{text[: MOST_TEXT // 2]} … {text[-MOST_TEXT // 2 :]}"


def thinned(count: int, most: int) -> np.ndarray:
    """At most `most` of the places below `count`, evenly, with the last; (places,) int64."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """The rows of a matrix in runs of at most `CELLS_AT_ONCE` numbers, in their order."""
    step = max(1, CELLS_AT_ONCE // n_columns)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
