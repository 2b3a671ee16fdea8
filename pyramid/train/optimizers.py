"""Optimisers as pure functions over one flat parameter vector.

An optimiser has `slots` (how many vectors of state it keeps, and what they begin with) and
`update(gradient, parameters, slots, iteration, rate) -> (parameters, slots)`. All vectors are (parameters,)
float32; `iteration` is a float32 scalar that counts from 1. The formulas are those that Keras documents, so a rate
means here what people know from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from pyramid.settings.options import OptimizerOptions

Vectors = tuple[tf.Tensor, ...]
Update = Callable[[tf.Tensor, tf.Tensor, Vectors, tf.Tensor, tf.Tensor], tuple[tf.Tensor, Vectors]]


@dataclass(frozen=True)
class Optimizer:
    """One descent algorithm with its parameters bound.

    Attributes:
        slots: what each vector of state begins with.
        update: (gradient, parameters, slots, iteration, rate) -> (new parameters, new slots).
    """

    slots: tuple[float, ...]
    update: Update

    def initial_slots(self, parameters: tf.Tensor) -> Vectors:
        """The state before the first step, in pieces where the parameters are."""
        return tuple(tf.nest.map_structure(partial(_filled, value), parameters) for value in self.slots)


def sgd(options: OptimizerOptions) -> Optimizer:
    """Plain gradient descent, whatever `momentum` says."""
    return Optimizer((), lambda gradient, parameters, slots, _, rate: (parameters - rate * gradient, slots))


def momentum(options: OptimizerOptions) -> Optimizer:
    """Nesterov's accelerated gradient (Sutskever et al., ICML 2013)."""
    return Optimizer((0.0,), partial(_nesterov, decay=_given(options.momentum, 0.9)))


def _nesterov(
    gradient: tf.Tensor, parameters: tf.Tensor, slots: Vectors, _: tf.Tensor, rate: tf.Tensor, decay: float
) -> tuple[tf.Tensor, Vectors]:
    velocity = decay * slots[0] - rate * gradient
    return parameters + decay * velocity - rate * gradient, (velocity,)


def adam(options: OptimizerOptions) -> Optimizer:
    """Adam (arXiv 1412.6980, the efficient form of section 2)."""
    beta1, beta2, epsilon = options.beta1, options.beta2, options.epsilon

    def update(
        gradient: tf.Tensor, parameters: tf.Tensor, slots: Vectors, iteration: tf.Tensor, rate: tf.Tensor
    ) -> tuple[tf.Tensor, Vectors]:
        first = beta1 * slots[0] + (1 - beta1) * gradient
        second = beta2 * slots[1] + (1 - beta2) * gradient**2
        step = rate * tf.sqrt(1 - beta2**iteration) / (1 - beta1**iteration)
        return parameters - step * first / (tf.sqrt(second) + epsilon), (first, second)

    return Optimizer((0.0, 0.0), update)


def adamax(options: OptimizerOptions) -> Optimizer:
    """Adam with the infinity norm (arXiv 1412.6980, algorithm 2)."""
    beta1, beta2, epsilon = options.beta1, options.beta2, options.epsilon

    def update(
        gradient: tf.Tensor, parameters: tf.Tensor, slots: Vectors, iteration: tf.Tensor, rate: tf.Tensor
    ) -> tuple[tf.Tensor, Vectors]:
        first = beta1 * slots[0] + (1 - beta1) * gradient
        norm = tf.maximum(beta2 * slots[1], tf.abs(gradient))
        step = rate / (1 - beta1**iteration)
        return parameters - step * first / (norm + epsilon), (first, norm)

    return Optimizer((0.0, 0.0), update)


def nadam(options: OptimizerOptions) -> Optimizer:
    """Adam with Nesterov momentum (Dozat 2016); its momentum schedule is beta1 (1 - 0.96^t / 2), as in Keras."""
    beta1, beta2, epsilon = options.beta1, options.beta2, options.epsilon

    def update(
        gradient: tf.Tensor, parameters: tf.Tensor, slots: Vectors, iteration: tf.Tensor, rate: tf.Tensor
    ) -> tuple[tf.Tensor, Vectors]:
        now = beta1 * (1 - 0.5 * 0.96**iteration)
        following = beta1 * (1 - 0.5 * 0.96 ** (iteration + 1))
        schedule = slots[2] * now  # (parameters,), all equal: the product of the schedule so far
        first = beta1 * slots[0] + (1 - beta1) * gradient
        second = beta2 * slots[1] + (1 - beta2) * gradient**2
        ahead = following * first / (1 - schedule * following) + (1 - now) * gradient / (1 - schedule)
        scale = tf.sqrt(second / (1 - beta2**iteration)) + epsilon
        return parameters - rate * ahead / scale, (first, second, schedule)

    return Optimizer((0.0, 0.0, 1.0), update)


def adagrad(options: OptimizerOptions) -> Optimizer:
    """Adagrad (Duchi et al., JMLR 2011)."""
    epsilon = options.epsilon

    def update(
        gradient: tf.Tensor, parameters: tf.Tensor, slots: Vectors, _: tf.Tensor, rate: tf.Tensor
    ) -> tuple[tf.Tensor, Vectors]:
        total = slots[0] + gradient**2
        return parameters - rate * gradient / tf.sqrt(total + epsilon), (total,)

    return Optimizer((options.init_accumulator,), update)


def adadelta(options: OptimizerOptions) -> Optimizer:
    """Adadelta (arXiv 1212.5701, algorithm 1)."""
    rho, epsilon = _given(options.rho, 0.95), options.epsilon

    def update(
        gradient: tf.Tensor, parameters: tf.Tensor, slots: Vectors, _: tf.Tensor, rate: tf.Tensor
    ) -> tuple[tf.Tensor, Vectors]:
        squares = rho * slots[0] + (1 - rho) * gradient**2
        change = gradient * tf.sqrt(slots[1] + epsilon) / tf.sqrt(squares + epsilon)
        return parameters - rate * change, (squares, rho * slots[1] + (1 - rho) * change**2)

    return Optimizer((0.0, 0.0), update)


def rms_prop(options: OptimizerOptions) -> Optimizer:
    """RMSProp (Hinton, lecture 6.5, 2012), with momentum where asked for."""
    rho, decay, epsilon = _given(options.rho, 0.9), _given(options.momentum, 0.0), options.epsilon

    def update(
        gradient: tf.Tensor, parameters: tf.Tensor, slots: Vectors, _: tf.Tensor, rate: tf.Tensor
    ) -> tuple[tf.Tensor, Vectors]:
        squares = rho * slots[0] + (1 - rho) * gradient**2
        velocity = decay * slots[1] + rate * gradient / tf.sqrt(squares + epsilon)
        return parameters - velocity, (squares, velocity)

    return Optimizer((0.0, 0.0), update)


def ftrl(options: OptimizerOptions) -> Optimizer:
    """Follow the regularised leader (McMahan et al., KDD 2013, algorithm 1, with a free learning-rate power)."""
    power = -options.learning_rate_power
    l1, l2 = options.l1_regularization, options.l2_regularization

    def update(
        gradient: tf.Tensor, parameters: tf.Tensor, slots: Vectors, _: tf.Tensor, rate: tf.Tensor
    ) -> tuple[tf.Tensor, Vectors]:
        total = slots[0] + gradient**2
        linear = slots[1] + gradient - (total**power - slots[0] ** power) / rate * parameters
        quadratic = total**power / rate + 2 * l2
        # 0/0 for a parameter without any gradient yet, where init_accumulator is 0
        moved = tf.math.divide_no_nan(tf.clip_by_value(linear, -l1, l1) - linear, quadratic)
        return tf.where(quadratic == 0, parameters, moved), (total, linear)

    return Optimizer((options.init_accumulator, 0.0), update)


OPTIMIZERS: MappingProxyType[str, Callable[[OptimizerOptions], Optimizer]] = MappingProxyType(
    {
        "adadelta": adadelta,
        "adagrad": adagrad,
        "adam": adam,
        "adamax": adamax,
        "ftrl": ftrl,
        "momentum": momentum,
        "nadam": nadam,
        "rms_prop": rms_prop,
        "sgd": sgd,
    }
)


def make_optimizer(options: OptimizerOptions) -> Optimizer:
    """The optimiser that the job asks for as `descent_algorithm`, with its parameters (docs/training.md, "Optimisers").

    Raises:
        KeyError: no algorithm of that name.
    """
    return OPTIMIZERS[options.descent_algorithm](options)


def clipped(optimizer: Optimizer, norm: float) -> Optimizer:
    """The optimiser on gradients that are at most `norm` long (arXiv 1211.5063, section 3.2)."""

    def update(
        gradient: tf.Tensor, parameters: tf.Tensor, slots: Vectors, iteration: tf.Tensor, rate: tf.Tensor
    ) -> tuple[tf.Tensor, Vectors]:
        length = tf.sqrt(tf.reduce_sum(gradient**2))
        share = norm / tf.maximum(length, norm)
        return optimizer.update(share * gradient, parameters, slots, iteration, rate)

    return Optimizer(optimizer.slots, update)


def decayed(optimizer: Optimizer, decay: float | tf.Tensor, decays: np.ndarray) -> Optimizer:
    """The optimiser that also takes `rate * decay` of some parameters off them (arXiv 1711.05101, algorithm 2).

    Args:
        decay: one number, or one that broadcasts to the parameters.
        decays: (parameters,) float32: 1 for those that decay, 0 for the others.
    """

    def update(
        gradient: tf.Tensor, parameters: tf.Tensor, slots: Vectors, iteration: tf.Tensor, rate: tf.Tensor
    ) -> tuple[tf.Tensor, Vectors]:
        moved, slots = optimizer.update(gradient, parameters, slots, iteration, rate)
        return moved - rate * decay * decays * parameters, slots

    return Optimizer(optimizer.slots, update)


def learning_rate(options: OptimizerOptions, iteration: tf.Tensor) -> tf.Tensor:
    """The rate at iteration i (a float32 scalar, counted from 1): `learning_rate` times `rate_share`."""
    return options.learning_rate * rate_share(options, iteration)


def rate_share(options: OptimizerOptions, iteration: tf.Tensor) -> tf.Tensor:
    """What warm-up and schedule make of the rate: `min(1, i / warmup)²`, and half a cosine from 1 down to 0."""
    share = tf.constant(1.0)
    if options.learning_rate_warmup_iterations:
        share = tf.minimum(1.0, iteration / options.learning_rate_warmup_iterations) ** 2
    if options.learning_rate_schedule == "cosine":
        assert options.max_iterations is not None, "the rules of settings ask for it"
        done = tf.minimum(1.0, (iteration - 1.0) / max(1, options.max_iterations))
        share *= 0.5 + 0.5 * tf.cos(math.pi * done)
    return share


def _filled(value: float, vector: tf.Tensor) -> tf.Tensor:
    return tf.fill(tf.shape(vector), tf.constant(value, tf.float32))


def _given(value: float | None, default: float) -> float:
    return default if value is None else value
