"""Batches of images with their labels or boxes on one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from sensenet.drawing import draw

LEAST_SIDE, MARGIN, TITLE = 96, 6, 14
MOST_TEXT = 80
MOST_IMAGES = 256
"""So many images of a batch are shown at most."""


class Picture(NamedTuple):
    """An image as it is shown.

    Attributes:
        pixels: (height, width, 3) uint8.
        title: what is written above it.
        boxes: each `[x1, y1, x2, y2, class]` in pixels.
    """

    pixels: np.ndarray
    title: str
    boxes: Sequence[Sequence[Any]] = ()


def labelled_picture(pixels: np.ndarray, label: Any) -> Picture:
    """An image with its label, or with its boxes where that is a list of them."""
    return Picture(pixels, "", label) if isinstance(label, list) else Picture(pixels, label_text(label))


def draw_sheet(batches: Sequence[Sequence[Picture]]) -> Image.Image:
    """All batches below each other, each in rows of equal length; small images are drawn larger."""
    height, width = batches[0][0].pixels.shape[:2]
    zoom = max(1, -(-LEAST_SIDE // min(height, width)))
    height, width = height * zoom, width * zoom
    columns = max(1, round((len(batches[0]) * (height + TITLE) / width * 1.5) ** 0.5))
    lines = [batch[at : at + columns] for batch in batches for at in range(0, len(batch), columns)]
    sheet = Image.new(
        "RGB",
        (columns * (width + MARGIN) + MARGIN, len(lines) * (height + TITLE + MARGIN) + MARGIN),
        "white",
    )
    pen = ImageDraw.Draw(sheet)
    classes = sorted({box[-1] for batch in batches for picture in batch for box in picture.boxes})
    for row, line in enumerate(lines):
        for column, picture in enumerate(line):
            left, top = column * (width + MARGIN) + MARGIN, row * (height + TITLE + MARGIN) + MARGIN
            pen.text((left, top), _cut(picture.title, width, pen), fill="black")
            sheet.paste(_enlarged(picture, zoom, classes), (left, top + TITLE))
    return sheet


def _enlarged(picture: Picture, zoom: int, classes: Sequence[str]) -> Image.Image:
    """The image with its boxes, so many times as large.

    Args:
        classes: all that boxes on the sheet have.
    """
    pixels = picture.pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)
    boxes = [{"box": [side * zoom for side in corners], "label": label} for *corners, label in picture.boxes]
    return draw(pixels, boxes, classes=classes)


def label_text(label: str | float) -> str:
    """A label in one short line of what the pen can write."""
    text = " ".join(label.split())[:MOST_TEXT] if isinstance(label, str) else f"{label:g}"
    return text.encode("ascii", "backslashreplace").decode()


def _cut(text: str, width: int, pen: ImageDraw.ImageDraw) -> str:
    while len(text) > 2 and pen.textlength(text) > width:
        text = text[:-3].rstrip() + ".."
    return text
