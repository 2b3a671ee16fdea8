"""Small pictures inside a page: pixels as data URIs."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
from PIL import Image

SHOWN_SIDE = 112
MOST_PNG_BYTES = 6_000
JPEG_QUALITY = 82


def data_uri(pixels: np.ndarray) -> str:
    """An image of (height, width, 3) uint8, at most `SHOWN_SIDE` long: as PNG, or as JPEG where that is smaller."""
    image = Image.fromarray(pixels)
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    png = _encoded(image, format="PNG", optimize=True)
    if len(png) <= MOST_PNG_BYTES:
        return _uri("png", png)
    return _uri("jpeg", _encoded(image, format="JPEG", quality=JPEG_QUALITY))


def _encoded(image: Image.Image, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, **options)  # type: ignore[arg-type]
    return file.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
