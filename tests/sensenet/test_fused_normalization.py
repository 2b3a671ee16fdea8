"""The fused batch normalisation beside Keras' own."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from sensenet.layers.fused import BatchNormalization

CHANNELS = 3


def pair(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[keras.Layer, keras.Layer]:
    weights = [rng.uniform(0.5, 2, CHANNELS).astype(np.float32) for _ in range(4)]
    layers = BatchNormalization(epsilon=0.01), keras.layers.BatchNormalization(epsilon=0.01)
    for layer in layers:
        layer.build((None, *shape[1:]))
        layer.set_weights(weights)
    return layers


def step(layer: keras.Layer, x: tf.Tensor, upstream: tf.Tensor) -> list[np.ndarray]:
    """Outputs, gradients and the weights after a training call."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        total = tf.reduce_sum(y * upstream)
    gradients = tape.gradient(total, [x, *(variable.value for variable in layer.trainable_variables)])
    return [y.numpy(), *(gradient.numpy() for gradient in gradients), *layer.get_weights()]


@pytest.mark.parametrize("shape", [(4, 5, 6, CHANNELS), (1, 1, 2, CHANNELS), (8, CHANNELS)])
def test_training_gives_the_numbers_of_keras(shape):
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(1, 3, shape), tf.float32)
    upstream = tf.constant(rng.normal(0, 1, shape), tf.float32)
    for ours, theirs in zip(*(step(layer, x, upstream) for layer in pair(rng, shape)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("trainable", [True, False])
def test_prediction_and_a_frozen_layer_use_the_moving_statistics(trainable):
    rng = np.random.default_rng(1)
    x = tf.constant(rng.normal(1, 3, (4, 5, 6, CHANNELS)), tf.float32)
    ours, theirs = pair(rng, (4, 5, 6, CHANNELS))
    ours.trainable = trainable
    before = ours.get_weights()
    given = ours(x, training=not trainable)
    np.testing.assert_allclose(given, theirs(x, training=False), rtol=1e-5, atol=1e-5)
    for one, other in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
