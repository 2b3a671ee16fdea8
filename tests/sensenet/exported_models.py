"""A small model of every kind, for the tests of exports; and the parts of models that exports have trouble with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import image_documents as images
import model_documents as documents
import numpy as np

import sensenet
from sensenet.pretrained.networks import image_network

SIDE = 32
CLASSES = ("yes", "no", "maybe")


def tree(depth: int, outputs: int, rng: np.random.Generator) -> list[Any]:
    if depth == 0:
        return [
            rng.dirichlet(np.ones(outputs)).tolist() if outputs > 1 else rng.normal(size=1).tolist(),
            None,
        ]
    threshold = float(np.float32(rng.normal()))
    return [
        int(rng.integers(documents.COLUMNS)),
        threshold,
        tree(depth - 1, outputs, rng),
        tree(depth - 1, outputs, rng),
    ]


def ensembles() -> list[Any]:
    """Three ensembles over all columns, as cross-fitted trees are written: probabilities twice, then raw scores."""
    rng = np.random.default_rng(0)
    window = [0, documents.COLUMNS]
    return [[window, [tree(7, outputs, rng) for _ in range(4)]] for outputs in (3, 3, 1)]


def cross_fitted() -> dict[str, Any]:
    layers = [documents.dense(7 + documents.COLUMNS, 40, "relu"), documents.dense(40, 3, "softmax")]
    document = documents.classifier(trees=ensembles(), networks=[{"layers": layers, "trees": True}])
    return {key: value for key, value in document.items() if key != "layers"}


def legacy() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    statistics = {"scale": rng.normal(size=4), "mean": rng.normal(size=4), "stdev": rng.uniform(0.5, 2, 4)}
    first = {"weights": rng.normal(size=(4, documents.COLUMNS)), "offset": rng.normal(size=4), **statistics}
    second = {"weights": rng.normal(size=(1, 4)), "offset": rng.normal(size=1)}
    second |= dict.fromkeys(statistics)
    layers = [
        {**layer, "activation_function": function, "residuals": False}
        for layer, function in ((first, "relu"), (second, None))
    ]
    return documents.regression(layers=layers)


def simple() -> dict[str, Any]:
    """The smallest of the image networks that are trained from nothing; its weights are drawn."""
    network = image_network("simple", width=SIDE, height=SIDE)
    readout = {"type": "dense", "number_of_nodes": 3, "weights": "glorot_uniform", "offset": "zeros"}
    return {
        "preprocess": [{"type": "image", "index": 0}],
        "output_exposition": {"type": "categorical", "values": list(CLASSES)},
        "layers": [{**readout, "activation_function": "softmax"}],
        "trees": None,
        "image_network": network,
    }


MODELS: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {
        "windowed trees, search": lambda: sensenet.create_model(documents.search()),
        "cross-fitted trees": lambda: sensenet.create_model(cross_fitted()),
        "legacy": lambda: sensenet.create_model(legacy()),
        "simple": lambda: sensenet.create_model(simple(), {"rescale_type": "pad"}),
        "images and fields": lambda: sensenet.create_model(images.mixed("size front kind back")),
        "image in BGRA": lambda: sensenet.create_model(images.regression(), {"color_space": "bgra"}),
        "detector": lambda: sensenet.create_model(images.detector(), {"bounding_box_threshold": 0.05}),
    }
)
"""Name -> what makes the model."""
