"""Label maps as the TensorFlow models repository has them: the text form of its message `StringIntLabelMap`.

item {
  id: 1
  name: '/m/011k07'
  display_name: 'Tortoise'
}
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_encoding, text_format

from sensenet.errors import InputError
from sensenet.files import open_regular, write_whole

MAX_BYTES = 1 << 24
LARGEST_ID = 2**31 - 1

_PACKAGE = "sensenet.label_maps"
_ITEM, _MAP = "StringIntLabelMapItem", "StringIntLabelMap"
_FIELDS = (("name", "TYPE_STRING"), ("id", "TYPE_INT32"), ("display_name", "TYPE_STRING"))


@dataclass(frozen=True)
class LabelMapItem:
    """A class.

    Attributes:
        id: its number, of at least 0; classes are counted from 1.
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
    """The classes of a label map, in its order; what else it says of them is passed over.

    Raises:
        InputError: it cannot be read, or is no label map; says where.
    """
    try:
        with open_regular(path) as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError(f"{path}: expected a label map of at most {MAX_BYTES:,} bytes")
        return parse_label_map(content.decode("utf-8-sig"))
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a null character in the path
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def parse_label_map(text: str) -> tuple[LabelMapItem, ...]:
    """The classes in the text of a label map, see `read_label_map`.

    >>> parse_label_map("item { name: 'cat'  # first\\n  id: 1 }")
    (LabelMapItem(id=1, name='cat', display_name=''),)

    Raises:
        InputError: no label map, a class without id or name, or two classes with the same one.
    """
    parsed = _message_class()()
    try:
        text_format.Parse(text, parsed, allow_unknown_field=True)
    except (text_format.ParseError, RecursionError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"expected a label map, item {{ id: 1 name: 'cat' }} ...: {reason}") from None
    items = tuple(_item(place, item) for place, item in enumerate(parsed.item))
    if not items:
        raise InputError("expected at least one item { id: 1 name: 'cat' }, got none")
    for key in ("id", "name"):
        value, count = Counter(getattr(item, key) for item in items).most_common(1)[0]
        if count > 1:
            raise InputError(f"expected items with different {key}s, got {value!r} more than once")
    return items


def label_map_text(items: Sequence[LabelMapItem]) -> str:
    """The text of a label map, from which `parse_label_map` makes the same items.

    Raises:
        InputError: an id that is none; gives its item.
    """
    for place, item in enumerate(items):
        if not 0 <= item.id <= LARGEST_ID:
            raise InputError(f"items[{place}].id: expected an integer from 0 to {LARGEST_ID}, got {item.id}")
    return "".join(map(_item_text, items))


def write_label_map(path: str | os.PathLike[str], items: Sequence[LabelMapItem]) -> None:
    """Write a label map, see `label_map_text`.

    Raises:
        InputError: an id that is none.
        OSError: the file cannot be written.
    """
    write_whole(path, label_map_text(items).encode())


def _item(place: int, item: Any) -> LabelMapItem:
    name = item.name or item.display_name
    if not item.HasField("id") or item.id < 0 or not name:
        raise InputError(f"item {place}: expected an id of at least 0 and a name")
    return LabelMapItem(item.id, name, item.display_name)


def _item_text(item: LabelMapItem) -> str:
    lines = [f"  id: {item.id}", f"  name: {_quoted(item.name)}"]
    if item.display_name:
        lines.append(f"  display_name: {_quoted(item.display_name)}")
    return "\n".join(["item {", *lines, "}\n"])


def _quoted(text: str) -> str:
    return f"'{text_encoding.CEscape(text, as_utf8=True)}'"


def _message_class() -> type[Any]:
    """The message, described here: who knows it from elsewhere may have it in the pool that all share."""
    file = descriptor_pb2.FileDescriptorProto(name="label_map.proto", package=_PACKAGE, syntax="proto2")
    item = file.message_type.add(name=_ITEM)
    for number, (name, kind) in enumerate(_FIELDS, start=1):
        item.field.add(name=name, number=number, type=kind, label="LABEL_OPTIONAL")
    file.message_type.add(name=_MAP).field.add(
        name="item", number=1, type="TYPE_MESSAGE", label="LABEL_REPEATED", type_name=f".{_PACKAGE}.{_ITEM}"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{_MAP}"))
