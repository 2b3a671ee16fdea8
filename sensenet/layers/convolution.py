"""What all convolutions share, and the plain one.

Kernels are laid out as TensorFlow's, images are (rows, height, width, channels).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf
from typing_extensions import override

from sensenet.document.parsing import integer, required
from sensenet.layers.activations import (
    ActivatedLayer,
    apply_activation,
    keras_activation,
    parse_activation,
)
from sensenet.layers.base import Built, Layers, LayerSpec, Shape
from sensenet.layers.initializers import Parameter, in_float32, initialized_array, parameter, parse_seed
from sensenet.layers.windows import (
    MAX_WINDOW,
    Pair,
    check_operations,
    image_shape,
    parse_padding,
    parse_pair,
    parse_strides,
    window_places,
)

MAX_FILTERS = 100_000


@dataclass(frozen=True, eq=False, kw_only=True)
class Convolution(ActivatedLayer):
    """What all convolutions share: activation(filters over the windows of an image + bias).

    Attributes:
        bias: [filters], an initializer's name, or None.
        kernel_dimensions: height and width of the window.
        strides: down and across.
        padding: "same" or "valid".
        seed: for untrained kernels; None leaves it to the network's.
    """

    kernels: ClassVar[tuple[str, ...]]
    bias: Parameter | None
    kernel_dimensions: Pair
    strides: Pair
    padding: str
    seed: int | None = None

    @classmethod
    @abstractmethod
    def _parse_sizes(cls, raw: Mapping[str, Any], kernels: Sequence[Parameter], path: str) -> dict[str, Any]:
        """The sizes that a layer's type has beside its window's: trained kernels tell them, or the keys."""

    @abstractmethod
    def _dump_sizes(self, trained: bool) -> dict[str, Any]:
        """The keys for those sizes; a trained layer needs those only that its kernels leave open."""

    @abstractmethod
    def _kernel_shapes(self, channels: int) -> tuple[Shape, ...]:
        """The shape of each of `kernels` for an image of `channels`."""

    @abstractmethod
    def _filters(self, channels: int) -> int:
        """The channels of the output."""

    @abstractmethod
    def _convolved(self, image: tf.Tensor) -> tf.Tensor:
        """The convolution alone, without bias and activation."""

    @abstractmethod
    def _keras_layer(self, **shared: Any) -> Any:
        """The layer in Keras, its arrays not yet set."""

    @classmethod
    @override
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        arrays: dict[str, Any] = {
            name: parameter(required(raw, name, path), f"{path}.{name}", 4) for name in cls.kernels
        }
        kernels, bias = list(arrays.values()), raw.get("bias")
        return cls(
            **arrays,
            **cls._parse_sizes(raw, kernels, path),
            bias=None if bias is None else parameter(bias, f"{path}.bias", 1),
            kernel_dimensions=_parse_dimensions(raw, kernels[0], path),
            strides=parse_strides(raw, path),
            padding=parse_padding(raw, path),
            activation_function=parse_activation(
                raw.get("activation_function"), f"{path}.activation_function"
            ),
            seed=parse_seed(raw, path),
        )

    @override
    def dump(self, short: bool) -> dict[str, Any]:
        kernels = {name: getattr(self, name) for name in self.kernels}
        named = [value for value in kernels.values() if isinstance(value, str)]
        bias, sizes = self.bias, self._dump_sizes(trained=not short and not named)
        if short:
            kernels = {name: _initializer(value, "glorot_uniform") for name, value in kernels.items()}
            bias = None if bias is None else _initializer(bias, "zeros")
        if short or named:
            sizes["kernel_dimensions"] = list(self.kernel_dimensions)
        if named and self.seed is not None:
            sizes["seed"] = self.seed
        windows = {"strides": list(self.strides), "padding": self.padding}
        return {**kernels, "bias": bias, **sizes, **windows, "activation_function": self.activation_function}

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        height, width, channels = image_shape(shapes[0], path)
        wanted = dict(zip(self.kernels, self._kernel_shapes(channels), strict=True))
        filters = self._filters(channels)
        places = window_places(
            (height, width), self.kernel_dimensions, self.strides, self.padding, f"{path}.{self.kernels[0]}"
        )
        for shape in wanted.values():
            check_operations((*places, *shape), path)
        seed = seed if self.seed is None else (self.seed, *seed)
        arrays: dict[str, Any] = {
            name: initialized_array(value, wanted.get(name, (filters,)), (*seed, k), f"{path}.{name}")
            for k, (name, value) in enumerate(self.arrays().items())
        }
        return replace(self, **arrays), (*places, filters)

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        layer = self._keras_layer(
            kernel_size=self.kernel_dimensions,
            strides=self.strides,
            padding=self.padding,
            use_bias=self.bias is not None,
            activation=keras_activation(self.activation_function),
        )
        output = layer(tensors[0])
        layer.set_weights(list(self.arrays().values()))
        return Built(output, (layer,))

    @override
    def trained(self, parts: Sequence[Any]) -> Self:
        return replace(super().trained(parts), seed=None)

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        convolved = self._convolved(tensors[0])  # (rows, height, width, filters)
        if self.bias is not None and np.any(self.bias):
            convolved = tf.nn.bias_add(convolved, tf.convert_to_tensor(self.bias))
        return apply_activation(self.activation_function, convolved)

    @override
    def followed_by(self, scale: np.ndarray, shift: np.ndarray) -> LayerSpec | None:
        """The last kernel takes the scale in, the bias both."""
        if self.activation_function is not None:
            return None
        last = self.kernels[-1]
        kernel = np.asarray(getattr(self, last), np.float64)
        bias = 0.0 if self.bias is None else np.asarray(self.bias, np.float64)
        arrays = {last: kernel * self._along_filters(scale), "bias": bias * scale + shift}
        return in_float32(self, **arrays)

    def _along_filters(self, values: np.ndarray) -> np.ndarray:
        """`values`, one a channel of the output, shaped to be multiplied with the last kernel."""
        return values


@dataclass(frozen=True, eq=False, kw_only=True)
class Convolution2D(Convolution):
    """`convolution_2d`.

    Attributes:
        kernel: [height, width, channels, filters], or an initializer's name.
        number_of_filters: the channels of the output.
    """

    type_name: ClassVar[str] = "convolution_2d"
    kernels: ClassVar[tuple[str, ...]] = ("kernel",)
    parameters: ClassVar[tuple[str, ...]] = ("kernel", "bias")
    kernel: Parameter
    number_of_filters: int

    @classmethod
    @override
    def _parse_sizes(cls, raw: Mapping[str, Any], kernels: Sequence[Parameter], path: str) -> dict[str, Any]:
        return {"number_of_filters": parse_filters(raw, kernels[0], path)}

    @override
    def _dump_sizes(self, trained: bool) -> dict[str, Any]:
        return {} if trained else {"number_of_filters": self.number_of_filters}

    @override
    def _kernel_shapes(self, channels: int) -> tuple[Shape, ...]:
        return ((*self.kernel_dimensions, channels, self.number_of_filters),)

    @override
    def _filters(self, channels: int) -> int:
        return self.number_of_filters

    @override
    def _convolved(self, image: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(image, tf.convert_to_tensor(self.kernel), self.strides, self.padding.upper())

    @override
    def _keras_layer(self, **shared: Any) -> Any:
        return keras.layers.Conv2D(self.number_of_filters, kernel_initializer="zeros", **shared)


def _initializer(value: Parameter, name: str) -> str:
    return value if isinstance(value, str) else name


def _parse_dimensions(raw: Mapping[str, Any], kernel: Parameter, path: str) -> Pair:
    if not isinstance(kernel, str):
        return kernel.shape[0], kernel.shape[1]
    return parse_pair(required(raw, "kernel_dimensions", path), f"{path}.kernel_dimensions", 1, MAX_WINDOW)


def parse_filters(raw: Mapping[str, Any], kernel: Parameter, path: str) -> int:
    """The channels of the output: the last kernel tells them, or `number_of_filters` if untrained."""
    if not isinstance(kernel, str):
        return kernel.shape[3]
    return integer(required(raw, "number_of_filters", path), f"{path}.number_of_filters", 1, MAX_FILTERS)
