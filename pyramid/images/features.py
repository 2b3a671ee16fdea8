"""The features of a job's images: each distinct file is read and goes through the image network once."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from pyramid.errors import DataError, WorkspaceError
from pyramid.images.root import image_confinement
from pyramid.images.rows import listed
from pyramid.images.store import Keeping, OpenedImages, open_images, refuse_or_warn_about_broken
from pyramid.progress import Report
from pyramid.settings.options import ReadOptions
from pyramid.tables.streaming import in_order
from sensenet.document.image_network import ImageNetworkSpec
from sensenet.errors import InputError
from sensenet.models.predict.images import CHUNK_IMAGES, ImageFeatures, compile_features
from sensenet.models.settings import Settings

MAX_PIXEL_BYTES = 512_000_000
MAX_MEMORY_BYTES = 256_000_000
READ = 0.4  # the share of the work that reading the files once is


def image_features(
    names: Sequence[str], network: ImageNetworkSpec, options: ReadOptions, scratch: Path, report: Report
) -> np.ndarray:
    """The features of images, exactly as a model with this network computes them.

    All files are read before the first goes through the network, so that broken ones are found early.

    Args:
        names: distinct files below `image_root`; an empty name is a missing image, which is black.
        options: with `skip_invalid_images` files that cannot be read count as missing, with a warning.
        scratch: a directory on whose disk features stand that are too many for the memory.
        report: progress from 0 to 1.

    Returns:
        (names, features) float32.

    Raises:
        DataError: files that cannot be read; names them.
        WorkspaceError: there is no room for the features.
    """
    reader = ImageFeatures(
        network.metadata,
        Settings(
            {
                "image_path_prefix": options.image_root or None,
                "input_image_format": "file",
                "color_space": options.color_space,
            }
        ),
        partial(compile_features, network),
        image_confinement(options),
    )
    there = np.array([position for position, name in enumerate(names) if name], np.int64)
    opened = _open(names, there, reader, options, report)
    features = _allocate((len(names), reader.metadata.outputs), scratch)  # type: ignore[arg-type]
    readable = np.array([i for i in range(len(there)) if i not in opened.broken], np.int64)
    black = sorted(set(range(len(names))) - set(there[readable]))
    if black:
        features[black] = reader([None])[0]

    def pixels(start: int) -> tuple[np.ndarray, tf.Tensor]:
        chunk = readable[start : start + CHUNK_IMAGES]
        if opened.store.kept is not None:
            return there[chunk], tf.constant(opened.store.kept[chunk], tf.float32)
        files = [names[there[position]] for position in chunk]
        return there[chunk], reader.loader.load(files, lambda position: files[position]).pixels

    try:
        for number, (positions, batch) in enumerate(in_order(pixels, range(0, len(readable), CHUNK_IMAGES))):
            features[positions] = reader.function(batch).numpy()
            done = min((number + 1) * CHUNK_IMAGES, len(readable))
            report(
                READ + (1 - READ) * done / len(readable),
                message=f"features of {done} of {len(readable)} images",
            )
    except InputError as error:
        raise DataError(f"an image that was read before can no longer be read: {error}") from error
    _refuse_non_finite(features, names)
    return features


def _open(
    names: Sequence[str], there: np.ndarray, reader: ImageFeatures, options: ReadOptions, report: Report
) -> OpenedImages:
    """Read all files once and keep their pixels where they fit.

    Raises:
        DataError: files that cannot be read, unless they are to be skipped; or none that can.
    """
    most = MAX_PIXEL_BYTES if options.max_data_size is None else min(options.max_data_size, MAX_PIXEL_BYTES)
    if reader.loader.rescale_type == "pad":
        most = -1  # what padding adds is no whole number, so bytes would not give the numbers of a prediction
    opened = open_images(
        [names[position] for position in there],
        reader.loader,
        Keeping(most),
        lambda progress, **facts: report(READ * progress, **facts),
    )
    reasons = _reasons(opened.broken, names, there)
    consequence = f"count as missing:\n{listed(reasons)}"
    refuse_or_warn_about_broken(
        opened,
        reasons,
        options.skip_invalid_images,
        consequence,
        lambda warning: report(READ, message=warning),
    )
    return opened


def _reasons(broken: Mapping[int, str], names: Sequence[str], there: np.ndarray) -> list[str]:
    """What is wrong with each file, which is named by itself: its position means nothing to anyone."""
    return [
        f"{names[there[position]]}: {reason.removeprefix(f'image {position}: ')}"
        for position, reason in broken.items()
    ]


def _allocate(shape: tuple[int, int], scratch: Path) -> np.ndarray:
    """A writable float32 array: in memory, or, where it is large, in a file without a name.

    Raises:
        WorkspaceError: the disk has no room.
    """
    size = shape[0] * shape[1] * np.dtype(np.float32).itemsize
    if size <= MAX_MEMORY_BYTES:
        return np.zeros(shape, np.float32)
    try:
        with tempfile.TemporaryFile(dir=scratch) as file:
            # takes the room now: a full disk would otherwise end the process at some later write
            os.posix_fallocate(file.fileno(), 0, size)
            mapped = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise WorkspaceError(
            f"{scratch} has no room for {size:,} bytes of image features: {error.strerror or error}"
        ) from error
    return np.frombuffer(mapped, np.float32).reshape(shape)


def _refuse_non_finite(features: np.ndarray, names: Sequence[str]) -> None:
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        name = names[bad[0]] or "a missing image"
        raise DataError(f"{name}: the image network gives features that are not finite")
