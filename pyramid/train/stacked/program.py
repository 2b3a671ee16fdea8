"""The compiled program that trains networks side by side: many steps of all of them in a call, and then a check.

Numbers that networks differ in (rates, seeds, smoothing) go into it as data, so it is compiled for shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from pyramid.randomness import mix32
from pyramid.train.loop import State, gather_batch, statistics_share
from pyramid.train.losses import Loss, Outputs
from pyramid.train.optimizers import Optimizer
from pyramid.train.sampling import Rows
from pyramid.train.stacked.architecture import Architecture
from pyramid.train.stacked.forward import GOLDEN, Dropouts, train_forward
from pyramid.train.stacked.sampling import Place, StackedSampler
from pyramid.train.traced import traced_once

MOMENTUM = 0.99
"""Of moving means and variances, as in Keras."""


class NetNumbers(NamedTuple):
    """The numbers that each network has of its own.

    Attributes:
        learning_rate: (nets, 1), before warm-up and schedule.
        label_smoothing: (nets, 1, 1), or None where all are 0.
        dropouts: of the first step.
        weight_scale: (nets, 1), what the rows' weights are multiplied by, so that their mean over its training rows
            is 1.
    """

    learning_rate: tf.Tensor
    label_smoothing: tf.Tensor | None
    dropouts: Dropouts
    weight_scale: tf.Tensor


@dataclass(frozen=True)
class StackedTask:
    """What networks side by side are trained on, and how.

    Attributes:
        networks: their architecture.
        rows: of all networks together; weights as they are, before `NetNumbers.weight_scale`.
        sampler: draws their batches.
        numbers: what they differ in.
        loss: what is descended on.
        optimizer: of (nets, parameters) matrices.
        schedule: the share of the rate at an iteration.
    """

    networks: Architecture
    rows: Rows
    sampler: StackedSampler
    numbers: NetNumbers
    loss: Loss
    optimizer: Optimizer
    schedule: Callable[[tf.Tensor], tf.Tensor]

    def step(self, number: tf.Tensor, place: Place, state: State) -> tuple[State, tf.Tensor]:
        """One optimiser step of every network; gives the (nets,) mean losses, too.

        Args:
            number: of the step, an int32 that counts from 0.
            place: where its batches begin.
        """
        batch = self._batch(place)
        iteration = tf.cast(number + 1, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(state.parameters)
            outputs, seen = train_forward(
                self.networks, state.parameters, batch.inputs, self._dropouts(number)
            )
            means = self._mean_losses(batch, outputs)
            total = tf.reduce_sum(means)
        gradient = tape.gradient(total, state.parameters, unconnected_gradients="zero")
        rate = self.numbers.learning_rate * self.schedule(iteration)
        parameters, slots = self.optimizer.update(gradient, state.parameters, state.slots, iteration, rate)
        statistics = self._statistics(state.buffers[0], seen, iteration)
        return State(parameters, (statistics,), slots), means

    def _batch(self, place: Place) -> Rows:
        batch = gather_batch(self.rows, self.sampler.draw(place))
        targets, weights, smoothing = batch.targets, batch.weights, self.numbers.label_smoothing
        if smoothing is not None:
            targets = targets * (1.0 - smoothing) + smoothing / targets.shape[-1]
        if weights is not None:
            weights *= self.numbers.weight_scale
        return Rows(batch.inputs, targets, weights)

    def _dropouts(self, number: tf.Tensor) -> Dropouts:
        drops = self.numbers.dropouts
        step = tf.cast(number, tf.uint32) * tf.constant(GOLDEN, tf.uint32)
        return drops._replace(keys=mix32(drops.keys + step))

    def _mean_losses(self, batch: Rows, outputs: Outputs) -> tf.Tensor:
        losses = _by_net(self.loss, batch.targets, outputs)
        return tf.reduce_mean(losses if batch.weights is None else losses * batch.weights, axis=1)

    def _statistics(self, before: tf.Tensor, seen: tf.Tensor, iteration: tf.Tensor) -> tf.Tensor:
        """Moving statistics after a step."""
        share = tf.where(self.networks.fresh, statistics_share(MOMENTUM, iteration), 1.0 - MOMENTUM)
        return before + share * (seen - before)

    def compiled(self) -> Callable[[State, int, int], tuple[State, tf.Tensor]]:
        """The function `(state, first_step, n_steps) -> (state, (nets,) mean losses)`.

        It compiles on its first call.
        """

        @tf.function(jit_compile=True, autograph=False)
        def run(
            state: State, first_step: tf.Tensor, first_place: Place, n_steps: tf.Tensor
        ) -> tuple[State, tf.Tensor]:
            def body(done: tf.Tensor, state: State, total: tf.Tensor) -> tuple[tf.Tensor, State, tf.Tensor]:
                state, means = self.step(
                    first_step + done, first_place.after(done * self.sampler.batch_size), state
                )
                return done + 1, state, total + means

            start = (tf.constant(0), state, tf.zeros(state.parameters.shape[0]))
            _, state, total = tf.while_loop(lambda done, *_: done < n_steps, body, start)
            return state, total / tf.maximum(tf.cast(n_steps, tf.float32), 1.0)

        traced = traced_once(run)

        def steps(state: State, first_step: int, n_steps: int) -> tuple[State, tf.Tensor]:
            place = self.sampler.place(first_step)
            return traced(state, tf.constant(first_step), place, tf.constant(n_steps))

        return steps


def _by_net(loss: Loss, targets: tf.Tensor, outputs: Outputs) -> tf.Tensor:
    """(nets, rows): the loss of each row; targets are (nets, rows, outputs), the answers laid end to end."""
    nets, rows, width = targets.shape
    return tf.reshape(loss(tf.reshape(targets, (-1, width)), outputs), (nets, rows))
