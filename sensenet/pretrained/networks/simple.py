"""Small networks that are trained from nothing."""

from __future__ import annotations

import math
from typing import Any

from sensenet.pretrained.networks.graph import (
    IMAGE,
    Node,
    activation,
    convolution,
    global_average_pool,
    layer,
    max_pool,
    normalization,
    normalized,
    published_order,
)
from sensenet.pretrained.networks.network import Network, Request

SIMPLE_FILTERS = (32, 64, 128)
FIRST_RESIDUAL_FILTERS = 32
MIN_STAGES, MAX_STAGES = 3, 6
DROPOUT_RATE = 0.1
# the side of a dropped square, as a share of the image's smaller side
DROPPED_SHARE = 0.03


def simple(request: Request) -> tuple[Node]:
    """Three stages of convolution, batch normalisation and relu, with pooling between them."""
    x = IMAGE
    for filters in SIMPLE_FILTERS:
        x = x if x is IMAGE else max_pool(x, 3, 2)
        x = normalized(convolution(x, filters, 3, bias=True), "relu")
    return (layer("global_max_pool_2d", x),)


def simple_residual(request: Request) -> tuple[Node]:
    """Residual stages (arXiv 1512.03385) with mish (arXiv 1908.08681) and, in training, DropBlock (arXiv 1810.12890).

    Larger images get more stages: the last one sees about 8x8 pixels, as far as there are three to six of them.
    """
    side = min(request.width, request.height)
    n_stages = min(max(round(math.log2(side)) - 2, MIN_STAGES), MAX_STAGES)
    block_size = max(1, round(DROPPED_SHARE * side))
    x = IMAGE
    for stage in range(n_stages):
        filters = FIRST_RESIDUAL_FILTERS * 2**stage
        x = max_pool(x, 3, 2) if stage else x
        x = normalized(_dropped(convolution(x, filters, 1), block_size), "mish")
        path = _residual_path(filters, block_size)
        x = layer("resnet_block", x, convolution_path=path, identity_path=[], activation_function="mish")
    return (global_average_pool(x),)


def _residual_path(filters: int, block_size: int) -> list[dict[str, Any]]:
    inner = activation(normalization(_dropped(convolution(IMAGE, filters, 3), block_size)), "mish")
    return published_order([normalization(_dropped(convolution(inner, filters, 3), block_size))])[0]


def _dropped(x: Node, block_size: int) -> Node:
    return layer("dropout", x, dropout_type="block", rate=DROPOUT_RATE, block_size=block_size)


SIMPLE = Network(build=simple, loading_method="centering")
SIMPLE_RESIDUAL = Network(build=simple_residual, loading_method="centering")
