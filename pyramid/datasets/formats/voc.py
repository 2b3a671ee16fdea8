"""Pascal VOC: an XML file for each image in `Annotations`, the images in `JPEGImages`, splits in `ImageSets/Main`.

Corners stand in rows as they stand in the files, which count pixels from 1 and name the last one of a box.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pyramid.datasets.formats.base import (
    IMAGE_SUFFIXES,
    Box,
    BoxedImage,
    Format,
    ReadOptions,
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

ANNOTATIONS, IMAGES, SPLITS = "Annotations", "JPEGImages", Path("ImageSets", "Main")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
NOT_IN_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write, and the carriage return, which it reads as another."""


class _NoDoctype(ET.TreeBuilder):
    """Builds trees of documents that define nothing: entities can grow without bound, or read files."""

    def doctype(self, *_: Any) -> NoReturn:
        """Refuse the definitions before any of them is used."""
        raise DataError("expected XML without a document type and entities")


def _read(source: Path, options: ReadOptions) -> Source:
    folder = source / ANNOTATIONS
    if not folder.is_dir():
        raise DataError(
            f"{source}: expected a folder with {ANNOTATIONS}, and in it an XML file for each image"
        )
    paths = _of_split(source, options.split) if options.split is not None else sorted(folder.rglob("*.xml"))
    if not paths:
        raise DataError(f"{folder}: there is no XML file in it")
    root = options.image_root
    if root is None:
        root = source / IMAGES if (source / IMAGES).is_dir() else source
    return Source(_images(folder, paths, root), root, len(paths))


def _of_split(source: Path, split: str) -> list[Path]:
    """The annotations of the images that a split names, a line each; what follows a name is for other purposes."""
    path = source / SPLITS / f"{split}.txt"
    lines = read_small_file(source, str(path.relative_to(source))).decode("utf-8", "replace").splitlines()
    stems = [line.split()[0] for line in lines if line.strip()]
    wrong = [stem for stem in stems if Path(stem).is_absolute() or ".." in Path(stem).parts]
    if wrong:
        raise DataError(f"{path}: expected names of images, got {wrong[0]!r:.100}")
    return [source / ANNOTATIONS / f"{stem}.xml" for stem in stems]


def _images(folder: Path, paths: Sequence[Path], root: Path) -> Iterator[StatedImage]:
    for path in paths:
        document = _parse(folder, path)
        stem = path.relative_to(folder).with_suffix("").as_posix()
        stated = (document.findtext("filename") or "").strip()
        boxes = [_box(element, path, place) for place, element in enumerate(document.findall("object"))]
        yield StatedImage(_file(stated, stem, root), boxes)


def _file(stated: str, stem: str, root: Path) -> str:
    """The image of an annotation: files that were renamed or moved are found by the annotation's own name."""
    candidates = [stem + suffix for suffix in sorted(IMAGE_SUFFIXES)]
    if stated and (_is_below(root, stated) or not any(_is_below(root, name) for name in candidates)):
        return stated
    return next((name for name in candidates if _is_below(root, name)), candidates[0])


def _is_below(root: Path, name: str) -> bool:
    """Whether there is such a file; what lies elsewhere is not looked at."""
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        return False
    try:
        return (root / name).is_file()
    except OSError:
        return False


def _parse(folder: Path, path: Path) -> ET.Element:
    content = read_small_file(folder, str(path.relative_to(folder)))
    try:
        return ET.fromstring(content, ET.XMLParser(target=_NoDoctype()))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (ET.ParseError, ValueError, LookupError) as error:  # LookupError: an encoding that nobody knows
        raise DataError(f"{path}: expected XML: {error}") from error


def _box(element: ET.Element, path: Path, place: int) -> Box:
    where = f"{path}, object {place}"
    label = (element.findtext("name") or "").strip()
    if not label:
        raise DataError(f"{where}: expected a name")
    texts = [(corner, element.findtext(f"bndbox/{corner}") or "") for corner in CORNERS]
    return Box.of((plain_number(text, f"{where}, {corner}") for corner, text in texts), label)


def _write(images: Iterable[BoxedImage], options: WriteOptions) -> Path:
    stems, names = Stems(), []
    for image in images:
        stem = stems.take(image.file)
        put_image(options.folder / IMAGES, image.file, image.content)
        path = options.folder / ANNOTATIONS / f"{stem}.xml"
        make_folder(path.parent)
        write_bytes(path, _document(image))
        names.append(stem)
    make_folder(options.folder / SPLITS)
    write_bytes(
        options.folder / SPLITS / f"{options.split}.txt", "".join(f"{name}\n" for name in names).encode()
    )
    return options.folder / ANNOTATIONS


def _document(image: BoxedImage) -> bytes:
    if NOT_IN_XML.search(image.file):
        raise DataError(f"{image.file!r:.200}: the name has a character that XML cannot hold")
    root = ET.Element("annotation")
    _add(root, "folder", IMAGES)
    _add(root, "filename", image.file)
    size = ET.SubElement(root, "size")
    for name, value in (("width", image.width), ("height", image.height), ("depth", 3)):
        _add(size, name, str(value))
    _add(root, "segmented", "0")
    for place, box in enumerate(image.boxes):
        if NOT_IN_XML.search(box.label):
            raise DataError(
                f"{image.file}, box {place}: the label {box.label!r:.60} has a character that XML cannot hold"
            )
        element = ET.SubElement(root, "object")
        for name, text in (
            ("name", box.label),
            ("pose", "Unspecified"),
            ("truncated", "0"),
            ("difficult", "0"),
        ):
            _add(element, name, text)
        corners = ET.SubElement(element, "bndbox")
        for name, side in zip(CORNERS, box.corners, strict=True):
            _add(corners, name, written_number(side))
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8")


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text


VOC = Format("voc", _read, _write)
