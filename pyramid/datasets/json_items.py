"""JSON files of data sets: whole values, and lists longer than the memory, read and written an item at a time."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from pyramid.datasets.json_stream import JsonStream
from pyramid.errors import DataError
from pyramid.storage.files import dumps, whole_file
from sensenet.files import WholeFile, read_whole

BUFFERED_BYTES = 2**20


def read_json(path: Path) -> Any:
    """The JSON value in a file.

    Raises:
        DataError: it cannot be read, or is not JSON.
    """
    try:
        return orjson.loads(read_whole(path).removeprefix(codecs.BOM_UTF8))
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
    stream = JsonStream(path, "JSON list")
    for count, item in enumerate(stream.items()):
        if not isinstance(item, (dict, list)):
            raise DataError(f"{path}, /{count}: expected an object or a list")
        yield item
    stream.end()


def read_lists(path: Path, take: Mapping[str, Callable[[int, dict[str, Any]], None]]) -> None:
    """Give the objects in some lists of a JSON object, in the order of the file, to whoever takes them.

    Args:
        path: gzipped or not.
        take: what each list's positions and objects are given to, by the list's key. What is under other keys is
            passed over.

    Raises:
        DataError: not a JSON object, one of the lists is missing, or an item is no object or very long; says where.
        InputError: the file cannot be read.
    """
    stream = JsonStream(path, "JSON object")
    stream.take("{", "", f"{path}: expected an object with {', '.join(take)}")
    seen: set[str] = set()
    mark = stream.take("}", "") if stream.next_mark("") == "}" else ","
    while mark == ",":
        key = stream.value("")
        if not isinstance(key, str) or key in seen:
            raise DataError(f"{path}: expected the key of another member, got {key!r:.60}")
        seen.add(key)
        stream.take(":", f"/{key:.60}")
        if stream.next_mark(f"/{key:.60}") == "[":
            for place, item in enumerate(stream.items(f"/{key:.60}")):
                if key not in take:
                    continue
                if not isinstance(item, dict):
                    raise DataError(f"{path}, /{key}/{place}: expected an object")
                take[key](place, item)
        elif key in take:
            raise DataError(f"{path}, /{key}: expected a list")
        else:
            stream.value(f"/{key:.60}")
        mark = stream.take(",}", f"/{key:.60}")
    stream.end()
    missing = next((key for key in take if key not in seen), None)
    if missing is not None:
        raise DataError(f"{path}, /{missing}: expected a list")


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
