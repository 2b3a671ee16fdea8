"""Where the lists of Open Images are in a folder: unpacked in the way of any of its versions."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyramid.errors import DataError

SUBSETS = ("train", "validation", "test")
MOST_FILES = 10_000
DEEPEST = 4

_PATTERNS = {
    "images": re.compile(r"(?!.*annotations).*\bimages?\b.*\.csv(\.gz)?"),
    "annotations": re.compile(r".*\bannotations\b.*\bbbox\b.*\.csv(\.gz)?"),
    "trainable": re.compile(r".*\bclasses\b.*\btrainable\b.*\.txt(\.gz)?"),
    "descriptions": re.compile(r".*\bclass-descriptions\b.*\.csv(\.gz)?"),
    "hierarchy": re.compile(r".*\bhierarchy\b.*\.json(\.gz)?"),
}
_USUAL = {
    "images": "images.csv",
    "annotations": "annotations-human-bbox.csv",
    "trainable": "classes-bbox-trainable.txt",
    "descriptions": "class-descriptions.csv",
    "hierarchy": "bbox_labels_hierarchy.json",
}
"""What files are called in the first versions that have boxes."""


@dataclass(frozen=True)
class PublishedFolder:
    """The lists in a folder.

    Attributes:
        images, annotations: of each subset that is there, in the order of `SUBSETS`.
        trainable, descriptions, hierarchy: of the classes; None: there is none.
    """

    images: Mapping[str, Path]
    annotations: Mapping[str, Path]
    trainable: Path | None
    descriptions: Path | None
    hierarchy: Path | None


def find_lists(folder: Path) -> PublishedFolder:
    """Find the lists: a file belongs to a subset that a folder above it, or its name, names.

    Boxes of no subset are those of `train`; an index of no subset is that of all.

    Raises:
        DataError: there are no boxes, no index for them, or several files in question for one list; names them.
    """
    paths = _files(folder)
    found = {
        kind: [path for path in paths if pattern.fullmatch(path.name.lower().replace("_", "-"))]
        for kind, pattern in _PATTERNS.items()
    }
    annotations = {
        subset: path
        for subset in SUBSETS
        if (path := _only(folder, "annotations", _of_subset(folder, found["annotations"], subset)))
    }
    if not annotations:
        shared = _only(folder, "annotations", _of_no_subset(folder, found["annotations"]))
        if shared is None:
            raise DataError(f"{folder}: there are no boxes, such as {SUBSETS[0]}/{_USUAL['annotations']}")
        annotations = {SUBSETS[0]: shared}
    images = {subset: _index(folder, found["images"], subset) for subset in annotations}
    classes = {kind: _only(folder, kind, found[kind]) for kind in ("trainable", "descriptions", "hierarchy")}
    return PublishedFolder(images, annotations, **classes)


def _files(folder: Path) -> list[Path]:
    """The files in and below a folder, at most so deep."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        if len(Path(place).relative_to(folder).parts) >= DEEPEST:
            folders.clear()
        found += [Path(place, name) for name in sorted(names)]
        if len(found) > MOST_FILES:
            raise DataError(
                f"{folder}: there are more than {MOST_FILES:,} files in it; give the one of the lists"
            )
    return sorted(found)


def _index(folder: Path, paths: Sequence[Path], subset: str) -> Path:
    path = _only(folder, "images", _of_subset(folder, paths, subset))
    path = path or _only(folder, "images", _of_no_subset(folder, paths))
    if path is None:
        raise DataError(
            f"{folder}: there is no index of images for {subset}, such as {subset}/{_USUAL['images']}"
        )
    return path


def _subsets(folder: Path, path: Path) -> set[str]:
    parts = [*path.relative_to(folder).parts[:-1], *re.split(r"[^a-z]+", path.name.lower())]
    return {part.lower() for part in parts} & set(SUBSETS)


def _of_subset(folder: Path, paths: Sequence[Path], subset: str) -> list[Path]:
    return [path for path in paths if _subsets(folder, path) == {subset}]


def _of_no_subset(folder: Path, paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if not _subsets(folder, path)]


def _only(folder: Path, kind: str, paths: Sequence[Path]) -> Path | None:
    """The one that is meant: of the usual name, if there are several; of several copies the first."""
    usual = [path for path in paths if path.name.removesuffix(".gz") == _USUAL[kind]]
    paths = usual or paths
    if len({path.stat().st_size for path in paths}) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in paths[:5])
        raise DataError(f"{folder}: which one is the list of {kind}? {names}; leave one of them, or name it")
    return paths[0] if paths else None
