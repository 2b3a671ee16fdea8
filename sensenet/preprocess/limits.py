"""What an image file may ask of its reader, by its header: a few kilobytes can stand for gigabytes, or for minutes."""

from __future__ import annotations

import re

from sensenet.errors import InputError

MAX_PIXELS = 2 * 89_478_485
"""The largest image that is decoded, 179 million pixels: where Pillow, too, stops believing in good will."""

HARMLESS_PIXELS = 40_000_000
MAX_PIXELS_PER_BYTE = 4096
"""Larger images must have a file to match. Blank pages have 60 (JPEG), 800 (PNG), 1,300 (GIF), 3,050 (PNG of two
colours) pixels a byte; only a page for the fax and lossless WebP can have more, until something is written on them."""

MAX_SCANS = 32
"""A progressive JPEG is decoded as often as it has scans: encoders make up to 14."""

_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
# what has a length, or ends the image: neither 255 in the coded data (a 0 follows) nor what restarts the decoder
_JPEG_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")


def check_size(height: int, width: int, file_bytes: int | None = None) -> None:
    """Refuse an image by the size that its header claims, before anything is decoded.

    Args:
        height, width: that are claimed.
        file_bytes: the size of the file, where there is one.

    Raises:
        InputError: it has no pixels, more than `MAX_PIXELS`, or more than its file can hold.
    """
    if not 0 < height * width <= MAX_PIXELS:
        raise InputError(f"expected an image of 1 to {MAX_PIXELS:,} pixels, got {width} x {height}")
    if file_bytes is not None and height * width > max(HARMLESS_PIXELS, MAX_PIXELS_PER_BYTE * file_bytes):
        raise InputError(
            f"expected an image of at most {HARMLESS_PIXELS:,} pixels, or {MAX_PIXELS_PER_BYTE} a byte, "
            f"got {width} x {height} in {file_bytes} bytes"
        )


def check_scans(data: bytes) -> None:
    """Refuse a JPEG file with more scans than encoders make.

    Raises:
        InputError: says how many it has.
    """
    # most files are done here: what stands in their other segments looks like a scan once in 64 kB
    if data.count(_JPEG_SCAN) <= MAX_SCANS:
        return
    scans, position = 0, len(_JPEG_START)
    while marker := _JPEG_MARKER.search(data, position):
        if marker[0] == _JPEG_END:
            break
        scans += marker[0] == _JPEG_SCAN
        # two bytes behind the marker say how long the segment is, themselves included
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    if scans > MAX_SCANS:
        raise InputError(f"expected a JPEG file of at most {MAX_SCANS} scans, got {scans}")
