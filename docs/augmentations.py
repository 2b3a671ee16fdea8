"""Draws docs/augmentations.png, all augmentations on one picture: `python docs/augmentations.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from pyramid.images.augment import AUGMENTATIONS, augment_with_boxes, parse_augmentations

SIDE, MARGIN, TITLE, COLUMNS, EXAMPLES = 112, 6, 18, 2, 5
# Larger than the defaults where those would not be seen at this size.
SHOWN = {"blur": 0.8, "brightness": 0.3, "contrast": 0.6, "deform": 0.5, "gaussian_noise": 0.25, "glare": 0.2}
SHOWN |= {
    "rotation": 30.0,
    "shear": 25.0,
    "tint": 0.5,
    "height_shift": 0.25,
    "width_shift": 0.25,
    "zoom": 0.35,
}


def draw_scene() -> Image.Image:
    """A house under a sun, at `SIDE` pixels."""
    large = Image.new("RGB", (SIDE * 4, SIDE * 4))
    rows = np.linspace(0, 1, SIDE * 4)[:, None, None]
    sky = (1 - rows) * np.array([96, 158, 222]) + rows * np.array([226, 236, 240])
    large.paste(Image.fromarray(np.broadcast_to(sky, (SIDE * 4, SIDE * 4, 3)).astype(np.uint8)))
    pen = ImageDraw.Draw(large)
    pen.ellipse((40, 36, 120, 116), fill=(250, 204, 60))
    pen.rectangle((0, 340, 448, 448), fill=(92, 150, 70))
    pen.rectangle((150, 200, 350, 380), fill=(196, 120, 84), outline=(80, 40, 30), width=6)
    pen.polygon([(125, 205), (250, 100), (375, 205)], fill=(140, 46, 44))
    pen.rectangle((180, 240, 230, 290), fill=(240, 240, 200), outline=(80, 40, 30), width=5)
    pen.rectangle((270, 260, 320, 380), fill=(90, 60, 40))
    for x in range(20, 448, 48):
        pen.line((x, 448, x + 14, 350), fill=(60, 110, 50), width=5)
    return large.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def draw_examples(name: str, scene: np.ndarray) -> list[Image.Image]:
    """Some draws of one augmentation, with the box of the house as it follows."""
    n = SHOWN.get(name)
    augmentations = parse_augmentations(None, {name: n}, generation=True)
    images = tf.tile(scene[None], (EXAMPLES, 1, 1, 1))
    boxes = tf.tile(tf.constant([[[31.0, 25.0, 94.0, 95.0]]]), (EXAMPLES, 1, 1))
    valid = tf.ones((EXAMPLES, 1), tf.bool)
    indices = tf.range(EXAMPLES) + 4
    images, boxes, valid = augment_with_boxes(images, boxes, valid, 3, 0, indices, augmentations)
    made = []
    for image, box, is_box in zip(images.numpy(), boxes.numpy()[:, 0], valid.numpy()[:, 0], strict=True):
        picture = Image.fromarray(image)
        if is_box:
            ImageDraw.Draw(picture).rectangle(
                [float(place) for place in box - [0, 0, 1, 1]], outline=(255, 0, 255)
            )
        made.append(picture)
    return made


def draw_sheet() -> Image.Image:
    """All augmentations in two columns, each with its name, its n and some draws."""
    scene = np.asarray(draw_scene())
    row_height, width = SIDE + TITLE + MARGIN, EXAMPLES * (SIDE + MARGIN) + 2 * MARGIN
    rows = -(-len(AUGMENTATIONS) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width, rows * row_height + MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    for place, name in enumerate(AUGMENTATIONS):
        left, top = place // rows * width + MARGIN, place % rows * row_height + MARGIN
        n = SHOWN.get(name, AUGMENTATIONS[name].default)
        pen.text((left, top), name if n is None else f"{name}, n = {n:g}", fill="black")
        for column, picture in enumerate(draw_examples(name, scene)):
            sheet.paste(picture, (left + column * (SIDE + MARGIN), top + TITLE - 4))
    return sheet


if __name__ == "__main__":
    draw_sheet().save(Path(__file__).with_suffix(".png"), optimize=True)
