"""Boxes on the pixels of a network's input: on a whole image, or on what is around one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from pyramid.report_page.pictures import SHOWN_SIDE
from sensenet.drawing import draw

LEAST_WINDOW = 48
CONTEXT = 2.0

Box = Mapping[str, Any]
"""`{"box": [x1, y1, x2, y2], "label", "score"}`, of true ones without a score."""

Window = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""


def as_boxes(
    corners: np.ndarray, classes: np.ndarray, names: Sequence[str], scores: np.ndarray | None = None
) -> list[Box]:
    """Boxes as `sensenet.draw` takes them.

    Args:
        corners: (k, 4), x1, y1, x2, y2.
        classes: (k,) positions in `names`.
        scores: (k,); None of true boxes.
    """
    told = [None] * len(classes) if scores is None else scores.tolist()
    columns = zip(corners.tolist(), classes.tolist(), told, strict=True)
    return [{"box": box, "label": names[place], "score": score} for box, place, score in columns]


def whole(pixels: np.ndarray) -> Window:
    """The window that shows all of an image."""
    height, width = pixels.shape[:2]
    return 0.0, 0.0, float(width), float(height)


def around(box: Sequence[float], pixels: np.ndarray) -> Window:
    """A square about a box, twice as long as it, as far as the image goes."""
    (x1, y1, x2, y2), (height, width) = np.clip(box, 0, [*pixels.shape[1::-1]] * 2), pixels.shape[:2]
    side = max(CONTEXT * max(x2 - x1, y2 - y1), LEAST_WINDOW)
    wide, tall = min(side, width), min(side, height)
    left = min(max((x1 + x2 - wide) / 2, 0.0), width - wide)
    top = min(max((y1 + y2 - tall) / 2, 0.0), height - tall)
    return float(left), float(top), float(left + wide), float(top + tall)


def draw_window(
    pixels: np.ndarray,
    window: Window,
    side: int,
    found: Sequence[Box],
    truth: Sequence[Box],
    classes: Sequence[str],
) -> np.ndarray:
    """A part of an image with boxes on it, in colours, and true ones, dashed.

    Args:
        pixels: (height, width, 3) uint8.
        window: which part.
        side: pixels of the longer side of the picture.
        found, truth: see `sensenet.draw`, in pixels of the image.
        classes: all labels.

    Returns:
        (height, width, 3) uint8.
    """
    left, top, right, bottom = window
    zoom = side / max(right - left, bottom - top)
    size = max(1, round((right - left) * zoom)), max(1, round((bottom - top) * zoom))
    part = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, box=window)

    def moved(boxes: Sequence[Box]) -> list[Box]:
        return [
            {
                **box,
                "box": [(at - start) * zoom for at, start in zip(box["box"], (left, top) * 2, strict=True)],
            }
            for box in boxes
        ]

    return np.asarray(draw(part, moved(found), truth=moved(truth), classes=classes))


def draw_corners(pixels: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """A thumbnail with dashed boxes that say nothing.

    Args:
        pixels: (height, width, 3) uint8.
        corners: (k, 4), x1, y1, x2, y2.

    Returns:
        (height, width, 3) uint8.
    """
    boxes: list[Box] = [{"box": box, "label": ""} for box in corners.tolist()]
    return draw_window(pixels, whole(pixels), SHOWN_SIDE, [], boxes, ())
