"""YOLOv4 (arXiv 2004.10934) and its tiny form (arXiv 2011.08036, section 4.2).

Both stand on cross-stage partial blocks (CSP, arXiv 1911.11929): a part of the channels goes around the block.
Numbers are those of the published configurations `yolov4.cfg` and `yolov4-tiny.cfg`.
"""

from __future__ import annotations

from sensenet.pretrained.networks.graph import (
    IMAGE,
    Node,
    add,
    concatenate,
    convolution,
    layer,
    max_pool,
    normalized,
    pad,
)
from sensenet.pretrained.networks.network import Branch, Network, Request

NUMBERS_A_BOX = 5
ANCHORS_A_CELL = 3
# (filters, residual units) of the stages of the backbone CSPDarknet53
STAGES = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))
TINY_STAGES = (64, 128, 256)


def yolov4(request: Request) -> tuple[Node, ...]:
    """CSPDarknet53, spatial pyramid pooling (arXiv 1406.4729), path aggregation (arXiv 1803.01534), three heads."""
    x = _convolution(IMAGE, 32, 3, "mish")
    stages = []
    for filters, units in STAGES:
        x = _csp_stage(x, filters, units)
        stages.append(x)
    x = _alternating(x, [512, 1024, 512])
    x = concatenate(*(max_pool(x, size, 1) for size in (13, 9, 5)), x)
    large = _alternating(x, [512, 1024, 512])
    medium = _alternating(_top_down(large, stages[3], 256), [256, 512, 256, 512, 256])
    small = _alternating(_top_down(medium, stages[2], 128), [128, 256, 128, 256, 128])
    medium = concatenate(_downsampling(small, 256, "leaky_relu"), medium)
    medium = _alternating(medium, [256, 512, 256, 512, 256])
    large = concatenate(_downsampling(medium, 512, "leaky_relu"), large)
    large = _alternating(large, [512, 1024, 512, 1024, 512])
    return tuple(_head(x, 2 * x.channels, request) for x in (small, medium, large))


def tinyyolov4(request: Request) -> tuple[Node, ...]:
    """Three CSP blocks and two heads."""
    x = _downsampling(_downsampling(IMAGE, 32, "leaky_relu"), 64, "leaky_relu")
    for filters in TINY_STAGES:
        first = _convolution(x, filters, 3)
        half = layer("split_channels", first, channels=filters // 2, number_of_splits=2, group_index=1)
        inner = _convolution(half, filters // 2, 3)
        lateral = _convolution(concatenate(_convolution(inner, filters // 2, 3), inner), filters, 1)
        x = max_pool(concatenate(first, lateral), 2, 2)
    large = _alternating(x, [512, 256], first_size=3)
    medium = concatenate(_upsampling(_convolution(large, 128, 1)), lateral)
    return _head(medium, 256, request), _head(large, 512, request)


def _convolution(x: Node, filters: int, size: int, name: str = "leaky_relu") -> Node:
    return normalized(convolution(x, filters, size), name)


def _alternating(x: Node, all_filters: list[int], first_size: int = 1) -> Node:
    """Convolutions of the sizes 1x1 and 3x3 in turn."""
    for position, filters in enumerate(all_filters):
        x = _convolution(x, filters, first_size if position % 2 == 0 else 4 - first_size)
    return x


def _downsampling(x: Node, filters: int, name: str) -> Node:
    return normalized(convolution(pad(x, 1, 0), filters, 3, stride=2, padding="valid"), name)


def _upsampling(x: Node) -> Node:
    return layer("upsampling_2d", x, size=[2, 2], method="bilinear")


def _csp_stage(x: Node, filters: int, units: int) -> Node:
    x = _downsampling(x, filters, "mish")
    # the first stage keeps its full width on both ways
    width = filters if units == 1 else filters // 2
    main = _convolution(x, width, 1, "mish")
    for _ in range(units):
        inner = _convolution(main, filters // 2, 1, "mish")
        main = add(main, _convolution(inner, width, 3, "mish"))
    main = _convolution(main, width, 1, "mish")
    return _convolution(concatenate(main, _convolution(x, width, 1, "mish")), filters, 1, "mish")


def _top_down(coarse: Node, fine: Node, filters: int) -> Node:
    return concatenate(_convolution(fine, filters, 1), _upsampling(_convolution(coarse, filters, 1)))


def _head(x: Node, filters: int, request: Request) -> Node:
    n_outputs = ANCHORS_A_CELL * (NUMBERS_A_BOX + request.n_classes)
    return convolution(_convolution(x, filters, 3), n_outputs, 1, bias=True)


YOLOV4 = Network(
    build=yolov4,
    loading_method="normalizing",
    rescale_type="pad",
    side=416,
    version="37999bf0",
    branches=(
        Branch(8, ((12, 16), (19, 36), (40, 28)), 1.2),
        Branch(16, ((36, 75), (76, 55), (72, 146)), 1.1),
        Branch(32, ((142, 110), (192, 243), (459, 401)), 1.05),
    ),
)
TINYYOLOV4 = Network(
    build=tinyyolov4,
    loading_method="normalizing",
    rescale_type="pad",
    side=416,
    version="45a05485",
    branches=(
        Branch(16, ((23, 27), (37, 58), (81, 82)), 1.05),
        Branch(32, ((81, 82), (135, 169), (344, 319)), 1.05),
    ),
)
