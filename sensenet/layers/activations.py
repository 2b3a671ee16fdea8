"""The named non-linear functions, and the layer that is nothing but one.

Formulas are those of Keras 2, which BigML's models were trained with: its `hard_sigmoid` is clip(x/5 + 1/2,
0, 1), where Keras 3 has x/6, and `leaky_relu` is set to the slope 0.1 of the YOLO papers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

import keras
import tensorflow as tf
from typing_extensions import override

from sensenet.document.layer_facts import ACTIVATION_NAMES, LINEAR_NAMES
from sensenet.document.parsing import expected, required
from sensenet.document.wording import hint
from sensenet.layers.base import Built, Layers, LayerSpec, Shape

LEAKY_SLOPE = 0.1

# beyond it tanh(softplus(x)) is 1 in float32, while exp(x) squared is far from overflow
MISH_IS_IDENTITY = 20.0


def mish(x: Any) -> Any:
    """x * tanh(softplus(x)) (arXiv 1908.08681), good to 3e-7 of the value at any x.

    With n = exp(x), tanh(log(1 + n)) is (n² + 2n) / (n² + 2n + 2). The textbook form is not used, because
    TensorFlow's remapper knows it by sight and, with oneDNN, fuses it with the convolution and normalisation
    before it into a kernel that does not exist on every processor ("Fusion is not implemented").
    """
    n = tf.exp(tf.minimum(x, MISH_IS_IDENTITY))
    numerator = n * (n + 2.0)
    return x * (numerator / (numerator + 2.0))


ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "celu": keras.activations.celu,
        "elu": tf.nn.elu,
        "exponential": tf.exp,
        "gelu": keras.activations.gelu,
        "hard_shrink": keras.activations.hard_shrink,
        "hard_sigmoid": lambda x: tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0),
        "hard_silu": keras.activations.hard_silu,
        "hard_swish": keras.activations.hard_silu,
        "hard_tanh": keras.activations.hard_tanh,
        "leaky_relu": lambda x: tf.nn.leaky_relu(x, LEAKY_SLOPE),
        "log_sigmoid": tf.math.log_sigmoid,
        "log_softmax": tf.nn.log_softmax,
        "mish": mish,
        "relu": tf.nn.relu,
        "relu6": tf.nn.relu6,
        "selu": tf.nn.selu,
        "sigmoid": tf.sigmoid,
        "silu": tf.nn.silu,
        "soft_shrink": keras.activations.soft_shrink,
        "softmax": tf.nn.softmax,
        "softplus": tf.nn.softplus,
        "softsign": tf.nn.softsign,
        "sparse_plus": keras.activations.sparse_plus,
        "sparse_sigmoid": keras.activations.sparse_sigmoid,
        "sparsemax": keras.activations.sparsemax,
        "squareplus": keras.activations.squareplus,
        "swish": tf.nn.silu,
        "tanh": tf.tanh,
        "tanh_shrink": keras.activations.tanh_shrink,
        "threshold": lambda x: keras.activations.threshold(x, threshold=0.0, default_value=0.0),
    }
)
"""Keras' activations and some of our own. Not `glu`: its output has half the width of its input."""


def parse_activation(value: Any, path: str) -> str | None:
    """The name of a known activation; null, "linear" and "identity" are all None.

    Raises:
        ModelFormatError: an unknown name.
    """
    if value is None or (isinstance(value, str) and value in LINEAR_NAMES):
        return None
    if not isinstance(value, str) or value not in ACTIVATION_NAMES:
        expected(path, f"the name of an activation{hint(value, ACTIVATION_NAMES)}", value)
    return value


def apply_activation(name: str | None, x: Any) -> Any:
    """The function `name` of a tensor."""
    return x if name is None else ACTIVATIONS[name](x)


def keras_activation(name: str | None) -> Callable[[Any], Any] | None:
    """What Keras layers take as their `activation`."""
    return None if name is None else ACTIVATIONS[name]


@dataclass(frozen=True, eq=False, kw_only=True)
class ActivatedLayer(LayerSpec):
    """A layer that ends in a non-linear function.

    Attributes:
        activation_function: a name in `ACTIVATIONS`; None is the identity.
    """

    activation_function: str | None = None

    @override
    def split_activation(self) -> tuple[LayerSpec, str | None]:
        return replace(self, activation_function=None), self.activation_function


@dataclass(frozen=True, eq=False, kw_only=True)
class Activation(ActivatedLayer):
    """`activation`: a function of each number, or of each row for softmax."""

    type_name: ClassVar[str] = "activation"

    @classmethod
    @override
    def parse(cls, raw: Mapping[str, Any], path: str, nested: Callable[[Any, str], Layers]) -> Self:
        name = required(raw, "activation_function", path)
        return cls(activation_function=parse_activation(name, f"{path}.activation_function"))

    @override
    def dump(self, short: bool) -> dict[str, Any]:
        return {"activation_function": self.activation_function}

    @override
    def initialize(self, shapes: Sequence[Shape], seed: Sequence[int], path: str) -> tuple[Self, Shape]:
        return self, shapes[0]

    @override
    def build(self, tensors: Sequence[Any]) -> Built:
        layer = keras.layers.Activation(keras_activation(self.activation_function))
        return Built(layer(tensors[0]), (layer,))

    @override
    def forward(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        return apply_activation(self.activation_function, tensors[0])
