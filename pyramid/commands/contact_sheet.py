"""Batches of training images as a network sees them, with their labels, on one picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from pyramid.commands.config import Training
from pyramid.jobs.image_training import training_batches
from pyramid.progress import Report

LEAST_SIDE, MARGIN, TITLE = 96, 6, 14
MOST_TEXT = 80
MOST_IMAGES = 256
"""So many images of a batch are shown at most."""


class Picture(NamedTuple):
    """An image and what is written above it; `pixels` is (height, width, 3) uint8."""

    pixels: np.ndarray
    label: str


def augmented_batches(training: Training, count: int, report: Report) -> Iterator[list[Picture]]:
    """The batches of the first steps of the first candidate's training, as its job draws and augments them.

    Raises:
        DataError: images that cannot be read.
    """
    settings = training.job(training.candidates[0], training.max_total_seconds)
    batches, objective = training_batches(settings, report), training.images.objective
    for step in range(count):
        batch = batches(step)
        images, targets = batch.inputs.numpy()[:MOST_IMAGES], batch.targets.numpy()[:MOST_IMAGES]
        labels = objective.in_units(objective.truth(targets))
        yield [Picture(image, _label(label)) for image, label in zip(images, labels, strict=True)]


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
            sheet.paste(image, (left, top + TITLE))
    return sheet


def _label(label: Any) -> str:
    """A label in one short line of what the pen can write."""
    text = " ".join(label.split())[:MOST_TEXT] if isinstance(label, str) else f"{label:g}"
    return text.encode("ascii", "backslashreplace").decode()


def _cut(text: str, width: int, pen: ImageDraw.ImageDraw) -> str:
    while len(text) > 2 and pen.textlength(text) > width:
        text = text[:-3].rstrip() + ".."
    return text
