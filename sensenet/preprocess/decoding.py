"""The bytes of image files, which nobody vouches for, become 8-bit RGB pixels.

What a file is, its content says, never its name. JPEG and PNG go through TensorFlow's decoder, which is up to three
times as fast as Pillow and gives identical pixels; the other formats through Pillow. Alpha is dropped without
blending, of 16 bits the high byte is kept, of an animation the first frame.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from sensenet.errors import InputError

MAX_PIXELS = 2 * 89_478_485
"""The largest image that is decoded, 179 million pixels: where Pillow, too, stops believing in good will."""

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
    check_size(height, width)
    return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")


def _decode_png(data: bytes) -> tf.Tensor:
    size = data[_PNG_SIZE]
    check_size(int.from_bytes(size[4:], "big"), int.from_bytes(size[:4], "big"))
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
    name = next((name for name, form in FORMATS.items() if form.matches(data)), None)
    if name is None:
        given = f"{len(data)} bytes that begin with {data[:12]!r}" if data else "no bytes at all"
        raise InputError(f"expected an image in one of {', '.join(FORMATS)}, got {given}")
    decode = FORMATS[name].decode
    with _refusing(f"the {name} data"):
        if decode is not None and not (exif_rotation and _file_is_turned(data, name)):
            return decode(data)
        with _quiet(), Image.open(io.BytesIO(data), formats=(name,)) as image:
            return _pillow_pixels(image, exif_rotation)


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
    with _refusing("the Pillow image"), _quiet():
        return _pillow_pixels(image, exif_rotation)


def array_pixels(values: Any, alpha: bool = False) -> np.ndarray:
    """The pixels of an array, (h, w, 3 or 4) uint8. The array itself stays as it is.

    Args:
        values: (h, w), (h, w, 1) or (h, w, 3), or (h, w, 4) where `alpha`, numbers in anything that NumPy can read.
            uint8 are pixels. Others are multiplied by 255 if all are in 0..1, and then truncated.
        alpha: whether a fourth channel is allowed.

    Raises:
        InputError: another shape or kind, or numbers outside 0..255.
    """
    try:
        pixels = np.asarray(values)
    except Exception as error:  # whatever an object's own conversion raises
        raise InputError(f"expected an array of numbers: {_reason(error)}") from None
    channels = (1, 3, 4) if alpha else (1, 3)
    if pixels.dtype.kind not in "buif":
        raise InputError(f"expected an array of numbers, got {pixels.dtype.name}")
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in channels)) or not pixels.size:
        counts = ", ".join(map(str, channels))
        hint = "" if alpha else ' (4 with "color_space" rgba or bgra)'
        raise InputError(
            f"expected (height, width) or (height, width, channels) of {counts} channels{hint}, "
            f"got the shape {pixels.shape}"
        )
    if pixels.dtype != np.uint8:
        pixels = _as_bytes(pixels)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def check_size(height: int, width: int) -> None:
    """Refuse an image by the size that its header claims, before anything is decoded.

    Raises:
        InputError: it has no pixels, or more than `MAX_PIXELS`.
    """
    if not 0 < height * width <= MAX_PIXELS:
        raise InputError(f"expected an image of 1 to {MAX_PIXELS:,} pixels, got {width} x {height}")


def _as_bytes(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 255):  # also where one of them is NaN
        raise InputError(f"expected numbers in 0..1 or in 0..255, got {low:g} to {high:g}")
    if high <= 1:
        values = (values if values.dtype.kind == "f" else values.astype(np.float32)) * 255
    return values.astype(np.uint8)


def _pillow_pixels(image: Image.Image, exif_rotation: bool) -> np.ndarray:
    check_size(image.height, image.width)
    image.load()
    # not every version of Pillow turns a TIFF by itself when loading it
    if (exif_rotation or image.format == "TIFF") and _is_turned(image):
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return array_pixels((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "I":
        # 16 bits in a wider type: what some versions make of a 16-bit file
        values = np.asarray(image)
        if values.min() < 0 or values.max() >= 2**16:
            raise InputError(f"expected integers of 8 or 16 bits, got {values.min()} to {values.max()}")
        return array_pixels((values >> 8).astype(np.uint8))
    if image.mode == "F":
        return array_pixels(np.asarray(image))
    if image.mode == "RGBa":
        image = image.convert("RGBA")
    elif image.mode == "La":
        image = image.convert("LA")
    return np.array(image.convert("RGB"))


def _file_is_turned(data: bytes, name: str) -> bool:
    """`_is_turned` of a file, by its header."""
    try:
        with _quiet(), Image.open(io.BytesIO(data), formats=(name,)) as image:
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
    except Exception as error:  # TensorFlow and Pillow document no closed list
        raise InputError(f"{what} cannot be decoded: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """What an exception says, without the names of TensorFlow's functions around it."""
    text = str(error).split("}} ")[-1].split(" [Op:")[0]
    return f"{text or type(error).__name__:.200}"


class _Silence:
    """How many threads want Python's warnings off: their filters are the process's, so the last one restores them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.lock = threading.Lock()
        self.threads = 0
        self.filters = warnings.catch_warnings()


_silence = _Silence()
if hasattr(os, "register_at_fork"):
    # a thread that held the lock is not there in the child to let it go
    os.register_at_fork(after_in_child=_silence.reset)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow from printing what it thinks of a file; safe in threads."""
    with _silence.lock:
        if _silence.threads == 0:
            _silence.filters = warnings.catch_warnings()
            _silence.filters.__enter__()
            warnings.simplefilter("ignore")
        _silence.threads += 1
    try:
        yield
    finally:
        with _silence.lock:
            _silence.threads -= 1
            if _silence.threads == 0:
                _silence.filters.__exit__(None, None, None)
