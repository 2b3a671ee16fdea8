from __future__ import annotations

from typing import Any

import keras
import numpy as np
import orjson
import pytest
import tensorflow as tf
from layer_documents import (
    COLUMNS,
    IMAGE,
    IMAGE_EXAMPLES,
    RELU,
    TABLE_EXAMPLES,
    block,
    convolution,
    dense,
    normalization,
    untrained,
)

from sensenet.document.model import dumps
from sensenet.errors import ModelFormatError
from sensenet.layers import LAYERS, dump_layers, parse_layers
from sensenet.layers.activations import ACTIVATIONS
from sensenet.layers.base import forward_layers, initialize_layers
from sensenet.network import build_network

CASES = [
    (kind, shape, raw)
    for shape, examples in (((COLUMNS,), TABLE_EXAMPLES), (IMAGE, IMAGE_EXAMPLES))
    for kind in examples
    for raw in examples[kind]
]


def rows(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


def behind_another(shape: tuple[int, ...], raw: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers behind a trainable one, so that they have something to join and to pass gradients to."""
    first = untrained(shape[-1]) if len(shape) == 1 else convolution(shape[-1], shape[-1], 1)
    return [first, *raw]


def train_a_step(model: keras.Model, points: np.ndarray) -> None:
    with tf.GradientTape() as tape:
        output = keras.layers.Flatten()(model(points, training=True))
        loss = tf.reduce_mean(tf.square(output - tf.reverse(output, [1])[:, :1] - 1.0))
    variables = model.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        variable.assign_sub(0.5 * gradient)


@pytest.mark.parametrize(("kind", "shape", "raw"), CASES)
def test_every_layer_type_survives_training_and_writing(
    kind: str, shape: tuple[int, ...], raw: list[dict[str, Any]]
) -> None:
    layers = parse_layers(behind_another(shape, raw))
    assert layers[-1].type_name == kind
    network = build_network(layers, shape)
    points = rows(8, *shape)
    before = network.model(points).numpy()
    predicted = forward_layers(network.layers, tf.constant(points))
    assert (
        initialize_layers(layers, shape, (0,), "layers")[1] == before.shape[1:] == tuple(predicted.shape[1:])
    )
    np.testing.assert_allclose(predicted, before, atol=1e-5, rtol=1e-5)

    train_a_step(network.model, points)
    after = network.model(points).numpy()
    assert not np.allclose(before, after, atol=1e-5)

    final = dumps(dump_layers(network.trained_layers()))
    read = build_network(parse_layers(orjson.loads(final)), shape)
    np.testing.assert_array_equal(read.model(points), after)
    assert dumps(dump_layers(read.trained_layers())) == final


@pytest.mark.parametrize(("kind", "shape", "raw"), CASES)
def test_documents_of_every_layer_type_are_written_as_they_were_read(
    kind: str, shape: tuple[int, ...], raw: list[dict[str, Any]]
) -> None:
    written = dumps(dump_layers(parse_layers(behind_another(shape, raw))))
    assert dumps(dump_layers(parse_layers(orjson.loads(written)))) == written


@pytest.mark.parametrize(("kind", "shape", "raw"), CASES)
def test_short_documents_of_every_layer_type_give_networks_of_the_same_form(
    kind: str, shape: tuple[int, ...], raw: list[dict[str, Any]]
) -> None:
    network = build_network(parse_layers(behind_another(shape, raw)), shape)
    short = dump_layers(network.layers, short=True)
    assert "array(" not in str(short)
    again = build_network(parse_layers(short), shape)
    assert [v.shape for v in again.model.weights] == [v.shape for v in network.model.weights]
    assert dumps(dump_layers(again.layers, short=True)) == dumps(short)


def test_every_registered_layer_type_has_an_example() -> None:
    assert {kind for kind, _, _ in CASES} == set(LAYERS)


def apply(name: str, x: np.ndarray) -> np.ndarray:
    layers = parse_layers([{"type": "activation", "activation_function": name}])
    return forward_layers(layers, tf.constant(x, tf.float32)).numpy()


X = np.array([[-4.0, -1.5], [-0.4, 0.3], [2.0, 7.0]])


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("linear", lambda x: x),
        ("identity", lambda x: x),
        ("relu", lambda x: np.maximum(x, 0)),
        ("relu6", lambda x: np.clip(x, 0, 6)),
        ("leaky_relu", lambda x: np.where(x < 0, 0.1 * x, x)),
        ("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
        ("swish", lambda x: x / (1 + np.exp(-x))),
        ("hard_sigmoid", lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
        ("softplus", lambda x: np.log1p(np.exp(x))),
        ("softsign", lambda x: x / (1 + np.abs(x))),
        ("exponential", np.exp),
        ("softmax", lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)),
        ("elu", lambda x: np.where(x < 0, np.exp(x) - 1, x)),
    ],
)
def test_activations_follow_their_formulas(name: str, formula: Any) -> None:
    np.testing.assert_allclose(apply(name, X), formula(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation_works_in_keras_too(name: str) -> None:
    layers = parse_layers([{"type": "activation", "activation_function": name}])
    network = build_network(layers, 2)
    np.testing.assert_allclose(network.model(X.astype(np.float32)), apply(name, X), rtol=1e-6, atol=1e-6)


def test_a_wider_initializer_scale_follows_the_fans() -> None:
    network = build_network(parse_layers([untrained(300), untrained(100)]), 200)
    first, second = (layer.weights for layer in network.layers)
    assert np.abs(first).max() <= np.sqrt(6 / 500)
    assert np.isclose(first.std(), np.sqrt(2 / 500), rtol=0.02)
    assert np.isclose(second.std(), np.sqrt(2 / 400), rtol=0.02)


@pytest.mark.parametrize("name", ["glorot_normal", "he_normal", "lecun_normal"])
def test_normal_initializers_are_cut_off_and_scaled(name: str) -> None:
    weights = build_network(parse_layers([untrained(400, None) | {"weights": name}]), 400).layers[0].weights
    deviation = {"glorot_normal": 1 / 20, "he_normal": np.sqrt(2) / 20, "lecun_normal": 1 / 20}[name]
    assert np.isclose(weights.std(), deviation, rtol=0.02)
    assert np.abs(weights).max() <= 2 * deviation / 0.8796


BROKEN = {
    "rate": (
        [{"type": "dropout", "rate": "0.5"}],
        'layers[0].rate: expected a number in [0, 1), got "0.5"',
    ),
    "type": ([{"type": "dens"}], 'layers[0].type: expected a layer type; did you mean "dense"?, got "dens"'),
    "activation": (
        [dense(2, 2, "rleu")],
        'layers[0].activation_function: expected the name of an activation; did you mean "relu"?, got "rleu"',
    ),
    "ragged": (
        [{**dense(2, 2), "weights": [[1.0], [1.0, 2.0]]}],
        "layers[0].weights: expected numbers in 2 dimensions, got lists of different lengths",
    ),
    "text numbers": ([{**dense(2, 2), "offset": ["1", "2"]}], "layers[0].offset: expected numbers"),
    "null numbers": ([{**dense(2, 2), "offset": [1.0, None]}], "layers[0].offset: expected numbers"),
    "infinite": ([{**dense(2, 2), "offset": [1.0, 1e39]}], "layers[0].offset: expected finite numbers"),
    "forward": (
        [dense(2, 2), {**dense(2, 2), "inputs": [1]}],
        "layers[1].inputs[0]: expected an integer in [0, 0], got 1",
    ),
    "two inputs": (
        [dense(2, 2), dense(2, 2), {**RELU, "inputs": [0, 1]}],
        "layers[2].inputs: expected one earlier layer, got 2",
    ),
    "nodes": ([untrained(10**9)], "layers[0].number_of_nodes: expected an integer in [1, 1000000]"),
    "initializer": ([untrained(2) | {"weights": "glorot"}], "layers[0].weights: expected numbers or an init"),
    "dropout": (
        [{"type": "dropout", "dropout_type": "blocks", "rate": 0.1}],
        'layers[0].dropout_type: expected "zero" or "alpha" or "block", got "blocks"',
    ),
    "block size": (
        [{"type": "dropout", "dropout_type": "block", "rate": 0.1}],
        'layers[0]: "block_size" is missing',
    ),
    "inside": (
        [block("dense_residual_block", [{"type": "dense"}], [])],
        'layers[0].dense_path[0]: "weights" is missing',
    ),
    "not a list": ({"type": "dense"}, "layers: expected a list, got an object of 1"),
    "not an object": ([3], "layers[0]: expected an object, got 3"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_layer_is_refused_with_its_place(case: str) -> None:
    raw, message = BROKEN[case]
    with pytest.raises(ModelFormatError) as caught:
        parse_layers(raw)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([dense(3, 2), dense(3, 1)], "layers[1].weights: expected numbers of shape [2, 1], got [3, 1]"),
        ([dense(3, 2), normalization(3)], "layers[1].gamma: expected numbers of shape [2], got [3]"),
        ([{**dense(3, 2), "offset": [1.0]}], "layers[0].offset: expected numbers of shape [2], got [1]"),
        (
            [{**normalization(3), "variance": [-1.0] * 3}],
            "layers[0].variance: expected variances of at least 0",
        ),
        (
            [block("dense_residual_block", [dense(3, 2)], [])],
            "layers[0]: expected paths of one shape, got [2] from dense_path and [3] from identity_path",
        ),
        ([], "layers: expected at least one layer, got none"),
    ],
)
def test_layers_that_do_not_fit_together_are_refused(raw: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ModelFormatError) as caught:
        build_network(parse_layers(raw), 3)
    assert str(caught.value).startswith(message)


def test_blocks_nested_without_end_are_refused() -> None:
    raw: dict[str, Any] = {"type": "dense_residual_block", "dense_path": [], "identity_path": []}
    raw["dense_path"].append(raw)
    with pytest.raises(ModelFormatError, match="nested deeper than"):
        parse_layers([raw])
