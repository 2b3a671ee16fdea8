from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from pyramid.fields.objectives import CategoricalObjective, NumericObjective
from pyramid.train.losses import LOSSES, Outputs, make_loss

CATEGORICAL = CategoricalObjective(values=("a", "b", "c"))
NUMERIC = NumericObjective(mean=3.0, stdev=2.0)


def softmax_outputs(logits: np.ndarray) -> Outputs:
    return Outputs(tf.constant(logits), tf.nn.softmax, softmax=True)


def linear_outputs(predictions: np.ndarray) -> Outputs:
    return Outputs(tf.constant(predictions), tf.identity, softmax=False)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("crossentropy", keras.losses.categorical_crossentropy),
        ("kl_divergence", keras.losses.kl_divergence),
        ("hinge", keras.losses.categorical_hinge),
        ("cosine", lambda truth, predictions: 1 + keras.losses.cosine_similarity(truth, predictions)),
    ],
)
def test_categorical_losses_agree_with_keras(name, reference, rng):
    logits = rng.standard_normal((50, 3)).astype(np.float32)
    truth = rng.dirichlet([1, 1, 1], 50).astype(np.float32)
    expected = reference(truth, tf.nn.softmax(logits))
    np.testing.assert_allclose(
        make_loss(name, CATEGORICAL)(tf.constant(truth), softmax_outputs(logits)),
        expected,
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("mean_squared_error", keras.losses.mean_squared_error),
        ("huber", keras.losses.huber),
        (
            "mean_percentage_error",
            lambda truth, predictions: keras.losses.mean_absolute_percentage_error(
                truth * 2 + 3, predictions * 2 + 3
            ),
        ),
    ],
)
def test_numeric_losses_agree_with_keras(name, reference, rng):
    truth = rng.uniform(-1, 3, (50, 1)).astype(np.float32)
    predictions = rng.uniform(-3, 3, (50, 1)).astype(np.float32)
    np.testing.assert_allclose(
        make_loss(name, NUMERIC)(tf.constant(truth), linear_outputs(predictions)),
        reference(truth, predictions),
        rtol=1e-4,
    )


def test_a_truth_of_zero_does_not_blow_up_the_percentage_error():
    truth = tf.constant([[-1.5]])  # 0 in the objective's own units
    loss = make_loss("mean_percentage_error", NUMERIC)(truth, linear_outputs(np.array([[-1.4]], np.float32)))
    assert float(loss[0]) == pytest.approx(100 * 0.1 / 0.01, rel=1e-3)


@pytest.mark.parametrize("name", ["crossentropy", "kl_divergence"])
def test_hopeless_logits_give_a_finite_loss_and_gradient(name):
    logits = tf.constant([[500.0, -500.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = make_loss(name, CATEGORICAL)(
            tf.constant([[0.0, 1.0, 0.0]]), Outputs(logits, tf.nn.softmax, True)
        )
    assert float(loss[0]) == pytest.approx(1000)
    assert np.isfinite(tape.gradient(loss, logits)).all()


def test_outputs_that_are_no_softmax_are_used_as_probabilities():
    outputs = Outputs(tf.constant([[0.0, 2.0]]), partial(tf.nn.sigmoid), softmax=False)
    loss = make_loss("crossentropy", CATEGORICAL)(tf.constant([[1.0, 0.0]]), outputs)
    assert float(loss[0]) == pytest.approx(-np.log(0.5))


def test_every_loss_is_smallest_for_the_truth():
    for name in LOSSES:
        categorical = name in ("crossentropy", "kl_divergence", "hinge", "cosine")
        truth = np.array([[0.0, 1.0, 0.0]] if categorical else [[0.7]], np.float32)
        loss = make_loss(name, CATEGORICAL if categorical else NUMERIC)
        outputs = softmax_outputs if categorical else linear_outputs
        right = loss(tf.constant(truth), outputs(20 * truth if categorical else truth))
        wrong = loss(
            tf.constant(truth), outputs(20 * truth[:, ::-1] - 3 if not categorical else 20 - 20 * truth)
        )
        assert float(right[0]) < float(wrong[0]), name
