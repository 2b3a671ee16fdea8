"""Batches of training images as a network sees them, with their labels, on one picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from pyramid.commands.config import Training
from pyramid.commands.labels import Row
from pyramid.errors import DataError
from pyramid.images.augment import augment, parse_augmentations
from pyramid.images.initial_model import rescale_type_of
from pyramid.images.root import image_confinement
from pyramid.images.rows import listed
from pyramid.settings.options import NetworkOptions, ReadOptions
from sensenet.errors import InputError
from sensenet.preprocess.reading import ImageLoader, ImageSource

LEAST_SIDE, MARGIN, TITLE = 96, 6, 14
MOST_TEXT = 80
MOST_IMAGES = 256
"""So many images of a batch are shown at most."""


class Picture(NamedTuple):
    """An image and what is written above it; `pixels` is (height, width, 3) uint8."""

    pixels: np.ndarray
    label: str


def augmented_batches(training: Training, count: int) -> Iterator[list[Picture]]:
    """Batches of augmented images, drawn without repetition as long as there are any left.

    Raises:
        DataError: an image that cannot be read.
    """
    settings = training.job(training.candidates[0], training.max_total_seconds)
    augmentations = parse_augmentations(settings.image_augmentations, settings.augmentation_ranges)
    options = ReadOptions.of(settings)
    source = ImageSource(
        path_prefix=options.image_root,
        input_image_format="file",
        exif_rotation=bool(settings.exif_rotation),
        confinement=image_confinement(options),
    )
    width, height, _ = settings.input_image_shape
    loader = ImageLoader(width, height, rescale_type_of(NetworkOptions.of(settings)), source)
    rows, size = training.images.rows, min(settings.batch_size, MOST_IMAGES, len(training.images.rows))
    rng = np.random.default_rng(settings.seed)
    for epoch in range(count):
        # the images of a batch are others each time, and where they are the same they are changed in other ways
        chosen = rng.choice(len(rows), size, replace=False)
        chosen, pixels = _readable(rows, chosen, loader, options.skip_invalid_images)
        changed = augment(
            pixels,
            tf.constant(settings.augmentation_seed),
            tf.constant(epoch),
            tf.constant(chosen, tf.int32),
            augmentations,
        )
        yield [
            Picture(image, _label(rows[row]["label"]))
            for image, row in zip(changed.numpy(), chosen, strict=True)
        ]


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


def _readable(
    rows: Sequence[Row], chosen: np.ndarray, loader: ImageLoader, skips: bool
) -> tuple[np.ndarray, tf.Tensor]:
    """Those of the chosen rows whose images can be read, and their (n, height, width, 3) uint8 pixels.

    Raises:
        DataError: an image cannot be read and is not to be skipped, or none can; names them.
    """
    pixels, problems = {}, []
    for row in chosen:
        try:
            image = loader.load([rows[row]["file"]], lambda _: f"/training_data/{row}/file").pixels  # noqa: B023
            pixels[row] = tf.cast(image, tf.uint8)
        except InputError as error:
            problems.append(str(error))
    if problems and not (skips and pixels):
        raise DataError(listed(problems))
    return np.array(list(pixels)), tf.concat(list(pixels.values()), axis=0)


def _label(label: Any) -> str:
    """A label in one short line of what the pen can write."""
    text = " ".join(label.split())[:MOST_TEXT] if isinstance(label, str) else f"{label:g}"
    return text.encode("ascii", "backslashreplace").decode()


def _cut(text: str, width: int, pen: ImageDraw.ImageDraw) -> str:
    while len(text) > 2 and pen.textlength(text) > width:
        text = text[:-3].rstrip() + ".."
    return text
