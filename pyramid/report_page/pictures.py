"""Small pictures inside a page: pixels as data URIs, and what is written below them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

SHOWN_SIDE = 112
JPEG_QUALITY = 82


@dataclass(frozen=True)
class Shown:
    """A holdout image with its truth and what was predicted, in words; `wrong` where they differ in kind."""

    picture: str
    file: str
    truth: str
    prediction: str
    wrong: bool


@dataclass(frozen=True)
class Gallery:
    """Pictures of holdout images under one heading.

    Attributes:
        kind: what they show, in one word: "worst", "drawn", "false" or "missed".
        title: the heading.
        words: what there is to see, or that there is nothing.
    """

    kind: str
    title: str
    words: str
    pictures: tuple[Shown, ...]

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Gallery:
        """What `dataclasses.asdict` gave, also after a way through JSON."""
        return cls(**{**value, "pictures": tuple(Shown(**shown) for shown in value["pictures"])})


def data_uri(pixels: np.ndarray, side: int = SHOWN_SIDE) -> str:
    """An image of (height, width, 3) uint8, at most `side` long: as PNG, or as JPEG where that is smaller."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    # more effort for photographs takes a second of a job, only for JPEG to be smaller still
    png = _encoded(image, format="PNG", compress_level=1)
    jpeg = _encoded(image, format="JPEG", quality=JPEG_QUALITY)
    return _uri("png", png) if len(png) <= len(jpeg) else _uri("jpeg", jpeg)


def _encoded(image: Image.Image, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, **options)  # type: ignore[arg-type]
    return file.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
