"""JSON rows, one object a line or a list of objects, as frames of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from sensenet.errors import InputError
from sensenet.tables.text import Warn, first_bytes, read_text

ROWS_PER_FRAME = 20_000
MAX_LIST_BYTES = 2**28
"""A list is read at once; more than that belongs into lines."""

SPACES = b" \t\r\n\xef\xbb\xbf"


def is_json(path: Path) -> bool:
    """Whether the file begins as JSON rows do."""
    beginning = first_bytes(path).lstrip(SPACES)
    return beginning[:1] == b"{" or (
        beginning[:1] == b"[" and beginning[1:].lstrip(SPACES)[:1] in (b"{", b"]")
    )


def read_json_rows(path: Path, encoding: str | None, warn: Warn) -> Iterator[pl.DataFrame]:
    """The rows of a file: frames of texts, with the columns that their rows have, in the order of appearance.

    Raises:
        InputError: no JSON, no objects, or values that are lists or objects; gives file and line, or row.
    """
    is_list = first_bytes(path).lstrip(SPACES)[:1] == b"["
    rows = _listed_rows(path, encoding, warn) if is_list else _line_rows(path, encoding, warn)
    while some := list(islice(rows, ROWS_PER_FRAME)):
        yield _frame(some)


def _line_rows(path: Path, encoding: str | None, warn: Warn) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each row stands, for messages, and the row."""
    for number, line in enumerate(_lines(read_text(path, encoding, warn)), 1):
        if not line.strip():
            continue
        at = f"{path}, line {number}"
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(f"{at}: no valid JSON ({_reason(error)})") from error
        yield at, _object(row, at)


def _listed_rows(path: Path, encoding: str | None, warn: Warn) -> Iterator[tuple[str, Mapping[str, Any]]]:
    text, size = [], 0
    for piece in read_text(path, encoding, warn):
        text.append(piece)
        size += len(piece)
        if size > MAX_LIST_BYTES:
            raise InputError(
                f"{path}: a JSON list of more than {MAX_LIST_BYTES:,} bytes; write one object a line (JSON lines)"
            )
    try:
        rows = orjson.loads("".join(text))
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: no valid JSON ({_reason(error)})") from error
    for number, row in enumerate(rows, 1):
        yield f"{path}, row {number}", _object(row, f"{path}, row {number}")


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    rest: list[str] = []
    for piece in pieces:
        first, *others = piece.split("\n")
        rest.append(first)
        if others:
            yield "".join(rest)
            yield from others[:-1]
            rest = [others[-1]]
    yield "".join(rest)


def _object(row: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise InputError(
            f'{at}: expected an object, as in {{"age": 3}}, got {orjson.dumps(row).decode():.60}'
        )
    return row


def _frame(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> pl.DataFrame:
    names = dict.fromkeys(chain.from_iterable(row for _, row in rows))
    columns = {name: [_text(row.get(name), at, name) for at, row in rows] for name in names}
    return pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))


def _text(value: Any, at: str, name: str) -> str | None:
    """A value as delimited files would have it."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, (dict, list)):
        given = orjson.dumps(value).decode()
        raise InputError(
            f'{at}, "{name:.60}": expected a text, a number, true, false or null, got {given:.60}'
        )
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reason(error: orjson.JSONDecodeError) -> str:
    return error.msg.split(": line ")[0]
