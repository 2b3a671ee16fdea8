"""Small model documents with known parameters, for more than one test file."""

from __future__ import annotations

from typing import Any

import numpy as np

COLUMNS = 5  # one number, three categories, one old binary number
POINTS = [
    [1.5, "a", None, 2.0],
    [-3.0, "c", None, 1.0],
    [0.25, "b", None, 1.5],
    [None, "a", "more", 2.0],
    [4.0, None, "more", 1.0, "and more"],
    ["2.5", "unknown", 0, 2.0],
]
FIELDS = [
    {"type": "numeric", "index": 0, "name": "size", "mean": 1.0, "stdev": 2.0},
    {"type": "categorical", "index": 1, "name": "kind", "values": ["a", "b", "c"]},
    {"type": "numeric", "index": 3, "zero_value": 1.0, "one_value": 2.0},
]
# what POINTS are when they are preprocessed, worked out by hand
MATRIX = np.array(
    [
        [0.25, 1, 0, 0, 1],
        [-2.0, 0, 0, 1, 0],
        [-0.375, 0, 1, 0, 0.5],
        [0.0, 1, 0, 0, 1],
        [1.5, 0, 0, 0, 0],
        [0.75, 0, 0, 0, 1],
    ],
    np.float32,
)
FOREST = [[[0, 2], [[0, 0.5, [[1.0, 0.0], None], [1, 0.5, [[0.0, 1.0], None], [[0.5, 0.5], None]]]]]]
TREE_OUTPUTS = 2


def tree_features(matrix: np.ndarray) -> np.ndarray:
    """What FOREST answers, in plain NumPy."""
    inner = np.where(matrix[:, 1:2] <= 0.5, [[0.0, 1.0]], [[0.5, 0.5]])
    return np.where(matrix[:, :1] <= 0.5, [[1.0, 0.0]], inner)


def numbers(*shape: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng((seed, *shape))
    return (rng.normal(size=shape) / 2).astype(np.float32).tolist()


def dense(columns: int, nodes: int, activation: str | None = None, seed: int = 0) -> dict[str, Any]:
    weights, offset = numbers(columns, nodes, seed=seed), numbers(nodes, seed=seed)
    return {"type": "dense", "weights": weights, "offset": offset, "activation_function": activation}


def normalization(columns: int) -> dict[str, Any]:
    statistics = {name: numbers(columns, seed=i) for i, name in enumerate(("gamma", "beta", "mean"))}
    variance = (0.5 + np.square(numbers(columns, seed=9))).astype(np.float32).tolist()
    return {"type": "batch_normalization", **statistics, "variance": variance}


def classifier(**more: Any) -> dict[str, Any]:
    layers = [dense(COLUMNS, 4), normalization(4), {"type": "activation", "activation_function": "relu"}]
    return {
        "preprocess": FIELDS,
        "output_exposition": {"type": "categorical", "values": ["yes", "no", "maybe"]},
        "layers": [*layers, dense(4, 3, "softmax")],
        "trees": None,
        "image_network": None,
        **more,
    }


def regression(**more: Any) -> dict[str, Any]:
    return {
        "preprocess": FIELDS,
        "output_exposition": {"type": "numeric", "mean": 10.0, "stdev": 3.0},
        "layers": [dense(COLUMNS, 4, "tanh"), normalization(4), dense(4, 1)],
        "trees": None,
        **more,
    }


def search() -> dict[str, Any]:
    """Networks of different depths, with and without trees; the output stands in the first of them."""
    size = COLUMNS + TREE_OUTPUTS
    block = {
        "type": "dense_residual_block",
        "dense_path": [dense(4, 6, "relu"), dense(6, 4)],
        "identity_path": [dense(4, 4, seed=3)],
        "activation_function": "relu",
    }
    output = {"type": "categorical", "values": ["yes", "no"]}
    return {
        "preprocess": FIELDS,
        "networks": [
            {
                "layers": [dense(size, 4, "relu"), block, dense(4, 2, "softmax")],
                "trees": True,
                "output_exposition": output,
            },
            {"layers": [dense(COLUMNS, 2, "softmax")], "trees": False},
            {"layers": [dense(size, 3, "mish"), normalization(3), dense(3, 2, "softmax")], "trees": True},
        ],
        "trees": FOREST,
    }


def repeated(times: list[int]) -> dict[str, Any]:
    """`search` with each of its networks so many times, equal ones apart from each other."""
    document = search()
    rounds = range(max(times))
    networks = [
        one for r in rounds for one, often in zip(document["networks"], times, strict=True) if r < often
    ]
    return document | {"networks": networks}


def reference(document: dict[str, Any], matrix: np.ndarray) -> np.ndarray:
    """The prediction of a document in plain NumPy, float64."""
    networks = document.get("networks") or [{"layers": document["layers"], "trees": document.get("trees")}]
    with_trees = np.concatenate([tree_features(matrix), matrix], axis=1)
    outputs = []
    for network in networks:
        x = with_trees if network["trees"] else matrix
        for layer in network["layers"]:
            x = _layer(layer, x)
        outputs.append(x)
    output = document.get("output_exposition") or networks[0]["output_exposition"]
    mean = np.mean(outputs, axis=0)
    return mean * output["stdev"] + output["mean"] if output["type"] == "numeric" else mean


def _layer(layer: dict[str, Any], x: np.ndarray) -> np.ndarray:
    kind = layer["type"]
    if kind == "dense":
        x = x @ np.array(layer["weights"], np.float64) + np.array(layer["offset"], np.float64)
    elif kind == "batch_normalization":
        gamma, beta, mean, variance = (np.array(layer[k]) for k in ("gamma", "beta", "mean", "variance"))
        x = gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta
    elif kind == "dense_residual_block":
        paths = [x, x]
        for number, name in enumerate(("dense_path", "identity_path")):
            for inner in layer[name]:
                paths[number] = _layer(inner, paths[number])
        x = paths[0] + paths[1]
    return ACTIVATIONS[layer.get("activation_function")](x)


ACTIVATIONS = {
    None: lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True),
}
