"""Small image jobs for tests: scikit-learn's digits as PNG files, and jobs that learn them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

SIDE = 16


def write_digits(directory: Path, count: int) -> np.ndarray:
    """Write `0.png`, `1.png`, ...; gives their classes."""
    digits = load_digits()
    for number, scan in enumerate(digits.images[:count]):
        write_image(directory / f"{number}.png", np.repeat(np.repeat(scan, 2, 0), 2, 1) * 15.9)
    return digits.target[:count]


def write_image(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def dense(nodes: int, activation: str | None) -> dict[str, Any]:
    arrays = {"weights": "glorot_uniform", "offset": "zeros"}
    return {"type": "dense", "number_of_nodes": nodes, **arrays, "activation_function": activation}


def convolution(filters: int) -> list[dict[str, Any]]:
    return [
        {
            "type": "convolution_2d",
            "kernel": "glorot_uniform",
            "bias": None,
            "number_of_filters": filters,
            "kernel_dimensions": [3, 3],
            "strides": [2, 2],
            "padding": "same",
            "activation_function": None,
        },
        {
            "type": "batch_normalization",
            "gamma": "ones",
            "beta": "zeros",
            "mean": "zeros",
            "variance": "ones",
        },
        {"type": "activation", "activation_function": "relu"},
    ]


def tiny_model(values: list[str]) -> dict[str, Any]:
    """A document with a small untrained image network, for jobs that begin with an initial model."""
    pooling = {"type": "global_average_pool_2d"}
    metadata = {"input_image_shape": [SIDE, SIDE, 3], "loading_method": "centering"}
    return {
        "preprocess": [{"type": "image", "index": 0}],
        "output_exposition": {"type": "categorical", "values": values},
        "trees": None,
        "image_network": {"layers": [*convolution(8), *convolution(16), pooling], "metadata": metadata},
        "layers": [dense(16, "relu"), dense(len(values), "softmax")],
    }


def image_job(directory: Path, labels: Any, **changes: Any) -> dict[str, Any]:
    """A job that tells the classes of the images `0.png`, `1.png`, ... in `directory` apart."""
    values = list("0123456789")
    return {
        "job_type": "image_training",
        "objective_type": "categorical",
        "output_directory": str(directory / "out"),
        "info_list": [
            {"index": 0, "type": "image"},
            {"index": 1, "type": "categorical", "values": values},
        ],
        "seed": 1,
        "layers": [dense(16, "relu"), dense(len(values), "softmax")],
        "batch_size": 32,
        "descent_algorithm": "adam",
        "learning_rate": 0.01,
        "loss_function": "crossentropy",
        "base_image_network": "simple",
        "image_training_type": "randomly_initialize",
        "input_image_shape": [SIDE, SIDE, 3],
        "image_root": str(directory),
        "image_training_data": [
            {"file": f"{number}.png", "label": int(label)} for number, label in enumerate(labels)
        ],
    } | changes
