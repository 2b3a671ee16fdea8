from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_documents import (
    IMAGE,
    RELU,
    block,
    convolution,
    dense,
    depthwise,
    normalization,
    separable,
    untrained_convolution,
)

from sensenet.document.model import dumps
from sensenet.layers import dump_layers, parse_layers
from sensenet.layers.base import forward_layers, initialize_layers
from sensenet.network import build_network

PICTURES = np.random.default_rng(2).normal(size=(2, *IMAGE))


def computed(*raw: dict[str, Any], pictures: np.ndarray = PICTURES) -> np.ndarray:
    layers, _ = initialize_layers(parse_layers(list(raw)), pictures.shape[1:], (0,), "layers")
    return forward_layers(layers, tf.constant(pictures, tf.float32)).numpy()


def windows(x: np.ndarray, sides: tuple[int, int], strides: tuple[int, int], padding: str) -> np.ndarray:
    """(rows, down, across, channels, height, width); "same" pads with NaN, one more at the end."""
    if padding == "same":
        margins = []
        for size, side, stride in zip(x.shape[1:3], sides, strides, strict=True):
            total = max((-(-size // stride) - 1) * stride + side - size, 0)
            margins.append((total // 2, total - total // 2))
        x = np.pad(x, [(0, 0), *margins, (0, 0)], constant_values=np.nan)
    views = np.lib.stride_tricks.sliding_window_view(x, sides, axis=(1, 2))
    return views[:, :: strides[0], :: strides[1]]


WINDOWS = [
    ((3, 3), (1, 1), "same"),
    ((3, 2), (2, 1), "valid"),
    ((2, 3), (2, 3), "same"),
    ((5, 4), (1, 2), "same"),
]


@pytest.mark.parametrize(("sides", "strides", "padding"), WINDOWS)
def test_convolutions_follow_their_definition(
    sides: tuple[int, int], strides: tuple[int, int], padding: str
) -> None:
    rng = np.random.default_rng(8)
    depth, point, kernel = (
        rng.normal(size=(*shape,)) for shape in ((*sides, 4, 2), (1, 1, 8, 3), (*sides, 4, 3))
    )
    bias = rng.normal(size=3)
    seen = np.nan_to_num(windows(PICTURES, sides, strides, padding))
    shared = {"strides": list(strides), "padding": padding}
    plain = computed({"type": "convolution_2d", "kernel": kernel, "bias": bias, **shared})
    np.testing.assert_allclose(
        plain, np.einsum("nyxchw,hwco->nyxo", seen, kernel) + bias, rtol=1e-4, atol=1e-5
    )

    by_channel = np.einsum("nyxchw,hwcm->nyxcm", seen, depth).reshape(*seen.shape[:3], 8)
    alone = computed({"type": "depthwise_convolution_2d", "kernel": depth, **shared})
    np.testing.assert_allclose(alone, by_channel, rtol=1e-4, atol=1e-5)

    kernels = {"depth_kernel": depth, "point_kernel": point, "bias": bias}
    both = computed({"type": "separable_convolution_2d", **kernels, **shared})
    np.testing.assert_allclose(both, by_channel @ point[0, 0] + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("sides", "strides", "padding"), WINDOWS)
@pytest.mark.parametrize(("kind", "reduce"), [("max_pool_2d", np.nanmax), ("average_pool_2d", np.nanmean)])
def test_pools_leave_padding_out(
    kind: str, reduce: Any, sides: tuple[int, int], strides: tuple[int, int], padding: str
) -> None:
    pooled = computed({"type": kind, "pool_size": list(sides), "strides": list(strides), "padding": padding})
    expected = reduce(windows(PICTURES, sides, strides, padding), axis=(4, 5))
    np.testing.assert_allclose(pooled, expected, rtol=1e-4, atol=1e-6)


def interpolated(x: np.ndarray, factor: int, axis: int) -> np.ndarray:
    size = x.shape[axis]
    places = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, size - 1)
    share = (places - low).reshape([-1 if k == axis else 1 for k in range(4)])
    return x.take(low, axis) * (1 - share) + x.take(high, axis) * share


@pytest.mark.parametrize("size", [(2, 2), (1, 3), (4, 2)])
def test_enlarging_repeats_pixels_or_interpolates_between_their_centres(size: tuple[int, int]) -> None:
    raw = {"type": "upsampling_2d", "size": list(size)}
    repeated = PICTURES.repeat(size[0], 1).repeat(size[1], 2)
    np.testing.assert_allclose(computed(raw | {"method": "nearest"}), repeated, rtol=1e-6)
    between = interpolated(interpolated(PICTURES, size[0], 1), size[1], 2)
    np.testing.assert_allclose(computed(raw | {"method": "bilinear"}), between, rtol=1e-4, atol=1e-5)


def test_cutting_padding_joining_and_flattening_move_numbers_only() -> None:
    pad = {"type": "padding_2d", "padding": [[1, 0], [2, 3]]}
    np.testing.assert_allclose(computed(pad), np.pad(PICTURES, [(0, 0), (1, 0), (2, 3), (0, 0)]), rtol=1e-6)
    split = {"type": "split_channels", "number_of_splits": 2}
    np.testing.assert_allclose(computed(split | {"group_index": 1}), PICTURES[..., 2:], rtol=1e-6)
    flat = computed({"type": "flatten"})
    np.testing.assert_allclose(flat, PICTURES.reshape(2, -1), rtol=1e-6)
    identity = {"type": "activation", "activation_function": None}
    joined = computed(identity, RELU, {"type": "concatenate", "inputs": [1, 0]})
    np.testing.assert_allclose(joined, np.concatenate([PICTURES.clip(0), PICTURES], -1), rtol=1e-6)
    added = computed(identity, RELU, {"type": "add", "inputs": [1, 0, 0]})
    np.testing.assert_allclose(added, PICTURES.clip(0) + 2 * PICTURES, rtol=1e-5, atol=1e-6)


def test_mish_is_exact_at_any_size() -> None:
    x = np.concatenate([np.linspace(-80, 80, 4001), [-1e30, 1e30], 10.0 ** np.arange(-30, 2)])
    n = np.exp(np.minimum(x, 50).astype(np.float32).astype(np.longdouble))
    expected = np.float32(x) * (n * (n + 2) / (n * (n + 2) + 2))
    layers = parse_layers([{"type": "activation", "activation_function": "mish"}])
    given = forward_layers(layers, tf.constant(x[None], tf.float32)).numpy()[0]
    np.testing.assert_allclose(given, expected.astype(np.float64), rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("name", ["mish", "leaky_relu", "relu6", "relu", "swish", "elu", "tanh", "sigmoid"])
@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("jit", [False, True])
def test_compiled_activations_behind_convolutions_are_those_of_eager_ones(
    name: str, normalized: bool, jit: bool
) -> None:
    """Graph rewriters fuse these; one form of mish has made them name a kernel that does not exist."""
    activation = {"type": "activation", "activation_function": name}
    raw = [convolution(4, 8), *[normalization(8)] * normalized, activation]
    raw += [convolution(8, 4, activation_function=name)]
    network = build_network(parse_layers(raw), IMAGE)
    pictures = PICTURES.astype(np.float32)
    eager = forward_layers(network.layers, tf.constant(pictures)).numpy()
    compiled = tf.function(lambda x: forward_layers(network.layers, x), jit_compile=jit)
    np.testing.assert_allclose(compiled(tf.constant(pictures)), eager, rtol=1e-4, atol=1e-4)
    if not jit:
        given = network.model.predict(pictures, verbose=0)
        np.testing.assert_allclose(given, eager, rtol=1e-4, atol=1e-4)


KEEPING_SHAPE = [
    convolution(4, 4, activation_function="mish"),
    depthwise(4, 1),
    separable(4, 2, 4, activation_function="relu"),
    normalization(4),
    RELU,
    dense(4, 4, "tanh"),
    untrained_convolution(4, seed=3),
    {"type": "max_pool_2d", "pool_size": [2, 3], "strides": [1, 1], "padding": "same"},
    {"type": "dropout", "dropout_type": "block", "rate": 0.5, "block_size": 2},
    block("darknet_residual_block", [convolution(4, 4), RELU], [], "leaky_relu"),
]


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Layers that keep the shape, each behind any earlier one, with sums of several among them."""
    raw = [draw(st.sampled_from(KEEPING_SHAPE))]
    for position in range(1, draw(st.integers(1, 6))):
        earlier = st.integers(0, position - 1)
        if draw(st.booleans()):
            raw.append(draw(st.sampled_from(KEEPING_SHAPE)) | {"inputs": [draw(earlier)]})
        else:
            raw.append({"type": "add", "inputs": draw(st.lists(earlier, min_size=1, max_size=3))})
    return raw


@settings(max_examples=25, deadline=None)
@given(graphs())
def test_any_graph_of_layers_is_read_as_it_was_written_and_runs(raw: list[dict[str, Any]]) -> None:
    layers, shape = initialize_layers(parse_layers(raw), IMAGE, (0,), "layers")
    written = dumps(dump_layers(layers))
    again = parse_layers(orjson.loads(written))
    assert dumps(dump_layers(again)) == written
    first, second = (
        forward_layers(each, tf.constant(PICTURES, tf.float32))
        for each in (layers, initialize_layers(again, IMAGE, (0,), "layers")[0])
    )
    assert tuple(first.shape[1:]) == shape
    np.testing.assert_array_equal(first, second)
