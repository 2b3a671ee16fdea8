"""Backgrounds that are drawn: one colour, and some simple shapes on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from pyramid.generation.plan import BACKGROUND

MOST_SHAPES = 6

Draw = Callable[[ImageDraw.ImageDraw, np.ndarray, tuple[int, ...]], None]


def _circle(pen: ImageDraw.ImageDraw, points: np.ndarray, colour: tuple[int, ...]) -> None:
    (x, y), (other_x, other_y), _ = points.tolist()
    radius = max(abs(x - other_x), abs(y - other_y)) / 2
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _corners(points: np.ndarray) -> tuple[float, ...]:
    """The box around the first two points."""
    return (*points[:2].min(axis=0).tolist(), *points[:2].max(axis=0).tolist())


def _ellipse(pen: ImageDraw.ImageDraw, points: np.ndarray, colour: tuple[int, ...]) -> None:
    pen.ellipse(_corners(points), fill=colour)


def _rectangle(pen: ImageDraw.ImageDraw, points: np.ndarray, colour: tuple[int, ...]) -> None:
    pen.rectangle(_corners(points), fill=colour)


def _triangle(pen: ImageDraw.ImageDraw, points: np.ndarray, colour: tuple[int, ...]) -> None:
    pen.polygon(points.ravel().tolist(), fill=colour)


def _line(pen: ImageDraw.ImageDraw, points: np.ndarray, colour: tuple[int, ...]) -> None:
    (x, y), (other_x, other_y), (a, b) = points.tolist()
    pen.line((x, y, other_x, other_y), fill=colour, width=1 + int(abs(a - b) / 16))


# in the order of their names, which numbers the draws
SHAPES: tuple[Draw, ...] = (_circle, _ellipse, _line, _rectangle, _triangle)


def random_background(seed: int, number: int, width: int, height: int) -> np.ndarray:
    """The background of the image `number`, (height, width, 3) uint8: 0 to `MOST_SHAPES` shapes on one colour."""
    rng = np.random.default_rng([seed, BACKGROUND, number])
    image = Image.new("RGB", (width, height), _colour(rng))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.integers(MOST_SHAPES + 1)):
        draw = SHAPES[rng.integers(len(SHAPES))]
        draw(pen, rng.random((3, 2)) * (width, height), _colour(rng))
    return np.asarray(image)


def _colour(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(rng.integers(256, size=3).tolist())
