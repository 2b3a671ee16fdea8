"""Label maps: the text files in which the TensorFlow models repository names the classes of a detector.

    item { id: 1 name: '/m/011k07' display_name: 'Tortoise' }

They are protocol buffers in their text format (`object_detection.protos.StringIntLabelMap`): attributes in any order,
comments, both quotes. What a class has beside these three attributes is passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from sensenet.errors import InputError
from sensenet.files import open_regular, write_whole

LABEL_MAP_FILE = "label_map.pbtxt"
FIRST_CLASS = 1
MAX_BYTES = 16 << 20
LARGEST_ID = 2**31 - 1

_PACKAGE, _MAP, _ITEM = "sensenet", "StringIntLabelMap", "StringIntLabelMapItem"
_FIELDS = (("name", "TYPE_STRING"), ("id", "TYPE_INT32"), ("display_name", "TYPE_STRING"))
_EXPECTED = "expected a label map, item { id: 1 name: 'cat' }"


@dataclass(frozen=True)
class LabelMapItem:
    """A class.

    Attributes:
        id: its number, of at least 0; detectors count from 1.
        name: what annotations call it.
        display_name: what people call it; empty: as annotations do.
    """

    id: int
    name: str
    display_name: str = ""

    @property
    def label(self) -> str:
        """What people call it."""
        return self.display_name or self.name


def read_label_map(path: str | os.PathLike[str]) -> tuple[LabelMapItem, ...]:
    """The classes in a file, in its order.

    Raises:
        InputError: it cannot be read, is too large or no label map; says where.
    """
    name = os.fspath(path)
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"expected at most {MAX_BYTES:,} bytes")
        text = data.decode("utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError also: no UTF-8, or a null character in the path
        raise InputError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return parse_label_map(text, name)


def parse_label_map(text: str, place: str = "label map") -> tuple[LabelMapItem, ...]:
    """The classes in the text of a label map, in its order.

    >>> parse_label_map("item { name: 'cat' id: 1 }")
    (LabelMapItem(id=1, name='cat', display_name=''),)

    Args:
        text: of the file. Classes have different numbers, but may have the same name.
        place: what to call it in an error.

    Raises:
        InputError: no label map, a class without number or name, or a number that two have; gives the line, or the
            position of the class.
    """
    parsed = _message_class()()
    try:
        text_format.Parse(text, parsed, allow_unknown_field=True)
    except (text_format.ParseError, RecursionError, ValueError) as error:  # ValueError: no UTF-8
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{place}: {_EXPECTED}: {reason}") from error
    if not parsed.item:
        raise InputError(f"{place}: {_EXPECTED}, got no class")
    items: dict[int, LabelMapItem] = {}
    for position, item in enumerate(parsed.item):
        where = f"{place}: item[{position}]"
        name = item.name or item.display_name
        if not item.HasField("id") or item.id < 0:
            raise InputError(f"{where}.id: expected a number of at least 0")
        if not name:
            raise InputError(f"{where}.name: expected a name")
        if item.id in items:
            raise InputError(f"{where}.id: {item.id} is the number of an earlier class")
        items[item.id] = LabelMapItem(item.id, name, item.display_name)
    return tuple(items.values())


def label_map_text(items: Iterable[LabelMapItem]) -> str:
    """The text of a label map, of which `parse_label_map` makes the same items.

    Raises:
        InputError: an id that is none; gives its item.
    """
    made = _message_class()()
    for position, item in enumerate(items):
        if not 0 <= item.id <= LARGEST_ID:
            raise InputError(f"item[{position}].id: expected a number from 0 to {LARGEST_ID}, got {item.id}")
        made.item.add(id=item.id, name=item.name, display_name=item.display_name or None)
    return text_format.MessageToString(made, as_utf8=True)


def write_label_map(path: str | os.PathLike[str], items: Iterable[LabelMapItem]) -> None:
    """Write a label map.

    Raises:
        InputError: an id that is none.
        OSError: the file cannot be written.
    """
    write_whole(path, label_map_text(items).encode())


def numbered_names(names: Iterable[str]) -> tuple[LabelMapItem, ...]:
    """Classes of names, numbered in their order from 1."""
    return tuple(LabelMapItem(number, name) for number, name in enumerate(names, FIRST_CLASS))


def labels_by_id(items: Iterable[LabelMapItem]) -> dict[int, str]:
    """What people call the classes, by their numbers."""
    return {item.id: item.label for item in items}


@cache
def _message_class() -> Any:
    """The message, described here: who knows it from elsewhere may have it in the pool that all share."""
    file = descriptor_pb2.FileDescriptorProto(
        name="sensenet/label_map.proto", package=_PACKAGE, syntax="proto2"
    )
    item = file.message_type.add(name=_ITEM)
    for number, (name, kind) in enumerate(_FIELDS, start=1):
        item.field.add(name=name, number=number, type=kind, label="LABEL_OPTIONAL")
    file.message_type.add(name=_MAP).field.add(
        name="item", number=1, type="TYPE_MESSAGE", label="LABEL_REPEATED", type_name=f".{_PACKAGE}.{_ITEM}"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{_MAP}"))
