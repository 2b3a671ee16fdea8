"""Batches of training images as a network sees them, with their labels, on one picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    batches = training_batches(settings, report)
    for step in range(count):
        batch = batches(step)
        images, targets = batch.inputs.numpy()[:MOST_IMAGES], batch.targets.numpy()[:MOST_IMAGES]
        labels = _labels(targets, settings.info_list[-1])
        yield [Picture(image, label) for image, label in zip(images, labels, strict=True)]


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


def _labels(targets: np.ndarray, objective: Mapping[str, Any]) -> list[str]:
    """What (images, outputs) targets stand for, each in one short line of what the pen can write."""
    if objective["type"] == "numeric":
        return [f"{number:g}" for number in targets[:, 0] * (objective["stdev"] or 1.0) + objective["mean"]]
    texts = [" ".join(objective["values"][place].split()) for place in targets.argmax(axis=1)]
    return [text[:MOST_TEXT].encode("ascii", "backslashreplace").decode() for text in texts]


def _cut(text: str, width: int, pen: ImageDraw.ImageDraw) -> str:
    while len(text) > 2 and pen.textlength(text) > width:
        text = text[:-3].rstrip() + ".."
    return text
