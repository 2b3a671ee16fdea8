"""YOLO: `data.yaml` names the classes and the folders of images; a text file for each image has a line for each box.

A line is the number of the class, from 0, and the centre, the width and the height of the box in shares of the image;
or the number and the corners of a polygon, which stands for the box around it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from pyramid.datasets.formats.base import (
    DEFAULT_SPLIT,
    IMAGE_SUFFIXES,
    IMAGES_FOLDER,
    Box,
    BoxedImage,
    Format,
    ReadOptions,
    Remark,
    Source,
    StatedImage,
    WriteOptions,
)
from pyramid.datasets.formats.files import (
    Stems,
    make_folder,
    plain_number,
    put_image,
    read_small_file,
    written_number,
)
from pyramid.errors import DataError
from pyramid.storage.files import write_bytes

DATA_FILE, LABELS_FOLDER = "data.yaml", "labels"
SPLITS = ("train", "val", "test")
OTHER_KEYS = frozenset({"path", "names", "nc", "download", "channels", "kpt_shape", "flip_idx"})
LONGEST_NUMBER = 12


def _read(source: Path, options: ReadOptions) -> Source:
    path = source / DATA_FILE if source.is_dir() else source
    # who names a link means what it leads to
    content = _load(path if source.is_dir() else path.resolve())
    names = _names(content.get("names"), path)
    folder = path.parent
    top = folder if options.image_root is None else options.image_root
    split = _checked_split(options.split or DEFAULT_SPLIT)
    places = _texts(content.get(split))
    if places is None:
        known = ", ".join(key for key in SPLITS if key in content) or "none"
        raise DataError(f"{path}: expected folders of images under {split!r}; splits in it: {known}")
    base = _text(content.get("path", ""), f"{path}, path")
    folders = [_folder(place, base, folder, top, path) for place in places]
    root = folders[0] if len(folders) == 1 else Path(os.path.commonpath(folders))
    files = sorted(
        file for one in folders for file in one.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES
    )
    if not files:
        raise DataError(f"{path}: there are no images in {', '.join(map(str, folders))}")
    return Source(_images(files, root, Path(os.path.realpath(top)), names), root, len(files))


def _load(path: Path) -> dict[str, Any]:
    encoded = read_small_file(path.parent, path.name)
    try:
        content = yaml.safe_load(encoded)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(f"{path}: expected YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected names of classes and folders of images")
    return content


def _names(names: Any, path: Path) -> dict[int, str]:
    """The class of each number."""
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise DataError(f"{path}: expected the names of the classes under 'names'")
    for number, name in names.items():
        is_text = isinstance(name, (str, int, float)) and not isinstance(name, bool) and str(name)
        if not isinstance(number, int) or not is_text:
            # YAML takes yes, no, on and off for truth values
            quoted = "; quotes make a text of it" if isinstance(name, bool) else ""
            raise DataError(f"{path}, names: expected texts, got {name!r:.60} for {number!r:.60}{quoted}")
    return {number: str(name) for number, name in names.items()}


def _texts(value: Any) -> list[str] | None:
    """The folders of a split; None where that says none."""
    values = value if isinstance(value, list) else [value]
    return values if values and all(isinstance(one, str) and one for one in values) else None


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: expected a folder")
    return value


def _folder(place: str, base: str, folder: Path, top: Path, path: Path) -> Path:
    """A folder of images, of which all have to lie below `top`."""
    found = Path(os.path.realpath(folder / base / place))
    if not found.is_dir() and place.startswith("../"):
        # some tools write it as seen from a folder beside the file
        found = Path(os.path.realpath(folder / base / place.removeprefix("../")))
    allowed = os.path.realpath(top)
    if not found.is_relative_to(allowed):
        raise DataError(
            f"{path}: {place} lies outside of {top}; --image-root with a folder above it would allow it"
        )
    if not found.is_dir():
        raise DataError(f"{path}: {place}: expected a folder of images, there is none at {found}")
    return found


def _images(files: Sequence[Path], root: Path, top: Path, names: dict[int, str]) -> Iterator[StatedImage]:
    for file in files:
        labels = _labels_path(file)
        boxes, remarks = [], []
        content = read_small_file(top, os.path.relpath(labels, top)) if labels.is_file() else b""
        lines = content.decode("utf-8-sig", "replace").splitlines()
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            box = _box(line, f"{labels}, line {number}", names)
            if box is None:
                remarks.append((Remark.UNKNOWN_CLASS, f"{labels}, line {number}"))
            else:
                boxes.append(box)
        yield StatedImage(file.relative_to(root).as_posix(), boxes, in_shares=True, remarks=tuple(remarks))


def _labels_path(file: Path) -> Path:
    """The text file of an image: the last folder `images` on the way to it is `labels` there."""
    parts = list(file.parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == IMAGES_FOLDER]
    if places:
        parts[places[-1]] = LABELS_FOLDER
    return Path(*parts).with_suffix(".txt")


def _box(line: str, where: str, names: dict[int, str]) -> Box | None:
    """The box of a line; None where its class has no name."""
    first, *parts = line.split()
    if not first.removesuffix(".0").isdecimal():
        raise DataError(f"{where}: expected the number of a class, got {first!r:.60}")
    sides = [plain_number(part, where) for part in parts]
    if len(sides) != 4 and (len(sides) < 6 or len(sides) % 2):
        raise DataError(f"{where}: expected a class and x, y, width, height, or the corners of a polygon")
    label = names.get(int(first.removesuffix(".0"))) if len(first) <= LONGEST_NUMBER else None
    if label is None:
        return None
    if len(sides) == 4:
        x, y, width, height = sides
        return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2, label)
    xs, ys = sides[::2], sides[1::2]
    return Box(min(xs), min(ys), max(xs), max(ys), label)


def _checked_split(split: str) -> str:
    if split in OTHER_KEYS:
        raise DataError(f"--split: {split!r} says something else in {DATA_FILE}: choose another word")
    return split


def _write(images: Iterable[BoxedImage], options: WriteOptions) -> Path:
    split, path = _checked_split(options.split), options.folder / DATA_FILE
    known = _described(path, options)
    numbers = {item.label: number for number, item in enumerate(options.classes)}
    stems = Stems()
    for image in images:
        stems.take(image.file)
        folder = options.folder / IMAGES_FOLDER / split
        put_image(folder, image.file, image.content)
        labels = _labels_path(folder / image.file)
        make_folder(labels.parent)
        write_bytes(labels, "".join(_line(box, image, numbers) for box in image.boxes).encode())
    make_folder(options.folder)
    write_bytes(path, yaml.safe_dump(known, sort_keys=False, allow_unicode=True).encode())
    return path


def _described(path: Path, options: WriteOptions) -> dict[str, Any]:
    """What `data.yaml` will say: of this part, and of those that are there already."""
    names = [item.label for item in options.classes]
    known = _load(path) if path.is_file() else {}
    if known.get("path"):
        raise DataError(f"{path}: its folders lie below {known['path']!r:.100}: choose another --output")
    if known and _names(known.get("names"), path) != dict(enumerate(names)):
        raise DataError(
            f"{path}: its classes are others: choose another --output, or its classes as --classes"
        )
    part = {options.split: f"{IMAGES_FOLDER}/{options.split}", "nc": len(names), "names": names}
    return known | part


def _line(box: Box, image: BoxedImage, numbers: dict[str, int]) -> str:
    shares = (
        (box.x1 + box.x2) / 2 / image.width,
        (box.y1 + box.y2) / 2 / image.height,
        (box.x2 - box.x1) / image.width,
        (box.y2 - box.y1) / image.height,
    )
    return " ".join([str(numbers[box.label]), *map(written_number, shares)]) + "\n"


YOLO = Format("yolo", _read, _write)
