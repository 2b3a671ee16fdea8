"""Points, which the tables of Open Images become: a JSON list of images with boxes in shares of their sides."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from pyramid.datasets.formats.base import (
    IMAGES_FOLDER,
    Box,
    BoxedImage,
    Format,
    ReadOptions,
    Remark,
    Source,
    StatedImage,
    WriteOptions,
    images_below,
)
from pyramid.datasets.formats.files import Stems, make_folder, put_image
from pyramid.datasets.json_items import item_writer
from pyramid.datasets.points import Annotation, Point, dump_point, read_points
from pyramid.errors import DataError
from sensenet.label_map import LabelMapItem

UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
NO_FILE = ".jpg"


def _read(source: Path, options: ReadOptions) -> Source:
    root = images_below(source.parent, options)
    names = {item.name: item.label for item in options.classes}
    return Source(_images(source, root, names), root)


def stated_points(points: Path, folder: Path, classes: Iterable[LabelMapItem]) -> Source:
    """Points with the labels that they have, of which only those of some classes are kept."""
    return Source(_images(points, folder, {item.name: item.name for item in classes}), folder)


def _images(points: Path, root: Path, names: Mapping[str, str]) -> Iterator[StatedImage]:
    """Images of points.

    Args:
        names: what becomes of labels, of which no others are known; empty: all stay.
    """
    files = _files(root)
    for point in read_points(points):
        boxes, remarks = [], []
        for place, one in enumerate(point.annotations):
            if names and one.label not in names:
                remarks.append((Remark.UNKNOWN_CLASS, f"{point.id}: box {place}, {one.label:.60}"))
                continue
            boxes.append(Box(one.x0, one.y0, one.x1, one.y1, names.get(one.label, one.label)))
        file = point.file or files.get(point.id, point.id + NO_FILE)
        yield StatedImage(file, boxes, in_shares=True, source_id=point.id, remarks=tuple(remarks))


def _files(root: Path) -> dict[str, str]:
    """The file of each id: ids stand before the last point of names."""
    try:
        with os.scandir(root) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        raise DataError(f"{root}, the folder of the images: {error.strerror}") from error
    return {name.rpartition(".")[0]: name for name in reversed(names) if "." in name[1:]}


def _write(images: Iterable[BoxedImage], options: WriteOptions) -> Path:
    path = options.folder / f"{options.split}_points.json"
    names = {item.label: item.name for item in options.classes}
    make_folder(options.folder)
    stems = Stems()
    with item_writer(path) as writer:
        for image in images:
            file = UNSAFE.sub("_", image.file).lstrip(".") or "_"
            stems.take(file)
            put_image(options.folder / IMAGES_FOLDER, file, image.content)
            writer.add(dump_point(_point(image, file, names)))
    return path


def _point(image: BoxedImage, file: str, names: Mapping[str, str]) -> Point:
    width, height = image.width, image.height
    boxes = (
        Annotation(names[box.label], 1.0, box.x1 / width, box.x2 / width, box.y1 / height, box.y2 / height)
        for box in image.boxes
    )
    return Point(PurePosixPath(file).stem, tuple(boxes), 0, file, width, height)


OPEN_IMAGES = Format("openimages", _read, _write)
