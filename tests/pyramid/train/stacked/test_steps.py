"""One step of networks side by side, traced by nobody: what it draws, drops and descends on."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from stacks import (
    CLASSES,
    COLUMNS,
    DENSE,
    FOLDS,
    LAYERS,
    NORMALIZATION,
    table,
    variant,
)

from pyramid.settings.folds import FOLD_LAYERS
from pyramid.train.loop import FlatNetwork, State
from pyramid.train.losses import LOSSES, crossentropy
from pyramid.train.optimizers import OPTIMIZERS
from pyramid.train.stacked.architecture import Architecture, Weights, initial_weights
from pyramid.train.stacked.forward import FORWARD, Dropouts, train_forward
from pyramid.train.stacked.judge import Judge
from pyramid.train.stacked.places import Stack
from pyramid.train.stacked.snapshots import weights_of
from pyramid.train.stacked.training import stacked_task
from sensenet.document.layer_facts import ACTIVATION_NAMES
from sensenet.layers import parse_layers
from sensenet.network import build_network

RELU = {"type": "activation", "activation_function": "relu"}
LEGACY = {"weights": "glorot_uniform", "offset": "zeros", "scale": "ones", "mean": "zeros", "stdev": "ones"}
NETWORKS = {
    "plain": LAYERS[:3],
    "trained normalisation": [
        {**NORMALIZATION, "mean": [0.1] * COLUMNS, "variance": [2.0] * COLUMNS, "epsilon": 0.01}
    ],
    "block": [
        {
            "type": "dense_residual_block",
            "dense_path": [{**DENSE, "number_of_nodes": 4}, NORMALIZATION],
            "identity_path": [{**DENSE, "number_of_nodes": 4, "activation_function": "tanh"}],
            "activation_function": "relu",
        }
    ],
    "identity": [
        {
            "type": "dense_residual_block",
            "dense_path": [{**DENSE, "number_of_nodes": COLUMNS}],
            "identity_path": [],
        },
        RELU,
    ],
    "inputs": [{**DENSE, "number_of_nodes": 4}, RELU, {**RELU, "inputs": [0]}],
    **{
        f"legacy {width}": [
            {**LEGACY, "number_of_nodes": 6, "activation_function": "relu"},
            {**LEGACY, "number_of_nodes": width, "activation_function": "tanh", "residuals": True},
        ]
        for width in (4, 16)
    },
}


def state_of(task, weights: Weights) -> State:
    parameters = tf.constant(weights.parameters)
    return State(parameters, (tf.constant(weights.statistics),), task.optimizer.initial_slots(parameters))


def stepped(variants, rows, steps: int, refit: bool = False) -> tuple[State, np.ndarray]:
    """The state after some steps, and the losses of the last one."""
    task, start = stacked_task(variants, rows, Stack(len(variants), rows.n_folds, refit))
    state = state_of(task, start)
    step = tf.function(task.step, autograph=False)
    for number in range(steps):
        state, losses = step(tf.constant(number), task.sampler.place(number), state)
    return state, losses.numpy()


def keras_network(layers, weights: Weights, net: int):
    architecture = Architecture.of(parse_layers(layers), COLUMNS)
    network = build_network(parse_layers(layers), COLUMNS)
    architecture.fill(network, weights.take([net]))
    return network


def random_weights(layers) -> Weights:
    rng = np.random.default_rng(1)
    weights = initial_weights(parse_layers(layers), COLUMNS, [1, 2, 3])
    return Weights(
        weights.parameters + 0.1 * rng.normal(size=weights.parameters.shape).astype(np.float32),
        weights.statistics + 0.1 * rng.uniform(size=weights.statistics.shape).astype(np.float32),
    )


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_networks_predict_as_they_do_when_they_are_written_into_keras(name):
    rows = table()
    layers = [*NETWORKS[name], {**DENSE, "number_of_nodes": CLASSES, "activation_function": "softmax"}]
    weights = random_weights(layers)
    judge = Judge(Architecture.of(parse_layers(layers), COLUMNS), rows.dataset)
    answers = judge.predict(weights, np.arange(7))
    for net in range(3):
        expected = keras_network(layers, weights, net).model(rows.dataset.inputs[:7], training=False)
        np.testing.assert_allclose(answers[net], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", sorted(ACTIVATION_NAMES))
def test_every_activation_is_that_of_one_network(activation):
    rows = table(numeric=True)
    hidden = {**DENSE, "number_of_nodes": 4, "activation_function": activation}
    layers = [hidden, {**DENSE, "number_of_nodes": 1}]
    weights = random_weights(layers)
    judge = Judge(Architecture.of(parse_layers(layers), COLUMNS), rows.dataset)
    expected = keras_network(layers, weights, 1).model(rows.dataset.inputs, training=False)
    answers = judge.predict(weights, np.arange(len(rows.dataset)))
    np.testing.assert_allclose(answers[1], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_gradients_and_statistics_are_those_of_a_network_alone(name):
    rows = table()
    layers = [*NETWORKS[name], {**DENSE, "number_of_nodes": CLASSES, "activation_function": "softmax"}]
    weights = random_weights(layers)
    architecture = Architecture.of(parse_layers(layers), COLUMNS)
    inputs, targets = rows.dataset.inputs[:8], rows.dataset.targets[:8]
    parameters = tf.constant(weights.parameters)
    dropouts = Dropouts.of(architecture, np.zeros((0, 3)), tf.zeros((3, 1), tf.uint32))
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        outputs, seen = train_forward(architecture, parameters, tf.tile(inputs[None], (3, 1, 1)), dropouts)
        total = tf.reduce_sum(crossentropy(tf.tile(targets, (3, 1)), outputs))
    gradient = tape.gradient(total, parameters).numpy()
    for net in range(3):
        flat = FlatNetwork(keras_network(layers, weights, net))
        alone, buffers = flat.read()
        with tf.GradientTape() as tape:
            tape.watch(alone)
            outputs, after = flat.apply(alone, buffers, tf.constant(inputs), training=True)
            loss = tf.reduce_sum(crossentropy(targets, outputs))
        expected = tape.gradient(loss, alone).numpy()
        # the order of the arrays differs where paths run side by side
        np.testing.assert_allclose(np.sort(gradient[net]), np.sort(expected), rtol=1e-3, atol=1e-4)
        moved = np.concatenate(
            [np.zeros(0), *((new - 0.99 * old) / 0.01 for old, new in zip(buffers, after, strict=True))]
        )
        np.testing.assert_allclose(np.sort(seen[net]), np.sort(moved), rtol=2e-3, atol=2e-4)


OPTIONS = {
    "plain": {},
    "balanced": {"balance_objective": True},
    "mixup": {"mixup_alpha": 0.4},
    "smoothing": {"label_smoothing_factor": 0.2},
    "class weights": {"class_weights": [["a", 3.0], ["c", 1.0]]},
    "decay": {"weight_decay": 0.1},
    "everything": {
        "balance_objective": True,
        "mixup_alpha": 0.4,
        "label_smoothing_factor": 0.2,
        "class_weights": [["a", 3.0], ["c", 1.0]],
        "weight_decay": 0.1,
        "learning_rate_warmup_iterations": 3,
        "learning_rate_schedule": "cosine",
        "max_iterations": 20,
    },
}


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_networks_learn_the_same_side_by_side_and_each_variant_alone(name):
    rows, refit = table(weighted=name == "everything"), name in ("plain", "everything")
    variants = [
        # adam would make steps of the gradient 0, give or take a rounding, of offsets before a normalisation
        variant(rows, seed=seed, learning_rate=rate, descent_algorithm="momentum", **OPTIONS[name])
        for seed, rate in ((1, 0.2), (2, 0.1))
    ]
    together, _ = stepped(variants, rows, 6, refit)
    for place, one in enumerate(variants):
        alone, losses = stepped([one], rows, 6, refit)
        each = FOLDS + refit
        here = together.parameters[place * each : (place + 1) * each]
        np.testing.assert_allclose(here, alone.parameters, rtol=1e-3, atol=1e-5)
        assert np.isfinite(losses).all()


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - {"plain", "everything"}))
def test_every_option_changes_what_is_learnt(name):
    rows = table()
    plain, other = (stepped([variant(rows, **options)], rows, 3)[0] for options in ({}, OPTIONS[name]))
    assert not np.allclose(plain.parameters, other.parameters, atol=1e-4)


@pytest.mark.parametrize("algorithm", sorted(OPTIMIZERS))
def test_every_descent_algorithm_descends(algorithm):
    rate = {"adadelta": 5.0, "sgd": 0.2, "ftrl": 1.0, "adagrad": 0.1}.get(algorithm, 0.02)
    rows = table()
    one = variant(rows, LAYERS[:1], descent_algorithm=algorithm, learning_rate=rate)
    first, last = (stepped([one], rows, steps)[1] for steps in (1, 40))
    assert (last < first).all()


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_is_descended_on(loss):
    rows = table(numeric=loss in ("mean_squared_error", "huber", "mean_percentage_error"))
    one = variant(rows, LAYERS[:1], loss=loss, learning_rate=0.05)
    first, last = (stepped([one], rows, steps)[1] for steps in (1, 40))
    assert (last < first).all()


@pytest.mark.parametrize("kind", ["zero", "alpha"])
def test_dropout_keeps_the_mean_and_differs_from_net_to_net_and_layer_to_layer(kind):
    layers = [{"type": "dropout", "dropout_type": kind, "rate": 0.25}] * 2
    architecture = Architecture.of(parse_layers(layers[:1]), 50)
    rates = np.array([[0.25, 0.25, 0.0]])
    dropouts = Dropouts.of(architecture, rates, tf.constant([[1], [2], [3]], tf.uint32))
    x = tf.random.stateless_normal((1, 400, 50), seed=(1, 2))
    outputs, _ = train_forward(architecture, tf.zeros((3, 0)), tf.tile(x, (3, 1, 1)), dropouts)
    first, second, whole = outputs.logits.numpy().reshape(3, 400, 50)
    np.testing.assert_allclose(whole, x[0], rtol=1e-6)
    assert not np.array_equal(first, second)
    assert first.mean() == pytest.approx(float(tf.reduce_mean(x)), abs=0.03)
    if kind == "alpha":
        assert first.std() == pytest.approx(1.0, abs=0.03)
        return
    assert (first == 0).mean() == pytest.approx(0.25, abs=0.01)
    assert ((first == 0) & (second == 0)).mean() == pytest.approx(0.0625, abs=0.01)
    two = Architecture.of(parse_layers(layers), 50)
    dropouts = Dropouts.of(two, np.full((2, 3), 0.25), tf.constant([[1], [2], [3]], tf.uint32))
    outputs, _ = train_forward(two, tf.zeros((3, 0)), tf.tile(x, (3, 1, 1)), dropouts)
    assert (outputs.logits.numpy() == 0).mean() == pytest.approx(1 - 0.75**2, abs=0.01)


def test_steps_drop_other_numbers_each_time():
    rows = table()
    task, start = stacked_task([variant(rows)], rows, Stack(1, FOLDS, False))
    state = state_of(task, start)
    place = task.sampler.place(0)
    losses = [task.step(tf.constant(number), place, state)[1].numpy() for number in (0, 1)]
    assert not np.allclose(*losses)


def test_statistics_are_means_of_what_was_seen():
    rows = table()
    layers = [NORMALIZATION]
    state, _ = stepped([variant(rows, layers, learning_rate=1e-9)], rows, 12)
    means, variances = np.split(weights_of(state).statistics, 2, axis=1)
    for net in range(FOLDS):
        seen = rows.dataset.inputs[rows.folds != net]
        np.testing.assert_allclose(means[net], seen.mean(axis=0), atol=0.2)
        np.testing.assert_allclose(variances[net], seen.var(axis=0), rtol=0.4)


def test_the_settings_know_the_layers_of_networks_side_by_side():
    assert {kind.type_name for kind in FORWARD} == set(FOLD_LAYERS)


def test_the_compiled_program_steps_as_the_function_does_wherever_it_is_cut():
    rows = table()
    variants = [variant(rows, seed=seed, descent_algorithm="momentum") for seed in (1, 2)]
    task, start = stacked_task(variants, rows, Stack(2, FOLDS, False))
    run = task.compiled()
    state, _ = run(state_of(task, start), 0, 2)
    state, _ = run(state, 2, 3)
    whole, _ = run(state_of(task, start), 0, 5)
    np.testing.assert_array_equal(whole.parameters, state.parameters)
    expected, _ = stepped(variants, rows, 5)
    np.testing.assert_allclose(state.parameters, expected.parameters, rtol=1e-3, atol=1e-5)
