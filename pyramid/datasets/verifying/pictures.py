"""One picture: decoded wholly, turned, and made small. Without TensorFlow, which a process need not load for it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from PIL import Image

from pyramid.datasets.picture_files import found_picture, picture_name
from pyramid.datasets.points import Annotation
from sensenet.errors import InputError
from sensenet.partial_files import remove, temporary_path
from sensenet.preprocess.image_files import read_named_file
from sensenet.preprocess.pillow_decoding import opened_image, pillow_pixels, upright_size

THUMBNAIL_QUALITY = 90
REDUCING_GAP = 1.25
"""Pictures are first made smaller by a whole number, to at least so many times the size that is wanted: that takes a
third off, and costs less than JPEG does (39 to 49 dB; JPEG of this quality 34 to 36)."""
MISSING = "there is no picture of it"
_TURNS = MappingProxyType(
    {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
)
"""Degrees counterclockwise, as Pillow turns."""


@dataclass(frozen=True)
class Resizing:
    """Where thumbnails go.

    Attributes:
        folder: of the JPEG files.
        size: their longest side has at most so many pixels.
    """

    folder: str
    size: int


@dataclass(frozen=True)
class Picture:
    """What was found of an image.

    Attributes:
        file: the name of the picture: its thumbnail, if there are any.
        width, height: of that, in pixels.
        size: of the file that was written, in bytes; 0: none was.
        reason: why there is no picture; None: there is one.
    """

    file: str = ""
    width: int = 0
    height: int = 0
    size: int = 0
    reason: str | None = None


def check_picture(folder: str, id_: str, rotation: int, resizing: Resizing | None) -> Picture:
    """Decode the picture of an image, and write its thumbnail.

    Args:
        folder: of the pictures.
        id_: names the picture, but for the ending.
        rotation: by how many degrees counterclockwise a thumbnail is turned.

    Raises:
        OSError: the thumbnail cannot be written (`filename` is its path).
    """
    path = found_picture(Path(folder), id_)
    if path is None:
        return Picture(reason=MISSING)
    try:
        data = read_named_file(folder, path.name)
        with opened_image(data) as image:
            size = upright_size(image)
            small = _decoded(image, resizing.size if resizing else 1)
    except InputError as error:
        return Picture(reason=str(error))
    if resizing is None:
        return Picture(path.name, *size)
    if rotation:
        small = small.transpose(_TURNS[rotation])
    encoded = io.BytesIO()
    small.save(encoded, format="JPEG", quality=THUMBNAIL_QUALITY)
    name = picture_name(id_, "JPEG")
    _write(Path(resizing.folder, name), encoded.getvalue())
    return Picture(name, *small.size, len(encoded.getvalue()))


def _write(path: Path, content: bytes) -> None:
    """Write a whole file, whose size tells afterwards whether the disk has kept it.

    Bringing each to the disk at once, as `sensenet.files` does, would take longer than decoding pictures.
    """
    temporary = temporary_path(path)
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        remove(temporary)
        raise OSError(error.errno, error.strerror, str(path)) from error


def _decoded(image: Image.Image, size: int) -> Image.Image:
    """The whole image, at most `size` pixels a side, as RGB."""
    if image.format == "JPEG":
        # all of the data is read; only the last step, from frequencies to pixels, is made for fewer of them
        image.thumbnail((size, size), reducing_gap=REDUCING_GAP)
        return image.convert("RGB")
    small = Image.fromarray(pillow_pixels(image))
    small.thumbnail((size, size), reducing_gap=REDUCING_GAP)
    return small


def turned(boxes: Sequence[Annotation], rotation: int) -> tuple[Annotation, ...]:
    """Where boxes are once their picture is turned by so many degrees counterclockwise."""
    if rotation == 0:
        return tuple(boxes)
    quarter = tuple(replace(box, x0=box.y0, x1=box.y1, y0=1 - box.x1, y1=1 - box.x0) for box in boxes)
    return turned(quarter, rotation - 90)
