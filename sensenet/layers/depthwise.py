"""Convolutions whose filters see one channel each, alone or followed by a 1x1 convolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf
from typing_extensions import override

from sensenet.document.parsing import integer, required
from sensenet.layers.base import Shape
from sensenet.layers.convolution import MAX_FILTERS, Convolution, parse_filters
from sensenet.layers.initializers import Parameter

MAX_MULTIPLIER = 10_000


@dataclass(frozen=True, eq=False, kw_only=True)
class DepthwiseConvolution2D(Convolution):
    """`depthwise_convolution_2d`: filters that see one channel each.

    Attributes:
        kernel: [height, width, channels, multiplier], or an initializer's name; output channel
            c * multiplier + m is filter m of channel c.
        depth_multiplier: filters a channel.
        number_of_filters: the channels of the output, where they are known already: other readers want the key
            in untrained layers, though it follows from the rest.
    """

    type_name: ClassVar[str] = "depthwise_convolution_2d"
    kernels: ClassVar[tuple[str, ...]] = ("kernel",)
    parameters: ClassVar[tuple[str, ...]] = ("kernel", "bias")
    kernel: Parameter
    depth_multiplier: int
    number_of_filters: int | None = None

    @classmethod
    @override
    def _parse_sizes(cls, raw: Mapping[str, Any], kernels: Sequence[Parameter], path: str) -> dict[str, Any]:
        (kernel,) = kernels
        given = raw.get("number_of_filters")
        filters: int | None = None
        if not isinstance(kernel, str):
            filters = kernel.shape[2] * kernel.shape[3]
        elif given is not None:
            filters = integer(given, f"{path}.number_of_filters", 1, MAX_FILTERS)
        return {"depth_multiplier": _parse_multiplier(raw, kernel, path), "number_of_filters": filters}

    @override
    def _dump_sizes(self, trained: bool) -> dict[str, Any]:
        sizes = {"depth_multiplier": self.depth_multiplier}
        if not trained and self.number_of_filters is not None:
            sizes["number_of_filters"] = self.number_of_filters
        return sizes

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        initialized, output = super().initialize(shapes, seed, path)
        return replace(initialized, number_of_filters=output[-1]), output

    @override
    def _kernel_shapes(self, channels: int) -> tuple[Shape, ...]:
        return ((*self.kernel_dimensions, channels, self.depth_multiplier),)

    @override
    def _filters(self, channels: int) -> int:
        return channels * self.depth_multiplier

    @override
    def _along_filters(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, self.depth_multiplier)

    @override
    def _convolved(self, image: tf.Tensor) -> tf.Tensor:
        kernel = tf.convert_to_tensor(self.kernel)
        return tf.nn.depthwise_conv2d(image, kernel, [1, *self.strides, 1], self.padding.upper())

    @override
    def _keras_layer(self, **shared: Any) -> Any:
        return keras.layers.DepthwiseConv2D(
            depth_multiplier=self.depth_multiplier, depthwise_initializer="zeros", **shared
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class SeparableConvolution2D(Convolution):
    """`separable_convolution_2d`: depthwise, then 1x1 over the channels (arXiv 1610.02357), nothing between.

    Attributes:
        depth_kernel: [height, width, channels, multiplier], or an initializer's name.
        point_kernel: [1, 1, channels * multiplier, filters], or an initializer's name.
        depth_multiplier: depthwise filters a channel.
        number_of_filters: the channels of the output.
    """

    type_name: ClassVar[str] = "separable_convolution_2d"
    kernels: ClassVar[tuple[str, ...]] = ("depth_kernel", "point_kernel")
    parameters: ClassVar[tuple[str, ...]] = ("depth_kernel", "point_kernel", "bias")
    depth_kernel: Parameter
    point_kernel: Parameter
    depth_multiplier: int
    number_of_filters: int

    @classmethod
    @override
    def _parse_sizes(cls, raw: Mapping[str, Any], kernels: Sequence[Parameter], path: str) -> dict[str, Any]:
        return {
            "depth_multiplier": _parse_multiplier(raw, kernels[0], path),
            "number_of_filters": parse_filters(raw, kernels[1], path),
        }

    @override
    def _dump_sizes(self, trained: bool) -> dict[str, Any]:
        filters = {} if trained else {"number_of_filters": self.number_of_filters}
        return {"depth_multiplier": self.depth_multiplier, **filters}

    @override
    def _kernel_shapes(self, channels: int) -> tuple[Shape, ...]:
        inner = channels * self.depth_multiplier
        depth_shape = (*self.kernel_dimensions, channels, self.depth_multiplier)
        return depth_shape, (1, 1, inner, self.number_of_filters)

    @override
    def _filters(self, channels: int) -> int:
        return self.number_of_filters

    @override
    def _convolved(self, image: tf.Tensor) -> tf.Tensor:
        kernels = tf.convert_to_tensor(self.depth_kernel), tf.convert_to_tensor(self.point_kernel)
        return tf.nn.separable_conv2d(image, *kernels, [1, *self.strides, 1], self.padding.upper())

    @override
    def _keras_layer(self, **shared: Any) -> Any:
        return keras.layers.SeparableConv2D(
            self.number_of_filters,
            depth_multiplier=self.depth_multiplier,
            depthwise_initializer="zeros",
            pointwise_initializer="zeros",
            **shared,
        )


def _parse_multiplier(raw: Mapping[str, Any], kernel: Parameter, path: str) -> int:
    if not isinstance(kernel, str):
        return kernel.shape[3]
    return integer(required(raw, "depth_multiplier", path), f"{path}.depth_multiplier", 1, MAX_MULTIPLIER)
