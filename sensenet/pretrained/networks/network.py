"""What a named network is: a builder of its layers, and the facts that its metadata tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sensenet.pretrained.networks.graph import Node


@dataclass(frozen=True)
class Request:
    """What can be chosen about a network.

    Attributes:
        width, height: of its input in pixels.
        n_classes: for detectors, the number of classes.
    """

    width: int
    height: int
    n_classes: int


@dataclass(frozen=True)
class Branch:
    """One scale of a detector.

    Attributes:
        strides: pixels a cell.
        anchors: (width, height) in pixels of the network's input.
        xyscale: how far beyond its cell a box's centre can lie.
    """

    strides: int
    anchors: tuple[tuple[int, int], ...]
    xyscale: float


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network by name.

    Attributes:
        build: gives the outputs: the features, or one map for each branch.
        loading_method: how pixels 0..255 are normalised.
        rescale_type: how images are brought to the network's size.
        side: of the published (square) input in pixels; None where there is no published network.
        version: of the published weights; None where there are none.
        branches: of a detector.
        has_softmax_layer: whether the published readout has its softmax as a layer of its own.
    """

    build: Callable[[Request], tuple[Node, ...]]
    loading_method: str
    rescale_type: str = "crop"
    side: int | None = None
    version: str | None = None
    branches: tuple[Branch, ...] = ()
    has_softmax_layer: bool = False
