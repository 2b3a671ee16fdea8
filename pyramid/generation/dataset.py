"""A generated data set: its images appear all at once in a new directory, with the rows that tell of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.errors import WorkspaceError
from pyramid.generation.library import Library, fill_library
from pyramid.generation.options import GenerationOptions
from pyramid.generation.plan import ImagePlan, label_of
from pyramid.generation.production import CHUNK, Boxes, Target, make_images, write_images
from pyramid.generation.sources import Sources
from pyramid.progress import Report
from pyramid.storage.files import naming_file
from sensenet import partial_files

Row = dict[str, Any]


@dataclass(frozen=True)
class Workshop:
    """A directory under a temporary name, for what is not finished.

    Attributes:
        root: the directory.
    """

    root: Path

    @property
    def images(self) -> Path:
        """Where the images are while they are made."""
        return self.root / "images"

    @property
    def library(self) -> Path:
        """The decoded files."""
        return self.root / "library"


@contextmanager
def workshop(train: Path) -> Iterator[Workshop]:
    """A place beside the directory that the images will have; it is gone at the end.

    Raises:
        WorkspaceError: it cannot be made.
    """
    shop = Workshop(partial_files.temporary_path(train))
    try:
        with naming_file(train):
            for directory in (shop.images, shop.library):
                directory.mkdir(parents=True)
        yield shop
    finally:
        partial_files.remove(shop.root)


def prepare(
    directory: Path, sources: Sources, plans: list[ImagePlan], options: GenerationOptions, report: Report
) -> None:
    """Decode all files, and keep in a directory what some plans need.

    Raises:
        DataError, WorkspaceError: as `fill_library`.
    """
    used = (plan.background for plan in plans if plan.background is not None)
    fill_library(directory, sources, used, options, report)


def write_dataset(
    shop: Workshop,
    sources: Sources,
    plans: list[ImagePlan],
    options: GenerationOptions,
    processes: int,
    report: Report,
) -> list[Row]:
    """Make all images in the workshop.

    Returns:
        A row for each: `file`, and `label` or `boxes` with [x1, y1, x2, y2, label].

    Raises:
        WorkspaceError, PyramidError: as `write_images`.
    """
    files = [_file_name(plan, options, sources) for plan in plans]
    for directory in {str(Path(file).parent) for file in files}:
        with naming_file(shop.images / directory):
            (shop.images / directory).mkdir(exist_ok=True)
    targets = [Target(plan, str(shop.images / file)) for plan, file in zip(plans, files, strict=True)]
    made = write_images(shop.library, options, targets, processes, report)
    return [
        {"file": file} | _truth(plan, boxes, options, sources)
        for file, plan, boxes in zip(files, plans, made, strict=True)
    ]


def samples(
    library: Path, sources: Sources, plans: list[ImagePlan], options: GenerationOptions
) -> Iterator[tuple[np.ndarray, Row]]:
    """The pixels of each image, (height, width, 3) uint8, and its `label` or `boxes`; nothing is written."""
    opened = Library.open(library)
    for start in range(0, len(plans), CHUNK):
        chunk = plans[start : start + CHUNK]
        for plan, image in zip(chunk, make_images(opened, options, chunk), strict=True):
            yield image.pixels, _truth(plan, image.boxes, options, sources)


def _truth(plan: ImagePlan, boxes: Boxes, options: GenerationOptions, sources: Sources) -> Row:
    """The `label` of an image, or its `boxes`."""
    if not options.has_boxes:
        return {"label": label_of(plan, options, sources)}
    constant = options.constant_box_label
    return {
        "boxes": [
            [*box, sources.labels[paste.foreground] if constant is None else constant]
            for paste, box in zip(plan.pastes, boxes, strict=True)
            if box is not None
        ]
    }


def publish(shop: Workshop, train: Path) -> None:
    """Give the images their final directory.

    Raises:
        WorkspaceError: it is there by now, say.
    """
    try:
        shop.images.rename(train)
    except OSError as error:
        raise WorkspaceError(f"{train} cannot be made: {error.strerror}") from error


def _file_name(plan: ImagePlan, options: GenerationOptions, sources: Sources) -> str:
    """Below the directory of images: in a directory for each label, where an image has one."""
    directory = "" if options.has_boxes else label_of(plan, options, sources)
    return (Path(directory) / f"{plan.number:08}.png").as_posix()
