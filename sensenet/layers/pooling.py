"""Layers that take the maximum or the mean of windows, or of whole images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import keras
import tensorflow as tf
from typing_extensions import override

from sensenet.document.parsing import required
from sensenet.layers.base import Built, Layers, LayerSpec, Shape
from sensenet.layers.windows import (
    MAX_WINDOW,
    Pair,
    check_operations,
    image_shape,
    parse_padding,
    parse_pair,
    window_places,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool2D(LayerSpec):
    """What both window pools share.

    Attributes:
        pool_size, strides: height and width; no strides in the document are those of windows side by side.
        padding: "same" (padded pixels count for nothing, in means too) or "valid".
    """

    keras_class: ClassVar[Any]
    pool_size: Pair
    strides: Pair
    padding: str

    @classmethod
    @override
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        size = parse_pair(required(raw, "pool_size", path), f"{path}.pool_size", 1, MAX_WINDOW)
        strides = raw.get("strides")
        return cls(
            pool_size=size,
            strides=size if strides is None else parse_pair(strides, f"{path}.strides", 1, MAX_WINDOW),
            padding=parse_padding(raw, path),
        )

    @override
    def dump(self, short: bool) -> dict[str, Any]:
        return {"pool_size": list(self.pool_size), "strides": list(self.strides), "padding": self.padding}

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        height, width, channels = image_shape(shapes[0], path)
        places = window_places(
            (height, width), self.pool_size, self.strides, self.padding, f"{path}.pool_size"
        )
        check_operations((*places, *self.pool_size, channels), path)
        return self, (*places, channels)

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        layer = self.keras_class(self.pool_size, strides=self.strides, padding=self.padding)
        return Built(layer(tensors[0]), (layer,))


class MaxPool2D(Pool2D):
    """`max_pool_2d`."""

    type_name: ClassVar[str] = "max_pool_2d"
    keras_class: ClassVar[Any] = keras.layers.MaxPooling2D

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.nn.max_pool2d(tensors[0], self.pool_size, self.strides, self.padding.upper())


class AveragePool2D(Pool2D):
    """`average_pool_2d`."""

    type_name: ClassVar[str] = "average_pool_2d"
    keras_class: ClassVar[Any] = keras.layers.AveragePooling2D

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.nn.avg_pool2d(tensors[0], self.pool_size, self.strides, self.padding.upper())


class GlobalPool2D(LayerSpec):
    """What both pools over whole images share: (height, width, channels) becomes (channels,)."""

    keras_class: ClassVar[Any]

    @classmethod
    @override
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        return cls()

    @override
    def dump(self, short: bool) -> dict[str, Any]:
        return {}

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        return self, image_shape(shapes[0], path)[2:]

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        layer = self.keras_class()
        return Built(layer(tensors[0]), (layer,))


class GlobalAveragePool2D(GlobalPool2D):
    """`global_average_pool_2d`."""

    type_name: ClassVar[str] = "global_average_pool_2d"
    keras_class: ClassVar[Any] = keras.layers.GlobalAveragePooling2D

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.reduce_mean(tensors[0], [1, 2])


class GlobalMaxPool2D(GlobalPool2D):
    """`global_max_pool_2d`."""

    type_name: ClassVar[str] = "global_max_pool_2d"
    keras_class: ClassVar[Any] = keras.layers.GlobalMaxPooling2D

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.reduce_max(tensors[0], [1, 2])
