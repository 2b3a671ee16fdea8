"""The pixels of a job's images at the size of its network: in memory where they fit, else read for each batch.

Boxes need a whole pass over the images before the first step, so that their pixels can as well be kept in a file.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from errno import ENOSPC
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from typing_extensions import override

from pyramid.errors import DataError
from pyramid.images.rows import unreadable_images
from pyramid.memory import memory_bytes
from pyramid.progress import Report
from sensenet.errors import InputError
from sensenet.preprocess.reading import MAX_THREADS, ImageLoader, file_asks_for_rotation

RGB_CHANNELS = 3
FILES_PER_REPORT = 512


class KeptPixels(Protocol):
    """(images, height, width, 3) uint8, in memory or not; any thread may use it."""

    def __getitem__(self, positions: Any) -> np.ndarray:
        """The images at some positions, (n, height, width, 3)."""

    def __setitem__(self, position: Any, pixels: Any) -> None:
        """Keep the pixels of one image."""


class PixelFile(KeptPixels):
    """Pixels in a file without a name, which is gone when nobody has it open any more, whatever happens."""

    def __init__(self, directory: Path, count: int, image_shape: tuple[int, int, int]):
        """Take the room that all images need.

        Raises:
            OSError: there is none.
        """
        self._shape = image_shape
        self._size = math.prod(image_shape)
        self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 (it lives as long as this object)
        os.posix_fallocate(self._file.fileno(), 0, count * self._size)

    @override
    def __getitem__(self, positions: Any) -> np.ndarray:
        pixels = np.empty((len(positions), *self._shape), np.uint8)
        for place, position in enumerate(positions.tolist()):
            count = os.preadv(
                self._file.fileno(), [memoryview(pixels[place]).cast("B")], position * self._size
            )
            assert count == self._size, "all of an image is there since it was kept"
        return pixels

    @override
    def __setitem__(self, position: Any, pixels: Any) -> None:
        written = os.pwrite(self._file.fileno(), np.ascontiguousarray(pixels).data, position * self._size)
        if written != self._size:
            raise OSError(ENOSPC, os.strerror(ENOSPC))


@dataclass(frozen=True)
class Keeping:
    """What becomes of the pixels of images that were decoded once.

    Attributes:
        max_bytes: so many are kept in memory at most; None: a third of the machine's.
        directory: where more of them are kept in a file; None: they are read again from their own files.
    """

    max_bytes: int | None = None
    directory: Path | None = None

    def start(
        self, count: int, image_shape: tuple[int, int, int], warn: Callable[[str], None]
    ) -> KeptPixels | None:
        """Room for the pixels of some images; None: they are not kept.

        Args:
            warn: told where the directory has no room for them.
        """
        size = count * math.prod(image_shape)
        if size <= (memory_bytes() / 3 if self.max_bytes is None else self.max_bytes):
            return np.zeros((count, *image_shape), np.uint8)
        if self.directory is None:
            return None
        try:
            return PixelFile(self.directory, count, image_shape)
        except OSError as error:
            warn(
                f"warning: images are decoded for each batch: {size} bytes in {self.directory}: {error.strerror}"
            )
            return None


@dataclass(frozen=True)
class ImageStore:
    """Where batches come from.

    Attributes:
        files: the names of all images.
        loader: what reads and rescales them.
        kept: (images, height, width, 3) uint8, or None where they are read from their files each time.
    """

    files: Sequence[str]
    loader: ImageLoader
    kept: KeptPixels | None

    def pixels(self, positions: np.ndarray) -> np.ndarray:
        """The images at some positions, (n, height, width, 3) uint8; the same bytes wherever they come from.

        What padding adds is rounded down to a whole number.

        Raises:
            InputError: a file that has become unreadable since it was checked.
        """
        if self.kept is not None:
            return self.kept[positions]
        names = [self.files[position] for position in positions]
        return _bytes(self.loader.load(names, lambda position: f"image {positions[position]}").pixels)


class OpenedImages(NamedTuple):
    """What reading all images once has shown.

    Attributes:
        store: the images.
        broken: position -> why it cannot be read.
        turned: how many files ask for a rotation that is not applied.
        sizes: (images, 2) int64, height and width of each file; 0 of a broken one.
    """

    store: ImageStore
    broken: Mapping[int, str]
    turned: int
    sizes: np.ndarray


def open_images(files: Sequence[str], loader: ImageLoader, keeping: Keeping, report: Report) -> OpenedImages:
    """Decode every file once: that keeps the pixels, or proves that they can be read.

    Args:
        report: told of the share that is done.
    """
    shape = loader.height, loader.width, RGB_CHANNELS
    kept = keeping.start(len(files), shape, lambda warning: report(0.0, message=warning))
    sizes = np.zeros((len(files), 2), np.int64)

    def open_one(position: int) -> tuple[str | None, bool]:
        try:
            loaded = loader.load([files[position]], lambda _: f"image {position}")
        except InputError as error:
            return str(error), False
        sizes[position] = loaded.sizes[0]
        if kept is not None:
            kept[position] = _bytes(loaded.pixels)[0]
        return None, file_asks_for_rotation(files[position], loader.reading)

    broken, turned = {}, 0
    with ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS)) as pool:
        for position, (problem, is_turned) in enumerate(pool.map(open_one, range(len(files)))):
            if problem is not None:
                broken[position] = problem
            turned += is_turned
            if position % FILES_PER_REPORT == 0:
                report(position / len(files), message=f"read {position} of {len(files)} images")
    return OpenedImages(ImageStore(files, loader, kept), broken, turned, sizes)


def _bytes(pixels: tf.Tensor) -> np.ndarray:
    return pixels.numpy().astype(np.uint8)


def refuse_or_warn_about_broken(
    opened: OpenedImages, reasons: Sequence[str], skips: bool, consequence: str, report: Callable[[str], None]
) -> None:
    """Go on with the images that could be read, if that is what the job wants, and warn of what is not as it seems.

    Args:
        reasons: why each of `opened.broken` cannot be read.
        skips: whether broken images are passed over.
        consequence: what becomes of them then.
        report: told each warning.

    Raises:
        DataError: images cannot be read and are not to be passed over, or none can; names up to twenty.
    """
    broken, total = len(opened.broken), len(opened.store.files)
    count = f"{broken} of {total} images cannot be read"
    if broken and (not skips or broken == total):
        raise DataError(unreadable_images(reasons, total))
    if broken:
        report(f"warning: {count} and {consequence}")
    if opened.turned:
        report(
            f"warning: {opened.turned} of {total} images ask for a rotation in their EXIF data, which is "
            "not applied; exif_rotation would"
        )
