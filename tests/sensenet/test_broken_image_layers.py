from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layer_documents import IMAGE, RELU, block, convolution, depthwise, separable, untrained_convolution

from sensenet.errors import ModelFormatError
from sensenet.layers import parse_layers
from sensenet.layers.base import initialize_layers


def fit(*raw: dict[str, Any]) -> None:
    initialize_layers(parse_layers(list(raw)), IMAGE, (0,), "layers")


BROKEN = {
    "filters": (
        untrained_convolution(10**9),
        "layers[0].number_of_filters: expected an integer in [1, 100000], got 1000000000",
    ),
    "huge kernel": (
        untrained_convolution(3) | {"kernel_dimensions": [3, 10**6]},
        "layers[0].kernel_dimensions[1]: expected an integer in [1, 1000], got 1000000",
    ),
    "too much to draw": (
        untrained_convolution(100_000, padding="same") | {"kernel_dimensions": 900, "strides": 1000},
        "layers[0].kernel: 900 x 900 x 4 x 100000 numbers are too many to draw",
    ),
    "too much to compute": (
        untrained_convolution(100_000) | {"kernel_dimensions": 900},
        "layers[0]: expected at most 1e+12 multiplications an image, got 1e+13",
    ),
    "multiplier": (
        depthwise(4, 1) | {"kernel": "zeros", "depth_multiplier": 10**9, "kernel_dimensions": [3, 3]},
        "layers[0].depth_multiplier: expected an integer in [1, 10000]",
    ),
    "kernel rank": (convolution(4, 3) | {"kernel": [[1.0]]}, "layers[0].kernel: expected numbers in 4 dim"),
    "kernel channels": (
        convolution(3, 2),
        "layers[0].kernel: expected numbers of shape [3, 3, 4, 2], got [3, 3, 3, 2]",
    ),
    "point kernel": (
        separable(4, 2, 3) | {"point_kernel": np.zeros((1, 1, 4, 3))},
        "layers[0].point_kernel: expected numbers of shape [1, 1, 8, 3], got [1, 1, 4, 3]",
    ),
    "bias": (
        depthwise(4, 2) | {"bias": [1.0] * 4},
        "layers[0].bias: expected numbers of shape [8], got [4]",
    ),
    "infinite": (
        convolution(4, 2) | {"bias": [1.0, float("inf")]},
        "layers[0].bias: expected finite numbers",
    ),
    "not a number": (
        convolution(4, 2) | {"kernel": np.full((1, 1, 4, 2), np.nan)},
        "layers[0].kernel: expected finite",
    ),
    "no strides": (
        {"type": "convolution_2d", "kernel": np.ones((1, 1, 4, 2)), "padding": "same"},
        'layers[0]: "strides" is missing',
    ),
    "stride of zero": (
        convolution(4, 2, strides=[0, 1]),
        "layers[0].strides[0]: expected an integer in [1, 1000], got 0",
    ),
    "three strides": (
        convolution(4, 2, strides=[1, 1, 1]),
        "layers[0].strides: expected an integer or [height, width], got a list of 3",
    ),
    "padding name": (
        convolution(4, 2, padding="full"),
        'layers[0].padding: expected "same" or "valid", got "full"',
    ),
    "window beyond the image": (
        convolution(4, 2, 8, padding="valid"),
        "layers[0].kernel: expected a window within the input's 7 x 6, got 8 x 8",
    ),
    "pool beyond the image": (
        {"type": "max_pool_2d", "pool_size": 7, "padding": "valid"},
        "layers[0].pool_size: expected a window within the input's 7 x 6, got 7 x 7",
    ),
    "huge padding": (
        {"type": "padding_2d", "padding": [[0, 10**9], [0, 0]]},
        "layers[0].padding[0][1]: expected an integer in [0, 1000]",
    ),
    "flat padding": ({"type": "padding_2d", "padding": [1, 1]}, "layers[0].padding[0]: expected a list"),
    "upsampling method": (
        {"type": "upsampling_2d", "size": 2, "method": "cubic"},
        'layers[0].method: expected "nearest" or "bilinear", got "cubic"',
    ),
    "large output": (
        {"type": "upsampling_2d", "size": 1000, "method": "nearest"},
        "layers[0]: an output of 7000 x 6000 x 4 numbers is too large",
    ),
    "uneven split": (
        {"type": "split_channels", "number_of_splits": 3, "group_index": 0},
        "layers[0].number_of_splits: expected a divisor of the input's 4 channels, got 3",
    ),
    "split beyond": (
        {"type": "split_channels", "number_of_splits": 2, "group_index": 2},
        "layers[0].group_index: expected an integer in [0, 1], got 2",
    ),
    "paths of other shapes": (
        block("resnet_block", [convolution(4, 4, strides=2)], []),
        "layers[0]: expected paths of one shape, got [4, 3, 4] from convolution_path and [7, 6, 4] from identity",
    ),
    "inside a path": (
        block("xception_block", [], [convolution(4, 4), {"type": "convolution"}]),
        'layers[0].single_convolution_path[1].type: expected a layer type; did you mean "convolution_2d"?',
    ),
    "no path": (
        {"type": "resnet_block", "convolution_path": []},
        'layers[0]: "identity_path" is missing',
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_image_layer_is_refused_with_its_place(case: str) -> None:
    raw, message = BROKEN[case]
    with pytest.raises(ModelFormatError) as caught:
        fit(raw)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            [convolution(4, 3), RELU, {"type": "add", "inputs": [0, 1, 3]}],
            "layers[2].inputs[2]: expected an integer in [0, 1], got 3",
        ),
        ([RELU, {"type": "add", "inputs": []}], "layers[1].inputs: expected 1 to 1000 earlier layers, got 0"),
        (
            [RELU, convolution(4, 3), {"type": "add", "inputs": [0, 1]}],
            "layers[2].inputs: expected inputs of one shape, got [7, 6, 4] and [7, 6, 3]",
        ),
        (
            [RELU, convolution(4, 3, strides=2), {"type": "concatenate", "inputs": [0, 1]}],
            "layers[2].inputs: expected inputs alike in all but their channels, got [7, 6, 4] and [4, 3, 3]",
        ),
        (
            [{"type": "flatten"}, {"type": "global_average_pool_2d"}],
            "layers[1]: expected an image (height, width, channels) as input, got [168]",
        ),
        ([{"type": "flatten"}, convolution(4, 3)], "layers[1]: expected an image (height, width, channels)"),
    ],
)
def test_image_layers_that_do_not_fit_together_are_refused(raw: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ModelFormatError) as caught:
        fit(*raw)
    assert str(caught.value).startswith(message)
