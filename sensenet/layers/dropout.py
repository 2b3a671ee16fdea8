"""Dropout: it acts in training only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

import keras
import tensorflow as tf
from typing_extensions import override

from sensenet.document.parsing import expected, integer, number, required
from sensenet.layers.base import Built, Layers, LayerSpec, Shape
from sensenet.layers.dropblock import DropBlock
from sensenet.layers.initializers import parse_seed
from sensenet.layers.windows import image_shape

DROPOUTS: Mapping[str, Any] = MappingProxyType(
    {"zero": keras.layers.Dropout, "alpha": keras.layers.AlphaDropout, "block": DropBlock}
)
BLOCK = "block"
MAX_BLOCK = 10_000
MAX_KERAS_SEED = 2**31


@dataclass(frozen=True, eq=False, kw_only=True)
class Dropout(LayerSpec):
    """`dropout`: numbers set to zero (JMLR 15:1929), to SELU's fixed point for "alpha" (arXiv 1706.02515), or
    squares of an image set to zero for "block" (arXiv 1810.12890).

    Attributes:
        rate: the share of numbers dropped.
        block_size: the side of the squares, for "block" alone.
        seed: of the draws; None leaves it to the network's.
    """

    type_name: ClassVar[str] = "dropout"
    dropout_type: str
    rate: float
    block_size: int | None = None
    seed: int | None = None

    @classmethod
    @override
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        kind = raw.get("dropout_type") or "zero"
        if not isinstance(kind, str) or kind not in DROPOUTS:
            expected(f"{path}.dropout_type", " or ".join(f'"{name}"' for name in DROPOUTS), kind)
        rate = number(required(raw, "rate", path), f"{path}.rate", 0, 1)
        block = None
        if kind == BLOCK:
            block = integer(required(raw, "block_size", path), f"{path}.block_size", 1, MAX_BLOCK)
        return cls(dropout_type=kind, rate=rate, block_size=block, seed=parse_seed(raw, path))

    @override
    def dump(self, short: bool) -> dict[str, Any]:
        raw: dict[str, Any] = {"dropout_type": self.dropout_type, "rate": self.rate}
        if self.block_size is not None:
            raw["block_size"] = self.block_size
        return raw if self.seed is None else raw | {"seed": self.seed}

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        if self.dropout_type == BLOCK:
            image_shape(shapes[0], path)
        if self.seed is not None:
            return self, shapes[0]
        drawn = 0
        for part in seed:
            drawn = (drawn * 1_000_003 + part + 1) % MAX_KERAS_SEED
        return replace(self, seed=drawn), shapes[0]

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        block = {} if self.block_size is None else {"block_size": self.block_size}
        layer = DROPOUTS[self.dropout_type](self.rate, **block, seed=(self.seed or 0) % MAX_KERAS_SEED)
        return Built(layer(tensors[0]), (layer,))

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        return tensors[0]
