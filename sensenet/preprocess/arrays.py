"""Arrays and nested lists of numbers become 8-bit pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from sensenet.errors import InputError
from sensenet.preprocess.limits import MAX_PIXELS

MAX_NESTING = 3
CHANNELS = (1, 3, 4)


def array_pixels(values: Any) -> np.ndarray:
    """The pixels of an array, (h, w, 3 or 4) uint8. The array itself stays as it is.

    Args:
        values: (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), of which the last is alpha, numbers in anything that NumPy
            can read. uint8 are pixels. Others are multiplied by 255 if all are in 0..1, and then truncated.

    Raises:
        InputError: another shape or kind, or numbers outside 0..255.
    """
    if isinstance(values, (list, tuple)):
        _check_nesting(values)
    try:
        pixels = np.asarray(values)
    except Exception as error:  # whatever an object's own conversion raises
        raise InputError(f"expected an array of numbers: {error!s:.200}") from None
    if pixels.dtype.kind not in "buif":
        raise InputError(f"expected an array of numbers, got {pixels.dtype.name}")
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in CHANNELS)) or not pixels.size:
        raise InputError(
            "expected (height, width) or (height, width, channels) of 1, 3 or 4 channels (the fourth is alpha), "
            f"got the shape {pixels.shape}"
        )
    if pixels.dtype != np.uint8:
        pixels = _as_bytes(pixels)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _check_nesting(values: Sequence[Any]) -> None:
    """Refuse lists that no array can be made of, in a time that does not hang on how often one stands in another.

    Raises:
        InputError: they are nested too deeply, contain themselves, or come to too many numbers.
    """
    level: list[Any] = [values]
    size = 1
    for _ in range(MAX_NESTING):
        size *= max(map(len, level))
        if size > MAX_PIXELS * max(CHANNELS):
            raise InputError(f"expected an image of 1 to {MAX_PIXELS:,} pixels, got lists of more")
        inner = chain.from_iterable(level)
        level = list({id(item): item for item in inner if isinstance(item, (list, tuple))}.values())
        if not level:
            return
    raise InputError(f"expected lists of numbers nested {MAX_NESTING} levels deep at most, got more")


def _as_bytes(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 255):  # also where one of them is NaN
        raise InputError(f"expected numbers in 0..1 or in 0..255, got {low:g} to {high:g}")
    if high <= 1:
        values = (values if values.dtype.kind == "f" else values.astype(np.float32)) * 255
    return values.astype(np.uint8)
