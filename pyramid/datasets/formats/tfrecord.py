"""TFRecords of `tf.train.Example`, with the keys of the TensorFlow models repository's object detection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from pyramid.datasets.formats.base import (
    IMAGE_SUFFIXES,
    Box,
    BoxedImage,
    Format,
    ReadOptions,
    Remark,
    Source,
    StatedImage,
    WriteOptions,
)
from pyramid.datasets.formats.files import is_safe_name, make_folder
from pyramid.errors import DataError
from sensenet.label_map import LabelMapItem
from sensenet.preprocess.pillow_decoding import image_format

HEIGHT, WIDTH, KEY = "image/height", "image/width", "image/key/sha256"
FILENAME, SOURCE_ID = "image/filename", "image/source_id"
ENCODED, FORMAT = "image/encoded", "image/format"
SIDES = tuple(f"image/object/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))
TEXT, LABEL = "image/object/class/text", "image/object/class/label"

SUFFIX = ".record"
SHARD = re.compile(r"(?P<base>.+)-(?P<place>\d{5,})-of-(?P<count>\d{5,})")
WILDCARDS = frozenset("*?[")
SUFFIXES: Mapping[str, str] = MappingProxyType({"JPEG": ".jpg", "TIFF": ".tif"})


def _read(source: Path, options: ReadOptions) -> Source:
    return Source(_images(record_paths(source), options.classes), None)


def record_paths(path: Path) -> list[Path]:
    """The files of records that a path names: itself, all that match it, or the shards of its name.

    Raises:
        DataError: there are none, or shards are missing; names the first.
    """
    if WILDCARDS & set(path.name):
        found = [one for one in path.parent.glob(path.name) if one.is_file()]
    elif path.is_file():
        return [path]
    else:
        found = (
            [one for one in path.parent.iterdir() if _base(one) == path.name] if path.parent.is_dir() else []
        )
    if not found:
        raise DataError(f"{path}: there are no such records, nor shards {path.name}-00000-of-00010 of them")
    shards = [match for one in found if (match := SHARD.fullmatch(one.name))]
    sets = dict.fromkeys((match["base"], match["count"]) for match in shards)
    for base, count in sets:
        there = {int(match["place"]) for match in shards if (match["base"], match["count"]) == (base, count)}
        missing = next((place for place in range(int(count)) if place not in there), None)
        if missing is not None:
            raise DataError(f"{path.parent}: the shard {base}-{missing:05}-of-{count} is missing")
    bases = [base for base, _ in sets]
    twice = next((base for base in bases if bases.count(base) > 1), None)
    if twice is not None:
        raise DataError(
            f"{path}: there are several sets of shards; name one of them, as in {twice}-*-of-00010"
        )
    return sorted(found)


def _base(path: Path) -> str | None:
    match = SHARD.fullmatch(path.name)
    return match["base"] if match else None


def shard_paths(path: Path, shards: int) -> list[Path]:
    """The files over which records are spread: `path` itself where it is one."""
    if shards == 1:
        return [path]
    return [path.with_name(f"{path.name}-{place:05}-of-{shards:05}") for place in range(shards)]


class _Names:
    """Names for images without files, which no two share."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, stated: Sequence[str], content: bytes, number: int) -> str:
        """A name from what a record says, at best its own: with the ending of what it is, in the folder."""
        options = (name for one in stated for name in (one, one.replace("\\", "/").rpartition("/")[2]))
        name = next((one for one in options if is_safe_name(one)), f"{number:08}")
        if PurePosixPath(name).suffix.lower() not in IMAGE_SUFFIXES:
            kind = image_format(content) or "PNG"
            name += SUFFIXES.get(kind, f".{kind.lower()}")
        path, count = PurePosixPath(name), 2
        while name in self._taken:
            name, count = path.with_stem(f"{path.stem}_{count}").as_posix(), count + 1
        self._taken.add(name)
        return name


def _images(paths: Sequence[Path], classes: Sequence[LabelMapItem]) -> Iterator[StatedImage]:
    records, names = import_module("pyramid.datasets.formats.record_files"), _Names()
    number = 0
    for path in paths:
        for place, features in enumerate(records.read_features(path)):
            where = f"{path}, record {place}"
            boxes, remarks = _boxes(features, classes, where)
            content = _one(features, ENCODED, b"", where)
            file, source_id = (
                _one(features, key, b"", where).decode("utf-8", "replace") for key in (FILENAME, SOURCE_ID)
            )
            name = names.take([file, source_id], content, number)
            yield StatedImage(name, boxes, True, content, source_id, remarks)
            number += 1


def _boxes(
    features: Mapping[str, Sequence[Any]], classes: Sequence[LabelMapItem], where: str
) -> tuple[list[Box], tuple[tuple[Remark, str], ...]]:
    columns = [features.get(side, ()) for side in SIDES]
    count = len(columns[0])
    if any(len(column) != count for column in columns):
        raise DataError(f"{where}: expected as many xmin, ymin, xmax and ymax, got {[*map(len, columns)]}")
    labels = _labels(features, classes, count, where)
    stated = list(zip(zip(*columns, strict=True), labels, strict=True))
    boxes = [Box.of(map(float, corners), label) for corners, label in stated if label is not None]
    unknown = [f"{where}, box {place}" for place, label in enumerate(labels) if label is None]
    return boxes, tuple((Remark.UNKNOWN_CLASS, one) for one in unknown)


def _labels(
    features: Mapping[str, Sequence[Any]], classes: Sequence[LabelMapItem], count: int, where: str
) -> list[str | None]:
    """The label of each box; None where the classes do not have it."""
    texts, numbers = features.get(TEXT, ()), features.get(LABEL, ())
    if len(texts) != count and len(numbers) != count:
        raise DataError(
            f"{where}: expected a class for each of {count} boxes, got {len(texts) or len(numbers)}"
        )
    if len(numbers) == count and (classes or len(texts) != count):
        by_number = {item.id: item.label for item in classes}
        return [by_number.get(one) if classes else str(one) for one in numbers]
    decoded = [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in texts]
    by_name = {item.label: item.label for item in classes} | {item.name: item.label for item in classes}
    return [by_name.get(one) if classes else one or None for one in decoded]


def _one(features: Mapping[str, Sequence[Any]], key: str, default: bytes, where: str) -> bytes:
    values = features.get(key, ())
    if not values:
        return default
    if len(values) > 1 or not isinstance(values[0], bytes):
        raise DataError(f"{where}, {key}: expected one text")
    return values[0]


def example_features(image: BoxedImage, classes: Mapping[str, LabelMapItem]) -> dict[str, list[Any]]:
    """What a record says of an image.

    Args:
        image: with its content.
        classes: the class of each label.
    """
    width, height = image.width, image.height
    items = [classes[box.label] for box in image.boxes]
    shares = (
        [side / size for side in sides]
        for sides, size in zip(
            ([box.corners[place] for box in image.boxes] for place in range(4)),
            (width, height, width, height),
            strict=True,
        )
    )
    return {
        HEIGHT: [height],
        WIDTH: [width],
        KEY: [sha256(image.content).hexdigest().encode()],
        FILENAME: [image.file.encode()],
        SOURCE_ID: [image.source_id.encode()],
        ENCODED: [image.content],
        FORMAT: [str(image_format(image.content)).lower().encode()],
        **dict(zip(SIDES, shares, strict=True)),
        TEXT: [item.name.encode() for item in items],
        LABEL: [item.id for item in items],
    }


def classes_by_label(classes: Iterable[LabelMapItem]) -> dict[str, LabelMapItem]:
    """The class of each label, be it what annotations or what people call it."""
    items = list(classes)
    return {item.label: item for item in items} | {item.name: item for item in items}


def write_records(
    path: Path, shards: int, images: Iterable[BoxedImage], classes: Iterable[LabelMapItem]
) -> None:
    """Write images as records, one after the other into the next shard; all files appear at the end.

    Raises:
        WorkspaceError: they cannot be written.
    """
    make_folder(path.parent)
    by_label = classes_by_label(classes)
    examples = (example_features(image, by_label) for image in images)
    import_module("pyramid.datasets.formats.record_files").write_features(shard_paths(path, shards), examples)


def _write(images: Iterable[BoxedImage], options: WriteOptions) -> Path:
    path = options.folder / f"{options.split}{SUFFIX}"
    write_records(path, options.shards, images, options.classes)
    return path


TFRECORD = Format("tfrecord", _read, _write)
