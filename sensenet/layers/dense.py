"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf
from typing_extensions import override

from sensenet.document.layer_facts import MAX_NODES
from sensenet.document.parsing import integer, required
from sensenet.layers.activations import (
    ActivatedLayer,
    apply_activation,
    keras_activation,
    parse_activation,
)
from sensenet.layers.base import Built, Layers, LayerSpec, Shape
from sensenet.layers.initializers import Parameter, in_float32, initialized_array, parameter, parse_seed


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense(ActivatedLayer):
    """`dense`: activation(x @ weights + offset), over the last axis of images.

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
    seed: int | None = None

    @classmethod
    @override
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
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

    @override
    def dump(self, short: bool) -> dict[str, Any]:
        raw: dict[str, Any] = {"weights": self.weights, "offset": self.offset}
        if short or isinstance(self.weights, str):
            untrained = self.weights if isinstance(self.weights, str) else "glorot_uniform"
            raw = {"weights": untrained, "offset": "zeros", "number_of_nodes": self.number_of_nodes}
        if isinstance(self.weights, str) and self.seed is not None:
            raw["seed"] = self.seed
        return raw | {"activation_function": self.activation_function}

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        columns, nodes = shapes[0][-1], self.number_of_nodes
        seed = seed if self.seed is None or not isinstance(self.weights, str) else (self.seed, *seed)
        weights = initialized_array(self.weights, (columns, nodes), seed, f"{path}.weights")
        offset = initialized_array(self.offset, (nodes,), seed, f"{path}.offset")
        return replace(self, weights=weights, offset=offset), (*shapes[0][:-1], nodes)

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        layer = keras.layers.Dense(
            self.number_of_nodes,
            activation=keras_activation(self.activation_function),
            kernel_initializer="zeros",
        )
        output = layer(tensors[0])
        layer.set_weights([self.weights, self.offset])
        return Built(output, (layer,))

    @override
    def trained(self, parts: Sequence[Any]) -> Self:
        return replace(super().trained(parts), seed=None)

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        weights = tf.convert_to_tensor(self.weights)
        if len(tensors[0].shape) == 2:
            product = tf.matmul(tensors[0], weights)  # (rows, nodes)
        else:
            product = tf.tensordot(tensors[0], weights, 1)  # (rows, height, width, nodes)
        if np.any(self.offset):
            product = tf.nn.bias_add(product, tf.convert_to_tensor(self.offset))
        return apply_activation(self.activation_function, product)

    @override
    def followed_by(self, scale: np.ndarray, shift: np.ndarray) -> LayerSpec | None:
        if self.activation_function is not None:
            return None
        weights = np.asarray(self.weights, np.float64) * scale
        offset = np.asarray(self.offset, np.float64) * scale + shift
        return in_float32(self, weights=weights, offset=offset)


def parse_offset(raw: Mapping[str, Any], path: str) -> Parameter:
    """The offset of a dense layer; absent and null are zeros."""
    value = raw.get("offset")
    return "zeros" if value is None else parameter(value, f"{path}.offset", 1)


def parse_nodes(raw: Mapping[str, Any], weights: Parameter, path: str) -> int:
    """The width of a dense layer: `weights` ([in, out]) tell it, or `number_of_nodes` if untrained."""
    if not isinstance(weights, str):
        return int(weights.shape[1])
    return integer(required(raw, "number_of_nodes", path), f"{path}.number_of_nodes", 1, MAX_NODES)
