from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from pyramid.fields.objectives import CategoricalObjective
from pyramid.tables.recipe import readout_layers
from pyramid.train import pieces
from pyramid.train.loop import FlatNetwork, State, compile_steps
from pyramid.train.losses import crossentropy
from pyramid.train.optimizers import make_optimizer
from pyramid.train.sampling import ClassTargets, Rows, make_sampler
from sensenet.layers import parse_layers
from sensenet.network import build_network

N_ROWS, INPUTS, CLASSES, BATCH, RATE = 96, 5, 3, 32, 0.01
# not adam: it would blow up the rounding errors of the offsets before a batch normalisation, whose gradient is 0
KERAS_MOMENTUM = 0.99  # of moving statistics
MOMENTUM = SimpleNamespace(descent_algorithm="momentum", momentum=0.9)


def training_rows(weights: np.ndarray | None = None) -> tuple[np.ndarray, Rows]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N_ROWS, INPUTS)).astype(np.float32)
    labels = (x[:, 0] + x[:, 1] ** 2 > 0.5).astype(int) + (x[:, 2] > 1)
    y = np.eye(CLASSES, dtype=np.float32)[labels]
    return labels, Rows(tf.constant(x), tf.constant(y), None if weights is None else tf.constant(weights))


def network(dropout_rate: float = 0.0, batch_normalization: bool = True) -> FlatNetwork:
    objective = {"type": "categorical", "values": ["a", "b", "c"]}
    layers = readout_layers(
        [8, 8], objective, dropout_rate=dropout_rate, batch_normalization=batch_normalization
    )
    return FlatNetwork(build_network(parse_layers(layers), INPUTS, seed=3))


def prepare(flat: FlatNetwork, rows: Rows, labels: np.ndarray, weight_decay: float = 0.0, **sampling):
    options = {"seed": 0, "steps": 8, "batch_size": BATCH, "balanced": False, "mixup_alpha": 0.0} | sampling
    optimizer = make_optimizer(MOMENTUM)
    sampler = make_sampler(labels, **options)
    steps = compile_steps(
        flat,
        rows,
        sampler,
        crossentropy,
        optimizer,
        lambda _: tf.constant(RATE),
        rows.inputs.numpy(),
        weight_decay,
    )
    return steps, flat.start(optimizer)


def weights_of(state: State) -> np.ndarray:
    return np.concatenate([np.ravel(piece) for piece in state.parameters])


def test_steps_go_where_keras_goes_on_the_same_batches():
    labels, rows = training_rows()
    flat = network()
    reference = network().network.model
    optimizer = keras.optimizers.SGD(RATE, momentum=0.9, nesterov=True)
    steps, state = prepare(flat, rows, labels)
    draws = make_sampler(labels, 0, 8, BATCH, balanced=False, mixup_alpha=0.0)(tf.constant(0, tf.int64))
    state, loss, _ = steps(state, 0, 8)
    losses = []
    statistics = [np.zeros(variable.shape) for variable in reference.non_trainable_variables]
    for step, batch in enumerate(draws.rows.numpy(), 1):
        before = [variable.numpy() for variable in reference.non_trainable_variables]
        with tf.GradientTape() as tape:
            predictions = reference(tf.gather(rows.inputs, batch), training=True)
            truth = tf.gather(rows.targets, batch)
            mean = tf.reduce_mean(keras.losses.categorical_crossentropy(truth, predictions))
        losses.append(float(mean))
        gradients = tape.gradient(mean, reference.trainable_variables)
        optimizer.apply(gradients, reference.trainable_variables)
        # Keras' moving statistics still weigh what they began with, and ours what was seen lately
        for mean, old, new in zip(statistics, before, reference.non_trainable_variables, strict=True):
            seen = old + (new.numpy() - old) / (1 - KERAS_MOMENTUM)
            mean[...] += 10 / (9 + step) * (seen - mean)
    flat.write(state)
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-4)
    for ours, theirs in zip(
        flat.network.model.trainable_variables, reference.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    for ours, expected in zip(flat.network.model.non_trainable_variables, statistics, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dropout_rate", [0.0, 0.3])
def test_a_run_is_the_same_bit_for_bit_however_its_calls_are_cut(dropout_rate):
    labels, rows = training_rows()
    outcomes = []
    for cuts in ([8, 8], [1, 3, 8, 4]):
        steps, state = prepare(network(dropout_rate), rows, labels, mixup_alpha=0.3)
        first = 0
        for n_steps in cuts:
            state, *_ = steps(state, first, n_steps)
            first += n_steps
        outcomes.append(weights_of(state))
    assert np.array_equal(*outcomes)


@pytest.mark.parametrize("factor", [0.0, 0.1])
@pytest.mark.parametrize("mixup_alpha", [0.0, 0.3])
def test_classes_are_learnt_as_their_one_hot_targets_bit_for_bit(factor, mixup_alpha):
    labels, rows = training_rows()
    one_hot = CategoricalObjective(values=("a", "b", "c")).smoothed(rows.targets.numpy(), factor)
    outcomes = []
    for targets in (tf.constant(one_hot), ClassTargets.smoothed(labels, CLASSES, factor)):
        steps, state = prepare(network(), rows._replace(targets=targets), labels, mixup_alpha=mixup_alpha)
        outcomes.append(weights_of(steps(state, 0, 8)[0]))
    assert np.array_equal(*outcomes)


@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_arrays_in_pieces_of_their_own_learn_what_they_learn_in_one(monkeypatch, weight_decay):
    labels, rows = training_rows()
    learnt, n_pieces = [], []
    for large in (pieces.LARGE, 24):  # the last kernel has 8 rows and 3 columns
        monkeypatch.setattr(pieces, "LARGE", large)
        flat = network()
        steps, state = prepare(flat, rows, labels, weight_decay)
        state, *_ = steps(state, 0, 8)
        flat.write(state)
        learnt.append([np.asarray(variable) for variable in flat.network.model.trainable_variables])
        n_pieces.append(len(state.parameters))
    assert n_pieces == [1, 6]  # three kernels, and what lies between and behind them
    for whole, cut in zip(*learnt, strict=True):
        np.testing.assert_allclose(cut, whole, rtol=1e-5, atol=1e-6)


def test_dropout_draws_anew_at_every_step():
    labels, rows = training_rows()
    steps, state = prepare(network(dropout_rate=0.5), rows, labels)
    before = [buffer.numpy() for buffer in state.buffers]
    state, *_ = steps(state, 0, 4)
    changed = [(b != a.numpy()).any() for b, a in zip(before, state.buffers, strict=True)]
    assert all(changed)


def test_rows_that_weigh_nothing_leave_no_trace():
    labels, rows = training_rows()
    weights = np.where(np.arange(N_ROWS) < 48, 2.0, 0.0).astype(np.float32)
    spoiled = rows.targets.numpy()
    spoiled[48:] = spoiled[48:, ::-1]
    outcomes = []
    for targets in (rows.targets, tf.constant(spoiled)):
        weighted = Rows(rows.inputs, targets, tf.constant(weights))
        steps, state = prepare(network(batch_normalization=False), weighted, labels)
        outcomes.append(weights_of(steps(state, 0, 8)[0]))
    assert np.array_equal(*outcomes)


def test_predictions_are_those_of_the_written_network():
    labels, rows = training_rows()
    flat = network()
    steps, state = prepare(flat, rows, labels)
    state, _, predicted = steps(state, 0, 8)
    flat.write(state)
    np.testing.assert_allclose(
        predicted, flat.network.model(rows.inputs, training=False), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(predicted.numpy().sum(1), 1, rtol=1e-5)


def test_only_kernels_of_dense_layers_decay():
    flat = network()
    parameters, buffers = flat.read()
    moved = parameters + 1.0
    decaying = flat.decayed(make_optimizer(MOMENTUM), 0.5)
    rest = tf.zeros_like(moved)
    after, _ = decaying.update(rest, moved, decaying.initial_slots(moved), tf.constant(1.0), 0.1)
    flat.write(State(after - moved, buffers, ()))
    for layer in flat.network.model.layers:
        for variable in layer.trainable_weights:
            assert np.any(variable) == (variable.name == "kernel"), variable.path
    plain = make_optimizer(MOMENTUM)
    assert flat.decayed(plain, 0.0) is plain
