from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pyramid.errors import DataError, TrainingError
from pyramid.fields import Fields
from pyramid.tables.encode import Layout
from pyramid.tables.recipe import readout_layers
from pyramid.train import column_strengths as of_networks
from pyramid.train import importances
from pyramid.train.column_strengths import column_strengths, strengths
from pyramid.train.importances import expected_gradients, field_importances
from pyramid.train.path_changes import FirstProduct
from sensenet.layers import parse_layers
from sensenet.network import build_network


def normal(seed: int, rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


NUMBER = {"type": "numeric", "mean": 0.0, "stdev": 1.0}


def random_network(seed: int, columns: int, activation: str, sharpness: float, outputs: int = 3):
    """relu with batch normalisation whose statistics say something; `sharpness` scales what softmax gets."""
    rng = np.random.default_rng(seed)

    def dense(width: int, units: int, gain: float = 1.0) -> np.ndarray:
        return rng.normal(scale=gain * np.sqrt(2 / width), size=(width, units)).astype(np.float32)

    hidden, last = dense(columns, 16), dense(16, outputs, sharpness)
    mean, stdev = rng.normal(size=16).astype(np.float32), rng.uniform(0.5, 2, 16).astype(np.float32)
    offset = rng.normal(size=16).astype(np.float32)
    final = keras.activations.get(activation)
    return lambda x: final(tf.nn.relu((x @ hidden - mean) / stdev + offset) @ last)


def completeness_error(predict, points, baselines, attributions) -> float:
    """Mean error of the attributions' sums, in units of the mean absolute difference that they should sum to."""
    differences = predict(points).numpy() - predict(baselines).numpy().mean(axis=0)
    return np.abs(attributions.sum(axis=1) - differences).mean() / np.abs(differences).mean()


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    activation=st.sampled_from(["softmax", "linear", "sigmoid"]),
    sharpness=st.sampled_from([0.3, 1.0, 4.0]),
    same_rows=st.booleans(),
)
def test_attributions_are_complete_to_one_percent(seed, activation, sharpness, same_rows):
    predict = random_network(seed, 6, activation, sharpness)
    points = normal(seed, 64, 6)
    baselines = points if same_rows else normal(seed + 1, 64, 6)
    attributions = expected_gradients(predict, points, baselines, seed)
    assert attributions.shape == (64, 6, 3)
    assert completeness_error(predict, points, baselines, attributions) < 0.01


@pytest.mark.parametrize("n_points", [1, 2, 5, 8])
@pytest.mark.parametrize("same_rows", [True, False])
def test_attributions_of_a_linear_function_are_exact(n_points, same_rows):
    weights = normal(0, 3, 2)
    points = normal(1, n_points, 3)
    baselines = points if same_rows else normal(2, 7, 3)
    attributions = expected_gradients(lambda x: x @ weights, points, baselines, seed=0)
    expected = (points - baselines.mean(axis=0))[:, :, None] * weights
    np.testing.assert_allclose(attributions, expected, atol=1e-5)


def test_paths_used_both_ways_say_what_paths_used_once_say():
    predict = random_network(3, 4, "softmax", 1.0)
    points = normal(3, 40, 4)
    both_ways = expected_gradients(predict, points, points, seed=0)
    one_way = expected_gradients(predict, points, points[::-1], seed=0)
    np.testing.assert_allclose(both_ways, one_way, atol=0.02 * np.abs(one_way).max())


def test_a_column_that_is_not_read_gets_nothing():
    predict = random_network(4, 3, "softmax", 1.0)
    points = normal(4, 20, 5)
    attributions = expected_gradients(lambda x: predict(x[:, :3]), points, points, seed=0)
    assert np.all(attributions[:, 3:] == 0)
    assert np.all(np.abs(attributions[:, :3]).mean(axis=(0, 2)) > 0)


def test_a_seed_gives_the_same_attributions_again():
    predict, points = random_network(5, 4, "softmax", 1.0), normal(5, 16, 4)
    first, again, other = (expected_gradients(predict, points, points, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("same_rows", [True, False])
def test_a_budget_samples_the_pairs_without_bias(same_rows):
    weights = np.ones((1, 1), np.float32)
    points = normal(6, 32, 1)
    baselines = points if same_rows else normal(7, 32, 1)
    rows = []

    def predict(x: tf.Tensor) -> tf.Tensor:
        tf.py_function(lambda given: rows.append(len(given)), [x], [])
        return x @ weights

    drawn = [
        expected_gradients(predict, points, baselines, seed, max_gradients=32 * 8 * 8) for seed in range(20)
    ]
    assert sum(rows) <= 20 * (32 * 8 * 8 + 64)  # the rows themselves are looked at, too
    expected = points - baselines.mean(axis=0)
    assert np.abs(drawn[0][:, :, 0] - expected).max() > 1e-3
    np.testing.assert_allclose(np.mean(drawn, axis=0)[:, :, 0], expected, atol=0.5)
    np.testing.assert_allclose(np.mean(drawn, axis=(0, 1))[:, 0], expected.mean(axis=0), atol=0.05)


def test_importances_without_points_are_an_error():
    with pytest.raises(DataError, match="at least one point"):
        expected_gradients(lambda x: x, np.zeros((0, 2)), np.zeros((3, 2)), seed=0)


INFO_LIST = [
    {"index": 4, "type": "numeric", "mean": 0.0, "stdev": 1.0},
    {"index": 2, "type": "categorical", "values": ["a", "b"]},
    {"index": 9, "type": "numeric", "mean": 0.0, "stdev": 1.0},
    {"index": 7, "type": "categorical", "values": ["no", "yes"]},
]


def layout(tree_inputs: int) -> Layout:
    return Layout.of(Fields.parse(INFO_LIST), tree_inputs)


def attributions(*columns: float) -> np.ndarray:
    """Two points and two outputs, with signs that cancel unless absolute values are taken."""
    signs = np.array([[1, -1], [-1, 1]])
    return np.array(columns)[None, :, None] * signs[:, None, :]


def of_columns(*columns: float) -> np.ndarray:
    return strengths(attributions(*columns))


def test_the_columns_of_a_field_are_summed():
    assert field_importances(of_columns(1, 2, 3, 4), layout(0), None) == pytest.approx([0.1, 0.5, 0.4])


def test_tree_features_are_passed_on_to_the_fields():
    trees = [{"0": 0.75, "2": 0.25}, {"1": 1.0}]
    shares = field_importances(of_columns(8, 4, 1, 0, 1, 2), layout(2), trees)
    assert shares == pytest.approx([7 / 16, 5 / 16, 4 / 16])


def test_one_input_field_has_all_the_importance():
    single = Layout.of(Fields.parse(INFO_LIST[1:2] + INFO_LIST[3:]))
    assert field_importances(of_columns(0, 0), single, None) == [1.0]


def test_a_network_that_looks_at_nothing_gives_equal_shares():
    assert field_importances(of_columns(0, 0, 0, 0), layout(0), None) == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("trees", "message"),
    [
        (None, "describes 0 tree features, but the network takes 2"),
        ([{"0": 1.0}], "describes 1 tree features, but the network takes 2"),
        ([{"0": 1.0}, {"3": 1.0}], "tree feature 1 names the input field 3, but the fields are 0 to 2"),
    ],
)
def test_tree_importances_that_do_not_fit_are_refused(trees, message):
    with pytest.raises(DataError, match=message):
        field_importances(of_columns(1, 1, 1, 1, 1, 1), layout(2), trees)


def test_attributions_that_are_not_finite_are_refused():
    with pytest.raises(TrainingError, match="not finite"):
        field_importances(of_columns(1, np.nan, 1, 1), layout(0), None)


def test_attributions_and_shares_are_those_of_a_fine_quadrature():
    predict = random_network(8, 6, "softmax", 1.0)
    points, baselines = normal(8, 24, 6), normal(9, 24, 6)
    moves = points[:, None] - baselines[None]  # (points, baselines, columns)

    @tf.function
    def gradients(inputs: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            outputs = tf.unstack(predict(inputs), axis=1)
        return tf.stack([tape.gradient(output, inputs) for output in outputs], axis=-1)

    reference = np.zeros((24, 6, 3))
    for alpha in (np.arange(256) + 0.5) / 256:
        nodes = (baselines[None] + np.float32(alpha) * moves).reshape(-1, 6)
        by_line = gradients(tf.constant(nodes)).numpy().reshape(24, 24, 6, 3)
        reference += (by_line * moves[..., None]).mean(axis=1) / 256
    attributions = expected_gradients(predict, points, baselines, seed=0)
    assert np.abs(attributions - reference).mean() < 0.03 * np.abs(reference).mean()
    layout = Layout.of(Fields.parse([*[NUMBER] * 6, NUMBER]))
    ours, finer = (field_importances(strengths(values), layout, None) for values in (attributions, reference))
    np.testing.assert_allclose(ours, finer, atol=0.005)


def test_a_first_product_that_is_kept_out_of_the_paths_changes_nothing():
    predict = random_network(3, 6, "softmax", 1.0)
    first, points = FirstProduct(normal(4, 9, 6), normal(5, 1, 6)[0]), normal(6, 20, 9)
    whole = expected_gradients(lambda x: predict(first.of(x)), points, points, seed=1)
    np.testing.assert_allclose(
        expected_gradients(predict, points, points, seed=1, first=first), whole, atol=1e-5
    )


def test_one_of_two_probabilities_says_as_much_as_both():
    layers = readout_layers([8], {"type": "categorical", "index": 0, "values": ["a", "b"]}, seed=1)
    network, points = build_network(parse_layers(layers), 6), normal(7, 20, 6)
    both = expected_gradients(lambda x: network.model(x, training=False), points, points, seed=2)
    np.testing.assert_allclose(2 * column_strengths(network, points, seed=2), strengths(both), rtol=1e-4)


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (of_networks, "ATTRIBUTIONS_AT_ONCE", 1),
        (of_networks, "WIDE_COLUMNS", 1),
        (importances, "GRADIENTS_PER_CALL", 1),
    ],
)
def test_bounded_memory_changes_no_importance(monkeypatch, module, name, value):
    layers = readout_layers([8], {"type": "categorical", "index": 0, "values": list("abcde")}, seed=1)
    network, points = build_network(parse_layers(layers), 6), normal(7, 20, 6)
    whole = column_strengths(network, points, seed=2)
    direct = expected_gradients(lambda x: network.model(x, training=False), points, points, seed=2)
    np.testing.assert_array_equal(whole, strengths(direct))
    monkeypatch.setattr(module, name, value)
    np.testing.assert_allclose(column_strengths(network, points, seed=2), whole, rtol=1e-5)
