"""The layers of tables as functions of batches that go through networks side by side.

Everything has the networks first: (nets, rows, columns). One network's numbers never meet another's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pyramid.randomness import mix32
from pyramid.train.losses import Outputs
from pyramid.train.stacked.architecture import Architecture
from sensenet.layers import LayerSpec
from sensenet.layers.activations import Activation, apply_activation
from sensenet.layers.base import Layers, walk
from sensenet.layers.blocks import DenseResidualBlock
from sensenet.layers.dense import Dense
from sensenet.layers.dropout import Dropout
from sensenet.layers.normalization import BatchNormalization

# what SELU gives for minus infinity (arXiv 1706.02515)
SELU_FLOOR = -1.7580993408473766
GOLDEN = 0x9E3779B9


Gradient = Callable[..., Any]


class Dropouts(NamedTuple):
    """What is dropped in one step, of each dropout layer and net: (dropout layers, nets, 1, 1).

    Attributes:
        thresholds: int32, of 31 random bits: what is below is dropped.
        scales, shifts: float32: what is left becomes `x * scale`, and for alpha dropout `+ shift`.
        keys: uint32, others in every step.
    """

    thresholds: tf.Tensor
    scales: tf.Tensor
    shifts: tf.Tensor
    keys: tf.Tensor

    @classmethod
    def of(cls, networks: Architecture, rates: np.ndarray, keys: tf.Tensor) -> Dropouts:
        """Those of (dropout layers, nets) rates, 0 to 1, and the (nets, 1) keys that those of steps are made of."""
        alpha = np.array([layer.dropout_type == "alpha" for layer in networks.dropouts], bool)[:, None]
        kept = 1.0 - rates.astype(np.float64)
        # keeps mean 0 and variance 1 for alpha dropout (arXiv 1706.02515, section 2), the mean for the other
        divisors = np.where(alpha, np.sqrt(kept * (1.0 + rates * SELU_FLOOR**2)), kept)
        scales = np.divide(1.0, divisors, out=np.zeros_like(divisors), where=divisors > 0)
        numbers = np.arange(len(rates), dtype=np.uint64) * GOLDEN % 2**32
        return cls(
            tf.constant(np.minimum(np.rint(rates * 2.0**31), 2.0**31 - 1)[..., None, None], tf.int32),
            tf.constant(scales[..., None, None], tf.float32),
            tf.constant(np.where(alpha, -scales * SELU_FLOOR * rates, 0.0)[..., None, None], tf.float32),
            mix32(keys[:, :, None] + tf.constant(numbers[:, None, None, None], tf.uint32)),
        )


@dataclass
class _Pass:
    """One way through the layers: what those to come will take, in their order, and what those behind have seen.

    Attributes:
        parameters, statistics: (nets, *shape) each.
        dropouts: None where nothing is learnt.
        seen: the means and variances of the batch.
        dropped: how many dropout layers have been come by.
    """

    parameters: Iterator[tf.Tensor]
    statistics: Iterator[tf.Tensor]
    dropouts: Dropouts | None
    seen: list[tf.Tensor] = field(default_factory=list)
    dropped: int = 0


def train_forward(
    networks: Architecture, parameters: tf.Tensor, inputs: tf.Tensor, dropouts: Dropouts
) -> tuple[Outputs, tf.Tensor]:
    """What the networks answer as they learn.

    Args:
        parameters: (nets, parameters).
        inputs: (nets, rows, columns).

    Returns:
        The answers, laid end to end: (nets * rows, outputs); and the (nets, statistics) means and variances of the
        batch.
    """
    on_its_way = _Pass(iter(networks.split_parameters(parameters)), iter(()), dropouts)
    logits = _through(networks.layers, inputs, on_its_way)
    seen = tf.concat([*on_its_way.seen, tf.zeros((inputs.shape[0], 0))], axis=1)
    return _outputs(networks, logits), seen


def predict_forward(
    networks: Architecture, parameters: tf.Tensor, statistics: tf.Tensor, inputs: tf.Tensor
) -> Outputs:
    """What trained networks answer: (nets * rows, outputs) for (nets, rows, columns)."""
    on_its_way = _Pass(
        iter(networks.split_parameters(parameters)), iter(networks.split_statistics(statistics)), None
    )
    return _outputs(networks, _through(networks.layers, inputs, on_its_way))


def _outputs(networks: Architecture, logits: tf.Tensor) -> Outputs:
    name = networks.final_activation
    flat = tf.reshape(logits, (-1, logits.shape[-1]))
    return Outputs(flat, partial(apply_activation, name), softmax=name == "softmax")


def _through(layers: Layers, source: tf.Tensor, on_its_way: _Pass) -> tf.Tensor:
    return walk(layers, source, lambda _, layer, inputs: FORWARD[type(layer)](layer, inputs[0], on_its_way))


def _dense(layer: Dense, x: tf.Tensor, on_its_way: _Pass) -> tf.Tensor:
    weights, offset = next(on_its_way.parameters), next(on_its_way.parameters)
    if on_its_way.dropouts is None:
        return apply_activation(layer.activation_function, tf.matmul(x, weights) + offset[:, None])
    return apply_activation(layer.activation_function, _affine(x, weights, offset))


@tf.custom_gradient
def _affine(x: tf.Tensor, weights: tf.Tensor, offset: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
        total = _row_sums(upstream)[:, 0]
        return tf.matmul(upstream, weights, transpose_b=True), tf.matmul(x, upstream, transpose_a=True), total

    return tf.matmul(x, weights) + offset[:, None], gradient


def _batch_normalization(layer: BatchNormalization, x: tf.Tensor, on_its_way: _Pass) -> tf.Tensor:
    gamma, beta = (next(on_its_way.parameters)[:, None] for _ in range(2))
    if on_its_way.dropouts is None:
        mean, variance = (next(on_its_way.statistics)[:, None] for _ in range(2))
        scale = gamma * tf.math.rsqrt(variance + layer.epsilon)
        return x * scale + (beta - mean * scale)
    output, mean, variance = _normalized(x, gamma, beta, tf.constant(layer.epsilon))
    on_its_way.seen += [mean[:, 0], variance[:, 0]]
    return output


@tf.custom_gradient
def _normalized(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: tf.Tensor
) -> tuple[tuple[tf.Tensor, ...], Gradient]:
    """The output, and the (nets, 1, columns) mean and variance of the batch, which nothing descends on."""
    mean = _row_sums(x, 1.0 / x.shape[1])
    centred = x - mean
    variance = _row_sums(centred * centred, 1.0 / x.shape[1])
    scale = tf.math.rsqrt(variance + epsilon)

    def gradient(upstream: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        normal = centred * scale
        plain, weighted = _row_sums(upstream), _row_sums(upstream * normal)
        share = 1.0 / x.shape[1]
        return gamma * scale * (upstream - share * (plain + normal * weighted)), weighted, plain, None

    return (centred * (scale * gamma) + beta, mean, variance), gradient


def _row_sums(x: tf.Tensor, share: float = 1.0) -> tf.Tensor:
    """(nets, 1, columns): `share` of the sum over rows.

    As a product it is in a library; sums over rows are compiled one by one, which takes longer than to train.
    """
    nets, rows, _ = x.shape
    return tf.matmul(tf.fill((nets, 1, rows), share), x)


def _activation(layer: Activation, x: tf.Tensor, on_its_way: _Pass) -> tf.Tensor:
    return apply_activation(layer.activation_function, x)


def _dropout(layer: Dropout, x: tf.Tensor, on_its_way: _Pass) -> tf.Tensor:
    if on_its_way.dropouts is None:
        return x
    number = on_its_way.dropped
    on_its_way.dropped += 1
    dropouts = on_its_way.dropouts
    kept = _is_kept(x.shape, dropouts.thresholds[number], dropouts.keys[number])
    if layer.dropout_type == "alpha":
        return tf.where(kept, x, SELU_FLOOR) * dropouts.scales[number] + dropouts.shifts[number]
    return tf.where(kept, x, 0.0) * dropouts.scales[number]


def _is_kept(shape: tf.TensorShape, threshold: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """(nets, rows, columns) bool: whether a hash of net, step, layer and place reaches the threshold."""
    _, rows, columns = shape
    place = tf.reshape(tf.range(rows * columns), (1, rows, columns))
    bits = mix32(tf.cast(place, tf.uint32) ^ key)
    # 31 bits, for a comparison of uint32 is none that processors have
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(1, tf.uint32)), tf.int32) >= threshold


def _residual_block(layer: DenseResidualBlock, x: tf.Tensor, on_its_way: _Pass) -> tf.Tensor:
    first, second = (_through(getattr(layer, path), x, on_its_way) for path in layer.paths)
    return apply_activation(layer.activation_function, first + _as_wide(second, first.shape[-1]))


def _as_wide(x: tf.Tensor, want: int) -> tf.Tensor:
    """`x` cut, or tiled and cut, to `want` columns."""
    have = x.shape[-1]
    return x if have == want else tf.concat([x] * -(-want // have), axis=-1)[..., :want]


FORWARD: Mapping[type[LayerSpec], Callable[[Any, tf.Tensor, _Pass], tf.Tensor]] = MappingProxyType(
    {
        Activation: _activation,
        BatchNormalization: _batch_normalization,
        Dense: _dense,
        DenseResidualBlock: _residual_block,
        Dropout: _dropout,
    }
)
"""The layer types that networks side by side can have."""
