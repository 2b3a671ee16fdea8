"""The classes of a data set: labels such as `/m/011k07`, their names, and how they hang together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from pyramid.datasets.json_items import read_json
from pyramid.errors import DataError
from pyramid.storage.files import dumps, write_bytes
from sensenet.document.wording import hint
from sensenet.tables.source import Reading, open_table
from sensenet.tables.text import read_text

MAX_LIST_BYTES = 2**26
"""The largest list of classes or hierarchy that is read; that of all 20,000 labels of Open Images has 600 kB."""

_QUOTES = str.maketrans("", "", "\"'`")


@dataclass(frozen=True)
class DatasetClass:
    """One class; its number is its position in the list, from 1.

    Attributes:
        label: what boxes call it.
        name: what people call it.
    """

    label: str
    name: str


def read_trainable(path: Path) -> list[str]:
    """The labels in a text file, one a line, each once; spaces are not part of them.

    Raises:
        DataError: there is none.
        InputError: the file cannot be read.
    """
    labels = [line.replace(" ", "") for line in _short_text(path).split("\n")]
    distinct = [label for label in dict.fromkeys(labels) if label]
    if not distinct:
        raise DataError(f"{path}: there is no label in it, expected one a line")
    return distinct


def read_descriptions(path: Path) -> dict[str, str]:
    """The name of each label in a CSV of two columns without header; names lose their quotes of any kind.

    Raises:
        DataError: there are not two columns.
        InputError: the file cannot be read.
    """
    table = open_table(path, Reading(delimiter=",", has_header=False))
    if len(table.columns) != 2:
        raise DataError(
            f"{path}: expected two columns, a label and its name, found {len(table.columns)} in the first row"
        )
    names: dict[str, str] = {}
    for frame in table.batches():
        for label, name in frame.iter_rows():
            if label and name:
                names.setdefault(label.strip(), name.translate(_QUOTES).strip())
    return names


def described(labels: Sequence[str], names: Mapping[str, str]) -> list[DatasetClass]:
    """Classes of labels; one without a description goes by its label."""
    return [DatasetClass(label, names.get(label) or label) for label in labels]


def branch(path: Path, under: str, names: Mapping[str, str]) -> set[str]:
    """The labels of one branch of a hierarchy: a node, its subcategories and parts, and theirs.

    Args:
        path: the JSON file of the hierarchy. A label may stand in it at several places; the branch is all that is
            below any of them.
        under: a label, or the name of one in any case.
        names: the names of labels.

    Raises:
        DataError: no hierarchy, or it has no such label; names the nearest.
        InputError: the file cannot be read.
    """
    nodes = _nodes(path)
    labels = {label for label, _ in nodes}
    wanted = {label for label in labels if under in (label, names.get(label))} or {
        label for label in labels if names.get(label, "").lower() == under.lower()
    }
    if not wanted:
        known = [*labels, *(names[label] for label in labels if label in names)]
        raise DataError(f'{path}: there is no class "{under:.60}" in it{hint(under, known)}')
    return {label for label, above in nodes if label in wanted or wanted.intersection(above)}


def _nodes(path: Path) -> list[tuple[str, frozenset[str]]]:
    """Every node of a hierarchy, and the labels above it."""
    try:
        root = orjson.loads(_short_text(path))
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error
    found: list[tuple[str, frozenset[str]]] = []
    waiting: list[tuple[Any, str, frozenset[str]]] = [(root, "", frozenset())]
    while waiting:
        node, pointer, above = waiting.pop()
        if not isinstance(node, dict) or not isinstance(node.get("LabelName"), str):
            raise DataError(f'{path}, {pointer or "/"}: expected an object with "LabelName", a text')
        found.append((node["LabelName"], above))
        below = above | {node["LabelName"]}
        waiting += [(child, place, below) for child, place in _children(path, node, pointer)]
    return found


def _children(path: Path, node: Mapping[str, Any], pointer: str) -> Iterator[tuple[Any, str]]:
    for kind in ("Subcategory", "Part"):
        children = node.get(kind, [])
        if not isinstance(children, list):
            raise DataError(f"{path}, {pointer}/{kind}: expected a list")
        for position, child in enumerate(children):
            yield child, f"{pointer}/{kind}/{position}"


def write_classes(path: Path, classes: Sequence[DatasetClass]) -> None:
    """Write `[{"label", "name"}]`.

    Raises:
        WorkspaceError: it cannot be written.
    """
    write_bytes(path, dumps([{"label": one.label, "name": one.name} for one in classes]))


def read_classes(path: Path) -> list[DatasetClass]:
    """The classes of a file that `write_classes` wrote, or of a JSON list of names, which are their labels, too.

    Raises:
        DataError: it is neither, cannot be read, or has a label twice; says where.
    """
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise DataError(f"{path}: expected a list of classes")
    classes = [_class(path, position, value) for position, value in enumerate(content)]
    seen: set[str] = set()
    for position, one in enumerate(classes):
        if one.label in seen:
            raise DataError(f'{path}, /{position}: "{one.label:.60}" stands there a second time')
        seen.add(one.label)
    return classes


def _class(path: Path, position: int, value: Any) -> DatasetClass:
    if isinstance(value, str) and value:
        return DatasetClass(value, value)
    if isinstance(value, dict):
        label, name = value.get("label"), value.get("name")
        if isinstance(label, str) and label and isinstance(name, str):
            return DatasetClass(label, name or label)
    raise DataError(f'{path}, /{position}: expected {{"label": ..., "name": ...}} or a name')


def _short_text(path: Path) -> str:
    pieces, size = [], 0
    for piece in read_text(path, None):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_LIST_BYTES:
            raise DataError(
                f"{path}: expected a list of classes, which has less than {MAX_LIST_BYTES:,} bytes"
            )
    return "".join(pieces)
