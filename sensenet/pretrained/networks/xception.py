"""Xception (arXiv 1610.02357, figure 5)."""

from __future__ import annotations

from collections.abc import Sequence

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
    separable_convolution,
)
from sensenet.pretrained.networks.network import Network, Request

ENTRY = (128, 256, 728)
MIDDLE_BLOCKS = 8


def xception(request: Request) -> tuple[Node]:
    """Entry, middle and exit flow; the linear layers after the sums stand in the published network."""
    x = normalized(convolution(IMAGE, 32, 3, stride=2, padding="valid"), "relu")
    x = normalized(convolution(x, 64, 3, padding="valid"), "relu")
    for filters in ENTRY:
        x = _shrinking_block(x, [filters, filters], starts_with_relu=filters != ENTRY[0])
    for _ in range(MIDDLE_BLOCKS):
        x = activation(add(_separable_row(x, 3 * [ENTRY[-1]]), x), "linear")
    x = _shrinking_block(x, [728, 1024])
    for filters in (1536, 2048):
        x = normalized(separable_convolution(x, filters), "relu")
    return (global_average_pool(x),)


def _separable_row(x: Node, all_filters: Sequence[int], starts_with_relu: bool = True) -> Node:
    for position, filters in enumerate(all_filters):
        x = activation(x, "relu") if position or starts_with_relu else x
        x = normalization(separable_convolution(x, filters))
    return x


def _shrinking_block(x: Node, all_filters: Sequence[int], starts_with_relu: bool = True) -> Node:
    inner = max_pool(_separable_row(x, all_filters, starts_with_relu), 3, 2)
    shortcut = normalization(convolution(x, all_filters[-1], 1, stride=2))
    return activation(add(inner, shortcut), "linear")


XCEPTION = Network(build=xception, loading_method="centering", side=299, version="967071f6")
