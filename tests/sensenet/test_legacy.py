from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sensenet.document.model import dumps, shorten
from sensenet.errors import ModelFormatError
from sensenet.layers import dump_layers, parse_layers, to_legacy
from sensenet.network import build_network

ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, None: lambda x: x}


def legacy(
    columns: int, nodes: int, activation: str | None = None, normalized: bool = False, residuals: bool = False
) -> dict[str, Any]:
    rng = np.random.default_rng((columns, nodes, normalized, residuals))
    raw = {"weights": rng.normal(size=(nodes, columns)).tolist(), "offset": rng.normal(size=nodes).tolist()}
    raw |= {"scale": None, "mean": None, "stdev": None}
    if normalized:
        raw |= {key: rng.normal(size=nodes).tolist() for key in ("scale", "mean")}
        raw["stdev"] = rng.uniform(0.5, 2, nodes).tolist()
    return raw | {"activation_function": activation, "residuals": residuals}


def affine(layer: dict[str, Any], x: np.ndarray) -> np.ndarray:
    x = x @ np.array(layer["weights"]).T
    if layer["stdev"] is None:
        return x + layer["offset"]
    return np.array(layer["scale"]) * (x - layer["mean"]) / layer["stdev"] + layer["offset"]


def reference(layers: list[dict[str, Any]], x: np.ndarray) -> np.ndarray:
    """The legacy form in plain NumPy, from its description."""
    position = 0
    while position < len(layers):
        layer = layers[position]
        inside = ACTIVATIONS[layer["activation_function"]](affine(layer, x))
        if position + 1 < len(layers) and layers[position + 1]["residuals"]:
            second = layers[position + 1]
            dense = affine(second, inside)
            identity = np.tile(x, 10)[:, : dense.shape[1]]
            x = ACTIVATIONS[second["activation_function"]](dense + identity)
            position += 2
        else:
            x = inside
            position += 1
    return x


CHAINS = {
    "plain": [legacy(3, 4, "relu"), legacy(4, 2)],
    "normalized": [legacy(3, 4, "relu", True), legacy(4, 4, "tanh", True), legacy(4, 2)],
    "residual": [
        legacy(3, 4, "relu"),
        legacy(4, 5, "tanh", True),
        legacy(5, 4, "relu", True, True),
        legacy(4, 2),
    ],
    "cut": [legacy(3, 6, "relu"), legacy(6, 5, "tanh"), legacy(5, 4, "relu", True, True), legacy(4, 2)],
    "tiled": [legacy(3, 2, "relu"), legacy(2, 5, "tanh"), legacy(5, 5, "relu", False, True), legacy(5, 2)],
    "at once": [legacy(3, 5, "tanh", True), legacy(5, 4, "relu", True, True), legacy(4, 2)],
    "last": [legacy(3, 4, "relu"), legacy(4, 4, "tanh"), legacy(4, 4, "relu", False, True)],
    "three in a row": [legacy(3, 4, "tanh"), *[legacy(4, 4, "relu", False, True)] * 3, legacy(4, 2)],
}
POINTS = np.random.default_rng(1).normal(size=(10, 3)).astype(np.float32)


def predict(layers: Any) -> np.ndarray:
    return build_network(layers, 3).model(POINTS).numpy()


@pytest.mark.parametrize("name", CHAINS)
def test_legacy_layers_predict_by_their_formula(name: str) -> None:
    expected = reference(CHAINS[name], POINTS)
    np.testing.assert_allclose(predict(parse_layers(CHAINS[name])), expected, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("name", CHAINS)
def test_legacy_layers_survive_the_way_to_the_modern_form_and_back(name: str) -> None:
    layers = parse_layers(CHAINS[name])
    expected = predict(layers)
    modern = parse_layers(dump_layers(build_network(layers, 3).trained_layers()))
    np.testing.assert_allclose(predict(modern), expected, rtol=1e-6, atol=1e-6)
    again = to_legacy(modern, 3)
    assert all("type" not in layer for layer in again)
    np.testing.assert_allclose(predict(parse_layers(again)), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(reference(again, POINTS), expected, rtol=2e-5, atol=1e-5)


def numbers(*shape: int, seed: int = 0) -> list[Any]:
    return np.random.default_rng((seed, *shape)).normal(size=shape).tolist()


def dense(columns: int, nodes: int, activation: str | None = None) -> dict[str, Any]:
    weights = {"weights": numbers(columns, nodes), "offset": numbers(nodes)}
    return {"type": "dense", **weights, "activation_function": activation}


def normalization(columns: int, **more: Any) -> dict[str, Any]:
    arrays = {key: numbers(columns, seed=i) for i, key in enumerate(("gamma", "beta", "mean"))}
    variance = np.square(numbers(columns, seed=4)).tolist()
    return {"type": "batch_normalization", **arrays, "variance": variance, **more}


def block(*path: dict[str, Any], **more: Any) -> dict[str, Any]:
    raw = {"type": "dense_residual_block", "dense_path": list(path), "identity_path": []}
    return {**raw, "activation_function": "relu", **more}


TANH = {"type": "activation", "activation_function": "tanh"}
MODERN = {
    "bias before normalisation": [dense(3, 4), normalization(4), TANH, dense(4, 2)],
    "normalisation after an activation": [dense(3, 4, "relu"), normalization(4), dense(4, 2)],
    "normalisation alone": [normalization(3), dense(3, 2)],
    "normalisation twice": [dense(3, 4), normalization(4), normalization(4), dense(4, 2)],
    "another epsilon": [dense(3, 4), normalization(4, epsilon=0.5), dense(4, 2)],
    "activation alone": [TANH, dense(3, 2, "relu"), TANH],
    "dropout": [dense(3, 4), {"type": "dropout", "rate": 0.5}, TANH, dense(4, 2)],
    "block": [dense(3, 4, "relu"), block(dense(4, 6, "tanh"), dense(6, 4), normalization(4)), dense(4, 2)],
    "block of one layer": [dense(3, 4), block(dense(4, 4)), dense(4, 2)],
    "block of one layer with activation": [dense(3, 4), block(dense(4, 4, "tanh")), dense(4, 2)],
    "block of nothing": [dense(3, 4), block(), dense(4, 2)],
    "block, then normalisation": [block(dense(3, 4, "tanh"), dense(4, 3)), normalization(3), dense(3, 2)],
    "block at the end": [dense(3, 4), block(dense(4, 4, "tanh"), dense(4, 4))],
    "block without activation": [
        dense(3, 4),
        block(dense(4, 4, "tanh"), dense(4, 4), activation_function=None),
        TANH,
        dense(4, 2),
    ],
}


@pytest.mark.parametrize("name", MODERN)
def test_modern_layers_predict_the_same_in_the_legacy_form(name: str) -> None:
    layers = parse_layers(MODERN[name])
    converted = to_legacy(layers, 3)
    expected = predict(layers)
    np.testing.assert_allclose(predict(parse_layers(converted)), expected, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(reference(converted, POINTS), expected, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            [block(dense(3, 3), identity_path=[dense(3, 3)])],
            "layers[0].identity_path: the legacy form has no non-",
        ),
        (
            [block(dense(3, 3), TANH, dense(3, 3), TANH)],
            "layers[0].dense_path: a legacy block is two dense layers",
        ),
        ([block(*[dense(3, 3, "relu")] * 3, dense(3, 3))], 'this "dense_residual_block" needs 4'),
        ([block(block(dense(3, 3)))], "layers[0].dense_path: a legacy block is two"),
        (
            [dense(3, 3), dense(3, 3), {**TANH, "inputs": [0]}],
            "layers[2].inputs: the legacy form can only say",
        ),
        (
            [{**dense(3, 3), "weights": "glorot_uniform", "number_of_nodes": 3}],
            'layers[0].weights: expected trained numbers, got "glorot_uniform"',
        ),
    ],
)
def test_what_the_legacy_form_cannot_say_is_refused_by_name(raw: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ModelFormatError) as caught:
        to_legacy(parse_layers(raw), 3)
    assert message in str(caught.value)


def test_untrained_legacy_layers_are_read() -> None:
    names = {
        "weights": "glorot_uniform",
        "offset": "zeros",
        "scale": "ones",
        "mean": "zeros",
        "stdev": "ones",
    }
    hidden = {**names, "number_of_nodes": 4, "activation_function": "relu", "seed": 5}
    last = {**names, "stdev": None, "number_of_nodes": 2, "activation_function": None}
    network = build_network(parse_layers([hidden, {**hidden, "residuals": True}, last]), 3)
    assert network.model(POINTS).shape == (10, 2)
    assert network.layers[0].widths == (3, 4)


def test_a_legacy_document_stays_legacy_when_its_numbers_are_left_out() -> None:
    document = {"layers": CHAINS["residual"], "trees": None}
    short = shorten(document)
    assert [sorted(layer) for layer in short["layers"]] == [
        sorted([*layer, "number_of_nodes"]) for layer in CHAINS["residual"]
    ]
    assert short["layers"][0]["stdev"] is None
    assert short["layers"][1]["stdev"] == "ones"
    assert len(dumps(short)) < 1000
    assert [type(layer) for layer in parse_layers(short["layers"])] == [
        type(layer) for layer in parse_layers(CHAINS["residual"])
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": [[1.0], [1.0, 2.0]]}, "layers[0].weights: expected numbers in 2 dimensions"),
        ({"activation_function": "rel"}, "layers[0].activation_function: expected the name of an activation"),
        ({"stdev": [1.0, 1.0], "scale": None, "mean": [0.0, 0.0]}, "layers[0].scale: expected numbers"),
        ({"weights": "zeros"}, 'layers[0]: "number_of_nodes" is missing'),
    ],
)
def test_broken_legacy_layers_are_refused_with_their_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFormatError) as caught:
        parse_layers([{**legacy(3, 2), **change}])
    assert str(caught.value).startswith(message)
