"""A small data set in the form of Open Images, made of drawn pictures."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

IMAGE_COLUMNS = (
    *(
        "ImageID",
        "Subset",
        "OriginalURL",
        "OriginalLandingURL",
        "License",
        "AuthorProfileURL",
        "Author",
        "Title",
    ),
    *("OriginalSize", "OriginalMD5", "Thumbnail300KURL"),
)
BOX_COLUMNS = (
    *("ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax"),
    *("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside"),
)
TORTOISE, CAR, WHEEL, VEHICLE, OTHER = "/m/011k07", "/m/0k4j", "/m/083wq", "/m/07yv9", "/m/0other"
TRAINABLE = (TORTOISE, CAR, WHEEL, VEHICLE)
NAMES = {TORTOISE: "Tortoise", CAR: "Car", WHEEL: "Wheel", VEHICLE: "Vehicle", OTHER: "Other"}
HIERARCHY = {
    "LabelName": "/m/0bl9f",
    "Subcategory": [
        {"LabelName": TORTOISE},
        {"LabelName": VEHICLE, "Subcategory": [{"LabelName": CAR, "Part": [{"LabelName": WHEEL}]}]},
        {"LabelName": "/m/toy", "Subcategory": [{"LabelName": CAR}]},
    ],
}


def picture(seed: int, width: int = 64, height: int = 48, kind: str = "JPEG") -> bytes:
    """The bytes of a picture whose left upper quarter is light."""
    pixels = np.random.default_rng(seed).integers(0, 60, (height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] += 180
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, format=kind)
    return encoded.getvalue()


def md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


@dataclass
class Lists:
    """The rows of the lists, which `write` writes as files.

    Attributes:
        images, boxes: their values by column; what is not told has a usual value.
    """

    images: list[Mapping[str, Any]] = field(default_factory=list)
    boxes: list[Mapping[str, Any]] = field(default_factory=list)
    extra_image_columns: tuple[str, ...] = ()

    def image(self, id_: str, url: str = "", **values: Any) -> None:
        usual = {"Subset": "train", "Title": 'One "quoted", title\nof two lines', "Author": "Somebody, Jr."}
        self.images.append(
            {"ImageID": id_, "OriginalURL": url or f"http://pictures/{id_}.jpg", **usual, **values}
        )

    def box(self, id_: str, label: str, sides: tuple[Any, ...] = (0.1, 0.5, 0.2, 0.6), **values: Any) -> None:
        corners = dict(zip(("XMin", "XMax", "YMin", "YMax"), sides, strict=True))
        flags = dict.fromkeys(BOX_COLUMNS[8:], 0)
        row = {"ImageID": id_, "Source": "human", "LabelName": label, "Confidence": 1, **flags, **corners}
        self.boxes.append(row | values)

    def write(self, folder: Path) -> Path:
        """Write images.csv, boxes.csv, trainable.txt, descriptions.csv and hierarchy.json."""
        folder.mkdir(parents=True, exist_ok=True)
        write_csv(folder / "images.csv", IMAGE_COLUMNS + self.extra_image_columns, self.images)
        write_csv(folder / "boxes.csv", BOX_COLUMNS, self.boxes)
        write_class_lists(folder)
        return folder


def write_class_lists(folder: Path) -> None:
    (folder / "trainable.txt").write_text("\n".join(TRAINABLE))
    (folder / "descriptions.csv").write_text("".join(f"{label},{name}\n" for label, name in NAMES.items()))
    (folder / "hierarchy.json").write_text(json.dumps(HIERARCHY))


def write_csv(path: Path, columns: tuple[str, ...], rows: list[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
