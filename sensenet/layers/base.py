"""What every layer type is: one codec between its JSON, its arrays, its Keras layer and its formula."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

import tensorflow as tf

NETWORK_INPUT = -1
"""The entry of `LayerSpec.inputs` that stands for what the list of layers itself takes."""

Shape = tuple[int, ...]
"""The shape of one row of a tensor: (columns,) for tables."""

Tensor = TypeVar("Tensor")


class Built(NamedTuple):
    """A layer connected in Keras: its symbolic output, and the Keras layers (or parts) it is made of."""

    output: Any
    parts: tuple[Any, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerSpec(ABC):
    """One layer of a network.

    Attributes:
        inputs: positions of earlier layers in the same list, or `NETWORK_INPUT`.
    """

    type_name: ClassVar[str]
    inputs: tuple[int, ...] = (NETWORK_INPUT,)

    @classmethod
    @abstractmethod
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        """The spec of one JSON object (without its `inputs`); `nested` parses a list of layers inside it.

        Raises:
            ModelFormatError: names the place, the expectation and the value.
        """

    @abstractmethod
    def dump(self, short: bool) -> dict[str, Any]:
        """The JSON object without `type` and `inputs`; arrays stay float32 NumPy, or are names if `short`."""

    @abstractmethod
    def fit(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        """The same spec with every parameter an array that fits its inputs, and the shape of its output.

        Args:
            shapes: of one row of each input.
            seed: for what is drawn; the spec's own seed is put before it.
            path: of the layer in the document, for errors.

        Raises:
            ModelFormatError: an array that does not fit.
        """

    @abstractmethod
    def build(self, tensors: Sequence[Any]) -> Built:
        """Connect the (fitted) spec as Keras layers to symbolic `tensors`."""

    @abstractmethod
    def trained(self, parts: Sequence[Any]) -> Self:
        """The spec with the arrays that the Keras layers of `Built.parts` hold now."""

    @abstractmethod
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """The (fitted) layer's formula for prediction, its arrays as constants."""

    def split_activation(self) -> tuple[LayerSpec, str | None]:
        """The spec without its last non-linear function, and that function's name; None where it has none."""
        return self, None


Layers = tuple[LayerSpec, ...]


def walk(layers: Layers, source: Tensor, step: Callable[[int, LayerSpec, list[Tensor]], Tensor]) -> Tensor:
    """Send `source` through `layers` in order; `step(position, layer, inputs)` gives each layer's output.

    Returns:
        The last layer's output; `source` itself if there are no layers.
    """
    outputs: list[Tensor] = []
    for position, layer in enumerate(layers):
        taken = [source if index == NETWORK_INPUT else outputs[index] for index in layer.inputs]
        outputs.append(step(position, layer, taken))
    return outputs[-1] if outputs else source


def fit_layers(layers: Layers, shape: Shape, seed: Sequence[int], path: str) -> tuple[Layers, Shape]:
    """`LayerSpec.fit` for a list of layers whose input has `shape`."""
    fitted = []

    def step(position: int, layer: LayerSpec, shapes: list[Shape]) -> Shape:
        spec, output = layer.fit(shapes, (*seed, position), f"{path}[{position}]")
        fitted.append(spec)
        return output

    output = walk(layers, shape, step)
    return tuple(fitted), output


def build_layers(layers: Layers, tensor: Any) -> Built:
    """`LayerSpec.build` for a list of layers; `parts` has one tuple of parts for each layer."""
    parts = []

    def step(position: int, layer: LayerSpec, tensors: list[Any]) -> Any:
        built = layer.build(tensors)
        parts.append(built.parts)
        return built.output

    output = walk(layers, tensor, step)
    return Built(output, tuple(parts))


def forward_layers(layers: Layers, tensor: tf.Tensor) -> tf.Tensor:
    """`LayerSpec.forward` for a list of layers."""
    return walk(layers, tensor, lambda position, layer, tensors: layer.forward(tensors))


def trained_layers(layers: Layers, parts: Sequence[Sequence[Any]]) -> Layers:
    """`LayerSpec.trained` for a list of layers."""
    return tuple(layer.trained(part) for layer, part in zip(layers, parts, strict=True))
