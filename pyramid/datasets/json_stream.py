"""JSON files longer than the memory, read a value at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from pyramid.errors import DataError
from sensenet.tables.text import read_text

MAX_ITEM_CHARACTERS = 2**26

_SPACE = re.compile(r"[ \t\n]*")
_BEGINNINGS = frozenset('{["-0123456789tfnNI')
_WHOLE = frozenset('}]"')
"""What ends a value that goes on in no next piece; a number might."""


class JsonStream:
    """The text of a file, gzipped or not, of which no more is held than its next value.

    All methods raise DataError where the text is no JSON or a value very long, and InputError where the file cannot be
    read; both say where.
    """

    def __init__(self, path: Path, what: str):
        """Begin.

        Args:
            path: of the file.
            what: it is expected to be, for errors.
        """
        self._path, self._what = path, what
        self._pieces = read_text(path, "utf-8-sig")
        self._text, self._position = "", 0
        self._decoder = json.JSONDecoder(parse_constant=_refuse_constant)

    def next_mark(self, where: str) -> str:
        """The next character that is no space, which stays; empty at the end."""
        while True:
            found = _SPACE.match(self._text, self._position)
            assert found is not None, "it may be empty"
            if found.end() < len(self._text):
                self._position = found.end()
                return self._text[self._position]
            if not self._has_more(where, "it has no end"):
                return ""

    def take(self, expected: str, where: str, told: str = "") -> str:
        """Pass over the next mark, one of `expected`.

        Args:
            told: the error where it is another.
        """
        mark = self.next_mark(where)
        if not mark:
            raise DataError(f"{self._at(where)}: expected a whole {self._what}: it has no end")
        if mark not in expected:
            raise DataError(told or f"{self._at(where)}: expected {expected!r}")
        self._position += 1
        return mark

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self.next_mark("end"):
            raise DataError(f"{self._path}: expected nothing behind the {self._what.removeprefix('JSON ')}")

    def value(self, where: str) -> Any:
        """The next value, whole."""
        mark = self.next_mark(where)
        if mark and mark not in _BEGINNINGS:
            raise DataError(f"{self._at(where)}: expected a JSON value, got {mark!r}")
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._position)
            except RecursionError:
                raise DataError(f"{self._at(where)}: nested too deep") from None
            except ValueError as error:
                # it is wrong, or goes on in the next piece; without "msg": Python makes no number of so many digits
                problem = getattr(error, "msg", "a number has too many digits")
                if not self._has_more(where, problem):
                    raise DataError(f"{self._at(where)}: expected a whole {self._what}: {problem}") from None
                continue
            if self._text[end - 1] in _WHOLE or end < len(self._text) or not self._has_more(where, ""):
                self._position = end
                return value

    def items(self, where: str = "") -> Iterator[Any]:
        """The values of a list, one after the other."""
        begin = f'{self._at(where)}: expected "[" before item 0 of a {self._what}'
        self.take("[", f"{where}/0", begin)
        if self.next_mark(f"{where}/0") == "]":
            self.take("]", where)
            return
        mark, count = ",", 0
        while mark == ",":
            yield self.value(f"{where}/{count}")
            count += 1
            told = f'{self._at(where)}: expected "," before item {count} of a {self._what}'
            mark = self.take(",]", f"{where}/{count}", told)

    def _at(self, where: str) -> str:
        return f"{self._path}, {where}" if where else str(self._path)

    def _has_more(self, where: str, problem: str) -> bool:
        """Whether there was another piece."""
        rest = self._text[self._position :]
        if len(rest) > MAX_ITEM_CHARACTERS:
            raise DataError(
                f"{self._at(where)}: expected at most {MAX_ITEM_CHARACTERS:,} characters: {problem}"
            )
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._text, self._position = rest + piece, 0
        return True


def _refuse_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is no JSON", "", 0)
