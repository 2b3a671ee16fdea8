"""COCO: one JSON file with lists of images, annotations (`bbox` is `[x, y, width, height]`) and categories."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyramid.datasets.formats.base import (
    IMAGES_FOLDER,
    Box,
    BoxedImage,
    Format,
    ReadOptions,
    Remark,
    Remarks,
    Source,
    StatedImage,
    WriteOptions,
    images_below,
)
from pyramid.datasets.formats.files import make_folder, put_image
from pyramid.datasets.json_items import read_lists
from pyramid.errors import DataError
from pyramid.storage.files import dumps, whole_file
from sensenet.label_map import LabelMapItem

Corners = tuple[float, float, float, float]
Stated = tuple[int, Any, Corners | None]
"""What is kept of an annotation until all images are known: its position, category, and corners if it is no crowd."""


@dataclass
class _Coco:
    """What is read of a file; polygons, captions and the rest, which are most of it, are dropped at once.

    Attributes:
        source: the file.
        names: of categories, by id.
        files: of images, by id.
        annotations: by the id of their image.
    """

    source: Path
    names: dict[int | str, str] = field(default_factory=dict)
    files: dict[int | str, str] = field(default_factory=dict)
    annotations: dict[int | str, list[Stated]] = field(default_factory=dict)

    def add_category(self, place: int, category: Mapping[str, Any]) -> None:
        where, name = f"{self.source}, /categories/{place}", category.get("name")
        if not isinstance(name, str) or not name:
            raise DataError(f"{where}/name: expected a text")
        self.names[_new_id(category, self.names, where)] = name

    def add_image(self, place: int, image: Mapping[str, Any]) -> None:
        where, file = f"{self.source}, /images/{place}", image.get("file_name")
        own = _new_id(image, self.files, where)
        if not isinstance(file, str) or not file:
            raise DataError(f"{where}/file_name: expected the name of a file")
        self.files[own] = file

    def add_annotation(self, place: int, annotation: Mapping[str, Any]) -> None:
        where, of = f"{self.source}, /annotations/{place}", annotation.get("image_id")
        if not isinstance(of, (int, str)):
            raise DataError(f"{where}/image_id: expected a number or a text")
        is_crowd = bool(annotation.get("iscrowd"))
        box = None if is_crowd else _box(annotation.get("bbox"), where)
        stated = (place, annotation.get("category_id"), box)
        self.annotations.setdefault(of, []).append(stated)

    def images(self) -> Iterator[StatedImage]:
        """The images with their boxes."""
        for own, file in self.files.items():
            boxes: list[Box] = []
            remarks: Remarks = ()
            for place, category, corners in self.annotations.get(own, ()):
                if corners is not None and _is_known(category, self.names):
                    boxes.append(Box.of(corners, self.names[category]))
                    continue
                remark = Remark.CROWD if corners is None else Remark.UNKNOWN_CLASS
                remarks += ((remark, f"{self.source}, /annotations/{place}"),)
            yield StatedImage(file, boxes, source_id=str(own), remarks=remarks)

    def orphans(self) -> Iterator[tuple[Remark, str]]:
        """The annotations of images that there are not."""
        for of, stated in self.annotations.items():
            if of not in self.files:
                for place, *_ in stated:
                    yield Remark.NO_IMAGE, f"{self.source}, /annotations/{place}, image_id {of!r:.60}"


def _read(source: Path, options: ReadOptions) -> Source:
    coco = _Coco(source)
    read_lists(
        source,
        {
            "images": coco.add_image,
            "annotations": coco.add_annotation,
            "categories": coco.add_category,
        },
    )
    return Source(coco.images(), images_below(source.parent, options), len(coco.files), coco.orphans())


def _new_id(value: Mapping[str, Any], known: Mapping[int | str, Any], where: str) -> int | str:
    own = value.get("id")
    if not isinstance(own, (int, str)):
        raise DataError(f"{where}/id: expected a number or a text")
    if own in known:
        raise DataError(f"{where}/id: {own!r:.60} stands there a second time")
    return own


def _is_known(category: Any, names: Mapping[int | str, str]) -> bool:
    return isinstance(category, (int, str)) and category in names


def _box(sides: Any, where: str) -> Corners:
    if not isinstance(sides, list) or len(sides) != 4:
        raise DataError(f"{where}/bbox: expected [x, y, width, height]")
    if not all(isinstance(side, (int, float)) and not isinstance(side, bool) for side in sides):
        raise DataError(f"{where}/bbox: expected four numbers")
    try:
        x, y, width, height = map(float, sides)
    except OverflowError:  # an integer beyond all floats
        return (math.inf,) * 4
    return x, y, x + width, y + height


def _write(images: Iterable[BoxedImage], options: WriteOptions) -> Path:
    path = options.folder / f"instances_{options.split}.json"
    ids = {item.label: item.id for item in options.classes}
    make_folder(options.folder)
    entries, count = [], 0
    with whole_file(path) as file:
        file.write(b'{"annotations":[')
        for number, image in enumerate(images, start=1):
            put_image(options.folder / IMAGES_FOLDER, image.file, image.content)
            entries.append(
                dumps({"id": number, "file_name": image.file, "width": image.width, "height": image.height})
            )
            annotations = [
                dumps(_annotation(place, number, box, ids))
                for place, box in enumerate(image.boxes, start=count + 1)
            ]
            if annotations:
                file.write((b",\n" if count else b"\n") + b",\n".join(annotations))
            count += len(annotations)
        file.write(b'],\n"images":[\n' + b",\n".join(entries))
        file.write(b'],\n"categories":' + dumps(_categories(options.classes)) + b"}\n")
    return path


def _annotation(number: int, image: int, box: Box, ids: Mapping[str, int]) -> dict[str, Any]:
    width, height = box.x2 - box.x1, box.y2 - box.y1
    return {
        "id": number,
        "image_id": image,
        "category_id": ids[box.label],
        "bbox": [box.x1, box.y1, width, height],
        "area": width * height,
        "iscrowd": 0,
    }


def _categories(classes: Sequence[LabelMapItem]) -> list[dict[str, Any]]:
    return [{"id": item.id, "name": item.label} for item in classes]


COCO = Format("coco", _read, _write)
