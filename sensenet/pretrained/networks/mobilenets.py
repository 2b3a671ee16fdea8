"""MobileNet (arXiv 1704.04861, table 1) and MobileNetV2 (arXiv 1801.04381, table 2)."""

from __future__ import annotations

from sensenet.pretrained.networks.graph import (
    IMAGE,
    Node,
    activation,
    add,
    convolution,
    depthwise_convolution,
    global_average_pool,
    normalization,
    normalized,
    pad,
)
from sensenet.pretrained.networks.network import Network, Request

# (filters, stride) of the depthwise separable convolutions
SEPARABLE = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *5 * [(512, 1)], (1024, 2), (1024, 1)]
# (expansion, filters, blocks, stride of the first block)
BOTTLENECKS = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def mobilenet(request: Request) -> tuple[Node]:
    """Depthwise separable convolutions in a row; as published, zeros are padded on all four sides."""
    x = normalized(convolution(pad(IMAGE, 1, 1), 32, 3, stride=2, padding="valid"), "relu6")
    for filters, stride in SEPARABLE:
        x = normalized(depthwise_convolution(pad(x, 1, 1), stride, padding="valid"), "relu6")
        x = normalized(convolution(x, filters, 1), "relu6")
    return (global_average_pool(x),)


def mobilenetv2(request: Request) -> tuple[Node]:
    """Inverted residuals with linear bottlenecks."""
    x = normalized(convolution(IMAGE, 32, 3, stride=2), "relu6")
    for expansion, filters, blocks, first_stride in BOTTLENECKS:
        for block in range(blocks):
            x = _inverted_residual(x, expansion, filters, 1 if block else first_stride)
    x = normalized(convolution(x, 1280, 1, padding="valid"), "relu6")
    return (global_average_pool(x),)


def _inverted_residual(x: Node, expansion: int, filters: int, stride: int) -> Node:
    inner = x if expansion == 1 else normalized(convolution(x, expansion * x.channels, 1), "relu6")
    inner = normalized(depthwise_convolution(inner, stride), "relu6")
    inner = normalization(convolution(inner, filters, 1))
    has_shortcut = stride == 1 and x.channels == filters
    return activation(add(inner, x), "linear") if has_shortcut else inner


MOBILENET = Network(
    build=mobilenet, loading_method="centering", side=224, version="208b4ec4", has_softmax_layer=True
)
MOBILENETV2 = Network(build=mobilenetv2, loading_method="skewed_centering", side=224, version="31b538bd")
