"""Rows of images with boxes in a file: a list of them, or a config of `pyramid_train`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyramid.datasets.formats.base import Box, BoxedImage, Source, StatedImage
from pyramid.datasets.json_items import read_items, read_json
from pyramid.errors import DataError
from pyramid.images.row_rules import box_row_problems
from sensenet.tables.text import first_bytes

ROWS_FILE, CONFIG_FILE = "rows.json", "config.json"
ROWS_SUFFIX = ".json"
"""What the file of rows in a config is called; others are records."""
DECIMALS = 3
"""Corners stand in rows to a thousandth of a pixel: that undoes what shares in float32 lose."""


@dataclass(frozen=True)
class RowsFile:
    """A file of rows.

    Attributes:
        path: the file.
        root: the folder of its images.
        in_config: whether the rows are in a config.
    """

    path: Path
    root: Path
    in_config: bool = False

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows, in their order.

        Raises:
            DataError, InputError: the file cannot be read, or a row is wrong; says which.
        """
        rows = iter(_rows_of_config(self.path)) if self.in_config else read_items(self.path)
        for place, row in enumerate(rows):
            for at, problem in box_row_problems(row):
                raise DataError(f"{self.path}, /{place}{at}: {problem}")
            yield row

    def labels(self) -> list[str]:
        """The labels of all boxes, sorted."""
        return sorted({box[-1] for row in self.rows() for box in row["boxes"]})

    def source(self) -> Source:
        """The images, as a data set to read."""
        images = (StatedImage(row["file"], [Box(*box) for box in row["boxes"]]) for row in self.rows())
        return Source(images, self.root)


def open_rows(path: Path, image_root: Path | None = None) -> RowsFile:
    """Rows, and where their images are.

    Args:
        path: a list of rows, or a config whose `training_data` is one, or the path of one.
        image_root: the folder of the images; None: that of the config, which is this file or lies beside it and names
            it; else the folder of the file.

    Raises:
        DataError, InputError: a file that cannot be read.
    """
    if first_bytes(path).lstrip()[:1] != b"{":
        return RowsFile(path, image_root or _root_beside(path) or path.parent)
    config = read_json(path)
    data, root = config.get("training_data"), image_root or _root(config)
    if isinstance(data, str):
        if Path(data).suffix != ROWS_SUFFIX:
            raise DataError(
                f"{path}, /training_data: expected rows, but {data:.200} are records: "
                "pyramid_dataset import makes rows of them"
            )
        return open_rows(Path(data), root)
    return RowsFile(path, root or Path(), in_config=True)


def _rows_of_config(path: Path) -> list[Any]:
    rows = read_json(path).get("training_data")
    if not isinstance(rows, list):
        raise DataError(f"{path}, /training_data: expected a list of rows, or the path of one")
    return rows


def _root_beside(path: Path) -> Path | None:
    beside = path.parent / CONFIG_FILE
    if not beside.is_file():
        return None
    config = read_json(beside)
    data = config.get("training_data") if isinstance(config, dict) else None
    if not isinstance(data, str) or Path(data).resolve() != path.resolve():
        return None
    return _root(config)


def _root(config: dict[str, Any]) -> Path | None:
    root = config.get("image_root")
    return Path(root) if isinstance(root, str) and root else None


def row_of(image: BoxedImage) -> dict[str, Any]:
    """The row of an image."""
    boxes = [[*(_pixels(side) for side in box.corners), box.label] for box in image.boxes]
    return {"file": image.file, "boxes": boxes}


def _pixels(side: float) -> float | int:
    rounded = round(float(side), DECIMALS)
    return int(rounded) if rounded.is_integer() else rounded
