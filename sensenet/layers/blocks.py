"""Layers that are made of layers: activation(sum of two paths). They differ in their names alone.

The sum is that of arXiv 1512.03385; an empty path is the input itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf
from typing_extensions import override

from sensenet.document.parsing import required
from sensenet.errors import ModelFormatError
from sensenet.layers.activations import (
    ActivatedLayer,
    apply_activation,
    keras_activation,
    parse_activation,
)
from sensenet.layers.base import (
    Built,
    Layers,
    Shape,
    build_layers,
    forward_layers,
    initialize_layers,
    trained_layers,
)
from sensenet.layers.dense import Dense


@dataclass(frozen=True, eq=False, kw_only=True)
class SumBlock(ActivatedLayer):
    """activation(first path(x) + second path(x)); the layers of a path have `inputs` of their own.

    A subclass has the two paths as attributes, and their names in `paths`.
    """

    @classmethod
    @override
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        paths: dict[str, Any] = {
            name: nested(required(raw, name, path), f"{path}.{name}") for name in cls.paths
        }
        activation = parse_activation(raw.get("activation_function"), f"{path}.activation_function")
        return cls(**paths, activation_function=activation)

    @override
    def dump(self, short: bool) -> dict[str, Any]:
        """The paths are specs still (`dump_layers` goes down into them)."""
        paths = {name: getattr(self, name) for name in self.paths}
        return {**paths, "activation_function": self.activation_function}

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        initialized: dict[str, Any] = {}
        ends: list[Shape] = []
        for k, name in enumerate(self.paths):
            initialized[name], end = initialize_layers(
                getattr(self, name), shapes[0], (*seed, k), f"{path}.{name}"
            )
            ends.append(end)
        return replace(self, **initialized)._match_ends(ends, path), ends[0]

    def _match_ends(self, ends: Sequence[Shape], path: str) -> Self:
        if ends[0] != ends[1]:
            both = " and ".join(
                f"{list(end)} from {name}" for name, end in zip(self.paths, ends, strict=True)
            )
            raise ModelFormatError(f"{path}: expected paths of one shape, got {both}")
        return self

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        first, second = (build_layers(getattr(self, name), tensors[0]) for name in self.paths)
        total = keras.layers.Add()([first.output, self._matched(second.output, keras.ops)])
        if self.activation_function is not None:
            total = keras.layers.Activation(keras_activation(self.activation_function))(total)
        return Built(total, (first.parts, second.parts))

    @override
    def trained(self, parts: Sequence[Any]) -> Self:
        remaining = iter(parts)
        return self.with_paths(lambda layers: trained_layers(layers, next(remaining)))

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        first, second = (forward_layers(getattr(self, name), tensors[0]) for name in self.paths)
        return apply_activation(self.activation_function, first + self._matched(second, tf))

    def _matched(self, x: Any, ops: Any) -> Any:
        """The second path's output as the sum takes it; `ops` is `tf` or `keras.ops`."""
        return x


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvolutionBlock(SumBlock):
    """What the blocks of image networks but Xception's share.

    Attributes:
        convolution_path, identity_path: lists of layers.
    """

    paths: ClassVar[tuple[str, ...]] = ("convolution_path", "identity_path")
    convolution_path: Layers
    identity_path: Layers


class ResnetBlock(ConvolutionBlock):
    """`resnet_block`: of ResNet-50 (arXiv 1512.03385)."""

    type_name: ClassVar[str] = "resnet_block"


class Resnet18Block(ConvolutionBlock):
    """`resnet18_block`: of ResNet-18 (arXiv 1512.03385)."""

    type_name: ClassVar[str] = "resnet18_block"


class DarknetResidualBlock(ConvolutionBlock):
    """`darknet_residual_block`: of YOLO's backbone (arXiv 1804.02767)."""

    type_name: ClassVar[str] = "darknet_residual_block"


class MobilenetResidualBlock(ConvolutionBlock):
    """`mobilenet_residual_block`: of MobileNetV2 (arXiv 1801.04381)."""

    type_name: ClassVar[str] = "mobilenet_residual_block"


@dataclass(frozen=True, eq=False, kw_only=True)
class XceptionBlock(SumBlock):
    """`xception_block`: of Xception (arXiv 1610.02357).

    Attributes:
        separable_convolution_path, single_convolution_path: lists of layers.
    """

    type_name: ClassVar[str] = "xception_block"
    paths: ClassVar[tuple[str, ...]] = ("separable_convolution_path", "single_convolution_path")
    separable_convolution_path: Layers
    single_convolution_path: Layers


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseResidualBlock(SumBlock):
    """`dense_residual_block`.

    Attributes:
        dense_path, identity_path: lists of layers.
        fit_identity: where x and the dense path differ in width, x is cut, or tiled and cut, to the path's
            width: so it is in the legacy form. The modern form says it with an identity path of one dense
            layer of zeros and ones.
        widths: of x and of the dense path, known when the block is initialized.
    """

    type_name: ClassVar[str] = "dense_residual_block"
    paths: ClassVar[tuple[str, ...]] = ("dense_path", "identity_path")
    dense_path: Layers
    identity_path: Layers = ()
    fit_identity: bool = False
    widths: tuple[int, int] | None = None

    @override
    def dump(self, short: bool) -> dict[str, Any]:
        raw = super().dump(short)
        if self.fit_identity and self.widths is not None and self.widths[0] != self.widths[1]:
            matrix = selection(*self.widths)
            offset = np.zeros(self.widths[1], np.float32)
            raw["identity_path"] = (Dense(weights=matrix, offset=offset, number_of_nodes=self.widths[1]),)
        return raw

    @override
    def _match_ends(self, ends: Sequence[Shape], path: str) -> Self:
        if not self.fit_identity:
            super()._match_ends(ends, path)
        return replace(self, widths=(ends[1][-1], ends[0][-1]))

    @override
    def _matched(self, x: Any, ops: Any) -> Any:
        """`x` cut, or tiled and cut, to the width of the dense path."""
        if self.widths is None or self.widths[0] == self.widths[1]:
            return x
        have, want = self.widths
        return ops.tile(x, [1, -(-want // have)])[:, :want] if want > have else x[:, :want]


def selection(have: int, want: int) -> np.ndarray:
    """The [have, want] matrix that cuts, or tiles and cuts, a row of `have` numbers to `want`."""
    return np.ascontiguousarray(np.eye(have, dtype=np.float32)[:, np.arange(want) % have])


def is_selection(path: Layers) -> bool:
    """Whether an identity path is one dense layer that only cuts, or tiles and cuts, its input."""
    if len(path) != 1 or not isinstance(path[0], Dense) or path[0].activation_function is not None:
        return False
    weights, offset = path[0].weights, path[0].offset
    if isinstance(weights, str) or isinstance(offset, str) or np.any(offset):
        return False
    return bool(np.array_equal(weights, selection(*weights.shape)))
