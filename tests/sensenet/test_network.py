from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from sensenet.layers import dump_layers, parse_layers, without_dropout
from sensenet.network import build_network

DENSE = {"type": "dense", "weights": "glorot_uniform", "offset": "zeros", "number_of_nodes": 4}
DROPOUT = {"type": "dropout", "dropout_type": "zero", "rate": 0.5}
POINTS = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)


def network_of(*raw: dict[str, Any], seed: int = 0) -> Any:
    return build_network(parse_layers(list(raw)), 4, seed=seed)


def test_logits_are_the_output_before_the_final_activation() -> None:
    network = network_of(DENSE | {"activation_function": "relu"}, DENSE | {"activation_function": "softmax"})
    assert network.final_activation == "softmax"
    np.testing.assert_allclose(tf.nn.softmax(network.logits_model(POINTS)), network.model(POINTS), rtol=1e-6)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (DENSE, None),
        ({"type": "activation", "activation_function": "tanh"}, "tanh"),
        (
            {
                "type": "dense_residual_block",
                "dense_path": [DENSE],
                "identity_path": [],
                "activation_function": "tanh",
            },
            "tanh",
        ),
    ],
)
def test_the_final_activation_is_found_in_every_kind_of_last_layer(
    last: dict[str, Any], expected: str | None
) -> None:
    network = network_of(DENSE, last)
    assert network.final_activation == expected
    logits = network.logits_model(POINTS).numpy()
    np.testing.assert_allclose(network.model(POINTS), np.tanh(logits) if expected else logits, rtol=1e-6)


def test_both_models_share_their_weights() -> None:
    network = network_of(DENSE | {"activation_function": "sigmoid"})
    network.logits_model.trainable_variables[1].assign([9.0] * 4)
    assert network.model(POINTS).numpy().min() > 0.9


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    first, again, other = (network_of(DENSE, DENSE, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.model(POINTS), again.model(POINTS))
    assert not np.allclose(first.model(POINTS), other.model(POINTS))
    assert not np.allclose(first.layers[0].weights, first.layers[1].weights)


def test_a_layers_own_seed_decides_its_weights() -> None:
    first, other = (network_of(DENSE | {"seed": seed}) for seed in (3, 4))
    assert not np.allclose(first.layers[0].weights, other.layers[0].weights)


def test_a_training_step_compiles_and_moves_the_statistics() -> None:
    statistics = {"gamma": "ones", "beta": "zeros", "mean": "zeros", "variance": "ones"}
    network = network_of(DENSE, {"type": "batch_normalization", **statistics}, DROPOUT, DENSE)
    model = network.logits_model

    @tf.function(jit_compile=True)
    def step(trainable: Any, rest: Any, points: tf.Tensor) -> Any:
        return model.stateless_call(trainable, rest, points, training=True)

    trainable, rest = model.trainable_variables, model.non_trainable_variables
    output, moved = step(
        [v.value for v in trainable], [v.value for v in rest], tf.constant(POINTS, tf.float32)
    )
    assert output.shape == (8, 4)
    assert not np.allclose(moved[0], rest[0].value)


@pytest.mark.parametrize(
    "raw",
    [
        [DENSE, DROPOUT, DENSE],
        [DROPOUT, DENSE, DROPOUT],
        [DROPOUT],
        [DENSE, DENSE, DROPOUT | {"inputs": [0]}, DENSE | {"inputs": [2]}],
        [DENSE, DENSE, DROPOUT | {"inputs": [0]}],
        [DROPOUT, DENSE, DENSE | {"inputs": [0]}],
        [
            {
                "type": "dense_residual_block",
                "dense_path": [DENSE, DROPOUT, DENSE],
                "identity_path": [DROPOUT],
                "activation_function": None,
            },
            DENSE,
        ],
    ],
)
def test_leaving_out_dropout_keeps_the_predictions(raw: list[dict[str, Any]]) -> None:
    network = network_of(*raw)
    final = network.trained_layers()
    assert "dropout" not in str(dump_layers(final, short=True))
    if final:
        again = build_network(parse_layers(dump_layers(final)), 4)
        np.testing.assert_array_equal(again.model(POINTS), network.model(POINTS))
    else:
        np.testing.assert_array_equal(network.model(POINTS), POINTS)


def test_inputs_behind_dropout_are_renumbered() -> None:
    layers = parse_layers([DENSE, DROPOUT, DENSE, DENSE | {"inputs": [1]}])
    assert [layer.inputs for layer in without_dropout(layers)] == [(-1,), (0,), (0,)]
    assert "inputs" not in dump_layers(without_dropout(layers))[1]
    assert dump_layers(without_dropout(layers))[2]["inputs"] == [0]


def test_short_layers_keep_sizes_and_lose_numbers() -> None:
    network = network_of(DENSE | {"activation_function": "relu"}, DENSE)
    short = dump_layers(network.trained_layers(), short=True)
    assert short[0] == DENSE | {"activation_function": "relu"}
    build_network(parse_layers(short), 4)
