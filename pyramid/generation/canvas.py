"""The sizes at which foregrounds are augmented: one for all of a job, since a program is compiled for each.

A foreground is brought to a square frame, which the changes of colour act on. For what moves pixels, the frame lies in
the middle of a transparent canvas with room for all that the augmentations can do to it and to a border of one
transparent pixel, into which its edges fade.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from pyramid.generation.options import GenerationOptions
from pyramid.images.augment.registry import Augmentations

STEP, MOST_SIDE, BORDER, LEAST_FRAME = 32, 768, 2, 2


class Canvas(NamedTuple):
    """Sides in pixels.

    Attributes:
        side: of the canvas.
        frame: of the square in its middle into which a foreground fits.
    """

    side: int
    frame: int

    @property
    def margin(self) -> int:
        """The transparent pixels on each side of the frame."""
        return (self.side - self.frame) // 2


def colour_changes(augmentations: Augmentations) -> Augmentations:
    """Those of a foreground's augmentations that leave its alpha as it is."""
    geometric = augmentations.of_kind("geometric")
    return Augmentations(tuple(pair for pair in augmentations.chosen if pair[0] not in geometric))


def moves(augmentations: Augmentations, frame: int) -> Augmentations:
    """Those that move pixels, and alpha with them; no shifts, as foregrounds are put anywhere in any case.

    Args:
        frame: side of the frame; `deform` moves the corners of it and its border.
    """
    moving = augmentations.of_kind("geometric") - {"width_shift", "height_shift"}
    return Augmentations(tuple(pair for pair in augmentations.chosen if pair[0] in moving), frame + BORDER)


def canvas_of(options: GenerationOptions) -> Canvas:
    """The canvas of a job: frames as large as the largest foreground in an image, so far as `MOST_SIDE` lets them."""
    growth = _growth(options.foreground_augmentations)
    largest = max(options.occupancy[1] * max(options.width, options.height), LEAST_FRAME)
    wanted = min((largest + BORDER) * growth, MOST_SIDE)
    side = math.ceil(wanted / STEP) * STEP
    # even, as the canvas is: so the frame is in its middle
    return Canvas(side, int(side / growth) // 2 * 2 - BORDER)


def _growth(augmentations: Augmentations) -> float:
    """How many times larger than the frame its image may become along an axis; `deform` moves corners inwards only.

    After a zoom z and a shear by t = tan(phi), the half axes are z (1 + t) and z; a turn by theta makes of half axes
    a, b: a cos(theta) + b sin(theta), which is largest where tan(theta) = b / a.
    """
    n = dict(augmentations.chosen)
    zoom = 1 + n.get("zoom", 0.0)
    lean = 1 + math.tan(math.radians(min(n.get("shear", 0.0), 85.0)))
    angle = math.radians(n.get("rotation", 0.0))
    return zoom * max(_turned(lean, 1, angle), _turned(1, lean, angle))


def _turned(a: float, b: float, most_radians: float) -> float:
    angle = min(most_radians, math.atan2(b, a))
    return a * math.cos(angle) + b * math.sin(angle)
