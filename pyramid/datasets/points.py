"""Points: an image of a data set and the boxes on it, as `points.json` holds them, read one after the other.

`[{"id", "annotations": [{"id", "label", "confidence", "x0", "x1", "y0", "y1"}]}]`, where `rotation` is beside them if
the picture is to be turned, and `file`, `width` and `height` once it has been verified.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyramid.datasets.json_items import read_items
from pyramid.errors import DataError

SAFE_ID = r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}$"
"""Ids name files: what leads elsewhere, is hidden or is no name everywhere is none. (Also a pattern of Polars.)"""

ROTATIONS = (0, 90, 180, 270)
SIDES = ("x0", "x1", "y0", "y1")

_safe_id = re.compile(SAFE_ID)


@dataclass(frozen=True, slots=True)
class Annotation:
    """A box on an image.

    Attributes:
        label: of its class.
        confidence: 0 to 1.
        x0, x1, y0, y1: its sides as shares of the picture's width and height, 0 to 1; x0 < x1 and y0 < y1.
    """

    label: str
    confidence: float
    x0: float
    x1: float
    y0: float
    y1: float


@dataclass(frozen=True, slots=True)
class Point:
    """An image and the boxes on it.

    Attributes:
        id: of the image; the name of its file but for the ending.
        annotations: the boxes.
        rotation: by how many degrees counterclockwise picture and boxes are to be turned.
        file: the name of the verified picture; None: not verified.
        width, height: of the verified picture, in pixels; 0: not verified.
    """

    id: str
    annotations: tuple[Annotation, ...]
    rotation: int = 0
    file: str | None = None
    width: int = 0
    height: int = 0


def is_safe_id(value: Any) -> bool:
    """Whether an id can be the name of a file that stays where it is put."""
    return isinstance(value, str) and _safe_id.fullmatch(value) is not None


def read_points(path: Path) -> Iterator[Point]:
    """The points of a file, in its order, in bounded memory.

    Raises:
        DataError: the file cannot be read or is no JSON list, or a point is wrong; says where.
    """
    for position, item in enumerate(read_items(path)):
        yield _point(item, f"{path}, /{position}")


def dump_point(point: Point) -> dict[str, Any]:
    """The JSON value of a point."""
    value: dict[str, Any] = {"id": point.id}
    if point.rotation:
        value["rotation"] = point.rotation
    if point.file is not None:
        value |= {"file": point.file, "width": point.width, "height": point.height}
    value["annotations"] = [
        {
            "id": point.id,
            "label": box.label,
            "confidence": box.confidence,
            **{side: getattr(box, side) for side in SIDES},
        }
        for box in point.annotations
    ]
    return value


def _point(item: Any, where: str) -> Point:
    if not isinstance(item, dict):
        raise DataError(f"{where}: expected an object with an id and annotations")
    if not is_safe_id(item.get("id")):
        raise DataError(f"{where}/id: expected letters, digits, _, - and . that can name a file")
    annotations = item.get("annotations")
    if not isinstance(annotations, list):
        raise DataError(f"{where}/annotations: expected a list")
    rotation = item.get("rotation", 0)
    if rotation not in ROTATIONS:
        raise DataError(f"{where}/rotation: expected one of {', '.join(map(str, ROTATIONS))}")
    boxes = tuple(_annotation(box, f"{where}/annotations/{i}") for i, box in enumerate(annotations))
    return Point(item["id"], boxes, int(rotation), *_verified(item, where))


def _verified(item: Mapping[str, Any], where: str) -> tuple[str | None, int, int]:
    if "file" not in item:
        return None, 0, 0
    file, width, height = item["file"], item.get("width"), item.get("height")
    if not is_safe_id(file):
        raise DataError(f"{where}/file: expected the name of a file")
    if type(width) is not int or type(height) is not int or width < 1 or height < 1:
        raise DataError(f"{where}: expected width and height in pixels beside file")
    return file, width, height


def _annotation(box: Any, where: str) -> Annotation:
    if not isinstance(box, dict) or not isinstance(box.get("label"), str):
        raise DataError(f"{where}: expected an object with a label and four sides")
    confidence, *sides = (_share(box, name, where) for name in ("confidence", *SIDES))
    x0, x1, y0, y1 = sides
    if not (x0 < x1 and y0 < y1):
        raise DataError(f"{where}: expected x0 < x1 and y0 < y1, got {x0:g}, {x1:g} and {y0:g}, {y1:g}")
    return Annotation(box["label"], confidence, x0, x1, y0, y1)


def _share(box: Mapping[str, Any], name: str, where: str) -> float:
    value = box.get(name)
    if isinstance(value, str):
        # the scripts of tutorials leave numbers as the texts that they found
        value = _number(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise DataError(f"{where}/{name}: expected a number from 0 to 1")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
