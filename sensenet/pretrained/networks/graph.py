"""Networks drawn as graphs of layers, and the order in which documents and weight files list them.

A builder goes from `IMAGE` to its outputs with one function call a layer; `published_order` then makes the JSON list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEFAULT_EPSILON = 1e-3


@dataclass(frozen=True, eq=False)
class Node:
    """A layer in a graph.

    Attributes:
        raw: its JSON object, without `inputs`.
        sources: the nodes it takes.
        channels: of its output.
    """

    raw: Mapping[str, Any]
    sources: tuple[Node, ...]
    channels: int


IMAGE = Node({}, (), 3)
"""What the network itself takes."""


def published_order(outputs: Sequence[Node]) -> tuple[list[dict[str, Any]], list[int]]:
    """The JSON list of all layers that `outputs` need, and the outputs' positions in it.

    The order is Keras': layers with the longest way to an output first; ties as a depth-first search from the
    outputs, over the inputs in their order, leaves them.

    Raises:
        ValueError: several layers take the image; a document can only say that of its first layer.
    """
    left = _depth_first(outputs)
    depths = dict.fromkeys(left, 0)
    for node in reversed(left):
        for source in node.sources:
            depths[source] = max(depths[source], depths[node] + 1)
    ordered = sorted((node for node in left if node is not IMAGE), key=lambda node: -depths[node])
    positions = {node: position for position, node in enumerate(ordered)}
    layers = []
    for position, node in enumerate(ordered):
        if (IMAGE in node.sources) != (position == 0):
            raise ValueError("expected that the first layer alone takes the image")
        inputs = {"inputs": [positions[source] for source in node.sources]} if position else {}
        layers.append({**node.raw, **inputs})
    return layers, [positions[node] for node in outputs]


def _depth_first(outputs: Sequence[Node]) -> list[Node]:
    """Every node once, behind all that it takes (without recursion: the deepest network has 300 layers in a row)."""
    left: dict[Node, None] = {}
    stack = [(node, False) for node in reversed(outputs)]
    while stack:
        node, is_done = stack.pop()
        if is_done:
            left.setdefault(node)
        elif node not in left:
            stack.append((node, True))
            stack.extend((source, False) for source in reversed(node.sources))
    return list(left)


def layer(kind: str, *sources: Node, channels: int | None = None, **parameters: Any) -> Node:
    """A layer of the type `kind`; without `channels` it keeps those of its first source."""
    return Node({"type": kind, **parameters}, sources, sources[0].channels if channels is None else channels)


def convolution(
    x: Node, filters: int, size: int, stride: int = 1, padding: str = "same", bias: bool = False
) -> Node:
    """A square 2-D convolution without activation."""
    return layer(
        "convolution_2d",
        x,
        channels=filters,
        kernel="glorot_uniform",
        number_of_filters=filters,
        kernel_dimensions=[size, size],
        bias="zeros" if bias else None,
        strides=[stride, stride],
        padding=padding,
        activation_function=None,
    )


def depthwise_convolution(x: Node, stride: int = 1, padding: str = "same") -> Node:
    """A 3x3 convolution of each channel for itself."""
    return layer(
        "depthwise_convolution_2d",
        x,
        kernel="glorot_uniform",
        kernel_dimensions=[3, 3],
        depth_multiplier=1,
        bias=None,
        strides=[stride, stride],
        padding=padding,
        activation_function=None,
    )


def separable_convolution(x: Node, filters: int) -> Node:
    """A 3x3 convolution of each channel for itself, then a 1x1 convolution, nothing between them."""
    return layer(
        "separable_convolution_2d",
        x,
        channels=filters,
        depth_kernel="glorot_uniform",
        point_kernel="glorot_uniform",
        number_of_filters=filters,
        kernel_dimensions=[3, 3],
        depth_multiplier=1,
        bias=None,
        strides=[1, 1],
        padding="same",
        activation_function=None,
    )


def normalization(x: Node, epsilon: float = DEFAULT_EPSILON) -> Node:
    """Batch normalisation."""
    return layer(
        "batch_normalization", x, gamma="ones", beta="zeros", mean="zeros", variance="ones", epsilon=epsilon
    )


def activation(x: Node, name: str) -> Node:
    """A non-linear function; "linear" is one that does nothing, as published networks have after their sums."""
    return layer("activation", x, activation_function=name)


def normalized(x: Node, name: str, epsilon: float = DEFAULT_EPSILON) -> Node:
    """Batch normalisation, then an activation."""
    return activation(normalization(x, epsilon), name)


def add(*sources: Node) -> Node:
    """The sum."""
    return layer("add", *sources)


def concatenate(*sources: Node) -> Node:
    """The channels of all sources."""
    return layer("concatenate", *sources, channels=sum(source.channels for source in sources))


def pad(x: Node, before: int, after: int) -> Node:
    """Zeros around the image: `before` above and to the left, `after` below and to the right."""
    return layer("padding_2d", x, padding=[[before, after], [before, after]])


def max_pool(x: Node, size: int, stride: int, padding: str = "same") -> Node:
    """The largest number of each square."""
    return layer("max_pool_2d", x, pool_size=[size, size], strides=[stride, stride], padding=padding)


def global_average_pool(x: Node) -> Node:
    """The mean of each channel."""
    return layer("global_average_pool_2d", x)
