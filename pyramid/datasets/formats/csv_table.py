"""The CSV of the TensorFlow tutorials: a row for each box, `filename,width,height,class,xmin,ymin,xmax,ymax`.

An image without boxes has no row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pyramid.datasets.formats.base import (
    IMAGES_FOLDER,
    Box,
    BoxedImage,
    Format,
    ReadOptions,
    Source,
    StatedImage,
    WriteOptions,
    images_below,
)
from pyramid.datasets.formats.files import make_folder, plain_number, put_image, written_number
from pyramid.errors import DataError
from pyramid.storage.files import whole_file
from sensenet.tables.source import Reading, open_table

COLUMNS = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
READ_COLUMNS = tuple(name for name in COLUMNS if name not in ("width", "height"))


def _read(source: Path, options: ReadOptions) -> Source:
    table = open_table(source, Reading(delimiter=","))
    for name in READ_COLUMNS:
        table.position(name, "a data set of boxes")
    by_file: dict[str, list[Box]] = {}
    number = 0
    for frame in table.batches():
        for row in frame.select(READ_COLUMNS).iter_rows():
            number += 1
            file, label, *sides = ("" if value is None else str(value).strip() for value in row)
            where = f"{source}, row {number}"
            if not file or not label:
                raise DataError(f"{where}: expected a filename and a class")
            by_file.setdefault(file, []).append(Box.of((plain_number(side, where) for side in sides), label))
    if not by_file:
        raise DataError(f"{source}: there is no box in it")
    return Source(_images(by_file), images_below(source.parent, options), len(by_file))


def _images(by_file: Mapping[str, list[Box]]) -> Iterator[StatedImage]:
    for file, boxes in by_file.items():
        yield StatedImage(file, boxes)


def _write(images: Iterable[BoxedImage], options: WriteOptions) -> Path:
    path = options.folder / f"{options.split}.csv"
    make_folder(options.folder)
    with whole_file(path) as file:
        file.write(_lines([COLUMNS]))
        for image in images:
            put_image(options.folder / IMAGES_FOLDER, image.file, image.content)
            file.write(_lines(_row(image, box) for box in image.boxes))
    return path


def _row(image: BoxedImage, box: Box) -> tuple[str, ...]:
    sides = map(written_number, box.corners)
    return (image.file, str(image.width), str(image.height), box.label, *sides)


def _lines(rows: Iterable[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


CSV = Format("csv", _read, _write)
