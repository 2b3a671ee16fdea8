"""Small box jobs for tests: pictures with red and blue rectangles, and jobs that find them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from image_jobs import convolution, write_image

SIDE = 32
CLASSES = ("blue", "red")
COLOURS = {"red": (230, 20, 20), "blue": (20, 20, 230)}
STRIDES, ANCHORS = (16, 8), (((10, 10), (14, 14), (20, 20)), ((4, 4), (6, 6), (8, 8)))

Row = dict[str, Any]


def write_rectangles(directory: Path, count: int, side: int = SIDE, seed: int = 0) -> list[Row]:
    """Write `0.png`, `1.png`, ... on noise; gives the rows. Three of four pictures have a red one, as many a blue."""
    rng, rows = np.random.default_rng(seed), []
    for number in range(count):
        picture, boxes = rng.integers(90, 150, (side, side, 3)), []
        for name, colour in COLOURS.items():
            if rng.random() < 0.75:
                width, height = rng.integers(side // 4, side // 2, 2).tolist()
                x, y = int(rng.integers(0, side - width)), int(rng.integers(0, side - height))
                picture[y : y + height, x : x + width] = colour
                boxes.append([x, y, x + width, y + height, name])
        write_image(directory / f"{number}.png", picture)
        rows.append({"file": f"{number}.png", "boxes": boxes})
    return rows


def bounding_box(*values: str) -> list[dict[str, Any]]:
    """The `info_list` of a job about boxes of these classes."""
    return [{"index": 0, "type": "image"}, {"index": 1, "type": "bounding_box", "values": list(values)}]


def box_job(directory: Path, rows: Any, **changes: Any) -> dict[str, Any]:
    """A job that finds the boxes of `rows` in the images in `directory`."""
    job = {
        "job_type": "image_training",
        "objective_type": "bounding_box",
        "output_directory": str(directory / "out"),
        "info_list": bounding_box(*CLASSES),
        "seed": 1,
        "layers": [],
        "batch_size": 16,
        "descent_algorithm": "adam",
        "learning_rate": 0.003,
        "base_image_network": "tinyyolov4",
        "image_training_type": "randomly_initialize",
        "input_image_shape": [SIDE, SIDE, 3],
        "image_root": str(directory),
        "image_training_data": rows,
    } | changes
    return {key: value for key, value in job.items() if value is not None}


def tiny_detector(values: tuple[str, ...] = CLASSES) -> dict[str, Any]:
    """A document of a small untrained detector of two branches, for jobs that begin with an initial model."""
    n_filters = 3 * (5 + len(values))
    trunk = [*convolution(8), *convolution(16), *convolution(16)]
    finer, coarser = len(trunk) - 1, len(trunk) + 3
    heads = [_head(n_filters, coarser - 1), _head(n_filters, finer)]
    layers = [*trunk, *convolution(16), *heads]
    branches = [
        {"strides": strides, "anchors": anchors, "xyscale": 2.0, "input": len(layers) - 2 + place}
        for place, (strides, anchors) in enumerate(zip(STRIDES, ANCHORS, strict=True))
    ]
    return {
        "preprocess": [{"type": "image", "index": 0}],
        "output_exposition": {"type": "bounding_box", "values": list(values)},
        "trees": None,
        "layers": [],
        "image_network": {
            "layers": layers,
            "metadata": {
                "base_image_network": None,
                "input_image_shape": [SIDE, SIDE, 3],
                "loading_method": "centering",
                "outputs": branches,
            },
        },
    }


def _head(n_filters: int, source: int) -> dict[str, Any]:
    return {
        "type": "convolution_2d",
        "kernel": "glorot_uniform",
        "bias": "zeros",
        "number_of_filters": n_filters,
        "kernel_dimensions": [1, 1],
        "strides": [1, 1],
        "padding": "same",
        "activation_function": None,
        "inputs": [source],
    }
