"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

from sensenet.errors import ModelFormatError
from sensenet.layers.activations import apply_activation, keras_activation, parse_activation
from sensenet.layers.base import Built, Layers, LayerSpec, Shape
from sensenet.layers.initializers import Parameter, initial_values, parameter
from sensenet.parsing import integer, required

MAX_NODES = 1_000_000
MAX_PARAMETERS = 1_000_000_000
MAX_SEED = 2**63 - 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense(LayerSpec):
    """`dense`: activation(x @ weights + offset).

    Attributes:
        weights: [in, out], or an initializer's name.
        offset: [out], or an initializer's name (a null in the document is "zeros").
        number_of_nodes: out.
        seed: for untrained weights; None leaves it to the network's.
    """

    type_name: ClassVar[str] = "dense"
    parameters: ClassVar[tuple[str, ...]] = ("weights", "offset")
    weights: Parameter
    offset: Parameter
    number_of_nodes: int
    activation_function: str | None = None
    seed: int | None = None

    @classmethod
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        """See `LayerSpec.parse`."""
        weights = parameter(required(raw, "weights", path), f"{path}.weights", 2)
        return cls(
            weights=weights,
            offset=parse_offset(raw, path),
            number_of_nodes=parse_nodes(raw, weights, path),
            activation_function=parse_activation(
                raw.get("activation_function"), f"{path}.activation_function"
            ),
            seed=parse_seed(raw, path),
        )

    def dump(self, short: bool) -> dict[str, Any]:
        """See `LayerSpec.dump`."""
        raw: dict[str, Any] = {"weights": self.weights, "offset": self.offset}
        if short or isinstance(self.weights, str):
            untrained = self.weights if isinstance(self.weights, str) else "glorot_uniform"
            raw = {"weights": untrained, "offset": "zeros", "number_of_nodes": self.number_of_nodes}
        if isinstance(self.weights, str) and self.seed is not None:
            raw["seed"] = self.seed
        return raw | {"activation_function": self.activation_function}

    def fit(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        """See `LayerSpec.fit`."""
        columns, nodes = shapes[0][-1], self.number_of_nodes
        if isinstance(self.weights, str):
            if columns * nodes > MAX_PARAMETERS:
                raise ModelFormatError(f"{path}.weights: {columns} x {nodes} numbers are too many to draw")
            seed = seed if self.seed is None else (self.seed, *seed)
            weights = initial_values(self.weights, (columns, nodes), seed)
        else:
            weights = self.weights
        check_shape(weights, (columns, nodes), f"{path}.weights")
        offset = initial_values(self.offset, (nodes,), seed) if isinstance(self.offset, str) else self.offset
        check_shape(offset, (nodes,), f"{path}.offset")
        return replace(self, weights=weights, offset=offset), (*shapes[0][:-1], nodes)

    def build(self, tensors: Sequence[Any]) -> Built:
        """See `LayerSpec.build`."""
        layer = keras.layers.Dense(
            self.number_of_nodes,
            activation=keras_activation(self.activation_function),
            kernel_initializer="zeros",
        )
        output = layer(tensors[0])
        layer.set_weights([self.weights, self.offset])
        return Built(output, (layer,))

    def trained(self, parts: Sequence[Any]) -> Self:
        """See `LayerSpec.trained`."""
        return replace(super().trained(parts), seed=None)

    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """See `LayerSpec.forward`."""
        product = tf.matmul(tensors[0], tf.convert_to_tensor(self.weights))  # (rows, nodes)
        if np.any(self.offset):
            product = tf.nn.bias_add(product, tf.convert_to_tensor(self.offset))
        return apply_activation(self.activation_function, product)

    def split_activation(self) -> tuple[LayerSpec, str | None]:
        """See `LayerSpec.split_activation`."""
        return replace(self, activation_function=None), self.activation_function


def parse_offset(raw: Mapping[str, Any], path: str) -> Parameter:
    """The offset of a dense layer; absent and null are zeros."""
    value = raw.get("offset")
    return "zeros" if value is None else parameter(value, f"{path}.offset", 1)


def parse_nodes(raw: Mapping[str, Any], weights: Parameter, path: str) -> int:
    """The width of a dense layer: `weights` ([in, out]) tell it, or `number_of_nodes` if untrained."""
    if not isinstance(weights, str):
        return int(weights.shape[1])
    return integer(required(raw, "number_of_nodes", path), f"{path}.number_of_nodes", 1, MAX_NODES)


def parse_seed(raw: Mapping[str, Any], path: str) -> int | None:
    """The seed of an untrained layer, or None."""
    seed = raw.get("seed")
    return None if seed is None else integer(seed, f"{path}.seed", 0, MAX_SEED)


def check_shape(values: np.ndarray, shape: Shape, path: str) -> None:
    """Refuse an array of another shape than its layer needs.

    Raises:
        ModelFormatError: gives both shapes.
    """
    if values.shape != shape:
        raise ModelFormatError(f"{path}: expected numbers of shape {list(shape)}, got {list(values.shape)}")
