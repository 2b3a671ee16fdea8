"""Batch normalisation (arXiv 1502.03167)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import tensorflow as tf
from typing_extensions import override

from sensenet.document.parsing import number, required
from sensenet.errors import ModelFormatError
from sensenet.layers.base import Built, Layers, LayerSpec, Shape
from sensenet.layers.fused import BatchNormalization as FusedBatchNormalization
from sensenet.layers.initializers import Parameter, initialized_array, parameter

DEFAULT_EPSILON = 1e-3
MAX_EPSILON = 1e3
UNTRAINED = {"gamma": "ones", "beta": "zeros", "mean": "zeros", "variance": "ones"}


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchNormalization(LayerSpec):
    """`batch_normalization`: gamma * (x - mean) / sqrt(variance + epsilon) + beta, in each column.

    Attributes:
        gamma, beta, mean, variance: [columns], or initializers' names; mean and variance are the moving ones.
        epsilon: added to the variance.
    """

    type_name: ClassVar[str] = "batch_normalization"
    parameters: ClassVar[tuple[str, ...]] = ("gamma", "beta", "mean", "variance")
    gamma: Parameter
    beta: Parameter
    mean: Parameter
    variance: Parameter
    epsilon: float = DEFAULT_EPSILON

    @classmethod
    @override
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        epsilon = raw.get("epsilon")
        arrays: dict[str, Any] = {
            name: parameter(required(raw, name, path), f"{path}.{name}", 1) for name in UNTRAINED
        }
        return cls(
            **arrays,
            epsilon=DEFAULT_EPSILON
            if epsilon is None
            else number(epsilon, f"{path}.epsilon", 0, MAX_EPSILON),
        )

    @override
    def dump(self, short: bool) -> dict[str, Any]:
        arrays = UNTRAINED if short else {name: getattr(self, name) for name in UNTRAINED}
        return {**arrays, "epsilon": self.epsilon}

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        arrays: dict[str, Any] = {
            name: initialized_array(getattr(self, name), shapes[0][-1:], seed, f"{path}.{name}")
            for name in UNTRAINED
        }
        if np.any(arrays["variance"] + np.float32(self.epsilon) < 0):
            raise ModelFormatError(
                f"{path}.variance: expected variances of at least 0, got {arrays['variance'].min()}"
            )
        return replace(self, **arrays), shapes[0]

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        layer = FusedBatchNormalization(epsilon=self.epsilon)
        output = layer(tensors[0])
        layer.set_weights([self.gamma, self.beta, self.mean, self.variance])
        return Built(output, (layer,))

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        scale, shift = (values.astype(np.float32) for values in self.affine())
        return tensors[0] * tf.constant(scale) + tf.constant(shift)

    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """(scale, shift) of the same function as x * scale + shift, float64."""
        gamma, beta, mean, variance = (np.asarray(getattr(self, name), np.float64) for name in UNTRAINED)
        scale = gamma / np.sqrt(variance + self.epsilon)
        return scale, beta - mean * scale
