"""ResNet-18 and ResNet-50 (arXiv 1512.03385, table 1)."""

from __future__ import annotations

from sensenet.pretrained.networks.graph import (
    IMAGE,
    Node,
    activation,
    add,
    convolution,
    global_average_pool,
    max_pool,
    normalization,
    normalized,
    pad,
)
from sensenet.pretrained.networks.network import Network, Request

FILTERS = (64, 128, 256, 512)
BASIC_BLOCKS = (2, 2, 2, 2)
BOTTLENECKS = (3, 4, 6, 3)
# 1e-5 as a float32, which is how the published ResNet-18 has it
RESNET18_EPSILON = 9.999999747378752e-06


def resnet18(request: Request) -> tuple[Node]:
    """Blocks of two 3x3 convolutions; zeros are padded by layers of their own."""
    x = convolution(pad(IMAGE, 3, 3), 64, 7, stride=2, padding="valid")
    x = max_pool(pad(normalized(x, "relu", RESNET18_EPSILON), 1, 1), 3, 2, padding="valid")
    for stage, (filters, blocks) in enumerate(zip(FILTERS, BASIC_BLOCKS, strict=True)):
        for block in range(blocks):
            x = _basic_block(x, filters, stride=2 if stage and not block else 1)
    return (global_average_pool(x),)


def _basic_block(x: Node, filters: int, stride: int) -> Node:
    inner = convolution(pad(x, 1, 1), filters, 3, stride, padding="valid")
    inner = normalized(inner, "relu", RESNET18_EPSILON)
    inner = convolution(pad(inner, 1, 1), filters, 3, padding="valid")
    inner = normalization(inner, RESNET18_EPSILON)
    if stride > 1:
        x = normalization(convolution(x, filters, 1, stride, padding="valid"), RESNET18_EPSILON)
    return activation(add(inner, x), "relu")


def resnet50(request: Request) -> tuple[Node]:
    """Bottlenecks with the stride in the first 1x1 convolution; convolutions have biases."""
    x = normalized(convolution(pad(IMAGE, 3, 3), 64, 7, stride=2, padding="valid", bias=True), "relu")
    x = max_pool(x, 3, 2, padding="valid")
    for stage, (filters, blocks) in enumerate(zip(FILTERS, BOTTLENECKS, strict=True)):
        for block in range(blocks):
            x = _bottleneck(x, filters, stride=2 if stage and not block else 1, has_projection=not block)
    return (global_average_pool(x),)


def _bottleneck(x: Node, filters: int, stride: int, has_projection: bool) -> Node:
    inner = normalized(convolution(x, filters, 1, stride, padding="valid", bias=True), "relu")
    inner = normalized(convolution(inner, filters, 3, bias=True), "relu")
    inner = normalization(convolution(inner, 4 * filters, 1, padding="valid", bias=True))
    if has_projection:
        x = normalization(convolution(x, 4 * filters, 1, stride, padding="valid", bias=True))
    return activation(add(inner, x), "relu")


RESNET18 = Network(
    build=resnet18,
    loading_method="channelwise_standardizing",
    side=224,
    version="cb5ddcb5",
    has_softmax_layer=True,
)
RESNET50 = Network(build=resnet50, loading_method="channelwise_centering", side=224, version="8705001b")
