"""Layers without numbers of their own that join, cut, pad or enlarge tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import keras
import tensorflow as tf
from typing_extensions import override

from sensenet.document.parsing import expected, integer, required, sequence
from sensenet.errors import ModelFormatError
from sensenet.layers.base import Built, Layers, LayerSpec, Shape
from sensenet.layers.windows import MAX_WINDOW, Pair, image_shape, parse_pair

MAX_SPLITS = 100_000
UPSAMPLING_METHODS = ("nearest", "bilinear")


class PlainLayer(LayerSpec):
    """A layer that its type says all about."""

    @classmethod
    @override
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        return cls()

    @override
    def dump(self, short: bool) -> dict[str, Any]:
        return {}


class Flatten(PlainLayer):
    """`flatten`: an image as one row of numbers, channels fastest."""

    type_name: ClassVar[str] = "flatten"

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        return self, (math.prod(shapes[0]),)

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        layer = keras.layers.Flatten()
        return Built(layer(tensors[0]), (layer,))

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.reshape(tensors[0], [-1, math.prod(tensors[0].shape[1:])])


class Concatenate(PlainLayer):
    """`concatenate`: the channels of all inputs, in their order."""

    type_name: ClassVar[str] = "concatenate"
    takes_many: ClassVar[bool] = True

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        if any(shape[:-1] != shapes[0][:-1] for shape in shapes):
            raise ModelFormatError(
                f"{path}.inputs: expected inputs alike in all but their channels, got {_listed(shapes)}"
            )
        return self, (*shapes[0][:-1], sum(shape[-1] for shape in shapes))

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        return _joined(keras.layers.Concatenate(), tensors)

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.concat(list(tensors), -1)


class Add(PlainLayer):
    """`add`: the sum of all inputs."""

    type_name: ClassVar[str] = "add"
    takes_many: ClassVar[bool] = True

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        if any(shape != shapes[0] for shape in shapes):
            raise ModelFormatError(f"{path}.inputs: expected inputs of one shape, got {_listed(shapes)}")
        return self, shapes[0]

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        return _joined(keras.layers.Add(), tensors)

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.add_n(list(tensors))


def _listed(shapes: Sequence[Shape]) -> str:
    return " and ".join(str(list(shape)) for shape in shapes)


def _joined(layer: Any, tensors: Sequence[Any]) -> Built:
    # Keras' merging layers refuse a single tensor
    layer = layer if len(tensors) > 1 else keras.layers.Identity()
    return Built(layer(list(tensors) if len(tensors) > 1 else tensors[0]), (layer,))


@dataclass(frozen=True, eq=False, kw_only=True)
class Padding2D(LayerSpec):
    """`padding_2d`: zeros around an image.

    Attributes:
        padding: ((top, bottom), (left, right)).
    """

    type_name: ClassVar[str] = "padding_2d"
    padding: tuple[Pair, Pair]

    @classmethod
    @override
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        place = f"{path}.padding"
        sides = sequence(required(raw, "padding", path), place)
        if len(sides) != 2:
            expected(place, "[[top, bottom], [left, right]]", sides)
        rows, columns = (
            parse_pair(sequence(side, f"{place}[{k}]"), f"{place}[{k}]", 0, MAX_WINDOW)
            for k, side in enumerate(sides)
        )
        return cls(padding=(rows, columns))

    @override
    def dump(self, short: bool) -> dict[str, Any]:
        return {"padding": [list(side) for side in self.padding]}

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        height, width, channels = image_shape(shapes[0], path)
        return self, (height + sum(self.padding[0]), width + sum(self.padding[1]), channels)

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        layer = keras.layers.ZeroPadding2D(self.padding)
        return Built(layer(tensors[0]), (layer,))

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.pad(tensors[0], [(0, 0), *self.padding, (0, 0)])


@dataclass(frozen=True, eq=False, kw_only=True)
class Upsampling2D(LayerSpec):
    """`upsampling_2d`: an image enlarged by whole factors.

    Attributes:
        size: the factors, down and across.
        method: "nearest", or "bilinear" with half-pixel centres.
    """

    type_name: ClassVar[str] = "upsampling_2d"
    size: Pair
    method: str

    @classmethod
    @override
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        method = required(raw, "method", path)
        if method not in UPSAMPLING_METHODS:
            expected(f"{path}.method", " or ".join(f'"{name}"' for name in UPSAMPLING_METHODS), method)
        size = parse_pair(required(raw, "size", path), f"{path}.size", 1, MAX_WINDOW)
        return cls(size=size, method=method)

    @override
    def dump(self, short: bool) -> dict[str, Any]:
        return {"size": list(self.size), "method": self.method}

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        height, width, channels = image_shape(shapes[0], path)
        return self, (height * self.size[0], width * self.size[1], channels)

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        layer = keras.layers.UpSampling2D(self.size, interpolation=self.method)
        return Built(layer(tensors[0]), (layer,))

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        height, width = tensors[0].shape[1:3]
        return tf.image.resize(tensors[0], [height * self.size[0], width * self.size[1]], self.method)


@dataclass(frozen=True, eq=False, kw_only=True)
class SplitChannels(LayerSpec):
    """`split_channels`: one of equal groups of neighbouring channels.

    Attributes:
        number_of_splits: how many groups there are.
        group_index: which one, from 0.
    """

    type_name: ClassVar[str] = "split_channels"
    number_of_splits: int
    group_index: int

    @classmethod
    @override
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        splits = integer(required(raw, "number_of_splits", path), f"{path}.number_of_splits", 1, MAX_SPLITS)
        group = integer(required(raw, "group_index", path), f"{path}.group_index", 0, splits - 1)
        return cls(number_of_splits=splits, group_index=group)

    @override
    def dump(self, short: bool) -> dict[str, Any]:
        return {"number_of_splits": self.number_of_splits, "group_index": self.group_index}

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        if shapes[0][-1] % self.number_of_splits:
            raise ModelFormatError(
                f"{path}.number_of_splits: expected a divisor of the input's {shapes[0][-1]} channels, "
                f"got {self.number_of_splits}"
            )
        return self, (*shapes[0][:-1], shapes[0][-1] // self.number_of_splits)

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        return Built(self._group(tensors[0]), ())

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        return self._group(tensors[0])

    def _group(self, tensor: Any) -> Any:
        width = tensor.shape[-1] // self.number_of_splits
        return tensor[..., self.group_index * width : (self.group_index + 1) * width]
