"""JSON files of data sets: whole values, and lists longer than the memory, read and written an item at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import orjson

from pyramid.errors import DataError
from pyramid.storage.files import dumps, whole_file
from sensenet.files import WholeFile, read_whole
from sensenet.tables.text import read_text

MAX_ITEM_CHARACTERS = 2**26
BUFFERED_BYTES = 2**20

_SPACE = re.compile(r"[ \t\n]*")


def read_json(path: Path) -> Any:
    """The JSON value in a file.

    Raises:
        DataError: it cannot be read, or is not JSON.
    """
    try:
        return orjson.loads(read_whole(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path}: expected JSON: {error}") from error


def read_items(path: Path) -> Iterator[Any]:
    """The items of a JSON list in whatever layout, gzipped or not: objects or lists.

    Raises:
        DataError: not a JSON list of objects or lists, or one with a very long item; says which.
        InputError: the file cannot be read.
    """
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    text, count, is_closed, problem = "", 0, False, "it has no end"
    for piece in read_text(path, "utf-8-sig"):
        text, position = text + piece, 0
        while (mark_at := _visible(text, position)) < len(text):
            item_at = _visible(text, mark_at + 1)
            mark, following = text[mark_at], text[item_at : item_at + 1]
            if is_closed:
                raise DataError(f"{path}: expected nothing behind the list")
            if mark == "]" and count:
                position, is_closed = mark_at + 1, True
                continue
            if mark != (expected := "," if count else "["):
                raise DataError(f'{path}: expected "{expected}" before item {count} of a JSON list')
            if not following:
                break
            if following == "]" and not count:
                position, is_closed = item_at + 1, True
                continue
            if following not in "{[":
                raise DataError(f"{path}, /{count}: expected an object or a list")
            try:
                item, position = decoder.raw_decode(text, item_at)
            except RecursionError:
                problem = "nested too deep"
                break
            except ValueError as error:
                # it is wrong, or goes on in the next piece; without "msg": Python makes no number of so many digits
                problem = getattr(error, "msg", "a number has too many digits")
                break
            yield item
            count += 1
        text = text[position:]
        if len(text) > MAX_ITEM_CHARACTERS:
            raise DataError(
                f"{path}, /{count}: expected at most {MAX_ITEM_CHARACTERS:,} characters: {problem}"
            )
    if not is_closed:
        raise DataError(f"{path}, /{count}: expected a whole JSON list: {problem}")


class ItemWriter:
    """Writes the items of one JSON list, a line each; made by `item_writer`.

    Attributes:
        count: how many items there are.
    """

    def __init__(self, file: WholeFile):
        """Begin the list."""
        self.count = 0
        self._file = file
        self._waiting = bytearray(b"[")

    def add(self, item: Any) -> None:
        """Add one item.

        Raises:
            OSError: no room, say.
        """
        self.add_lines(dumps(item), 1)

    def add_lines(self, lines: bytes, count: int) -> None:
        """Add so many items, which are JSON already, with line ends between them.

        Raises:
            OSError: no room, say.
        """
        if not count:
            return
        self._waiting += b",\n" if self.count else b"\n"
        self._waiting += lines.replace(b"\n", b",\n")
        self.count += count
        if len(self._waiting) > BUFFERED_BYTES:
            self._write()

    def end(self) -> None:
        """End the list.

        Raises:
            OSError: no room, say.
        """
        self._waiting += b"\n]\n" if self.count else b"]\n"
        self._write()

    def _write(self) -> None:
        self._file.write(self._waiting)
        self._waiting = bytearray()


@contextmanager
def item_writer(path: Path) -> Iterator[ItemWriter]:
    """A new list that becomes the file `path` when the body succeeds.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    with whole_file(path) as file:
        writer = ItemWriter(file)
        yield writer
        writer.end()


def _visible(text: str, position: int) -> int:
    """Where the next character stands that is no space."""
    found = _SPACE.match(text, position)
    assert found is not None, "it may be empty"
    return found.end()


def _refuse_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is no JSON", "", 0)
