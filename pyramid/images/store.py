"""The pixels of a job's images at the size of its network: in memory where they fit, else read for each batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pyramid.errors import DataError
from pyramid.images.rows import unreadable_images
from pyramid.memory import memory_bytes
from pyramid.progress import Report
from sensenet.errors import InputError
from sensenet.preprocess.reading import MAX_THREADS, ImageLoader, file_asks_for_rotation

RGB_CHANNELS = 3
FILES_PER_REPORT = 512


@dataclass(frozen=True)
class ImageStore:
    """Where batches come from.

    Attributes:
        files: the names of all images.
        loader: what reads and rescales them.
        memory: (images, height, width, 3) uint8, or None where they are read from their files each time.
    """

    files: Sequence[str]
    loader: ImageLoader
    memory: np.ndarray | None

    def pixels(self, positions: np.ndarray) -> np.ndarray:
        """The images at some positions, (n, height, width, 3) uint8; the same bytes from memory and from files.

        What padding adds is rounded down to a whole number.

        Raises:
            InputError: a file that has become unreadable since it was checked.
        """
        if self.memory is not None:
            return self.memory[positions]
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


def open_images(
    files: Sequence[str], loader: ImageLoader, max_bytes: int | None, report: Report
) -> OpenedImages:
    """Decode every file once: that fills the memory, or proves that they can be read.

    Args:
        max_bytes: pixels of more than so many bytes stay on disk; None: a third of the machine's memory.
        report: told of the share that is done.
    """
    size = len(files) * loader.height * loader.width * RGB_CHANNELS
    memory = None
    if size <= (memory_bytes() / 3 if max_bytes is None else max_bytes):
        memory = np.zeros((len(files), loader.height, loader.width, RGB_CHANNELS), np.uint8)
    sizes = np.zeros((len(files), 2), np.int64)

    def open_one(position: int) -> tuple[str | None, bool]:
        try:
            loaded = loader.load([files[position]], lambda _: f"image {position}")
        except InputError as error:
            return str(error), False
        sizes[position] = loaded.sizes[0]
        if memory is not None:
            memory[position] = _bytes(loaded.pixels)[0]
        return None, file_asks_for_rotation(files[position], loader.reading)

    broken, turned = {}, 0
    with ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS)) as pool:
        for position, (problem, is_turned) in enumerate(pool.map(open_one, range(len(files)))):
            if problem is not None:
                broken[position] = problem
            turned += is_turned
            if position % FILES_PER_REPORT == 0:
                report(position / len(files), message=f"read {position} of {len(files)} images")
    return OpenedImages(ImageStore(files, loader, memory), broken, turned, sizes)


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
