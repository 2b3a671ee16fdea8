"""Foregrounds with alpha through the augmentations of all image jobs, and cut out for pasting.

Colours are changed in the frame, alpha staying as it is. Then colour times alpha and alpha itself move as two images
with the same key, so that nothing shines through from where the foreground is transparent (Porter & Duff, Compositing
Digital Images, 1984, section 3).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from pyramid.generation.canvas import Canvas, colour_changes, moves
from pyramid.images.augment import Augmentations, augment
from pyramid.images.augment.program import BLOCK

FOREGROUND_DRAWS, BACKGROUND_DRAWS = 0, 1
"""Which of the draws of a seed augment what; an epoch to `augment`."""


def augmented_foregrounds(
    frames: np.ndarray,
    chosen: np.ndarray,
    indices: np.ndarray,
    seed: int,
    augmentations: Augmentations,
    canvas: Canvas,
) -> Iterator[np.ndarray]:
    """Each foreground as it is pasted, in turn.

    Args:
        frames: (foregrounds, frame, frame, 4) uint8, as in a library; only a block of them is copied at a time.
        chosen: (n,) int64, positions in `frames`.
        indices: (n,) int64, a number for each foreground of the data set.
        seed: of the augmentations.

    Yields:
        (h, w, 4) uint8: what is not wholly transparent; colours multiplied by alpha; h and w may be 0.
    """
    step = BLOCK // 2  # colour and alpha make one block
    for start in range(0, len(chosen), step):
        block = frames[chosen[start : start + step]]
        numbers = tf.constant(indices[start : start + step])
        colours = block[..., :3]
        changes = colour_changes(augmentations)
        if changes.chosen:
            colours = augment(tf.constant(colours), seed, FOREGROUND_DRAWS, numbers, changes).numpy()
        yield from map(
            _cut, _moved(premultiplied(colours, block[..., 3:]), numbers, seed, augmentations, canvas)
        )


def premultiplied(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(n, h, w, 4) uint8: colours times alpha, and alpha.

    Args:
        colours: (n, h, w, 3) uint8.
        alpha: (n, h, w, 1) uint8.
    """
    shares = (colours.astype(np.uint16) * alpha + 127) // 255
    return np.concatenate([shares.astype(np.uint8), alpha], axis=-1)


def _moved(
    images: np.ndarray, indices: tf.Tensor, seed: int, augmentations: Augmentations, canvas: Canvas
) -> np.ndarray:
    """(n, side, side, 4) uint8 on the canvas, or as they are where nothing moves them."""
    moving = moves(augmentations, canvas.frame)
    if not moving.chosen:
        return images
    margins = canvas.margin, canvas.margin
    padded = np.pad(images, ((0, 0), margins, margins, (0, 0)))
    alpha = np.repeat(padded[..., 3:], 3, axis=-1)
    both = tf.constant(np.concatenate([padded[..., :3], alpha]))
    moved = augment(both, seed, FOREGROUND_DRAWS, tf.tile(indices, [2]), moving).numpy()
    count = len(images)
    return np.concatenate([moved[:count], moved[count:, ..., :1]], axis=-1)


def _cut(image: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = alpha_bounds(image[..., 3], 1) or (0, 0, 0, 0)
    return image[y1:y2, x1:x2]


def alpha_bounds(alpha: np.ndarray, least: int) -> tuple[int, int, int, int] | None:
    """The tight box x1, y1, x2, y2 of the pixels of (h, w) that are at least so opaque; None: there are none."""
    solid = alpha >= least
    columns, rows = np.flatnonzero(solid.any(axis=0)), np.flatnonzero(solid.any(axis=1))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
