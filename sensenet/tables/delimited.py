"""Files of delimited values as frames of texts, a block of whole records at a time.

Polars reads a block where its quotes stand as they should and every record has as many values as there are columns,
which counting bytes tells. Python's csv module reads all others, or says in which line a record is wrong.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from sensenet.errors import InputError
from sensenet.tables.dialect import MAX_RECORD_BYTES, QUOTE, Dialect, detect_dialect, records_of
from sensenet.tables.text import Warn, read_text

NEWLINE = ord("\n")
MORE_THAN_ONE_NEWLINE = re.compile(rb"\n\n+")


class Block(NamedTuple):
    """The whole records at the beginning of some bytes.

    Attributes:
        end: where they end; 0: there is none.
        is_regular: whether every quote in them stands where one should.
        n_rows, n_delimiters: how many newlines and delimiters outside of quotes.
        has_quotes: whether there is any.
    """

    end: int
    is_regular: bool
    n_rows: int
    n_delimiters: int
    has_quotes: bool


def find_dialect(
    path: Path, encoding: str | None, delimiter: str | None, has_header: bool, warn: Warn
) -> Dialect:
    """The dialect of a file, see `detect_dialect`.

    Raises:
        InputError: there is nothing in the file, or it cannot be read.
    """
    beginning = ""
    for piece in read_text(path, encoding, warn):
        beginning += piece
        dialect = detect_dialect(beginning, False, delimiter, has_header)
        if dialect is not None:
            return dialect
        if len(beginning) > MAX_RECORD_BYTES:
            raise InputError(f"{path}: the first record has no end within {MAX_RECORD_BYTES:,} bytes")
    dialect = detect_dialect(beginning, True, delimiter, has_header)
    if dialect is None:
        raise InputError(f"{path}: the file is empty, expected a table")
    return dialect


def read_delimited(path: Path, dialect: Dialect, encoding: str | None, warn: Warn) -> Iterator[pl.DataFrame]:
    """The rows of a file: frames of texts; missing where nothing stands between two delimiters.

    Raises:
        InputError: a record of another length, a quoted value that does not end, or what `read_text` refuses; gives
            file and line.
    """
    line, skip, rest = 1, dialect.has_header, b""
    for piece, is_last in _with_last(read_text(path, encoding, warn)):
        data = rest + piece.encode("utf-8", "surrogatepass")
        if line == 1 and skip:
            line += len(data) - len(data := data.lstrip(b"\n"))
        if is_last and data and not data.endswith(b"\n"):
            data += b"\n"
        if not data:
            continue
        frame, end = _next_frame(data, dialect, f"{path}", line, is_last)
        if end == 0 and len(data) > MAX_RECORD_BYTES:
            raise InputError(
                f"{path}, line {line}: a quoted value that begins here has no end within {MAX_RECORD_BYTES:,} bytes"
            )
        line += data.count(b"\n", 0, end)
        rest = data[end:]
        if frame is not None and skip and len(frame):
            frame, skip = frame[1:], False
        if frame is not None and len(frame):
            yield frame


def _next_frame(
    data: bytes, dialect: Dialect, path: str, line: int, is_last: bool
) -> tuple[pl.DataFrame | None, int]:
    """The rows at the beginning of `data`, and where in it they end."""
    block = find_block(data, ord(dialect.delimiter))
    if block.is_regular and block.end and not (is_last and block.end < len(data)):
        frame = _quick_frame(data[: block.end], block, dialect)
        if frame is not None:
            return frame, block.end
    if block.end == 0 and not is_last:
        return None, 0
    return _careful_frame(data.decode("utf-8", "surrogatepass"), dialect, path, line, is_last)


def find_block(data: bytes, delimiter: int) -> Block:
    """The whole records at the beginning of `data`, which begins with a record."""
    symbols = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(symbols == NEWLINE)
    quotes = np.flatnonzero(symbols == ord(QUOTE))
    if not len(quotes):
        end = int(newlines[-1]) + 1 if len(newlines) else 0
        return Block(end, True, len(newlines), data.count(bytes([delimiter]), 0, end), False)
    newlines = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    end = int(newlines[-1]) + 1 if len(newlines) else 0
    quotes = quotes[quotes < end]
    delimiters = np.flatnonzero(symbols[:end] == delimiter)
    n_delimiters = int(np.count_nonzero(np.searchsorted(quotes, delimiters) % 2 == 0))
    return Block(end, _are_regular(symbols, quotes, delimiter), len(newlines), n_delimiters, True)


def _are_regular(symbols: np.ndarray, quotes: np.ndarray, delimiter: int) -> bool:
    """Whether quotes open at the beginning of a value, and close at its end or are doubled."""
    neighbours = np.array([delimiter, NEWLINE, ord(QUOTE)], np.uint8)
    opening, closing = quotes[::2], quotes[1::2]
    before = symbols[opening[opening > 0] - 1]
    return bool(np.isin(before, neighbours).all() and np.isin(symbols[closing + 1], neighbours).all())


def _quick_frame(data: bytes, block: Block, dialect: Dialect) -> pl.DataFrame | None:
    """The rows as Polars reads them; None where it may have read something else than there is."""
    n_rows, n_columns = block.n_rows, len(dialect.names)
    if n_columns > 1 and b"\n\n" in data:
        if block.has_quotes:
            return None
        data = MORE_THAN_ONE_NEWLINE.sub(b"\n", data)
        n_rows = data.count(b"\n")
    if block.n_delimiters != n_rows * (n_columns - 1):
        return None
    try:
        frame = pl.read_csv(
            io.BytesIO(data),
            has_header=False,
            separator=dialect.delimiter,
            quote_char=QUOTE,
            schema=dict.fromkeys(dialect.names, pl.String),
        )
    except pl.exceptions.PolarsError:
        return None
    return frame if len(frame) == n_rows else None


class _Lines:
    """The lines of a text, and how far they were taken.

    Attributes:
        taken: how many characters.
        is_over: whether more were asked for than there are.
    """

    def __init__(self, text: str):
        """Begin."""
        self._lines = io.StringIO(text)
        self.taken = 0
        self.is_over = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._lines.readline()
        if not line:
            self.is_over = True
            raise StopIteration
        self.taken += len(line)
        return line


def _careful_frame(
    text: str, dialect: Dialect, path: str, line: int, is_last: bool
) -> tuple[pl.DataFrame, int]:
    """The rows as Python's csv module reads them, and how many bytes they take.

    Raises:
        InputError: a record of another length, or a value that does not end; gives the line.
    """
    if not is_last:
        text = text[: text.rindex("\n") + 1]
    n_columns = len(dialect.names)
    lines, rows, end = _Lines(text), [], 0
    for record in records_of(lines, dialect.delimiter):
        if lines.is_over:
            if is_last:
                at = line + text.count("\n", 0, end)
                raise InputError(f"{path}, line {at}: a quoted value that begins here is never closed")
            break
        if record or n_columns == 1:
            if len(record or [""]) != n_columns:
                at = line + text.count("\n", 0, end)
                raise InputError(f"{path}, line {at}: {_wrong_length(record, dialect)}")
            rows.append(record or [""])
        end = lines.taken
    columns: Sequence[Sequence[str]] = list(zip(*rows, strict=True)) or [[]] * n_columns
    series = [pl.Series(name, column, pl.String) for name, column in zip(dialect.names, columns, strict=True)]
    return pl.DataFrame(series), len(text[:end].encode("utf-8", "surrogatepass"))


def _wrong_length(record: list[str], dialect: Dialect) -> str:
    n_columns = len(dialect.names)
    source = "the header" if dialect.has_header else "the first row"
    missing = f', there is none for "{dialect.names[len(record)]:.60}"' if len(record) < n_columns else ""
    delimiter = "TAB" if dialect.delimiter == "\t" else f'"{dialect.delimiter}"'
    plural = "" if n_columns == 1 else "s"
    return (
        f"expected {n_columns} value{plural} as in {source}, found {len(record)}{missing} (values are divided by "
        f"{delimiter})"
    )


def _with_last(pieces: Iterator[str]) -> Iterator[tuple[str, bool]]:
    """Each piece, and whether it is the last one."""
    previous = next(pieces, "")
    for piece in pieces:
        yield previous, False
        previous = piece
    yield previous, True
