"""The pictures of an evaluation: each image with the boxes that are in it, and those that were found."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from pyramid.commands.labelled_rows import BoxRows
from pyramid.images.root import image_source
from sensenet.detection import Boxes, as_dicts
from sensenet.drawing import draw
from sensenet.drawn_pictures import prepare_folder, write_picture
from sensenet.errors import InputError
from sensenet.models.detector import Detector
from sensenet.preprocess.reading import file_bytes


def prepare_for_rows(folder: Path, rows: BoxRows) -> None:
    """Make the folder of the pictures.

    Raises:
        InputError: images of the rows are in it, which a picture could replace, or it cannot be made.
    """
    prepare_folder(folder, (str(Path(rows.image_root, name)) for name in rows.files))


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
        OSError: a picture that cannot be written.
    """
    source = image_source(rows)
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
        write_picture(picture, folder, number, len(rows.files), name, data)
