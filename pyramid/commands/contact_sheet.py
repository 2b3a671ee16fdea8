"""Batches of images with their labels or boxes on one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        label: what is written above it.
        boxes: each with `box`, x1, y1, x2, y2 in pixels, and `label`.
    """

    pixels: np.ndarray
    label: str
    boxes: Sequence[Mapping[str, Any]] = ()


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
    for row, line in enumerate(lines):
        for column, picture in enumerate(line):
            left, top = column * (width + MARGIN) + MARGIN, row * (height + TITLE + MARGIN) + MARGIN
            pen.text((left, top), _cut(picture.label, width, pen), fill="black")
            image = Image.fromarray(picture.pixels).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(_with_boxes(image, picture.boxes, zoom), (left, top + TITLE))
    return sheet


def _with_boxes(image: Image.Image, boxes: Sequence[Mapping[str, Any]], zoom: int) -> Image.Image:
    """The image with its boxes.

    Args:
        zoom: how much larger the image is than the pixels that boxes are measured in.
    """
    return draw(image, [{**box, "box": [place * zoom for place in box["box"]]} for box in boxes])


def label_text(label: str | float) -> str:
    """A label in one short line of what the pen can write."""
    text = " ".join(label.split())[:MOST_TEXT] if isinstance(label, str) else f"{label:g}"
    return text.encode("ascii", "backslashreplace").decode()


def _cut(text: str, width: int, pen: ImageDraw.ImageDraw) -> str:
    while len(text) > 2 and pen.textlength(text) > width:
        text = text[:-3].rstrip() + ".."
    return text
