"""What people pass as an image (a path, bytes, numbers, a Pillow image, nothing) becomes what a network takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from sensenet.errors import InputError
from sensenet.preprocess.arrays import array_pixels
from sensenet.preprocess.decoding import asks_for_rotation, decode_image
from sensenet.preprocess.image import rescale, to_rgb
from sensenet.preprocess.image_files import Confinement, read_named_file
from sensenet.preprocess.pillow_decoding import pillow_pixels
from sensenet.preprocess.tabular import is_missing

MAX_THREADS = 16


@dataclass(frozen=True)
class ImageReading:
    """How the images of a model are passed.

    Attributes:
        path_prefix: the directory of relative paths.
        input_image_format: file, image_bytes, or pixel_values (arrays, nested lists, Pillow images); None: each value
            says by its type what it is.
        color_space: rgb, rgba, bgr or bgra, in any case: what the channels are. It holds for images of every form,
            for files too, as in the published package. The alpha of arrays of four channels is dropped, never blended:
            before the image is rescaled where it is not named here, else behind it, so that it counts in the mean of
            pad, as in the published package.
        exif_rotation: whether the EXIF orientation of files and Pillow images is applied.
        confinement: where files have to lie; None: anywhere.
    """

    path_prefix: str = ""
    input_image_format: str | None = None
    color_space: str = "rgb"
    exif_rotation: bool = False
    confinement: Confinement | None = None

    @property
    def has_alpha(self) -> bool:
        """Whether arrays keep their alpha channel until they are rescaled."""
        return self.color_space.lower().endswith("a")


class LoadedImages(NamedTuple):
    """Images of one call.

    Attributes:
        pixels: (n, height, width, 3) float32, RGB of 0 to 255.
        sizes: (n, 2) int64, height and width of each original (as it is turned, where rotation is on).
    """

    pixels: tf.Tensor
    sizes: np.ndarray


class _Form(NamedTuple):
    """One way to pass an image: the types it takes, what they are called, and how one becomes pixels."""

    types: tuple[type, ...]
    expectation: str
    read: Callable[[Any, ImageReading], Any]


def read_image(value: Any, reading: ImageReading, place: str) -> Any:
    """The pixels of one image at its own size.

    Args:
        value: a path, compressed bytes, an array or nested list of numbers (see `arrays.array_pixels`), a Pillow
            image, or a missing value (None, NaN), which is one black pixel.
        reading: how images are passed.
        place: what to call the image in an error.

    Returns:
        (h, w, 3) uint8 in the channel order that `reading` tells, or (h, w, 4) for an array with the alpha that it
        tells; a tensor or a NumPy array.

    Raises:
        InputError: not an image, or one that cannot be read; says where and why.
    """
    try:
        if is_missing(value):
            return np.zeros((1, 1, 3), np.uint8)
        return _form(value, reading.input_image_format).read(value, reading)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def file_bytes(name: str | os.PathLike[str], reading: ImageReading) -> bytes:
    """The content of an image file.

    Raises:
        InputError: it cannot be read, or lies outside of the confinement; gives its path.
    """
    return read_named_file(reading.path_prefix, os.fsdecode(name), reading.confinement)


def file_asks_for_rotation(name: str | os.PathLike[str], reading: ImageReading) -> bool:
    """Whether the EXIF data of a file ask for a rotation that `reading` does not apply.

    A file that cannot be read asks for nothing: reading its pixels tells what is wrong.
    """
    if reading.exif_rotation:
        return False
    try:
        return asks_for_rotation(file_bytes(name, reading))
    except InputError:
        return False


class ImageLoader:
    """Reads images and rescales them for one network.

    >>> loader = ImageLoader(224, 224, "crop", ImageReading())
    >>> loader.load(["bus.jpg"], lambda i: f"row {i}").pixels.shape  # doctest: +SKIP
    TensorShape([1, 224, 224, 3])

    Attributes:
        width, height, rescale_type, reading: what it was made with.
    """

    def __init__(self, width: int, height: int, rescale_type: str, reading: ImageReading):
        """Compile what rescales.

        Args:
            width, height: that the network takes.
            rescale_type: one of `image.RESCALE_TYPES`.
            reading: how images are passed.

        Raises:
            SettingsError: an unknown rescale type.
        """
        self.width, self.height = width, height
        self.rescale_type = rescale_type
        self.reading = reading

        def prepare(image: tf.Tensor) -> tf.Tensor:
            pixels = to_rgb(rescale(image, width, height, rescale_type), reading.color_space)
            pixels.set_shape((height, width, 3))
            return pixels[None]

        channels = None if reading.has_alpha else 3
        signature = tf.TensorSpec((None, None, channels), tf.uint8)
        self._prepare = tf.function(
            prepare, input_signature=[signature], autograph=False
        ).get_concrete_function()
        self._no_pixels = tf.zeros((0, height, width, 3))

    def load(self, images: Sequence[Any], describe: Callable[[int], str]) -> LoadedImages:
        """Read `images`, in threads where there are several, and rescale them; they may differ in size.

        Args:
            images: in any form that `read_image` takes.
            describe: what to call the image at a position in an error.

        Raises:
            InputError: an image that cannot be read; the first of them, by its position.
        """

        def one(position: int) -> tuple[tf.Tensor, tuple[int, int]]:
            image = read_image(images[position], self.reading, describe(position))
            height, width = image.shape[:2]
            return self._prepare(tf.convert_to_tensor(image)), (height, width)

        loaded = _in_threads(one, range(len(images)))
        sizes = np.array([size for _, size in loaded], np.int64).reshape(-1, 2)
        pixels = [pixels for pixels, _ in loaded]
        if len(pixels) == 1:
            return LoadedImages(pixels[0], sizes)
        return LoadedImages(tf.concat([self._no_pixels, *pixels], axis=0), sizes)


def _in_threads(function: Callable[[int], Any], positions: Sequence[int]) -> list[Any]:
    """`function` of each position, in order; the threads end with the call, so that nothing outlives a fork."""
    n_threads = min(len(positions), os.cpu_count() or 1, MAX_THREADS)
    if n_threads <= 1:
        return [function(position) for position in positions]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, positions))


def _read_path(value: str | os.PathLike[str], reading: ImageReading) -> Any:
    if not os.fspath(value):
        raise InputError("expected a path, got an empty text")
    data = file_bytes(value, reading)
    try:
        return decode_image(data, reading.exif_rotation)
    except InputError as error:
        raise InputError(f"{Path(reading.path_prefix) / os.fsdecode(value)}: {error}") from None


def _read_bytes(value: Any, reading: ImageReading) -> Any:
    return decode_image(bytes(value), reading.exif_rotation)


def _read_pillow(value: Image.Image, reading: ImageReading) -> np.ndarray:
    return pillow_pixels(value, reading.exif_rotation)


def _read_array(value: Any, reading: ImageReading) -> np.ndarray:
    pixels = array_pixels(value)
    return pixels if reading.has_alpha else pixels[..., :3]


_FILE = _Form((str, os.PathLike), "a path", _read_path)
_BYTES = _Form((bytes, bytearray, memoryview), "the bytes of an image file", _read_bytes)
_PILLOW = _Form((Image.Image,), "a Pillow image", _read_pillow)
_ARRAY = _Form((np.ndarray, list, tuple), "an array or nested list of numbers", _read_array)

INPUT_IMAGE_FORMATS: Mapping[str | None, tuple[_Form, ...]] = MappingProxyType(
    {
        None: (_FILE, _BYTES, _PILLOW, _ARRAY),
        "file": (_FILE,),
        "image_bytes": (_BYTES,),
        "pixel_values": (_PILLOW, _ARRAY),
    }
)
"""The values of `input_image_format`: the forms that an image may have."""


def _form(value: Any, input_image_format: str | None) -> _Form:
    forms = INPUT_IMAGE_FORMATS[input_image_format]
    for form in forms:
        if isinstance(value, form.types):
            return form
    if _ARRAY in forms and hasattr(value, "__array__"):
        return _ARRAY
    wanted = _listed(form.expectation for form in forms)
    setting = "" if input_image_format is None else f' (as "input_image_format" is {input_image_format})'
    raise InputError(f"expected {wanted}{setting}, got a {type(value).__name__}")


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
