"""One image: its background, and the foregrounds that are pasted on it with their boxes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from pyramid.generation.foregrounds import alpha_bounds
from pyramid.generation.library import VISIBLE_ALPHA
from pyramid.generation.plan import Paste

Corners = tuple[float, float, float, float]  # x1, y1, x2, y2


def pasted_scale(paste: Paste, size: tuple[int, int], frame: int, width: int, height: int) -> float:
    """How much a frame is scaled, so that the foreground takes `paste.occupancy` of the image.

    Args:
        size: (height, width) of the foreground's file, whose longer side is as long as the frame.
        frame: its side in pixels.
        width, height: of the image.
    """
    own_height, own_width = size
    longest = max(own_width, own_height)
    return paste.occupancy * longest / max(own_width / width, own_height / height) / frame


def paste_on(
    image: np.ndarray, piece: np.ndarray, scale: float, across: float, down: float
) -> Corners | None:
    """Paste a foreground where it lies wholly in the image, or, where it is larger than that, covers the axis.

    Only what is in the image is scaled, so the size of a foreground is not limited.

    Args:
        image: (height, width, 3) uint8; changed in place.
        piece: (h, w, 4) uint8, colours multiplied by alpha.
        scale: of the piece.
        across, down: 0 to 1, where.

    Returns:
        The tight box of what can be seen of it; None: nothing can.
    """
    if not piece.size:
        return None
    x, y = (
        _interval(length, scale, side, place)
        for length, side, place in zip(piece.shape[1::-1], image.shape[1::-1], (across, down), strict=True)
    )
    source = x.source[0], y.source[0], x.source[1], y.source[1]
    scaled = Image.frombuffer("RGBa", piece.shape[1::-1], np.ascontiguousarray(piece), "raw", "RGBa", 0, 1)
    seen = scaled.resize((x.length, y.length), Image.Resampling.BILINEAR, box=source)
    layer = np.frombuffer(seen.tobytes(), np.uint8).reshape(y.length, x.length, 4)
    target = image[y.start : y.start + y.length, x.start : x.start + x.length]
    alpha = layer[..., 3:]
    below = (target.astype(np.uint16) * (255 - alpha) + 127) // 255
    target[...] = np.minimum(below + layer[..., :3], 255)
    bounds = alpha_bounds(alpha[..., 0], VISIBLE_ALPHA)
    if bounds is None:
        return None
    x1, y1, x2, y2 = bounds
    return x1 + x.start, y1 + y.start, x2 + x.start, y2 + y.start


class _Interval(NamedTuple):
    """Along one axis, where in the image the foreground is seen, and which part of it that is.

    Attributes:
        start, length: pixels of the image.
        source: from where to where, in pixels of the piece.
    """

    start: int
    length: int
    source: tuple[float, float]


def _interval(length: int, scale: float, side: int, place: float) -> _Interval:
    scaled = max(1, round(length * scale))
    if scaled <= side:
        return _Interval(int(place * (side - scaled + 1)), scaled, (0.0, length))
    hidden = int(place * (scaled - side + 1))
    return _Interval(0, side, (hidden * length / scaled, (hidden + side) * length / scaled))


def with_margin(box: Corners, margin: float, width: int, height: int) -> Corners:
    """A box made larger on each side, inside the image."""
    x1, y1, x2, y2 = box
    return max(x1 - margin, 0), max(y1 - margin, 0), min(x2 + margin, width), min(y2 + margin, height)
