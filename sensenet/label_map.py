"""Label maps: the text files in which the TensorFlow models repository names the classes of a detector.

    item { id: 1 name: '/m/011k07' display_name: 'Tortoise' }

They are protocol buffers in their text format (`object_detection.protos.StringIntLabelMap`): attributes in any order,
comments, both quotes. What a class has beside these three attributes is passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from sensenet.document.parsing import shown
from sensenet.errors import ModelFormatError
from sensenet.files import open_regular, write_whole

FILE_NAME = "label_map.pbtxt"
FIRST_CLASS = 1
MAX_BYTES = 16 << 20
_PACKAGE, _FILE, _ITEM = "sensenet", "StringIntLabelMap", "StringIntLabelMapItem"


class Label(NamedTuple):
    """A class.

    Attributes:
        id: its number; detectors count from 1.
        name: what files call it; may be empty where there is a name for people.
        display_name: what people call it; None where that is its name.
    """

    id: int
    name: str
    display_name: str | None = None

    @property
    def shown_name(self) -> str:
        """The name for people."""
        return self.display_name or self.name


def read_label_map(path: str | os.PathLike[str]) -> tuple[Label, ...]:
    """The classes in a file, in its order.

    Raises:
        ModelFormatError: see `parse_label_map`, or a file that is too large, or no UTF-8.
        OSError, ValueError: see `sensenet.files.open_regular`.
    """
    name = os.fspath(path)
    with open_regular(path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ModelFormatError(f"{name}: expected at most {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"{name}: expected UTF-8: {error}") from error
    return parse_label_map(text, name)


def parse_label_map(text: str, place: str = "label map") -> tuple[Label, ...]:
    """The classes in the text of a label map, in its order.

    >>> parse_label_map("item { name: 'cat' id: 1 }")
    (Label(id=1, name='cat', display_name=None),)

    Args:
        text: of the file.
        place: what to call it in an error.

    Raises:
        ModelFormatError: no label map, a class without number or name, or a number that two have; gives the line, or
            the position of the class.
    """
    parsed = _message_class()()
    try:
        text_format.Parse(text, parsed, allow_unknown_field=True)
    except (text_format.ParseError, RecursionError, ValueError) as error:  # ValueError: no UTF-8
        raise ModelFormatError(
            f"{place}: expected a label map, item {{ id: 1 name: 'cat' }}: {error}"
        ) from error
    if not parsed.item:
        raise ModelFormatError(f"{place}: expected a label map, item {{ id: 1 name: 'cat' }}, got no class")
    labels: dict[int, Label] = {}
    for position, item in enumerate(parsed.item):
        if not item.HasField("id") or item.id < 0:
            raise ModelFormatError(f"{place}: item[{position}].id: expected a number of 0 or more")
        if item.id in labels:
            raise ModelFormatError(
                f"{place}: item[{position}].id: {item.id} is the number of an earlier class"
            )
        label = Label(item.id, item.name, item.display_name or None)
        if not label.shown_name:
            raise ModelFormatError(
                f"{place}: item[{position}].name: expected a name, got {shown(label.name)}"
            )
        labels[label.id] = label
    return tuple(labels.values())


def label_map_text(labels: Iterable[Label]) -> str:
    """Classes as the text of a label map: what `parse_label_map` reads."""
    made = _message_class()()
    for label in labels:
        item = made.item.add(id=label.id, name=label.name)
        if label.display_name is not None:
            item.display_name = label.display_name
    return text_format.MessageToString(made, as_utf8=True)


def write_label_map(labels: Iterable[Label], path: str | os.PathLike[str]) -> None:
    """Write a label map.

    Raises:
        OSError: the file cannot be written.
    """
    write_whole(path, label_map_text(labels).encode())


def class_labels(classes: Iterable[str]) -> tuple[Label, ...]:
    """The classes of a model as its exports number them: from 1."""
    return tuple(Label(number, name) for number, name in enumerate(classes, FIRST_CLASS))


def shown_names(labels: Iterable[Label]) -> Mapping[int, str]:
    """The names for people, by the numbers of the classes."""
    return {label.id: label.shown_name for label in labels}


@cache
def _message_class() -> Any:
    """The type of the protocol buffer, with the attributes that count here."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="sensenet/label_map.proto", package=_PACKAGE, syntax="proto2"
    )
    item = file.message_type.add(name=_ITEM)
    kinds = {"name": field.TYPE_STRING, "id": field.TYPE_INT32, "display_name": field.TYPE_STRING}
    for number, (name, kind) in enumerate(kinds.items(), start=1):
        item.field.add(name=name, number=number, type=kind, label=field.LABEL_OPTIONAL)
    file.message_type.add(name=_FILE).field.add(
        name="item",
        number=1,
        type=field.TYPE_MESSAGE,
        label=field.LABEL_REPEATED,
        type_name=f".{_PACKAGE}.{_ITEM}",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{_FILE}"))
