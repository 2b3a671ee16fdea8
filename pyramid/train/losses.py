"""Loss functions: one number per row, from the network's logits.

A categorical target row is a probability distribution over the classes, a numeric one a single standardised
number. `Outputs` gives a loss both faces of the network: predictions, and their logarithms where they are needed
(through log-softmax: no probability is ever rounded to 0 first).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import tensorflow as tf

from pyramid.fields import Objective
from pyramid.fields.objectives import NumericObjective

SMALLEST_PROBABILITY = 1e-7
SMALLEST_SHARE_OF_STDEV = 0.01


@dataclass(frozen=True)
class Outputs:
    """What a network answers to a batch.

    Attributes:
        logits: (batch, outputs) float32, before the final activation.
        activate: the final activation.
        softmax: whether that is a softmax.
    """

    logits: tf.Tensor
    activate: Callable[[tf.Tensor], tf.Tensor]
    softmax: bool

    @property
    def predictions(self) -> tf.Tensor:
        """(batch, outputs): behind the final activation."""
        return self.activate(self.logits)

    @property
    def log_probabilities(self) -> tf.Tensor:
        """(batch, classes): the logarithm of the predictions."""
        if self.softmax:
            return tf.nn.log_softmax(self.logits)
        return tf.math.log(tf.clip_by_value(self.predictions, SMALLEST_PROBABILITY, 1.0))


Loss = Callable[[tf.Tensor, Outputs], tf.Tensor]


def crossentropy(truth: tf.Tensor, outputs: Outputs) -> tf.Tensor:
    """-sum t log p, (batch,)."""
    return -tf.reduce_sum(truth * outputs.log_probabilities, axis=1)


def kl_divergence(truth: tf.Tensor, outputs: Outputs) -> tf.Tensor:
    """sum t (log t - log p), (batch,): the cross-entropy less the target's own entropy."""
    return tf.reduce_sum(tf.math.xlogy(truth, truth) - truth * outputs.log_probabilities, axis=1)


def hinge(truth: tf.Tensor, outputs: Outputs) -> tf.Tensor:
    """max(0, 1 + largest wrong prediction - prediction of the truth), (batch,); Crammer and Singer 2001."""
    predictions = outputs.predictions
    right = tf.reduce_sum(truth * predictions, axis=1)
    wrong = tf.reduce_max((1.0 - truth) * predictions, axis=1)
    return tf.nn.relu(1.0 + wrong - right)


def cosine(truth: tf.Tensor, outputs: Outputs) -> tf.Tensor:
    """1 - cosine of the angle between truth and prediction, (batch,)."""
    sides = (tf.math.l2_normalize(truth, axis=1), tf.math.l2_normalize(outputs.predictions, axis=1))
    return 1.0 - tf.reduce_sum(sides[0] * sides[1], axis=1)


def mean_squared_error(truth: tf.Tensor, outputs: Outputs) -> tf.Tensor:
    """(t - p)², (batch,)."""
    return tf.reduce_mean(tf.math.squared_difference(truth, outputs.predictions), axis=1)


def huber(truth: tf.Tensor, outputs: Outputs) -> tf.Tensor:
    """e²/2 for errors |e| up to 1 (a standard deviation), |e| - 1/2 beyond, (batch,); Huber 1964."""
    error = tf.abs(truth - outputs.predictions)
    near = tf.minimum(error, 1.0)
    return tf.reduce_mean(near * (error - 0.5 * near), axis=1)


def mean_percentage_error(mean: float, stdev: float) -> Loss:
    """|t - p| in percent of |t|, both in the objective's own units, (batch,).

    |t| counts as at least 1% of the standard deviation, so that truths near 0 do not drown all others.
    """
    shift = mean / stdev

    def loss(truth: tf.Tensor, outputs: Outputs) -> tf.Tensor:
        size = tf.maximum(tf.abs(truth + shift), SMALLEST_SHARE_OF_STDEV)
        return 100.0 * tf.reduce_mean(tf.abs(truth - outputs.predictions) / size, axis=1)

    return loss


def _of_the_objectives_numbers(objective: Objective) -> Loss:
    assert isinstance(objective, NumericObjective), "it is a loss of numbers"
    return mean_percentage_error(objective.mean, objective.scale)


LOSSES: MappingProxyType[str, Callable[[Objective], Loss]] = MappingProxyType(
    {
        "crossentropy": lambda objective: crossentropy,
        "kl_divergence": lambda objective: kl_divergence,
        "hinge": lambda objective: hinge,
        "cosine": lambda objective: cosine,
        "mean_squared_error": lambda objective: mean_squared_error,
        "huber": lambda objective: huber,
        "mean_percentage_error": _of_the_objectives_numbers,
    }
)


def make_loss(name: str | None, objective: Objective) -> Loss:
    """The loss of that name for the objective.

    Raises:
        KeyError: no loss of that name.
    """
    assert name is not None, "the rules of settings ask for it"
    return LOSSES[name](objective)
