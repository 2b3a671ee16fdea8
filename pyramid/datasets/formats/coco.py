"""COCO: one JSON file with lists of images, annotations (`bbox` is `[x, y, width, height]`) and categories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from pyramid.datasets.json_items import read_json
from pyramid.errors import DataError
from pyramid.storage.files import dumps, whole_file
from sensenet.label_map import LabelMapItem

Annotations = dict[int | str, list[tuple[str, Any]]]
"""The annotations of each image, with their JSON pointers."""


def _read(source: Path, options: ReadOptions) -> Source:
    content = read_json(source)
    if not isinstance(content, dict):
        raise DataError(f"{source}: expected an object with images, annotations and categories")
    images, annotations, categories = (
        _objects(content, key, source) for key in ("images", "annotations", "categories")
    )
    names: dict[int | str, str] = {}
    for place, category in enumerate(categories):
        name = category.get("name")
        if not isinstance(name, str) or not name:
            raise DataError(f"{source}, /categories/{place}/name: expected a text")
        names[_new_id(category, names, f"{source}, /categories/{place}")] = name
    by_image: Annotations = {}
    for place, image in enumerate(images):
        by_image[_new_id(image, by_image, f"{source}, /images/{place}")] = []
    for place, annotation in enumerate(annotations):
        of = annotation.get("image_id")
        if not isinstance(of, (int, str)) or of not in by_image:
            raise DataError(f"{source}, /annotations/{place}/image_id: there is no image of this id")
        by_image[of].append((f"{source}, /annotations/{place}", annotation))
    root = images_below(source.parent, options)
    return Source(_images(images, by_image, names, source), root, len(images))


def _objects(content: Mapping[str, Any], key: str, source: Path) -> Sequence[Mapping[str, Any]]:
    values = content.get(key)
    if not isinstance(values, list):
        raise DataError(f"{source}, /{key}: expected a list")
    wrong = next((place for place, value in enumerate(values) if not isinstance(value, dict)), None)
    if wrong is not None:
        raise DataError(f"{source}, /{key}/{wrong}: expected an object")
    return values


def _new_id(value: Mapping[str, Any], known: Mapping[int | str, Any], where: str) -> int | str:
    own = value.get("id")
    if not isinstance(own, (int, str)):
        raise DataError(f"{where}/id: expected a number or a text")
    if own in known:
        raise DataError(f"{where}/id: {own!r:.60} stands there a second time")
    return own


def _images(
    images: Sequence[Mapping[str, Any]],
    by_image: Annotations,
    names: Mapping[int | str, str],
    source: Path,
) -> Iterator[StatedImage]:
    for place, image in enumerate(images):
        file = image.get("file_name")
        if not isinstance(file, str) or not file:
            raise DataError(f"{source}, /images/{place}/file_name: expected the name of a file")
        boxes: list[Box] = []
        remarks: Remarks = ()
        for where, annotation in by_image[image["id"]]:
            box = _box(annotation, where, names)
            if isinstance(box, Box):
                boxes.append(box)
            else:
                remarks += ((box, where),)
        yield StatedImage(file, boxes, source_id=str(image["id"]), remarks=remarks)


def _box(annotation: Mapping[str, Any], where: str, names: Mapping[int | str, str]) -> Box | Remark:
    """The box of an annotation, or why it has none."""
    if annotation.get("iscrowd"):
        return Remark.CROWD
    category = annotation.get("category_id")
    if not isinstance(category, (int, str)) or category not in names:
        return Remark.UNKNOWN_CLASS
    corners = annotation.get("bbox")
    if not isinstance(corners, list) or len(corners) != 4:
        raise DataError(f"{where}/bbox: expected [x, y, width, height]")
    if not all(isinstance(side, (int, float)) and not isinstance(side, bool) for side in corners):
        raise DataError(f"{where}/bbox: expected four numbers")
    x, y, width, height = corners
    return Box(x, y, x + width, y + height, names[category])


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
