"""Small documents of image models, for more than one test file."""

from __future__ import annotations

from typing import Any

import model_documents as documents
import numpy as np

SIDE = 16
IMAGES = [
    np.random.default_rng(0).integers(0, 256, (9, 20, 3), np.uint8),
    np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8),
    None,
]
CLASSES = ("cat", "dog")


def convolution(taken: int, given: int, size: int = 3, **more: Any) -> dict[str, Any]:
    return {
        "type": "convolution_2d",
        "kernel": documents.numbers(size, size, taken, given),
        "bias": None,
        "strides": [1, 1],
        "padding": "same",
        "activation_function": None,
        **more,
    }


def depthwise(channels: int) -> dict[str, Any]:
    return {
        "type": "depthwise_convolution_2d",
        "kernel": documents.numbers(3, 3, channels, 1),
        "bias": None,
        "strides": [1, 1],
        "padding": "same",
        "depth_multiplier": 1,
        "activation_function": None,
    }


def features() -> dict[str, Any]:
    """An image network of four features that has most of the types of layers."""
    stem = convolution(3, 4, strides=[2, 2], activation_function="relu6")
    block = {
        "type": "mobilenet_residual_block",
        "convolution_path": [
            convolution(4, 6, 1),
            depthwise(6),
            convolution(6, 4, 1),
            documents.normalization(4),
        ],
        "identity_path": [],
        "activation_function": None,
    }
    layers = [
        {"type": "padding_2d", "padding": [[1, 0], [1, 0]]},
        stem,
        documents.normalization(4),
        block,
        {"type": "max_pool_2d", "pool_size": [2, 2], "strides": [2, 2], "padding": "valid"},
        {"type": "split_channels", "number_of_splits": 2, "group_index": 1},
        {"type": "concatenate", "inputs": [4, 5]},
        {"type": "upsampling_2d", "size": [2, 2], "method": "bilinear"},
        convolution(6, 4, bias=documents.numbers(4), activation_function="mish"),
        {"type": "activation", "activation_function": "leaky_relu", "inputs": [8]},
        {"type": "add", "inputs": [8, 9]},
        {"type": "global_average_pool_2d"},
    ]
    metadata = {
        "base_image_network": None,
        "input_image_shape": [SIDE, SIDE, 3],
        "loading_method": "centering",
        "mean_image": None,
        "outputs": 4,
        "version": None,
        "rescale_type": "crop",
    }
    return {"layers": layers, "metadata": metadata}


def classifier(**more: Any) -> dict[str, Any]:
    """An image and a category become one of two classes."""
    return {
        "preprocess": [
            {"type": "image", "index": 0},
            {"type": "categorical", "index": 1, "values": ["a", "b"]},
        ],
        "output_exposition": {"type": "categorical", "values": list(CLASSES)},
        "layers": [documents.dense(6, 3, "relu"), documents.dense(3, 2, "softmax")],
        "trees": None,
        "image_network": features(),
        **more,
    }


def detector(**more: Any) -> dict[str, Any]:
    """Two scales of two anchors each, of 2 x 2 and of 1 x 1 cells."""
    channels = 2 * (5 + len(CLASSES))
    layers = [
        convolution(3, 4, strides=[8, 8], activation_function="leaky_relu"),
        {"type": "max_pool_2d", "pool_size": [2, 2], "strides": [2, 2], "padding": "same"},
        convolution(4, channels, 1, inputs=[0], bias=documents.numbers(channels)),
        convolution(4, channels, 1, inputs=[1]),
    ]
    outputs = [
        {"strides": 8, "anchors": [[4, 4], [8, 5]], "xyscale": 1.2, "input": 2},
        {"strides": 16, "anchors": [[10, 14], [16, 12]], "xyscale": 1.05, "input": 3},
    ]
    metadata = {**features()["metadata"], "outputs": outputs, "rescale_type": "pad"}
    return {
        "preprocess": [{"type": "image", "index": 0}],
        "output_exposition": {"type": "bounding_box", "values": list(CLASSES)},
        "layers": [],
        "trees": None,
        "image_network": {"layers": layers, "metadata": metadata},
        **more,
    }
