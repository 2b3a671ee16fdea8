"""What every layer type is: one codec between its JSON, its arrays, its Keras layer and its formula."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

import numpy as np
import tensorflow as tf

from sensenet.errors import ModelFormatError

NETWORK_INPUT = -1
"""The entry of `LayerSpec.inputs` that stands for what the list of layers itself takes."""

Shape = tuple[int, ...]
"""The shape of one row of a tensor: (columns,) for tables, (height, width, channels) for images."""

Tensor = TypeVar("Tensor")

MAX_OUTPUT = 100_000_000
"""Numbers in one layer's output for one row; the largest of YOLOv4 has 6 million."""


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
    parameters: ClassVar[tuple[str, ...]] = ()
    """The attributes that hold arrays, in the order of weight files; one that is None is left out."""
    paths: ClassVar[tuple[str, ...]] = ()
    """The attributes that hold lists of layers."""
    takes_many: ClassVar[bool] = False
    """Whether the layer joins any number of inputs; all others take one."""
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
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
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
        """Connect the (initialized) spec as Keras layers to symbolic `tensors`."""

    @abstractmethod
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """The (initialized) layer's formula for prediction; arrays (or tensors) become constants (or captures)."""

    def arrays(self) -> dict[str, Any]:
        """The spec's parameters by name, in the order of weight files."""
        return {name: value for name in self.parameters if (value := getattr(self, name)) is not None}

    def with_arrays(self, arrays: Sequence[Any]) -> Self:
        """The spec with other parameters, in the order of `arrays()`."""
        return replace(self, **dict(zip(self.arrays(), arrays, strict=True))) if self.parameters else self

    def trained(self, parts: Sequence[Any]) -> Self:
        """The spec with the arrays that the Keras layers of `Built.parts` hold now."""
        return self.with_arrays(parts[0].get_weights()) if self.parameters else self

    def with_paths(self, change: Callable[[Layers], Layers]) -> Self:
        """The spec with every list of layers in it as `change` gives it."""
        changed: dict[str, Any] = {name: change(getattr(self, name)) for name in self.paths}
        return replace(self, **changed)

    def followed_by(self, scale: np.ndarray, shift: np.ndarray) -> LayerSpec | None:
        """One (initialized) layer for this one and `x * scale + shift` behind it; None where it cannot say that.

        Args:
            scale, shift: float64, one number a channel of the output.
        """
        return None

    def split_activation(self) -> tuple[LayerSpec, str | None]:
        """The spec without its last non-linear function, and that function's name; None where it has none."""
        return self, None


Layers = tuple[LayerSpec, ...]


def content(value: Any) -> Any:
    """What (initialized) layers are made of, as something that can be compared and hashed.

    Args:
        value: a list of layers, or anything in one.
    """
    if isinstance(value, LayerSpec):
        return type(value), *(content(getattr(value, one.name)) for one in fields(value))
    if isinstance(value, (tuple, list)):
        return tuple(map(content, value))
    return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value


def walk_all(
    layers: Layers, source: Tensor, step: Callable[[int, LayerSpec, list[Tensor]], Tensor]
) -> list[Tensor]:
    """Send `source` through `layers` in order: every layer's output, as `step(position, layer, inputs)` gives it."""
    outputs: list[Tensor] = []
    for position, layer in enumerate(layers):
        taken = [source if index == NETWORK_INPUT else outputs[index] for index in layer.inputs]
        outputs.append(step(position, layer, taken))
    return outputs


def walk(layers: Layers, source: Tensor, step: Callable[[int, LayerSpec, list[Tensor]], Tensor]) -> Tensor:
    """The last of `walk_all`; `source` itself if there are no layers."""
    return (walk_all(layers, source, step) or [source])[-1]


def initialize_layers(layers: Layers, shape: Shape, seed: Sequence[int], path: str) -> tuple[Layers, Shape]:
    """`LayerSpec.initialize` for a list of layers whose input has `shape`.

    Raises:
        ModelFormatError: an array that does not fit, or an output of more than `MAX_OUTPUT` numbers.
    """
    initialized = []

    def step(position: int, layer: LayerSpec, shapes: list[Shape]) -> Shape:
        spec, output = layer.initialize(shapes, (*seed, position), f"{path}[{position}]")
        if math.prod(output) > MAX_OUTPUT:
            sizes = " x ".join(map(str, output))
            raise ModelFormatError(f"{path}[{position}]: an output of {sizes} numbers is too large")
        initialized.append(spec)
        return output

    output = walk(layers, shape, step)
    return tuple(initialized), output


def build_all(layers: Layers, tensor: Any) -> list[Built]:
    """`LayerSpec.build` for every layer of a list."""
    built: list[Built] = []

    def step(position: int, layer: LayerSpec, tensors: list[Any]) -> Any:
        built.append(layer.build(tensors))
        return built[-1].output

    walk_all(layers, tensor, step)
    return built


def build_layers(layers: Layers, tensor: Any) -> Built:
    """`LayerSpec.build` for a list of layers; `parts` has one tuple of parts for each layer."""
    built = build_all(layers, tensor)
    return Built(built[-1].output if built else tensor, tuple(one.parts for one in built))


def forward_all(layers: Layers, tensor: tf.Tensor) -> list[tf.Tensor]:
    """`LayerSpec.forward` for every layer of a list."""
    return walk_all(layers, tensor, lambda position, layer, tensors: layer.forward(tensors))


def forward_layers(layers: Layers, tensor: tf.Tensor) -> tf.Tensor:
    """The last of `forward_all`; `tensor` itself if there are no layers."""
    return (forward_all(layers, tensor) or [tensor])[-1]


def trained_layers(layers: Layers, parts: Sequence[Sequence[Any]]) -> Layers:
    """`LayerSpec.trained` for a list of layers."""
    return tuple(layer.trained(part) for layer, part in zip(layers, parts, strict=True))
