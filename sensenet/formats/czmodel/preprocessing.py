"""Layers to put before a model: ZEN hands over blue before red, while most models were trained the other way round."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from typing_extensions import override


class _ReversedColours(keras.layers.Layer):
    """The first three channels in reverse order, as a layer without weights."""

    n_channels: ClassVar[int]

    @override
    def build(self, input_shape: Any) -> None:
        if input_shape[-1] != self.n_channels:
            raise ValueError(f"{type(self).__name__} takes {self.n_channels} channels, got {input_shape[-1]}")

    @override
    def call(self, inputs: Any) -> Any:
        return keras.ops.concatenate([inputs[..., 2::-1], inputs[..., 3:]], axis=-1)

    @override
    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable("sensenet")
class RgbToBgr(_ReversedColours):
    """Swaps red and blue, either way: (..., 3) -> (..., 3)."""

    n_channels: ClassVar[int] = 3


@keras.saving.register_keras_serializable("sensenet")
class RgbaToBgra(_ReversedColours):
    """Swaps red and blue, either way, and leaves alpha: (..., 4) -> (..., 4)."""

    n_channels: ClassVar[int] = 4
