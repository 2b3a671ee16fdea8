"""What a detector finds in an image, as arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sensenet.detection import Boxes


class BoxArrays(NamedTuple):
    """What a detector finds in an image.

    Attributes:
        boxes: (k, 4) int32, x1, y1, x2, y2 in pixels of the image, best first.
        scores: (k,) float32.
        classes: (k,) int32, positions among the detector's classes.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


class PaddedBoxArrays(NamedTuple):
    """What a detector finds in an image, always in `max_objects` rows: see `BoxArrays`.

    Attributes:
        boxes, scores, classes: the rows behind the objects repeat the first of all boxes.
        valid: how many of the rows are objects.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    valid: int


def box_arrays(boxes: Boxes) -> BoxArrays:
    """Boxes under the names that their arrays have outside."""
    return BoxArrays(boxes.corners, boxes.scores, boxes.classes)
