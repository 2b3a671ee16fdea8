"""The moving statistics of batch normalisations, against means of what their batches were."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from image_jobs import convolution, dense

from pyramid.tables.recipe import readout_layers
from pyramid.train.image_loop import Batch, ImageTask, compile_image_steps, joined
from pyramid.train.loop import FlatNetwork, State, compile_steps
from pyramid.train.losses import crossentropy
from pyramid.train.optimizers import make_optimizer
from pyramid.train.prefetch import Prefetcher
from pyramid.train.sampling import Rows, make_sampler
from sensenet.layers import parse_layers
from sensenet.network import build_network

MOMENTUM = SimpleNamespace(descent_algorithm="momentum", momentum=0.9)
N_ROWS, INPUTS, BATCH, SIDE = 96, 5, 16, 8


def still(iteration):
    """The rate at which weights stay, so that what they make of a batch can be computed afterwards."""
    return tf.constant(0.0)


def normalizations(network):
    layers = keras.tree.flatten(network.parts)
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def statistics(flat):
    """(mean, variance) of each normalisation."""
    return [
        (layer.moving_mean.numpy(), layer.moving_variance.numpy()) for layer in normalizations(flat.network)
    ]


def batch_statistics(untrained, n_steps):
    """Of each normalisation (mean, variance), each (steps, channels), of what comes to it in the first steps.

    The statistics of `untrained` move by it.
    """
    per_step = [[*_moments(untrained.networks, batch)] for batch in untrained.batches(n_steps)]
    return [tuple(map(np.array, zip(*layer, strict=True))) for layer in zip(*per_step, strict=True)]


def _moments(networks, values):
    for network in networks:
        layers = normalizations(network)
        before = keras.Model(network.model.input, [layer.input for layer in layers] + [network.model.output])
        *taken, values = before(values, training=True)
        for each in taken:
            each, axes = each.numpy().astype(np.float64), tuple(range(each.ndim - 1))
            yield each.mean(axis=axes), each.var(axis=axes)


def lately(values, momentum):
    """The mean of (batches, channels) that remembers a tenth of them, and less where the momentum says so."""
    mean = np.zeros_like(values[0])
    for step, value in enumerate(values, 1):
        mean += max(1 - momentum, 10 / (9 + step)) * (value - mean)
    return mean


def moved_on(start, values, momentum):
    """What an exponential mean that is at `start` becomes by (batches, channels)."""
    weights = momentum ** np.arange(len(values))[::-1]
    return momentum ** len(values) * start + (1 - momentum) * weights @ values


class Table:
    """A readout on rows, and the batches that its steps take."""

    def __init__(self):
        rng = np.random.default_rng(0)
        x = (3 + 2 * rng.standard_normal((N_ROWS, INPUTS))).astype(np.float32)
        labels = rng.integers(0, 3, N_ROWS)
        self._labels = labels
        self._rows = Rows(tf.constant(x), tf.constant(np.eye(3, dtype=np.float32)[labels]), None)
        objective = {"type": "categorical", "values": ["a", "b", "c"]}
        layers = readout_layers([8, 6], objective, batch_normalization=True)
        self.networks = [build_network(parse_layers(layers), INPUTS, seed=3)]
        self.flat = FlatNetwork(*self.networks)

    def batches(self, n_steps):
        draws = make_sampler(self._labels, 0, n_steps, BATCH, balanced=False, mixup_alpha=0.0)
        return [tf.gather(self._rows.inputs, rows) for rows in draws(tf.constant(0, tf.int64)).rows]

    def train(self, cuts):
        """Take steps in calls of so many, and write what they leave into the network."""
        optimizer = make_optimizer(MOMENTUM)
        sampler = make_sampler(self._labels, 0, max(cuts), BATCH, balanced=False, mixup_alpha=0.0)
        holdout = self._rows.inputs.numpy()[:4]
        steps = compile_steps(self.flat, self._rows, sampler, crossentropy, optimizer, still, holdout)
        state, done = self.flat.start(optimizer), 0
        for n_steps in cuts:
            state, *_ = steps(state, done, n_steps)
            done += n_steps
        self.flat.write(state)


class Images:
    """An image network and a readout that has a normalisation, too, and the batches that their steps take."""

    def __init__(self):
        pooling = {"type": "global_average_pool_2d"}
        image = build_network(
            parse_layers([*convolution(4), *convolution(6), pooling]), (SIDE, SIDE, 3), seed=1
        )
        normalization = {"type": "batch_normalization", "gamma": "ones", "beta": "zeros", "mean": "zeros"}
        layers = [dense(5, None), {**normalization, "variance": "ones"}, dense(3, "softmax")]
        readout = build_network(parse_layers(layers), 6, seed=2)
        self.networks = [image, readout]
        self.flat = FlatNetwork(joined(image, readout))

    def _batch(self, step):
        rng = np.random.default_rng(step)
        pixels = rng.integers(0, 256, (BATCH, SIDE, SIDE, 3), np.uint8)
        return Batch(
            tf.constant(pixels), tf.constant(np.eye(3, dtype=np.float32)[rng.integers(0, 3, BATCH)]), None
        )

    def batches(self, n_steps):
        return [_as_float(self._batch(step).inputs) for step in range(n_steps)]

    def train(self, cuts):
        """As `Table.train`."""
        optimizer = make_optimizer(MOMENTUM)
        task = ImageTask(self.flat, _as_float, crossentropy)
        parameters, buffers = self.flat.read()
        state, done = State(parameters, buffers, optimizer.initial_slots(parameters)), 0
        with Prefetcher(self._batch, first=0, stop=sum(cuts)) as batches:
            steps = compile_image_steps(task, batches, optimizer, still, 0)
            for n_steps in cuts:
                state, *_ = steps(state, done, n_steps)
                done += n_steps
        self.flat.write(state)


def _as_float(pixels):
    return tf.cast(pixels, tf.float32) / 50


KINDS = pytest.mark.parametrize("kind", [Table, Images])


def assert_close(found, expected):
    for pair, (mean, variance) in zip(found, expected, strict=True):
        np.testing.assert_allclose(pair[0], mean, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(pair[1], variance, rtol=1e-3, atol=1e-4)


@KINDS
@pytest.mark.parametrize("cuts", [[1], [7], [2, 1, 5], [130]])
def test_fresh_statistics_are_means_of_the_batches_that_were_seen_lately(kind, cuts):
    trained = kind()
    n_layers = len(normalizations(trained.flat.network))
    assert n_layers >= 2
    assert len(trained.flat.fresh_statistics()) == 2 * n_layers
    seen = batch_statistics(kind(), sum(cuts))
    trained.train(cuts)
    momenta = [layer.momentum for layer in normalizations(trained.flat.network)]
    expected = [
        tuple(lately(values, momentum) for values in layer)
        for layer, momentum in zip(seen, momenta, strict=True)
    ]
    assert_close(statistics(trained.flat), expected)


@KINDS
def test_one_step_leaves_the_statistics_of_its_batch(kind):
    trained = kind()
    (batch,) = trained.batches(1)
    trained.train([1])
    model = trained.flat.network.model
    np.testing.assert_allclose(model(batch, training=False), model(batch, training=True), atol=1e-4)


@KINDS
def test_trained_statistics_move_on_from_where_they_are(kind):
    trained = kind()
    for layer in normalizations(trained.flat.network):
        layer.moving_mean.assign(tf.ones_like(layer.moving_mean) * 0.5)
        layer.moving_variance.assign(tf.ones_like(layer.moving_variance) * 2)
    assert not trained.flat.fresh_statistics()
    before = statistics(trained.flat)
    seen = batch_statistics(kind(), 6)
    trained.train([6])
    assert_close(statistics(trained.flat), moved(before, seen, normalizations(trained.flat.network)))


def moved(before, seen, layers):
    return [
        tuple(moved_on(start, values, layer.momentum) for start, values in zip(starts, columns, strict=True))
        for starts, columns, layer in zip(before, seen, layers, strict=True)
    ]


@KINDS
def test_a_second_phase_moves_on_from_the_first(kind):
    trained = kind()
    trained.train([5])
    first = statistics(trained.flat)
    seen = batch_statistics(kind(), 6)
    assert not trained.flat.fresh_statistics()
    trained.train([6])
    assert_close(statistics(trained.flat), moved(first, seen, normalizations(trained.flat.network)))


@KINDS
def test_each_normalization_is_fresh_or_trained_by_itself(kind):
    trained = kind()
    old, *fresh = normalizations(trained.flat.network)
    old.moving_variance.assign(tf.ones_like(old.moving_variance) * 3)
    places = trained.flat.fresh_statistics()
    variables = trained.flat.network.logits_model.non_trainable_variables
    expected = {id(variable) for layer in fresh for variable in (layer.moving_mean, layer.moving_variance)}
    assert {id(variables[place]) for place in places} == expected
    assert set(places.values()) == {layer.momentum for layer in fresh}


@KINDS
def test_what_is_not_trained_keeps_its_statistics(kind):
    trained = kind()
    frozen, *others = normalizations(trained.flat.network)
    frozen.trainable = False
    trained.train([3])
    first, *rest = statistics(trained.flat)
    np.testing.assert_array_equal(first, [np.zeros_like(first[0]), np.ones_like(first[1])])
    assert all(mean.any() for mean, _ in rest)
    # and are fresh when their turn comes
    frozen.trainable = True
    assert len(trained.flat.fresh_statistics()) == 2
    assert len(others) == len(rest)
