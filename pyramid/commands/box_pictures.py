"""The pictures of an evaluation: each image with the boxes that are in it, and those that were found."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from pyramid.commands.console import CommandError
from pyramid.commands.labelled_rows import BoxRows
from pyramid.images.root import image_source
from pyramid.workspace import write_bytes
from sensenet.detection import Boxes, as_dicts
from sensenet.drawing import draw
from sensenet.errors import InputError
from sensenet.models.detector import Detector
from sensenet.preprocess.pillow_decoding import image_format
from sensenet.preprocess.reading import file_bytes

MOST_CHARACTERS = 40
JPEG_QUALITY = 90


def prepare_folder(folder: Path, rows: BoxRows) -> None:
    """Make the folder of the pictures.

    Raises:
        CommandError: images of the rows are in it, which a picture could replace, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{folder} cannot be made: {error.strerror or error}") from error
    # what has a null character names no file
    folders = {Path(rows.image_root, name).parent for name in rows.files if "\0" not in name}
    if os.path.realpath(folder) in map(os.path.realpath, folders):
        raise CommandError(f"--draw: {folder} holds images of the rows; name another folder")


def draw_rows(rows: BoxRows, found: Sequence[Boxes], detector: Detector, folder: Path) -> None:
    """Write a picture of each row, as JPEG where the image is one, else as PNG.

    Its name begins with the number of the row, so that no two are the same.

    Args:
        rows: images and their boxes, which are drawn dashed.
        found: the boxes of each image.
        detector: what found them.
        folder: where the pictures go.

    Raises:
        InputError: an image that cannot be read any more, or drawn on; names it.
        WorkspaceError: a picture that cannot be written.
    """
    source, digits = image_source(rows), len(str(len(rows.files) - 1))
    columns = zip(rows.files, rows.boxes, found, strict=True)
    bar = tqdm(columns, total=len(rows.files), desc="drawing", unit="image", leave=False, file=sys.stderr)
    for number, (name, boxes, found_boxes) in enumerate(bar):
        data = file_bytes(name, source)
        try:
            picture = draw(
                data,
                as_dicts(found_boxes, detector.classes),
                truth=[{"box": box[:-1], "label": box[-1]} for box in boxes],
                classes=detector.classes,
                exif_rotation=detector.exif_rotation,
            )
        except InputError as error:
            raise InputError(f"row {number}: {name}: {error}") from error
        kind = "JPEG" if image_format(data) == "JPEG" else "PNG"
        file = io.BytesIO()
        picture.save(file, kind, quality=JPEG_QUALITY, subsampling=0)
        write_bytes(folder / f"{number:0{digits}}_{_stem(name)}.{kind.lower()}", file.getvalue())


def _stem(name: str) -> str:
    """The name of a file without folders and suffix, in letters, digits, "-" and "_" alone."""
    return re.sub(r"[^\w-]+", "_", Path(name).stem)[:MOST_CHARACTERS]
