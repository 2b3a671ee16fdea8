"""The bytes of image files, which nobody vouches for, become 8-bit RGB pixels.

What a file is, its content says, never its name. JPEG and PNG go through TensorFlow's decoder, which is up to three
times as fast as Pillow and gives identical pixels; the other formats through Pillow. Alpha is dropped without
blending, of 16 bits the high byte is kept, of an animation the first frame.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from sensenet.errors import InputError
from sensenet.preprocess.arrays import array_pixels
from sensenet.preprocess.limits import MAX_PIXELS, check_scans, check_size
from sensenet.preprocess.silence import without_warnings

STRIP_PIXELS = 1 << 20

ORIENTATION_TAG = 0x0112
UPRIGHT = 1
_PNG_SIZE = slice(16, 24)


class _Format(NamedTuple):
    """A file format.

    Attributes:
        matches: whether the first bytes of a file are of it.
        decode: its bytes as (h, w, 3) uint8; None: Pillow does it.
    """

    matches: Callable[[bytes], bool]
    decode: Callable[[bytes], tf.Tensor] | None = None


def _begins(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures)


def _decode_jpeg(data: bytes) -> tf.Tensor:
    contents = tf.constant(data)
    height, width, _ = tf.io.extract_jpeg_shape(contents).numpy().tolist()
    check_size(height, width, len(data))
    return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")


def _decode_png(data: bytes) -> tf.Tensor:
    size = data[_PNG_SIZE]
    check_size(int.from_bytes(size[4:], "big"), int.from_bytes(size[:4], "big"), len(data))
    return tf.io.decode_png(data, channels=3)


FORMATS: Mapping[str, _Format] = MappingProxyType(
    {
        "JPEG": _Format(_begins(b"\xff\xd8\xff"), _decode_jpeg),
        "PNG": _Format(_begins(b"\x89PNG\r\n\x1a\n"), _decode_png),
        "BMP": _Format(_begins(b"BM")),
        "GIF": _Format(_begins(b"GIF87a", b"GIF89a")),
        "TIFF": _Format(_begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
        "WEBP": _Format(lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
    }
)
"""The formats by Pillow's names. No others: some of Pillow's readers start programs."""


def decode_image(data: bytes, exif_rotation: bool = False) -> Any:
    """The pixels of a compressed image, (h, w, 3) uint8, as a tensor or a NumPy array.

    Args:
        data: the bytes of a file in one of `FORMATS`.
        exif_rotation: whether the EXIF orientation is applied. It is ignored otherwise, but for TIFF: there it always
            is, as in the published package, whose TIFF reader (Pillow) knows no other way.

    Raises:
        InputError: not an image, a damaged one, or one that is too large; says which.
    """
    name = _checked_format(data)
    decode = FORMATS[name].decode
    with _refusing(f"the {name} data"):
        if decode is not None and not (exif_rotation and _file_is_turned(data, name)):
            return decode(data)
        with _opened(data, name) as image:
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
    """The pixels and the alpha of a compressed image, by Pillow; else as `decode_image`.

    Raises:
        InputError: not an image, a damaged one, or one that is too large; says which.
    """
    name = _checked_format(data)
    with _refusing(f"the {name} data"), _opened(data, name) as image:
        has_alpha = bool(image.has_transparency_data)
        if has_alpha:
            pixels = np.array(_upright(image, exif_rotation).convert("RGBA"))
        else:
            pixels = np.pad(
                _pillow_pixels(image, exif_rotation), ((0, 0), (0, 0), (0, 1)), constant_values=255
            )
        return PixelsWithAlpha(pixels, has_alpha)


def _checked_format(data: bytes) -> str:
    """The name of an image's format.

    Raises:
        InputError: it is none of `FORMATS`, or a JPEG of too many scans.
    """
    name = next((name for name, form in FORMATS.items() if form.matches(data)), None)
    if name is None:
        given = f"{len(data)} bytes of something else" if data else "no bytes at all"
        raise InputError(f"expected an image in one of {', '.join(FORMATS)}, got {given}")
    if name == "JPEG":
        check_scans(data)
    return name


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Image.Image]:
    """A Pillow image of a size that its file warrants."""
    with without_warnings(), Image.open(io.BytesIO(data), formats=(name,)) as image:
        check_size(image.height, image.width, len(data))
        yield image


def asks_for_rotation(data: bytes) -> bool:
    """Whether `decode_image` turns this file if, and only if, `exif_rotation` is on.

    TIFF files never do: they are always turned. Bytes that are no image ask for nothing.
    """
    name = next((name for name, form in FORMATS.items() if form.matches(data)), None)
    return name not in (None, "TIFF") and _file_is_turned(data, str(name))


def pillow_pixels(image: Image.Image, exif_rotation: bool = False) -> np.ndarray:
    """The pixels of a Pillow image, (h, w, 3) uint8. The image itself stays as it is.

    Raises:
        InputError: it cannot be loaded or is too large.
    """
    with _refusing("the Pillow image"), without_warnings():
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


def _file_is_turned(data: bytes, name: str) -> bool:
    """`_is_turned` of a file, by its header."""
    try:
        with without_warnings(), Image.open(io.BytesIO(data), formats=(name,)) as image:
            check_size(
                image.height, image.width, len(data)
            )  # of a PNG file, the EXIF data come with the pixels
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
def _refusing(what: str) -> Iterator[None]:
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
