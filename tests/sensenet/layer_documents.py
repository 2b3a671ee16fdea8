"""Small layers of every type as documents write them, shared by the tests of layers."""

from __future__ import annotations

from typing import Any

import numpy as np

COLUMNS = 4
IMAGE = (7, 6, 4)

Raw = dict[str, Any]


def numbers(*shape: int, seed: int = 0) -> list[Any]:
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(np.float32).tolist()


def dense(columns: int, nodes: int, activation: str | None = None, seed: int = 0) -> Raw:
    weights, offset = numbers(columns, nodes, seed=seed), numbers(nodes, seed=seed)
    return {"type": "dense", "weights": weights, "offset": offset, "activation_function": activation}


def untrained(nodes: int, activation: str | None = None, **more: Any) -> Raw:
    raw = {"type": "dense", "weights": "glorot_uniform", "offset": "zeros", "number_of_nodes": nodes}
    return {**raw, "activation_function": activation, **more}


def normalization(columns: int, **more: Any) -> Raw:
    statistics = {name: numbers(columns, seed=i) for i, name in enumerate(("gamma", "beta", "mean"))}
    variance = (0.5 + np.square(numbers(columns, seed=9))).astype(np.float32).tolist()
    return {"type": "batch_normalization", **statistics, "variance": variance, **more}


UNTRAINED_NORMALIZATION = {
    "type": "batch_normalization",
    "gamma": "ones",
    "beta": "zeros",
    "mean": "zeros",
    "variance": "ones",
}
RELU = {"type": "activation", "activation_function": "relu"}


def _windows(**more: Any) -> Raw:
    return {"strides": [1, 1], "padding": "same", "activation_function": None} | more


def convolution(channels: int, filters: int, side: int = 3, **more: Any) -> Raw:
    kernel, bias = numbers(side, side, channels, filters), numbers(filters)
    return {"type": "convolution_2d", "kernel": kernel, "bias": bias, **_windows(**more)}


def untrained_convolution(filters: int, **more: Any) -> Raw:
    sizes = {"number_of_filters": filters, "kernel_dimensions": [3, 3]}
    return {"type": "convolution_2d", "kernel": "glorot_normal", "bias": "zeros", **sizes, **_windows(**more)}


def depthwise(channels: int, multiplier: int, **more: Any) -> Raw:
    arrays = {"kernel": numbers(3, 3, channels, multiplier), "bias": numbers(channels * multiplier)}
    return {
        "type": "depthwise_convolution_2d",
        **arrays,
        "depth_multiplier": multiplier,
        **_windows(**more),
    }


def separable(channels: int, multiplier: int, filters: int, **more: Any) -> Raw:
    kernels = {
        "depth_kernel": numbers(3, 3, channels, multiplier),
        "point_kernel": numbers(1, 1, channels * multiplier, filters),
    }
    return {
        "type": "separable_convolution_2d",
        **kernels,
        "bias": numbers(filters),
        "depth_multiplier": multiplier,
        **_windows(**more),
    }


UNTRAINED_DEPTHWISE = {
    "type": "depthwise_convolution_2d",
    "kernel": "glorot_uniform",
    "bias": "zeros",
    "kernel_dimensions": [3, 2],
    "depth_multiplier": 2,
    **_windows(),
}
UNTRAINED_SEPARABLE = {
    "type": "separable_convolution_2d",
    "depth_kernel": "glorot_uniform",
    "point_kernel": "he_normal",
    "bias": None,
    "kernel_dimensions": [3, 3],
    "depth_multiplier": 2,
    "number_of_filters": 3,
    **_windows(),
}

BLOCK_PATHS = {
    "darknet_residual_block": ("convolution_path", "identity_path"),
    "dense_residual_block": ("dense_path", "identity_path"),
    "mobilenet_residual_block": ("convolution_path", "identity_path"),
    "resnet18_block": ("convolution_path", "identity_path"),
    "resnet_block": ("convolution_path", "identity_path"),
    "xception_block": ("separable_convolution_path", "single_convolution_path"),
}


def block(kind: str, first: list[Raw], second: list[Raw], activation: str | None = None) -> Raw:
    paths = dict(zip(BLOCK_PATHS[kind], (first, second), strict=True))
    return {"type": kind, **paths, "activation_function": activation}


def _blocks_of(kind: str) -> list[list[Raw]]:
    inner = [convolution(4, 3), normalization(3), RELU, {**convolution(3, 4), "inputs": [2]}]
    halved = [untrained_convolution(5, strides=2), UNTRAINED_NORMALIZATION]
    return [[block(kind, inner, [], "relu")], [block(kind, halved, halved, "mish")]]


def _pools(kind: str) -> list[list[Raw]]:
    return [
        [{"type": kind, "pool_size": [3, 2], "strides": [2, 1], "padding": "same"}],
        [{"type": kind, "pool_size": 2, "strides": None, "padding": "valid"}],
    ]


TABLE_EXAMPLES: dict[str, list[list[Raw]]] = {
    "activation": [[RELU], [{"type": "activation", "activation_function": "softmax"}]],
    "add": [[untrained(4), {"type": "add", "inputs": [0, 1]}]],
    "batch_normalization": [[normalization(COLUMNS, epsilon=0.01)], [UNTRAINED_NORMALIZATION]],
    "concatenate": [[untrained(3), {"type": "concatenate", "inputs": [1, 0, 1]}]],
    "dense": [[dense(COLUMNS, 3, "tanh")], [untrained(3, "relu", seed=5)], [untrained(2)]],
    "dense_residual_block": [
        [
            block(
                "dense_residual_block",
                [dense(COLUMNS, 6), normalization(6), RELU, dense(6, COLUMNS)],
                [],
                "relu",
            )
        ],
        [block("dense_residual_block", [untrained(6, "swish"), untrained(2)], [untrained(2)])],
    ],
    "dropout": [
        [{"type": "dropout", "dropout_type": "zero", "rate": 0.25}],
        [{"type": "dropout", "dropout_type": "alpha", "rate": 0.5, "seed": 3}],
    ],
    "flatten": [[{"type": "flatten"}]],
    "split_channels": [[{"type": "split_channels", "number_of_splits": 2, "group_index": 1}]],
}

IMAGE_EXAMPLES: dict[str, list[list[Raw]]] = {
    "activation": [[{"type": "activation", "activation_function": "softmax"}]],
    "add": [[convolution(4, 4), {"type": "add", "inputs": [0, 1, 0]}], [{"type": "add"}]],
    "average_pool_2d": _pools("average_pool_2d"),
    "batch_normalization": [[normalization(4)], [UNTRAINED_NORMALIZATION]],
    "concatenate": [
        [convolution(4, 2), {"type": "concatenate", "inputs": [1, 0]}],
        [{"type": "concatenate"}],
    ],
    "convolution_2d": [
        [convolution(4, 3, activation_function="mish")],
        [convolution(4, 5, 2, strides=[2, 1], padding="valid", activation_function="leaky_relu")],
        [convolution(4, 3) | {"bias": None}],
        [untrained_convolution(3, seed=7, strides=2)],
        [untrained_convolution(3) | {"bias": None}],
    ],
    **{kind: _blocks_of(kind) for kind in BLOCK_PATHS},
    "dense": [[dense(4, 3, "softmax")], [untrained(3)]],
    "depthwise_convolution_2d": [
        [depthwise(4, 1, activation_function="relu6")],
        [depthwise(4, 2, strides=2, padding="valid")],
        [UNTRAINED_DEPTHWISE],
    ],
    "dropout": [
        [{"type": "dropout", "dropout_type": kind, "rate": 0.3, "block_size": 3}]
        for kind in ("zero", "alpha", "block")
    ],
    "flatten": [[{"type": "flatten"}]],
    "global_average_pool_2d": [[{"type": "global_average_pool_2d"}]],
    "global_max_pool_2d": [[{"type": "global_max_pool_2d"}]],
    "max_pool_2d": _pools("max_pool_2d"),
    "padding_2d": [[{"type": "padding_2d", "padding": [[1, 0], [2, 3]]}]],
    "separable_convolution_2d": [
        [separable(4, 2, 3, activation_function="relu")],
        [separable(4, 1, 5, strides=2, padding="valid") | {"bias": None}],
        [UNTRAINED_SEPARABLE],
    ],
    "split_channels": [[{"type": "split_channels", "number_of_splits": 2, "group_index": 1}]],
    "upsampling_2d": [
        [{"type": "upsampling_2d", "size": [2, 3], "method": method}] for method in ("nearest", "bilinear")
    ],
}
