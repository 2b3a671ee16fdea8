"""Layers that are made of layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

from sensenet.errors import ModelFormatError
from sensenet.layers.activations import apply_activation, keras_activation, parse_activation
from sensenet.layers.base import (
    Built,
    Layers,
    LayerSpec,
    Shape,
    build_layers,
    fit_layers,
    forward_layers,
    trained_layers,
)
from sensenet.layers.dense import Dense
from sensenet.parsing import required


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseResidualBlock(LayerSpec):
    """`dense_residual_block`: activation(dense_path(x) + identity_path(x)).

    Attributes:
        dense_path, identity_path: layers with `inputs` of their own; an empty path is x itself.
        fit_identity: where x and the dense path differ in width, x is cut, or tiled and cut, to the path's
            width: so it is in the legacy form. The modern form says it with an identity path of one dense
            layer of zeros and ones.
        widths: of x and of the dense path, known when the block is fitted.
    """

    type_name: ClassVar[str] = "dense_residual_block"
    dense_path: Layers
    identity_path: Layers = ()
    activation_function: str | None = None
    fit_identity: bool = False
    widths: tuple[int, int] | None = None

    @classmethod
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        """See `LayerSpec.parse`."""
        return cls(
            dense_path=nested(required(raw, "dense_path", path), f"{path}.dense_path"),
            identity_path=nested(required(raw, "identity_path", path), f"{path}.identity_path"),
            activation_function=parse_activation(
                raw.get("activation_function"), f"{path}.activation_function"
            ),
        )

    def dump(self, short: bool) -> dict[str, Any]:
        """See `LayerSpec.dump`; the paths are specs still (`dump_layers` goes down into them)."""
        identity: Layers = self.identity_path
        if self.fit_identity and self.widths is not None and self.widths[0] != self.widths[1]:
            matrix = selection(*self.widths)
            offset = np.zeros(self.widths[1], np.float32)
            identity = (Dense(weights=matrix, offset=offset, number_of_nodes=self.widths[1]),)
        return {
            "dense_path": self.dense_path,
            "identity_path": identity,
            "activation_function": self.activation_function,
        }

    def fit(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        """See `LayerSpec.fit`."""
        dense_path, dense = fit_layers(self.dense_path, shapes[0], (*seed, 0), f"{path}.dense_path")
        identity_path, identity = fit_layers(
            self.identity_path, shapes[0], (*seed, 1), f"{path}.identity_path"
        )
        if dense != identity and not self.fit_identity:
            raise ModelFormatError(
                f"{path}: expected paths of one width, got {dense[-1]} from dense_path and {identity[-1]} "
                "from identity_path"
            )
        widths = (identity[-1], dense[-1])
        return replace(self, dense_path=dense_path, identity_path=identity_path, widths=widths), dense

    def build(self, tensors: Sequence[Any]) -> Built:
        """See `LayerSpec.build`."""
        dense = build_layers(self.dense_path, tensors[0])
        identity = build_layers(self.identity_path, tensors[0])
        total = keras.layers.Add()([dense.output, self._fitted(identity.output, keras.ops)])
        if self.activation_function is not None:
            total = keras.layers.Activation(keras_activation(self.activation_function))(total)
        return Built(total, (dense.parts, identity.parts))

    def trained(self, parts: Sequence[Any]) -> Self:
        """See `LayerSpec.trained`."""
        return replace(
            self,
            dense_path=trained_layers(self.dense_path, parts[0]),
            identity_path=trained_layers(self.identity_path, parts[1]),
        )

    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """See `LayerSpec.forward`."""
        dense = forward_layers(self.dense_path, tensors[0])
        identity = self._fitted(forward_layers(self.identity_path, tensors[0]), tf)
        return apply_activation(self.activation_function, dense + identity)

    def split_activation(self) -> tuple[LayerSpec, str | None]:
        """See `LayerSpec.split_activation`."""
        return replace(self, activation_function=None), self.activation_function

    def _fitted(self, x: Any, ops: Any) -> Any:
        """`x` cut, or tiled and cut, to the width of the dense path; `ops` is `tf` or `keras.ops`."""
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
