"""From a format to rows, and from rows to a format: each a pass over the images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pyramid.datasets.formats.base import (
    IMAGES_FOLDER,
    BoxedImage,
    Format,
    Source,
    WriteOptions,
)
from pyramid.datasets.formats.files import make_folder, put_image
from pyramid.datasets.formats.placing import Tally, placed_images
from pyramid.datasets.json_items import item_writer, read_json
from pyramid.datasets.rows_file import CONFIG_FILE, ROWS_FILE, RowsFile, row_of
from pyramid.errors import DataError
from pyramid.fields.box_rules import MOST_BOXES
from pyramid.progress import Report
from pyramid.storage.files import write_json
from sensenet.document.wording import counted

TRAINING: Mapping[str, Any] = MappingProxyType(
    {
        "image_network_candidates": [["tinyyolov4", "fine_tune"]],
        "input_image_shape": [416, 416, 3],
        "batch_size": 16,
        "descent_algorithm": "adam",
        "learning_rate": 0.001,
        "max_total_time": 3600,
    }
)
"""What a config says of a training where nobody has chosen yet."""


@dataclass
class Count:
    """What has passed by.

    Attributes:
        images, boxes: how many.
        crowded: images with more boxes than a training takes.
        tally: what could not be taken as it stood.
    """

    images: int = 0
    boxes: int = 0
    crowded: int = 0
    tally: Tally = field(default_factory=Tally)

    def of(self, images: Iterable[BoxedImage]) -> Iterator[BoxedImage]:
        """The images, counted as they pass by."""
        for image in images:
            self.images += 1
            self.boxes += len(image.boxes)
            self.crowded += len(image.boxes) > MOST_BOXES
            yield image

    def add(self, other: Count) -> None:
        """Count what another has counted, too."""
        self.images += other.images
        self.boxes += other.boxes
        self.crowded += other.crowded
        self.tally.join(other.tally)

    def check(self, is_strict: bool) -> None:
        """Refuse a data set of which nothing is left, or, strictly, in which anything was wrong.

        Raises:
            DataError: that is so; says what was wrong.
        """
        if is_strict:
            self.tally.refuse()
        if not self.images:
            reasons = self.tally.reasons()
            raise DataError("there is no image that can be read" + (f":\n{reasons}" if reasons else ""))

    def summary(self) -> str:
        """The counts in one line."""
        crowded = f"{self.crowded} images have more than {MOST_BOXES} boxes, which no training takes"
        parts = [
            f"{counted(self.images, 'image')}, {self.boxes} boxes",
            self.tally.summary(),
            crowded if self.crowded else "",
        ]
        return "; ".join(part for part in parts if part)


def import_images(source: Source, folder: Path, is_strict: bool, report: Report) -> Count:
    """Write the rows of a data set, `rows.json`, into a folder, and a config of a training.

    Images that the data set holds itself are written into `images`.

    Raises:
        DataError, InputError: the data set cannot be read, nothing is left of it, or it is not as `is_strict` wants it.
        WorkspaceError: a file cannot be written.
    """
    make_folder(folder)
    root = folder / IMAGES_FOLDER if source.root is None else source.root
    rows, count = folder / ROWS_FILE, Count()
    with item_writer(rows) as writer:
        for row in rows_of(source, root, count, report):
            writer.add(row)
        count.check(is_strict)
    write_training_config(folder, rows, root)
    return count


def rows_of(source: Source, root: Path, count: Count, report: Report) -> Iterator[dict[str, Any]]:
    """The row of each image of a data set; images that the data set holds itself are written below `root`."""
    for image in count.of(placed_images(source, False, count.tally, report)):
        if source.root is None:
            put_image(root, image.file, image.content)
        yield row_of(image)


def write_training_config(folder: Path, training_data: Path, image_root: Path | None, **more: Any) -> Path:
    """Write a config of `pyramid_train`, from wherever that is run; gives its path.

    Where there is one already, it says where the data are now, and stays what somebody may have made of it.

    Args:
        folder: where the config and the training go.
        training_data: rows or records.
        image_root: the folder of the images of rows.
        more: other keys.

    Raises:
        DataError: what is there is no config.
        WorkspaceError: it cannot be written.
    """
    path = folder / CONFIG_FILE
    there = (
        read_json(path) if path.exists() else {**TRAINING, "output_directory": _absolute(folder / "training")}
    )
    if not isinstance(there, dict):
        raise DataError(f"{path}: expected a config of pyramid_train, which is a JSON object")
    places = {"training_data": training_data, "image_root": image_root}
    absolute = {key: _absolute(place) for key, place in places.items() if place is not None}
    write_json(path, {**there, **absolute, **more})
    return path


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - links stay as they are


def export_images(
    rows: RowsFile, written: Format, options: WriteOptions, is_strict: bool, report: Report
) -> tuple[Path, Count]:
    """Write rows and their images in a format.

    Returns:
        The path to tell of, and what was written.

    Raises:
        DataError, InputError: rows that cannot be read, of which nothing is left, or not as `is_strict` wants them.
        WorkspaceError: a file cannot be written.
    """
    count = Count()

    def images() -> Iterator[BoxedImage]:
        yield from count.of(placed_images(rows.source(), True, count.tally, report))
        # still before the file that tells of all images gets its name
        count.check(is_strict)

    make_folder(options.folder)
    return written.write(images(), options), count
