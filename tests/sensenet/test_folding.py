from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from layer_documents import (
    BLOCK_PATHS,
    IMAGE,
    RELU,
    block,
    convolution,
    dense,
    depthwise,
    normalization,
    separable,
)

from sensenet.layers import dump_layers, parse_layers
from sensenet.layers.base import Layers, forward_all, initialize_layers
from sensenet.layers.folding import fold_normalization, on_device

LINEAR: dict[str, tuple[dict[str, Any], int]] = {
    "convolution_2d": (convolution(4, 3), 3),
    "convolution_2d without bias": (convolution(4, 3) | {"bias": None}, 3),
    "depthwise_convolution_2d": (depthwise(4, 2), 8),
    "separable_convolution_2d": (separable(4, 2, 3), 3),
    "dense": (dense(4, 5), 5),
}


def initialized(raw: list[dict[str, Any]]) -> Layers:
    return initialize_layers(parse_layers(raw), IMAGE, (0,), "layers")[0]


def outputs(layers: Layers) -> list[np.ndarray]:
    points = np.random.default_rng(1).normal(size=(3, *IMAGE)).astype(np.float32)
    return [output.numpy() for output in forward_all(layers, tf.constant(points))]


def count(layers: Layers) -> int:
    return str(dump_layers(layers, short=True)).count("batch_normalization")


def check_fold(raw: list[dict[str, Any]], remaining: int, kept: tuple[int, ...] = ()) -> None:
    layers = initialized(raw)
    folded = fold_normalization(layers, kept)
    assert count(folded) == remaining
    assert len(folded) == len(layers)
    before, after = outputs(layers), outputs(folded)
    for position in (len(layers) - 1, *kept):
        np.testing.assert_allclose(after[position], before[position], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", LINEAR)
def test_a_linear_layer_takes_the_normalisation_behind_it_in(kind: str) -> None:
    raw, channels = LINEAR[kind]
    check_fold([raw, normalization(channels), RELU], remaining=0)


@pytest.mark.parametrize("kind", LINEAR)
def test_a_layer_with_an_activation_does_not(kind: str) -> None:
    raw, channels = LINEAR[kind]
    check_fold([raw | {"activation_function": "relu"}, normalization(channels)], remaining=1)


@pytest.mark.parametrize("kind", BLOCK_PATHS)
def test_blocks_are_folded_inside(kind: str) -> None:
    path = [convolution(4, 3), normalization(3), RELU, convolution(3, 4), normalization(4)]
    check_fold([block(kind, path, [convolution(4, 4, 1), normalization(4)], "relu")], remaining=0)


@pytest.mark.parametrize(
    ("raw", "kept", "remaining"),
    [
        ([convolution(4, 4), normalization(4), normalization(4), RELU], (), 0),
        ([convolution(4, 4), normalization(4), {"type": "add", "inputs": [0, 1]}], (), 1),
        ([convolution(4, 4), RELU, normalization(4) | {"inputs": [0]}], (), 1),
        ([convolution(4, 4), normalization(4), RELU], (0,), 1),
        ([convolution(4, 4), normalization(4), RELU], (1,), 0),
        ([normalization(4), convolution(4, 4)], (), 1),
        ([convolution(4, 4), RELU, normalization(4)], (), 1),
        ([block("resnet_block", [convolution(4, 4)], []), normalization(4)], (), 1),
    ],
)
def test_only_what_nothing_else_uses_is_folded(
    raw: list[dict[str, Any]], kept: tuple[int, ...], remaining: int
) -> None:
    check_fold(raw, remaining, kept)


def test_a_fold_beyond_float32_is_left_alone() -> None:
    huge = normalization(3) | {"gamma": [3e38] * 3, "variance": [1e-6] * 3}
    layers = initialized([convolution(4, 3) | {"kernel": np.full((3, 3, 4, 3), 1e6)}, huge])
    assert count(fold_normalization(layers)) == 1


def test_arrays_on_the_device_are_captured_by_traced_functions_and_give_the_same_numbers() -> None:
    path = [convolution(4, 4), normalization(4)]
    layers = initialized(
        [block("resnet_block", path, []), separable(4, 1, 3), {"type": "flatten"}, dense(126, 2)]
    )
    moved = on_device(layers)

    @tf.function
    def predict(points: tf.Tensor) -> tf.Tensor:
        return forward_all(moved, points)[-1]

    traced = predict.get_concrete_function(tf.TensorSpec((None, *IMAGE)))
    # kernel and bias of the convolutions, two kernels, and of the dense layer
    assert len(traced.captured_inputs) == 7
    points = np.random.default_rng(1).normal(size=(3, *IMAGE)).astype(np.float32)
    np.testing.assert_allclose(predict(points), outputs(layers)[-1], rtol=1e-5, atol=1e-5)
