"""Small documents of image models, for more than one test file."""

from __future__ import annotations

from typing import Any

import model_documents as documents
import numpy as np

SIDE = 16
FEATURES = 4
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


FIELDS: dict[str, dict[str, Any]] = {
    "front": {"type": "image", "index": 0, "name": "front"},
    "size": {"type": "numeric", "index": 1, "name": "size", "mean": 1.0, "stdev": 2.0},
    "back": {"type": "image", "index": 3, "name": "back"},
    "kind": {"type": "categorical", "index": 4, "name": "kind", "values": ["a", "b", "c"]},
}
WIDTHS = {"image": FEATURES, "numeric": 1, "categorical": 3}


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Two colours in random spots: pictures whose features differ."""
    rng = np.random.default_rng((seed, height, width))
    spots = rng.random((height, width, 1)) < rng.random()
    return np.where(spots, rng.integers(0, 256, 3), rng.integers(0, 256, 3)).astype(np.uint8)


# a value at each index of FIELDS, one that no field needs, and sometimes more
POINTS: list[list[Any]] = [
    [picture(9, 20), 1.5, "not needed", picture(16, 16), "a"],
    [picture(30, 7), None, None, None, "c"],
    [None, -2.0, None, picture(40, 50), None, "more than needed"],
    [picture(16, 16, 1), float("nan"), None, picture(5, 5), "unknown"],
    [picture(1, 1), "2.5", None, picture(16, 16, 1), "b"],
]


def mixed(order: str, **more: Any) -> dict[str, Any]:
    """A classifier of the fields of FIELDS named in `order`; its image fields share one image network."""
    fields = [FIELDS[name] for name in order.split()]
    width = sum(WIDTHS[field["type"]] for field in fields)
    return {
        "preprocess": fields,
        "output_exposition": {"type": "categorical", "values": list(CLASSES)},
        "layers": [documents.dense(width, 3, "relu"), documents.dense(3, 2, "softmax")],
        "trees": None,
        "image_network": features(),
        **more,
    }


def only_image(**more: Any) -> dict[str, Any]:
    """A classifier of one image and nothing else, by three features that no layer is wider than."""
    document = mixed("front", **more)
    return {**document, "layers": [documents.dense(FEATURES, 2, "softmax")], **more}


def regression(**more: Any) -> dict[str, Any]:
    return only_image(
        output_exposition={"type": "numeric", "mean": 10.0, "stdev": 3.0},
        layers=[documents.dense(FEATURES, 1)],
        **more,
    )


def flat(side: int = 8, **metadata: Any) -> dict[str, Any]:
    """A regression whose prediction is a weighted sum of all pixels: every pixel shows."""
    size = side * side * 3
    network = {
        "layers": [{"type": "flatten"}],
        "metadata": {"input_image_shape": [side, side, 3], "loading_method": None, **metadata},
    }
    weights = np.random.default_rng(0).normal(size=(size, 1)).astype(np.float32)
    return {
        "preprocess": [{"type": "image", "index": 0}],
        "output_exposition": {"type": "numeric", "mean": 0.0, "stdev": 1.0},
        "layers": [{"type": "dense", "weights": weights, "offset": [0.0], "activation_function": None}],
        "trees": None,
        "image_network": network,
    }


def matrix(document: dict[str, Any], points: list[list[Any]], extract: Any) -> np.ndarray:
    """The preprocessed columns of `points`: those of images are what `extract` gives of them."""
    blocks = []
    for field in document["preprocess"]:
        values = [point[field["index"]] for point in points]
        if field["type"] == "image":
            blocks.append(np.concatenate([extract(value) for value in values]))
        elif field["type"] == "categorical":
            blocks.append(np.array([[value == name for name in field["values"]] for value in values]))
        else:
            numbers = np.array([np.nan if value is None else float(value) for value in values])
            blocks.append(np.nan_to_num((numbers[:, None] - field["mean"]) / field["stdev"]))
    return np.concatenate(blocks, axis=1).astype(np.float64)


CELL = 8
BRIGHT_SIDE = 32
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0)}


def bright_detector(**metadata: Any) -> dict[str, Any]:
    """Sees cells of 8 x 8 pixels that are mostly red or mostly green: a box is exactly its cell.

    A cell's mean red r and green g give the objectness 40 (r + g) - 24 and the classes' 40 (r - g) and 40 (g - r).
    """
    average = np.zeros((CELL, CELL, 3, 2))
    average[:, :, [0, 1], [0, 1]] = 1 / CELL**2
    readout = np.zeros((1, 1, 2, 7))
    readout[0, 0, :, 4:] = [[40, 40, -40], [40, -40, 40]]
    bias = [0.0, 0, 0, 0, -24, 0, 0]
    layers = [
        convolution(3, 2, CELL, kernel=average.tolist(), strides=[CELL, CELL], padding="valid"),
        convolution(2, 7, 1, kernel=readout.tolist(), bias=bias),
    ]
    branches = [{"strides": CELL, "anchors": [[CELL, CELL]], "xyscale": 1.0, "input": 1}]
    described = {
        "base_image_network": None,
        "input_image_shape": [BRIGHT_SIDE, BRIGHT_SIDE, 3],
        "loading_method": "normalizing",
        "outputs": branches,
        **metadata,
    }
    return {
        "preprocess": [{"type": "image", "index": 0, "name": "photo"}],
        "output_exposition": {"type": "bounding_box", "values": list(COLOURS)},
        "layers": [],
        "trees": None,
        "image_network": {"layers": layers, "metadata": described},
    }


def painted(height: int, width: int, **squares: tuple[int, int, int, int]) -> np.ndarray:
    """A black image with rectangles x1, y1, x2, y2 in the colours they are named by."""
    image = np.zeros((height, width, 3), np.uint8)
    for colour, (x1, y1, x2, y2) in squares.items():
        image[y1:y2, x1:x2] = COLOURS[colour]
    return image


def assert_same_boxes(found: Any, expected: Any) -> None:
    """Of one image, or of several: scores may differ by what batches of another size round differently."""
    if not expected or isinstance(expected[0], dict):
        found, expected = [found], [expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert [(box["box"], box["label"]) for box in mine] == [(box["box"], box["label"]) for box in theirs]
        np.testing.assert_allclose([b["score"] for b in mine], [b["score"] for b in theirs], atol=1e-5)
