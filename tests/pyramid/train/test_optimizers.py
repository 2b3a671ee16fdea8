from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from pyramid.settings.options import OptimizerOptions
from pyramid.train.optimizers import OPTIMIZERS, decayed, learning_rate, make_optimizer

RATE = 0.05
DEFAULTS = {
    "beta1": 0.9,
    "beta2": 0.999,
    "epsilon": 1e-7,
    "init_accumulator": 0.1,
    "learning_rate": RATE,
    "learning_rate_power": -0.5,
}
CASES = {
    "adadelta": ({}, lambda: keras.optimizers.Adadelta(RATE, rho=0.95)),
    "adagrad": ({}, lambda: keras.optimizers.Adagrad(RATE, epsilon=1e-7)),
    "adam": ({}, lambda: keras.optimizers.Adam(RATE)),
    "adamax": ({}, lambda: keras.optimizers.Adamax(RATE)),
    "ftrl": (
        {"l1_regularization": 0.01, "l2_regularization": 0.02, "learning_rate_power": -0.6},
        lambda: keras.optimizers.Ftrl(
            RATE, l1_regularization_strength=0.01, l2_regularization_strength=0.02, learning_rate_power=-0.6
        ),
    ),
    "momentum": ({}, lambda: keras.optimizers.SGD(RATE, momentum=0.9, nesterov=True)),
    "nadam": ({}, lambda: keras.optimizers.Nadam(RATE)),
    "rms_prop": ({"momentum": 0.3}, lambda: keras.optimizers.RMSprop(RATE, rho=0.9, momentum=0.3)),
    "sgd": ({}, lambda: keras.optimizers.SGD(RATE)),
}


def settings(name: str, **given: float) -> OptimizerOptions:
    return OptimizerOptions(**DEFAULTS | {"descent_algorithm": name} | given)


def gradient(parameters: np.ndarray) -> np.ndarray:
    """Of an ill-conditioned quadratic, so that the algorithms go different ways."""
    return parameters * np.linspace(0.1, 3, len(parameters), dtype=np.float32) - 0.2


def descend(optimizer, parameters, slots, iteration):
    """One step down the quadratic."""
    slope = tf.constant(gradient(parameters.numpy()))
    return optimizer.update(slope, parameters, slots, tf.constant(float(iteration)), tf.constant(RATE))


def test_every_algorithm_is_compared_with_keras():
    assert set(CASES) == set(OPTIMIZERS)


@pytest.mark.parametrize("name", sorted(CASES))
def test_five_steps_go_where_keras_goes(name):
    given, reference = CASES[name]
    start = np.linspace(-1, 1, 7, dtype=np.float32)
    optimizer = make_optimizer(settings(name, **given))
    parameters = tf.constant(start)
    slots = optimizer.initial_slots(parameters)
    variable, keras_optimizer = keras.Variable(start), reference()
    for iteration in range(1, 6):
        keras_optimizer.apply([tf.constant(gradient(variable.numpy()))], [variable])
        parameters, slots = descend(optimizer, parameters, slots, iteration)
        np.testing.assert_allclose(parameters, variable.numpy(), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_algorithm_descends(name):
    optimizer = make_optimizer(settings(name))
    parameters = tf.constant(np.linspace(-1, 1, 7, dtype=np.float32))
    slots = optimizer.initial_slots(parameters)
    first = np.abs(gradient(parameters.numpy())).sum()
    for iteration in range(1, 200):
        parameters, slots = descend(optimizer, parameters, slots, iteration)
    assert np.abs(gradient(parameters.numpy())).sum() < first


def test_the_rate_warms_up_quadratically():
    warmed = settings("sgd", learning_rate=0.2, learning_rate_warmup_iterations=4)
    assert rates(warmed, 6) == pytest.approx([0.2 / 16, 0.2 / 4, 0.2 * 9 / 16, 0.2, 0.2, 0.2])
    assert rates(settings("sgd", learning_rate=0.2), 1) == pytest.approx([0.2])


def test_the_rate_falls_along_half_a_cosine_to_0_over_max_iterations():
    falling = settings("sgd", learning_rate=0.2, learning_rate_schedule="cosine", max_iterations=4)
    half = np.cos(np.pi / 4)
    assert rates(falling, 6) == pytest.approx(
        [0.2, 0.1 + 0.1 * half, 0.1, 0.1 - 0.1 * half, 0.0, 0.0], abs=1e-8
    )


def rates(options: OptimizerOptions, count: int) -> list[float]:
    return [float(learning_rate(options, tf.constant(float(i)))) for i in range(1, count + 1)]


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_weight_decay_takes_a_share_of_the_marked_parameters_off_beside_the_step(name):
    plain = make_optimizer(settings(name))
    decaying = decayed(plain, 0.5, np.array([1.0, 0.0], np.float32))
    gradient, parameters = tf.constant([0.3, 0.3]), tf.constant([2.0, 2.0])
    moved, same = (
        optimizer.update(gradient, parameters, optimizer.initial_slots(parameters), tf.constant(1.0), 0.1)[0]
        for optimizer in (decaying, plain)
    )
    np.testing.assert_allclose(moved - same, [-0.1 * 0.5 * 2.0, 0.0], rtol=1e-5)


def test_sgd_stays_plain_whatever_momentum_the_option_map_carries():
    steps = []
    for given in ({}, {"momentum": 0.9}):
        optimizer = make_optimizer(settings("sgd", **given))
        steps.append(
            optimizer.update(
                tf.ones(3), tf.zeros(3), optimizer.initial_slots(tf.zeros(3)), tf.constant(1.0), 0.1
            )[0]
        )
    assert np.array_equal(*steps)


@pytest.mark.parametrize("name", ["adagrad", "ftrl"])
@pytest.mark.parametrize("accumulator", [0, 1])
def test_a_whole_number_is_an_accumulator_and_a_parameter_without_gradient_stays(name, accumulator):
    optimizer = make_optimizer(settings(name, init_accumulator=accumulator))
    parameters = tf.constant([0.5, 0.5])
    moved, _ = optimizer.update(
        tf.constant([0.0, 1.0]),
        parameters,
        optimizer.initial_slots(parameters),
        tf.constant(1.0),
        tf.constant(0.1),
    )
    assert np.isfinite(moved).all()
    assert float(moved[1]) < 0.5
