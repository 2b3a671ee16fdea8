from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_documents import IMAGE, convolution

from sensenet.errors import ModelFormatError
from sensenet.layers import parse_layers
from sensenet.layers.dropblock import DropBlock, kept_numbers, seed_rate
from sensenet.network import build_network

ONES = np.ones((32, 16, 12, 8), np.float32)


def reference_mask(seeds: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    rows, down, across, channels = seeds.shape
    mask = np.ones((rows, down + block[0] - 1, across + block[1] - 1, channels), np.float32)
    for row, y, x, channel in zip(*np.nonzero(seeds), strict=True):
        mask[row, y : y + block[0], x : x + block[1], channel] = 0
    return mask


@pytest.mark.parametrize("block", [(1, 1), (2, 2), (3, 3), (4, 2), (5, 7)])
def test_every_seed_clears_one_block(block: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    seeds = (rng.random((2, 11 - block[0], 10 - block[1], 3)) < 0.1).astype(np.float32)
    np.testing.assert_array_equal(kept_numbers(seeds, block), reference_mask(seeds, block))


@pytest.mark.parametrize(
    ("rate", "sides", "block", "gamma"),
    [
        (0.1, (14, 14), (7, 7), 0.1 / 49 * 14**2 / 8**2),
        (0.3, (9, 9), (1, 1), 0.3),
        (0.3, (5, 4), (5, 4), 0.3),
        (0.2, (6, 10), (3, 2), 0.2 / 6 * 60 / (4 * 9)),
    ],
)
def test_the_rate_of_seeds_is_that_of_the_paper(
    rate: float, sides: tuple[int, int], block: tuple[int, int], gamma: float
) -> None:
    assert np.isclose(seed_rate(rate, sides, block), gamma)


@pytest.mark.parametrize("block_size", [1, 2, 3, 5, 100])
def test_about_the_rate_is_dropped_and_the_mean_stays(block_size: int) -> None:
    dropped = DropBlock(0.1, block_size, seed=4)(ONES, training=True).numpy()
    assert 0.06 < (dropped == 0).mean() < 0.14
    assert np.isclose(dropped.mean(), 1, rtol=1e-5)


def test_whole_blocks_are_dropped_in_each_channel_apart() -> None:
    zeros = DropBlock(0.02, 3, seed=1)(ONES, training=True).numpy() == 0
    whole = zeros.copy()
    for y in (0, 1, 2):
        for x in (0, 1, 2):
            whole[:, 1:-1, 1:-1] &= zeros[:, y : y + 14, x : x + 10]
    centres = np.zeros_like(whole)
    centres[:, 1:-1, 1:-1] = whole[:, 1:-1, 1:-1]
    np.testing.assert_array_equal(reference_mask(centres[:, 1:-1, 1:-1], (3, 3)) == 0, zeros)
    assert not np.array_equal(zeros[..., 0], zeros[..., 1])


def test_the_same_seed_drops_the_same_and_the_next_step_something_else() -> None:
    layers = [DropBlock(0.2, 3, seed=seed) for seed in (5, 5, 6)]
    first, again, other = (layer(ONES, training=True).numpy() for layer in layers)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, layers[0](ONES, training=True))


@pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0.0, True)])
def test_predictions_and_a_rate_of_zero_drop_nothing(rate: float, training: bool) -> None:
    np.testing.assert_array_equal(DropBlock(rate, 3, seed=1)(ONES, training=training), ONES)


@pytest.mark.parametrize("jit", [False, True])
def test_dropping_compiles_for_any_number_of_rows(jit: bool) -> None:
    raw = [convolution(4, 4), {"type": "dropout", "dropout_type": "block", "rate": 0.4, "block_size": 2}]
    model = build_network(parse_layers(raw), IMAGE).model

    @tf.function(jit_compile=jit, input_signature=[tf.TensorSpec((None, *IMAGE))])
    def step(points: tf.Tensor) -> Any:
        trainable, rest = ([v.value for v in group] for group in (model.trainable_variables, rest_of(model)))
        return model.stateless_call(trainable, rest, points, training=True)

    for rows in (2, 5):
        output, rest = step(tf.ones((rows, *IMAGE)))
        assert (output.numpy() == 0).any()
        assert not np.array_equal(rest[0], rest_of(model)[0])


def rest_of(model: keras.Model) -> list[Any]:
    return model.non_trainable_variables


def test_keras_files_keep_the_layer() -> None:
    layer = DropBlock(0.2, 3, seed=5)
    again = DropBlock.from_config(layer.get_config())
    np.testing.assert_array_equal(layer(ONES, training=True), again(ONES, training=True))


def test_tables_have_no_blocks() -> None:
    raw = [{"type": "dropout", "dropout_type": "block", "rate": 0.4, "block_size": 2}]
    with pytest.raises(ModelFormatError, match=r"layers\[0\]: expected an image"):
        build_network(parse_layers(raw), 4)
