"""Points that a model is tried on, made of its facts: for our functions, and as the tensors of its exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sensenet.formats.smbundle.serving import IMAGE_INPUT, NUMERIC_INPUT

MIN_ROWS, MAX_ROWS = 24, 256
# of all fields together: a wide table has fewer rows
MAX_NUMBERS = 1 << 20
MISSING_SHARE = 0.1
IMAGE_ROWS = 2
BLOCKS = 8


class Call(NamedTuple):
    """Some points, twice.

    Attributes:
        points: rows as `sensenet.create_model`'s models take them, by the fields' indices; of a detector images.
        inputs: the same as tensors, see `formats.exported.Exported`.
    """

    points: list[Any]
    inputs: dict[str, np.ndarray]


def sample_calls(facts: Mapping[str, Any], seed: int = 0) -> list[Call]:
    """Calls that try every field: numbers around their means, missing values, each category (up to 256), images.

    Of tables of more than 4,096 fields they are fewer, a million numbers. Images are of the network's size, larger,
    smaller and of other proportions; those of one call are of one size.

    Args:
        facts: of a model.
        seed: of what is drawn.
    """
    rng = np.random.default_rng(seed)
    fields = facts["fields"]
    if facts["image"] is None:
        most = max((len(field["values"]) for field in fields if field["type"] == "categorical"), default=0)
        rows = min(max(MIN_ROWS, most + 2), MAX_ROWS, max(1, MAX_NUMBERS // len(fields)))
        return [_call(fields, _numbers(fields, rows, rng), None)]
    if facts["type"] == "detection":
        return [_detector_call(image) for image in _images(facts, 1, rng)]
    return [
        _call(fields, _numbers(fields, IMAGE_ROWS, rng), images) for images in _images(facts, IMAGE_ROWS, rng)
    ]


def _detector_call(images: np.ndarray) -> Call:
    return Call(list(images[:, 0]), {IMAGE_INPUT: images[:, 0].astype(np.float32)})


def _call(fields: Sequence[Mapping[str, Any]], numbers: np.ndarray, images: np.ndarray | None) -> Call:
    """One call of a model of fields: `numbers` (rows, fields), `images` (rows, image fields, h, w, channels)."""
    # not lists: a field may stand two thousand million places behind the others
    points: list[dict[int, Any]] = [{} for _ in numbers]
    for column, field in enumerate(fields):
        for row, point in enumerate(points):
            number = float(numbers[row, column])
            point[field["index"]] = _value(field, number, None if images is None else images[row])
    inputs = {}
    if any(field["type"] != "image" for field in fields):
        inputs[NUMERIC_INPUT] = numbers
    if images is not None:
        pixels = images.astype(np.float32)
        inputs[IMAGE_INPUT] = pixels[:, 0] if images.shape[1] == 1 else pixels
    return Call(points, inputs)


def _value(field: Mapping[str, Any], number: float, images: np.ndarray | None) -> Any:
    """What people pass for a field whose column holds `number`."""
    if field["type"] == "image":
        return None if images is None else images[field["position"]]
    if field["type"] == "categorical":
        return field["values"][int(number)] if 0 <= number < len(field["values"]) else None
    return None if np.isnan(number) else number


def _numbers(fields: Sequence[Mapping[str, Any]], rows: int, rng: np.random.Generator) -> np.ndarray:
    """(rows, fields) float32; the columns of images are 0."""
    columns = [_column(field, rows, rng) for field in fields]
    return np.stack(columns, axis=1).astype(np.float32)


def _column(field: Mapping[str, Any], rows: int, rng: np.random.Generator) -> np.ndarray:
    if field["type"] == "image":
        return np.zeros(rows)
    if field["type"] == "categorical":
        # from -1, no category, on: each of them where there are rows enough
        return (np.arange(rows) + rng.integers(rows)) % (len(field["values"]) + 1) - 1
    if "zero_value" in field:
        values = field["zero_value"] + (field["one_value"] - field["zero_value"]) * rng.integers(0, 2, rows)
    else:
        values = field["mean"] + field["stdev"] * rng.normal(size=rows)
    return np.where(rng.random(rows) < MISSING_SHARE, np.nan, values)


def _images(facts: Mapping[str, Any], rows: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Of each size (rows, image fields, h, w, channels) uint8: patches of random colours, some noise on them."""
    height, width = facts["image"]["height"], facts["image"]["width"]
    n_fields = sum(field["type"] == "image" for field in facts["fields"])
    channels = len(facts["image"]["colour_order"])
    sizes = [(height, width), (2 * height + 3, width + 1), (height // 2 + 1, 2 * width - 1)]
    pictures = []
    for size in sizes:
        coarse = rng.integers(0, 256, (rows, n_fields, BLOCKS, BLOCKS, channels))
        down, across = (np.arange(side) * BLOCKS // side for side in size)
        noise = rng.integers(-20, 21, (rows, n_fields, *size, channels))
        pictures.append(np.clip(coarse[:, :, down][:, :, :, across] + noise, 0, 255).astype(np.uint8))
    return pictures
