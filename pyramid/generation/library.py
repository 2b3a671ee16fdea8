"""All foregrounds and backgrounds, decoded once at the sizes that are needed, in files that all processes share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pyramid.errors import DataError
from pyramid.generation.canvas import canvas_of
from pyramid.generation.options import GenerationOptions
from pyramid.generation.sources import Sources
from pyramid.images.rows import unreadable_images
from pyramid.progress import Report
from pyramid.storage.files import read_array, whole_file, write_array
from pyramid.storage.npy import npy_header
from sensenet.errors import InputError
from sensenet.preprocess.pillow_decoding import decode_with_alpha
from sensenet.preprocess.reading import MAX_THREADS, ImageLoader, ImageReading, file_bytes

FOREGROUNDS, SIZES, BACKGROUNDS, POSITIONS = (
    f"{name}.npy" for name in ("foregrounds", "sizes", "backgrounds", "positions")
)
READER = "pyramid_generate"
VISIBLE_ALPHA = 8
"""What is less opaque, 3 %, is not seen: it is pasted, but no box reaches for it."""
PER_REPORT = 64
READ_AHEAD = 64
"""So many decoded images may wait to be written."""


class Frame(NamedTuple):
    """A foreground in its square frame.

    Attributes:
        pixels: (frame, frame, 4) uint8, its longer side as long as the frame; where it is wholly transparent its
            colour is the mean of what is visible, so that this is the mean that augmentations find.
        size: (height, width) of the original.
        has_alpha: whether the file says what is transparent.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    has_alpha: bool


@dataclass(frozen=True)
class Library:
    """What images are made of.

    Attributes:
        foregrounds: (foregrounds, frame, frame, 4) uint8, see `Frame`.
        sizes: (foregrounds, 2) int64, height and width of the originals.
        backgrounds: (used ones, height, width, 3) uint8.
        positions: (used ones,) int64, sorted: which of the background files they are.
    """

    foregrounds: np.ndarray
    sizes: np.ndarray
    backgrounds: np.ndarray
    positions: np.ndarray

    @classmethod
    def open(cls, directory: Path) -> Library:
        """What `fill_library` wrote; pixels stay on disk until they are used.

        Raises:
            WorkspaceError: it is gone.
        """
        names = (FOREGROUNDS, SIZES, BACKGROUNDS, POSITIONS)
        return cls(*(read_array(directory / name, READER, mmap=True) for name in names))

    def background(self, position: int) -> np.ndarray:
        """The pixels of a background file that is used, by its position among all."""
        return self.backgrounds[np.searchsorted(self.positions, position)]


def fill_library(
    directory: Path, sources: Sources, used: Iterable[int], options: GenerationOptions, report: Report
) -> None:
    """Decode every file, and write those that are used.

    Args:
        directory: where to.
        used: the positions of the backgrounds that images have.
        report: told of the share that is done, and of foregrounds without alpha.

    Raises:
        DataError: images that cannot be read; names up to twenty.
        WorkspaceError: a file cannot be written.
    """
    frame, reading = canvas_of(options).frame, ImageReading(exif_rotation=options.exif_rotation)
    loader = ImageLoader(options.width, options.height, options.rescale_type, reading)
    positions = np.unique(np.array([*used], np.int64))
    files, total = sources.foregrounds, len(sources.foregrounds) + len(sources.backgrounds)
    sizes, opaque, problems = [], 0, []
    with whole_file(directory / FOREGROUNDS) as out:
        out.write(npy_header(np.dtype(np.uint8), (len(files), frame, frame, 4)))
        for place, read in enumerate(_attempts(partial(read_frame, frame=frame, reading=reading), files)):
            _tell(report, place, total)
            if isinstance(read, InputError):
                problems.append(str(read))
                continue
            out.write(read.pixels)
            sizes.append(read.size)
            opaque += not read.has_alpha
    with whole_file(directory / BACKGROUNDS) as out:
        out.write(npy_header(np.dtype(np.uint8), (len(positions), options.height, options.width, 3)))
        wanted = frozenset(positions.tolist())
        for place, background in enumerate(
            _attempts(partial(_read_background, loader=loader), sources.backgrounds)
        ):
            _tell(report, len(files) + place, total)
            if isinstance(background, InputError):
                problems.append(str(background))
            elif place in wanted:
                out.write(background)
    if problems:
        raise DataError(unreadable_images(problems, total))
    write_array(directory / SIZES, np.array(sizes, np.int64))
    write_array(directory / POSITIONS, positions)
    if opaque:
        report(
            1.0,
            message=f"warning: {opaque} of {len(files)} foregrounds have no alpha channel and are pasted as "
            "full rectangles",
        )


def read_frame(path: str, frame: int, reading: ImageReading) -> Frame:
    """Read a foreground into the middle of a square of `frame` pixels a side.

    Raises:
        InputError: it cannot be read, or nothing of it is visible; names the file.
    """
    try:
        pixels, has_alpha = decode_with_alpha(file_bytes(path, reading), reading.exif_rotation)
    except InputError as error:
        message = str(error)
        raise InputError(message if message.startswith(path) else f"{path}: {message}") from None
    if pixels[..., 3].max() < VISIBLE_ALPHA:
        raise InputError(f"{path}: it is wholly transparent")
    height, width = pixels.shape[:2]
    scale = frame / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    framed = np.zeros((frame, frame, 4), np.uint8)
    top, left = (frame - size[1]) // 2, (frame - size[0]) // 2
    framed[top : top + size[1], left : left + size[0]] = scaled
    hidden = framed[..., 3] == 0
    framed[hidden, :3] = _mean_colour(framed)
    return Frame(framed, (height, width), has_alpha)


def _mean_colour(pixels: np.ndarray) -> np.ndarray:
    """(3,) uint8, weighted by alpha."""
    alpha = pixels[..., 3].astype(np.float64)
    total = max(alpha.sum(), 1.0)
    return np.round(np.einsum("hwc,hw->c", pixels[..., :3], alpha) / total).astype(np.uint8)


def _read_background(path: str, loader: ImageLoader) -> np.ndarray:
    pixels: np.ndarray = loader.load([path], lambda _: "background").pixels.numpy()[0].astype(np.uint8)
    return pixels


def _attempts(read: Callable[[str], Any], paths: Sequence[str]) -> Iterator[Any]:
    """What `read` makes of each path, in threads, or the InputError that it raised."""

    def attempt(path: str) -> Any:
        try:
            return read(path)
        except InputError as error:
            return error

    with ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS)) as pool:
        # slices, since a pool reads on while nobody takes what it read
        for start in range(0, len(paths), READ_AHEAD):
            yield from pool.map(attempt, paths[start : start + READ_AHEAD])


def _tell(report: Report, done: int, total: int) -> None:
    if done % PER_REPORT == 0:
        report(done / total, message=f"read {done} of {total} images")
