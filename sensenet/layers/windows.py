"""Windows that slide over images: their sizes, strides and padding, read strictly, and what they give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sensenet.document.parsing import expected, integer, required
from sensenet.errors import ModelFormatError
from sensenet.layers.base import Shape

Pair = tuple[int, int]
"""(height, width)"""

PADDINGS = ("same", "valid")
MAX_WINDOW = 1000
MAX_OPERATIONS = 10**12
"""Multiplications (or comparisons) of one layer for one image; the largest of YOLOv4 needs 1.6e9."""


def parse_pair(value: Any, path: str, low: int, high: int) -> Pair:
    """[height, width], or one integer for both, each in [low, high].

    Raises:
        ModelFormatError: anything else.
    """
    if not isinstance(value, (list, tuple)):
        side = integer(value, path, low, high)
        return side, side
    if len(value) != 2:
        expected(path, "an integer or [height, width]", value)
    height, width = (integer(side, f"{path}[{k}]", low, high) for k, side in enumerate(value))
    return height, width


def parse_strides(raw: Mapping[str, Any], path: str) -> Pair:
    """The `strides` of a layer."""
    return parse_pair(required(raw, "strides", path), f"{path}.strides", 1, MAX_WINDOW)


def parse_padding(raw: Mapping[str, Any], path: str) -> str:
    """The `padding` of a layer: "same" (TensorFlow's: more at the end) or "valid" (none)."""
    value = required(raw, "padding", path)
    if not isinstance(value, str) or value.lower() not in PADDINGS:
        expected(f"{path}.padding", " or ".join(f'"{name}"' for name in PADDINGS), value)
    return value.lower()


def image_shape(shape: Shape, path: str) -> tuple[int, int, int]:
    """(height, width, channels) of a layer's input.

    Raises:
        ModelFormatError: the input is no image.
    """
    if len(shape) != 3:
        raise ModelFormatError(
            f"{path}: expected an image (height, width, channels) as input, got {list(shape)}"
        )
    height, width, channels = shape
    return height, width, channels


def window_places(sides: Pair, window: Pair, strides: Pair, padding: str, path: str) -> Pair:
    """How many places a window takes, down and across.

    Args:
        sides: height and width of the image.
        window, strides: height and width.
        padding: one of `PADDINGS`.
        path: of what gives the window its size, for errors.

    Raises:
        ModelFormatError: an unpadded window that is larger than the image.
    """
    if padding == "same":
        return -(-sides[0] // strides[0]), -(-sides[1] // strides[1])
    if window[0] > sides[0] or window[1] > sides[1]:
        raise ModelFormatError(
            f"{path}: expected a window within the input's {sides[0]} x {sides[1]}, got {window[0]} x {window[1]}"
        )
    return (sides[0] - window[0]) // strides[0] + 1, (sides[1] - window[1]) // strides[1] + 1


def check_operations(factors: tuple[int, ...], path: str) -> None:
    """Refuse a layer that would compute for hours.

    Args:
        factors: their product is the number of multiplications for one image.

    Raises:
        ModelFormatError: more than `MAX_OPERATIONS`.
    """
    if math.prod(factors) > MAX_OPERATIONS:
        raise ModelFormatError(
            f"{path}: expected at most {MAX_OPERATIONS:.0e} multiplications an image, got {math.prod(factors):.0e}"
        )
