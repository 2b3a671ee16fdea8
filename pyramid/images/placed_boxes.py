"""Boxes of image files as a network sees them: in the pixels of its input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pyramid.errors import DataError
from pyramid.fields.box_rules import CLASS, CORNERS
from pyramid.fields.boxes import NO_BOX, BoxesObjective
from pyramid.images.rows import listed
from sensenet.preprocess.image import placement
from sensenet.preprocess.reading import ImageLoader


def place_boxes(
    labels: np.ndarray,
    sizes: np.ndarray,
    files: Sequence[str],
    loader: ImageLoader,
    strict: bool,
    warn: Callable[[str], None],
) -> np.ndarray:
    """Boxes in the pixels of the network's input, cut off where they reach beyond their image.

    Args:
        labels: (images, most, 5) float32, see `BoxesObjective`, in pixels of the files.
        sizes: (images, 2) heights and widths of the files.
        files: their names.
        strict: whether a box whose centre is outside of its image is an error; else it is left out.
        warn: told how many were left out.

    Returns:
        (images, most, 5) float32.

    Raises:
        DataError: boxes with a centre outside, where that is an error; names up to twenty.
    """
    corners, there = labels[..., CORNERS], labels[..., CLASS] != NO_BOX
    edges = np.concatenate([sizes[:, ::-1], sizes[:, ::-1]], axis=1)[:, None].astype(np.float32)
    centres = (corners[..., :2] + corners[..., 2:]) / 2
    outside = there & ~((centres >= 0) & (centres < edges[..., :2])).all(axis=-1)
    if strict and outside.any():
        raise DataError(_outside(labels, outside, sizes, files))
    if outside.any():
        count, total = int(outside.sum()), int(there.sum())
        warn(f"warning: {count} of {total} boxes have their centre outside of the image and are left out")
    placed = labels.copy()
    placed[..., CLASS] = np.where(outside, NO_BOX, labels[..., CLASS])
    for row, (inside, (height, width)) in enumerate(
        zip(np.clip(corners, 0, edges), sizes.tolist(), strict=True)
    ):
        place = placement(height, width, loader.height, loader.width, loader.rescale_type)
        placed[row, :, CORNERS] = place.to_input(inside)
    return placed


def _outside(labels: np.ndarray, outside: np.ndarray, sizes: np.ndarray, files: Sequence[str]) -> str:
    problems = [
        f"{files[image]}: box {box}, {labels[image, box, CORNERS].tolist()}, in an image of "
        f"{sizes[image, 1]} x {sizes[image, 0]} pixels"
        for image, box in np.argwhere(outside).tolist()
    ]
    count = f"{len(problems)} boxes have their centre outside of the image, which strict_boxes refuses"
    return f"{count}:\n{listed(problems)}"


def refuse_absent_classes(labels: np.ndarray, objective: BoxesObjective) -> None:
    """Refuse classes that no box is of.

    Raises:
        DataError: there are some; names them.
    """
    absence = objective.absence(objective.count(labels).tolist())
    if absence is not None:
        raise DataError(absence)
