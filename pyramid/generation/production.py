"""Images from their plans: here, or a chunk at a time in several processes; the bytes are the same."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from pyramid.generation.backgrounds import random_background
from pyramid.generation.canvas import canvas_of
from pyramid.generation.compose import Corners, paste_on, pasted_scale, with_margin
from pyramid.generation.foregrounds import BACKGROUND_DRAWS, augmented_foregrounds
from pyramid.generation.library import Library
from pyramid.generation.options import GenerationOptions
from pyramid.generation.plan import MOST_FOREGROUNDS, ImagePlan
from pyramid.images.augment import augment
from pyramid.processes import process_pool
from pyramid.progress import Report
from pyramid.storage.files import write_bytes

CHUNK = 32
PNG_LEVEL = 1

Boxes = list[Corners | None]
"""A box for each foreground of an image; None: nothing of it can be seen."""


@dataclass(frozen=True)
class MadeImage:
    """An image, (height, width, 3) uint8, and its boxes."""

    pixels: np.ndarray
    boxes: Boxes


@dataclass(frozen=True)
class Target:
    """An image and the file that it goes to."""

    plan: ImagePlan
    path: str


def make_images(
    library: Library, options: GenerationOptions, plans: Sequence[ImagePlan]
) -> Iterator[MadeImage]:
    """Each image is a function of the options, the files and its plan alone."""
    canvas = canvas_of(options)
    pastes = [
        (paste.foreground, plan.number * MOST_FOREGROUNDS + place)
        for plan in plans
        for place, paste in enumerate(plan.pastes)
    ]
    chosen, indices = np.array(pastes, np.int64).reshape(-1, 2).T
    pieces = augmented_foregrounds(
        library.foregrounds,
        chosen,
        indices,
        options.seed,
        options.foreground_augmentations,
        canvas,
    )
    for plan, background in zip(plans, _backgrounds(library, options, plans), strict=True):
        pixels, boxes = background.copy(), []
        for paste in plan.pastes:
            size = tuple(library.sizes[paste.foreground].tolist())
            scale = pasted_scale(paste, size, canvas.frame, options.width, options.height)
            box = paste_on(pixels, next(pieces), scale, paste.across, paste.down)
            boxes.append(box and with_margin(box, options.box_margin, options.width, options.height))
        yield MadeImage(pixels, boxes)


def _backgrounds(library: Library, options: GenerationOptions, plans: Sequence[ImagePlan]) -> np.ndarray:
    """(images, height, width, 3) uint8: the backgrounds, augmented."""
    backgrounds = np.stack(
        [
            random_background(options.seed, plan.number, options.width, options.height)
            if plan.background is None
            else library.background(plan.background)
            for plan in plans
        ]
    )
    numbers = tf.constant([plan.number for plan in plans], tf.int64)
    augmentations = options.background_augmentations
    made: np.ndarray = augment(
        tf.constant(backgrounds), options.seed, BACKGROUND_DRAWS, numbers, augmentations
    ).numpy()
    return made


def write_images(
    library: Path, options: GenerationOptions, targets: Sequence[Target], processes: int, report: Report
) -> list[Boxes]:
    """Make images and write them as PNG files.

    Args:
        library: the directory that `fill_library` filled.
        targets: which images, and where they go.
        processes: how many make them; 1: this one.
        report: told of the share that is done.

    Returns:
        The boxes of each image.

    Raises:
        WorkspaceError: a file cannot be written.
        PyramidError: a process was killed.
    """
    chunks = [targets[start : start + CHUNK] for start in range(0, len(targets), CHUNK)]
    boxes: list[Boxes] = []
    with _mapping(processes) as map_chunks:
        for made in map_chunks(partial(_write_chunk, library, options), chunks):
            boxes += made
            report(len(boxes) / len(targets), message=f"made {len(boxes)} of {len(targets)} images")
    return boxes


@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterable[list[Boxes]]]]:
    """What maps a function over chunks; at the end, whatever it is, no process is left."""
    if processes == 1:
        yield map
        return
    with process_pool(processes, "made images") as pool:
        yield pool.map


@lru_cache(maxsize=1)
def _opened(library: Path) -> Library:
    return Library.open(library)


def _write_chunk(library: Path, options: GenerationOptions, targets: Sequence[Target]) -> list[Boxes]:
    images = make_images(_opened(library), options, [target.plan for target in targets])
    boxes = []
    for image, target in zip(images, targets, strict=True):
        write_bytes(Path(target.path), png(image.pixels))
        boxes.append(image.boxes)
    return boxes


def png(pixels: np.ndarray) -> bytes:
    """(h, w, 3) uint8 as the bytes of a PNG file."""
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, format="PNG", compress_level=PNG_LEVEL)
    return encoded.getvalue()
