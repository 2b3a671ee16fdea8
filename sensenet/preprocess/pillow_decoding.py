"""What Pillow decodes, and how a file is told to be an image: without TensorFlow, whose decoders are in `decoding`."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from sensenet.errors import InputError
from sensenet.preprocess.arrays import array_pixels
from sensenet.preprocess.limits import MAX_PIXELS, check_scans, check_size
from sensenet.preprocess.silence import without_warnings

STRIP_PIXELS = 1 << 20
HEAD_BYTES = 64

ORIENTATION_TAG = 0x0112
UPRIGHT = 1
LYING = (5, 6, 7, 8)
"""Orientations that exchange width and height."""


def _begins(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures)


FORMATS: Mapping[str, Callable[[bytes], bool]] = MappingProxyType(
    {
        "JPEG": _begins(b"\xff\xd8\xff"),
        "PNG": _begins(b"\x89PNG\r\n\x1a\n"),
        "BMP": _begins(b"BM"),
        "GIF": _begins(b"GIF87a", b"GIF89a"),
        "TIFF": _begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        "WEBP": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    }
)
"""The formats by Pillow's names, and whether the first bytes of a file are of one. No others: some of Pillow's readers
start programs."""


def image_format(data: bytes) -> str | None:
    """Which of `FORMATS` a file has, by its content; None: none of them."""
    return next((name for name, matches in FORMATS.items() if matches(data)), None)


def checked_format(data: bytes) -> str:
    """Which of `FORMATS` a file has.

    Raises:
        InputError: none of them, or a JPEG of too many scans.
    """
    name = image_format(data)
    if name is None:
        given = f"{len(data)} bytes of something else" if data else "no bytes at all"
        raise InputError(f"expected an image in one of {', '.join(FORMATS)}, got {given}")
    if name == "JPEG":
        check_scans(data)
    return name


def image_size(file: BinaryIO) -> tuple[int, int]:
    """The width and height of an image file by its header; its pixels may still be damaged.

    Args:
        file: positioned at its beginning.

    Raises:
        InputError: none of `FORMATS`, no header of it, or a size that is too large.
    """
    name = image_format(file.read(HEAD_BYTES))
    if name is None:
        raise InputError(f"expected an image in one of {', '.join(FORMATS)}, got something else")
    file_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    with (
        refusing(f"the {name} data"),
        without_warnings(),
        Image.open(file, formats=(name,)) as image,
    ):
        check_size(image.height, image.width, file_bytes)
        return upright_size(image)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """The width and height that the pixels of a Pillow image will have: TIFF files are turned as their EXIF says."""
    # what the size of a TIFF is before it is loaded hangs on the version of Pillow
    if image.format != "TIFF" or image.getexif().get(ORIENTATION_TAG) not in LYING:
        return image.size
    tags = image.tag_v2  # type: ignore[attr-defined]
    return tags[TiffImagePlugin.IMAGELENGTH], tags[TiffImagePlugin.IMAGEWIDTH]


def decode_with_pillow(data: bytes, name: str, exif_rotation: bool = False) -> np.ndarray:
    """The pixels of a compressed image, (h, w, 3) uint8.

    Args:
        data: the bytes of a file.
        name: which of `FORMATS` it has.
        exif_rotation: whether the EXIF orientation is applied; that of TIFF always is.

    Raises:
        InputError: a damaged image, or one that is too large; says which.
    """
    with refusing(f"the {name} data"), _opened(data, name) as image:
        return _pillow_pixels(image, exif_rotation)


class PixelsWithAlpha(NamedTuple):
    """A decoded image whose alpha is kept.

    Attributes:
        pixels: (h, w, 4) uint8, the colours not multiplied by alpha; an image without alpha is opaque.
        has_alpha: whether the file says what is transparent.
    """

    pixels: np.ndarray
    has_alpha: bool


def decode_with_alpha(data: bytes, exif_rotation: bool = False) -> PixelsWithAlpha:
    """The pixels and the alpha of a compressed image.

    Raises:
        InputError: not an image, a damaged one, or one that is too large; says which.
    """
    name = checked_format(data)
    with refusing(f"the {name} data"), _opened(data, name) as image:
        has_alpha = bool(image.has_transparency_data)
        if has_alpha:
            pixels = np.array(_upright(image, exif_rotation).convert("RGBA"))
        else:
            pixels = np.pad(
                _pillow_pixels(image, exif_rotation), ((0, 0), (0, 0), (0, 1)), constant_values=255
            )
        return PixelsWithAlpha(pixels, has_alpha)


@contextmanager
def opened_image(data: bytes) -> Iterator[Image.Image]:
    """A Pillow image, not decoded yet, of a size that its file warrants.

    Raises:
        InputError: not an image, or one that is too large; or the body met a damaged one. Says which.
    """
    name = checked_format(data)
    with refusing(f"the {name} data"), _opened(data, name) as image:
        yield image


def check_header(path: Path, name: str) -> None:
    """Refuse a file that does not begin as one of a format in `FORMATS` does, without decoding it.

    Raises:
        InputError: it has no such header, or claims to be too large.
        OSError: it cannot be read.
    """
    with (
        path.open("rb") as file,
        refusing(f"the {name} data"),
        without_warnings(),
        Image.open(file, formats=(name,)) as image,
    ):
        check_size(image.height, image.width, path.stat().st_size)


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Image.Image]:
    """A Pillow image of a size that its file warrants."""
    with without_warnings(), Image.open(io.BytesIO(data), formats=(name,)) as image:
        check_size(image.height, image.width, len(data))
        yield image


def pillow_pixels(image: Image.Image, exif_rotation: bool = False) -> np.ndarray:
    """The pixels of a Pillow image, (h, w, 3) uint8. The image itself stays as it is.

    Raises:
        InputError: it cannot be loaded or is too large.
    """
    with refusing("the Pillow image"), without_warnings():
        return _pillow_pixels(image, exif_rotation)


def _pillow_pixels(image: Image.Image, exif_rotation: bool) -> np.ndarray:
    check_size(image.height, image.width)
    image = _upright(image, exif_rotation)
    if image.mode == "F":
        return array_pixels(np.asarray(image))
    if image.mode == "I":
        # 16 bits in a wider type: what some versions make of a 16-bit file
        low, high = np.ravel(image.getextrema())
        if low < 0 or high >= 2**16:
            raise InputError(f"expected integers of 8 or 16 bits, got {low} to {high}")
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    # strip by strip: the whole in another mode would take as much memory again
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        pixels[top : top + rows] = _strip_pixels(strip)
    return pixels


def _upright(image: Image.Image, exif_rotation: bool) -> Image.Image:
    """The loaded image, turned where it is to be."""
    image.load()
    # not every version of Pillow turns a TIFF by itself when loading it
    if (exif_rotation or image.format == "TIFF") and _is_turned(image):
        return ImageOps.exif_transpose(image)
    return image


def _strip_pixels(strip: Image.Image) -> np.ndarray:
    """(h, w, 3) uint8, or (h, w, 1)."""
    if strip.mode.startswith("I"):
        return (np.asarray(strip) >> 8).astype(np.uint8)[..., None]
    if strip.mode == "RGBa":
        strip = strip.convert("RGBA")
    elif strip.mode == "La":
        strip = strip.convert("LA")
    return np.asarray(strip.convert("RGB"))


def file_is_turned(data: bytes, name: str) -> bool:
    """Whether the EXIF data of a file in one of `FORMATS` say that the picture is to be turned."""
    try:
        with without_warnings(), Image.open(io.BytesIO(data), formats=(name,)) as image:
            # of a PNG file, the EXIF data come with the pixels
            check_size(image.height, image.width, len(data))
            return _is_turned(image)
    except Exception:  # whatever damaged bytes lead the parser to: the decoder has the last word
        return False


def _is_turned(image: Image.Image) -> bool:
    """Whether the EXIF data say that the picture is to be turned; damaged ones say nothing."""
    try:
        return image.getexif().get(ORIENTATION_TAG, UPRIGHT) != UPRIGHT
    except Exception:  # the parser documents no closed list
        return False


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn everything that decoders raise over bytes they do not understand into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Image.DecompressionBombError:  # Pillow has looked at the size before we could
        raise InputError(f"expected an image of 1 to {MAX_PIXELS:,} pixels, got more") from None
    except Exception as error:  # TensorFlow and Pillow document no closed list
        raise InputError(f"{what} cannot be decoded: {_decoder_reason(error)}") from None


def _reason(error: Exception) -> str:
    """What an exception says, without the names of TensorFlow's functions around it."""
    text = str(error).split("}} ")[-1].split(" [Op:")[0]
    return f"{text or type(error).__name__:.200}"


def _decoder_reason(error: Exception) -> str:
    """What a decoder says up to the first number, quotation or bracket: these may show what the file holds, which
    may be no image at all."""
    words = re.match(r"[A-Za-z ]*", _reason(error))
    return (words and words[0].strip()) or type(error).__name__
