"""Files of pictures with boxes on them: their names, their format, and the folder that they may go to."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from sensenet.errors import InputError
from sensenet.files import write_whole
from sensenet.preprocess.pillow_decoding import image_format

MOST_CHARACTERS = 40
JPEG_QUALITY = 90


def prepare_folder(folder: Path, images: Iterable[str]) -> None:
    """Make the folder of the pictures.

    Args:
        folder: its path.
        images: the paths of the images that are drawn on.

    Raises:
        InputError: some of these are in it, which a picture could replace, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise InputError(
            f"--draw: {folder} cannot be made: {getattr(error, 'strerror', None) or error}"
        ) from error
    # what has a null character names no file
    folders = {Path(name).parent for name in images if "\0" not in name}
    if os.path.realpath(folder) in map(os.path.realpath, folders):
        raise InputError(f"--draw: {folder} holds images that are drawn on; name another folder")


def write_picture(
    picture: Image.Image, folder: Path, number: int, n_pictures: int, name: str, original: bytes
) -> Path:
    """Write a picture, as JPEG where the image is one, else as PNG.

    Args:
        picture: what to write.
        folder: where it goes.
        number: its name begins with it, so that no two are the same.
        n_pictures: how many there are.
        name: of the image; what is left of it are letters, digits, "-" and "_".
        original: the bytes of the image file.

    Returns:
        The path of the file.

    Raises:
        OSError: it cannot be written.
    """
    kind = "JPEG" if image_format(original) == "JPEG" else "PNG"
    stem = re.sub(r"[^\w-]+", "_", Path(name).stem)[:MOST_CHARACTERS]
    path = folder / f"{number:0{len(str(n_pictures - 1))}}_{stem}.{kind.lower()}"
    file = io.BytesIO()
    picture.save(file, kind, quality=JPEG_QUALITY, subsampling=0)
    write_whole(path, file.getvalue())
    return path
