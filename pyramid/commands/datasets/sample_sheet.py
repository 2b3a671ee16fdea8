"""Some pictures of rows, with their boxes and labels, on one sheet."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pyramid.commands.contact_sheet import Picture, draw_sheet, label_text
from pyramid.datasets.formats.base import BoxedImage, Source, StatedImage
from pyramid.datasets.formats.files import make_folder
from pyramid.datasets.formats.placing import Tally, placed_images
from pyramid.datasets.rows_file import RowsFile
from pyramid.errors import DataError
from pyramid.progress import Report
from pyramid.storage.files import write_bytes
from sensenet.preprocess.pillow_decoding import checked_format, decode_with_pillow

SIDE = 320
"""Pictures have at most so many pixels a side on the sheet."""


def draw_sample(rows: RowsFile, count: int, output: Path, report: Report) -> int:
    """Draw so many pictures, which lie evenly in the rows, as a PNG file.

    Returns:
        How many there are.

    Raises:
        DataError, InputError: rows or images that cannot be read.
        WorkspaceError: the file cannot be written.
    """
    total = sum(1 for _ in rows.rows())
    if not total:
        raise DataError(f"{rows.path}: there is no row in it")
    chosen = set(np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist())
    tally = Tally()
    source = Source(_chosen(rows, chosen), rows.root, len(chosen))
    pictures = [_picture(image) for image in placed_images(source, True, tally, report)]
    if not pictures:
        raise DataError(f"none of {len(chosen)} images can be read:\n{tally.reasons()}")
    make_folder(output.parent)
    write_bytes(output, _encoded(draw_sheet([_of_one_size(pictures)])))
    return len(pictures)


def _chosen(rows: RowsFile, chosen: set[int]) -> Iterator[StatedImage]:
    return (image for place, image in enumerate(rows.source().images) if place in chosen)


def _picture(image: BoxedImage) -> Picture:
    """An image, made smaller where it is large, with its boxes."""
    pixels = Image.fromarray(decode_with_pillow(image.content, checked_format(image.content)))
    pixels.thumbnail((SIDE, SIDE))
    scale = pixels.width / image.width, pixels.height / image.height
    boxes: list[list[Any]] = [
        [box.x1 * scale[0], box.y1 * scale[1], box.x2 * scale[0], box.y2 * scale[1], box.label]
        for box in image.boxes
    ]
    return Picture(np.asarray(pixels), label_text(image.file), boxes)


def _of_one_size(pictures: Sequence[Picture]) -> list[Picture]:
    """Pictures as large as the largest of them, which is the size of a place on a sheet; what is added is black."""
    height, width = (max(picture.pixels.shape[axis] for picture in pictures) for axis in (0, 1))
    return [
        picture._replace(
            pixels=np.pad(
                picture.pixels,
                ((0, height - picture.pixels.shape[0]), (0, width - picture.pixels.shape[1]), (0, 0)),
            )
        )
        for picture in pictures
    ]


def _encoded(sheet: Image.Image) -> bytes:
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()
