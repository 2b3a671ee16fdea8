"""The compiled training loop: many optimiser steps in one call, on rows that already are on the device.

One XLA program draws the batches, gathers, mixes, differentiates and updates; Python is entered once per call. A
call's result depends on the step it begins with and nothing else, so it may be cut anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import keras
import numpy as np
import tensorflow as tf

from pyramid.train.losses import Loss, Outputs
from pyramid.train.optimizers import Optimizer, decayed
from pyramid.train.pieces import Cuts, Pieces, piecewise
from pyramid.train.sampling import ClassTargets, Rows, SampledRows, Sampler
from pyramid.train.traced import traced_once
from sensenet.layers.activations import apply_activation
from sensenet.network import Network

STATISTICS_RAMP = 10.0
"""Fresh moving statistics remember a tenth of the steps so far, until their momentum has them remember less."""


class State(NamedTuple):
    """Everything that a step changes; parameters and slots are `Pieces` in the loop that `compile_steps` gives.

    Attributes:
        parameters: (parameters,) float32, all trainable weights end to end.
        buffers: the other variables: moving statistics, counters of random generators.
        slots: the optimiser's vectors, each (parameters,) float32.
        average: the mean parameters of the last steps, where a training keeps it.
    """

    parameters: tf.Tensor
    buffers: tuple[tf.Tensor, ...]
    slots: tuple[tf.Tensor, ...]
    average: tuple[tf.Tensor, ...] = ()

    @property
    def judged(self) -> State:
        """The weights that are judged and kept: the average where there is one."""
        return State(self.average[0], self.buffers, self.slots) if self.average else self


@dataclass(frozen=True)
class FlatNetwork:
    """A Keras network as a pure function of one parameter vector.

    Attributes:
        network: the connected network; its variables change on `write` only.
    """

    network: Network

    @property
    def _model(self) -> keras.Model:
        return self.network.logits_model

    def read(self) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        """The network's weights as (parameters, buffers)."""
        flat = [tf.reshape(variable, [-1]) for variable in self._model.trainable_variables]
        parameters = tf.concat(flat, axis=0) if flat else tf.zeros((0,))
        buffers = tuple(tf.identity(variable) for variable in self._model.non_trainable_variables)
        return parameters, buffers

    def start(self, optimizer: Optimizer) -> State:
        """The state before the first step of `compile_steps`."""
        vector, buffers = self.read()
        parameters = self.cuts.pieces(vector)
        return State(parameters, buffers, optimizer.initial_slots(parameters))

    def write(self, state: State) -> None:
        """Put the weights of `state` into the Keras variables."""
        for variable, value in zip(
            self._model.trainable_variables, self._arrays(state.parameters), strict=True
        ):
            variable.assign(value)
        for variable, value in zip(self._model.non_trainable_variables, state.buffers, strict=True):
            variable.assign(value)

    def decayed(self, optimizer: Optimizer, decay: float) -> Optimizer:
        """The optimiser with a decoupled weight decay of the kernels of dense layers; itself where that is 0."""
        return decayed(optimizer, decay, self._kernels) if decay else optimizer

    def piecewise(self, optimizer: Optimizer, decay: float) -> Optimizer:
        """As `decayed`, of vectors in the pieces of `cuts`."""
        if not decay:
            return piecewise([optimizer] * len(self.cuts.sizes))
        marks = self.cuts.pieces(self._kernels)
        return piecewise([decayed(optimizer, decay, of_piece.numpy()) for of_piece in marks])

    @property
    def cuts(self) -> Cuts:
        """Where the parameters are cut into pieces."""
        return Cuts.of([tuple(variable.shape) for variable in self._model.trainable_variables])

    @property
    def _kernels(self) -> np.ndarray:
        """(parameters,) float32: 1 in the kernels of dense layers, 0 elsewhere."""
        layers = [
            layer for layer in keras.tree.flatten(self.network.parts) if isinstance(layer, keras.layers.Dense)
        ]
        kernels = {id(layer.kernel) for layer in layers}
        marks = [
            np.full(int(np.prod(variable.shape)), id(variable) in kernels, np.float32)
            for variable in self._model.trainable_variables
        ]
        return np.concatenate([*marks, np.zeros(0, np.float32)])

    def fresh_statistics(self) -> Mapping[int, float]:
        """The momentum of each buffer that is a moving statistic which has not seen a batch yet, by its place."""
        layers = [layer for layer in keras.tree.flatten(self.network.parts) if _is_fresh(layer)]
        momenta = {
            id(variable): layer.momentum for layer in layers for variable in layer.non_trainable_variables
        }
        variables = enumerate(self._model.non_trainable_variables)
        return {place: momenta[id(variable)] for place, variable in variables if id(variable) in momenta}

    def apply(
        self,
        parameters: tf.Tensor | Pieces,
        buffers: tuple[tf.Tensor, ...],
        inputs: tf.Tensor,
        training: bool,
    ) -> tuple[Outputs, tuple[tf.Tensor, ...]]:
        """Run (rows, inputs) through the network; gives its outputs and the new buffers."""
        logits, new_buffers = self._model.stateless_call(
            self._arrays(parameters), list(buffers), inputs, training=training
        )
        name = self.network.final_activation
        outputs = Outputs(logits, partial(apply_activation, name), softmax=name == "softmax")
        return outputs, tuple(new_buffers)

    def _arrays(self, parameters: tf.Tensor | Pieces) -> list[tf.Tensor]:
        cuts = self.cuts
        return cuts.arrays(parameters if isinstance(parameters, tuple) else cuts.pieces(parameters))


Evaluated = TypeVar("Evaluated")
"""What a holdout check judges: predictions, or what makes them."""

Steps = Callable[[State, int, int], tuple[State, tf.Tensor, Evaluated]]
"""`(state, first_step, n_steps) -> (state, mean loss, outcome)`."""

Step = Callable[[tf.Tensor, State, Rows], tuple[State, tf.Tensor]]


def _is_fresh(layer: keras.Layer) -> bool:
    if not isinstance(layer, keras.layers.BatchNormalization) or not layer.trainable:
        return False
    return not np.any(layer.moving_mean) and bool(np.all(np.asarray(layer.moving_variance) == 1))


def statistics_share(momentum: float, iteration: tf.Tensor) -> tf.Tensor:
    """How much of a fresh moving statistic the batch of a step is; falls from 1 to `1 - momentum`.

    A statistic starts as 0 or 1, which weighs momentum^t of it after t steps: an early check would judge a network
    that is normalised by numbers of no image. And a young network soon is another one than those whose numbers the
    mean of all its steps holds, so that this remembers a share of the steps alone while they are few.

    Args:
        iteration: float32, counted from 1 for the first step since the network was connected.
    """
    return tf.maximum(1.0 - momentum, STATISTICS_RAMP / (STATISTICS_RAMP - 1.0 + iteration))


def _remembered(
    old: tuple[tf.Tensor, ...], new: tuple[tf.Tensor, ...], momenta: Mapping[int, float], iteration: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """The buffers after a step, fresh moving statistics with the share of its batch that they should have.

    Args:
        momenta: see `FlatNetwork.fresh_statistics`.
        iteration: see `statistics_share`.
    """
    return tuple(
        before + (after - before) * statistics_share(momenta[place], iteration) / (1.0 - momenta[place])
        if place in momenta
        else after
        for place, (before, after) in enumerate(zip(old, new, strict=True))
    )


def make_step(
    network: FlatNetwork, loss: Loss, optimizer: Optimizer, rate: Callable[[tf.Tensor], tf.Tensor]
) -> Step:
    """The function of one optimiser step, to be traced.

    Args:
        rate: the learning rate at a float32 iteration, counted from 1.

    Returns:
        `(number from 0, state, batch) -> (state, mean loss of the batch)`.
    """

    momenta = network.fresh_statistics()

    def step(number: tf.Tensor, state: State, batch: Rows) -> tuple[State, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(state.parameters)
            outputs, buffers = network.apply(state.parameters, state.buffers, batch.inputs, training=True)
            losses = loss(batch.targets, outputs)  # (batch,)
            mean = tf.reduce_mean(losses if batch.weights is None else losses * batch.weights)
        # zero where there is nothing to train, as in a readout that is only an activation
        gradient = tape.gradient(mean, state.parameters, unconnected_gradients="zero")
        iteration = tf.cast(number + 1, tf.float32)
        buffers = _remembered(state.buffers, buffers, momenta, iteration)
        parameters, slots = optimizer.update(
            gradient, state.parameters, state.slots, iteration, rate(iteration)
        )
        return state._replace(parameters=parameters, buffers=buffers, slots=slots), mean

    return step


def compile_steps(
    network: FlatNetwork,
    rows: Rows,
    sampler: Sampler,
    loss: Loss,
    optimizer: Optimizer,
    rate: Callable[[tf.Tensor], tf.Tensor],
    holdout_inputs: np.ndarray,
    weight_decay: float = 0.0,
) -> Steps[tf.Tensor]:
    """The function that runs optimiser steps, and then predicts the holdout.

    Both are one program: it compiles faster than two, and a check costs no call of its own.

    Args:
        sampler: draws the batches of as many steps as a call can take at most.
        rate: the learning rate at a float32 iteration, counted from 1.
        holdout_inputs: (holdout rows, inputs) float32.
        weight_decay: see `FlatNetwork.decayed`.

    Returns:
        `(state, first_step, n_steps) -> (state, mean loss, (holdout rows, outputs) predictions)`, of states as
        `FlatNetwork.start` gives them; it compiles on its first call. `n_steps` is at least 0 (whose loss is 0) and at
        most what `sampler` draws.
    """
    holdout = tf.constant(holdout_inputs)

    step = make_step(network, loss, network.piecewise(optimizer, weight_decay), rate)

    @tf.function(jit_compile=True, autograph=False)
    def run(state: State, first_step: tf.Tensor, n_steps: tf.Tensor) -> tuple[State, tf.Tensor, tf.Tensor]:
        draws = sampler(first_step)

        def body(done: tf.Tensor, state: State, total: tf.Tensor) -> tuple[tf.Tensor, State, tf.Tensor]:
            state, mean = step(first_step + tf.cast(done, tf.int64), state, gather(rows, draws, done))
            return done + 1, state, total + mean

        _, state, total = tf.while_loop(
            lambda done, *_: done < n_steps, body, (tf.constant(0), state, tf.constant(0.0))
        )
        outputs, _ = network.apply(state.parameters, state.buffers, holdout, training=False)
        return state, total / tf.maximum(tf.cast(n_steps, tf.float32), 1.0), outputs.predictions

    traced = traced_once(run)

    def steps(state: State, first_step: int, n_steps: int) -> tuple[State, tf.Tensor, tf.Tensor]:
        return traced(state, tf.constant(first_step, tf.int64), tf.constant(n_steps, tf.int32))

    return steps


def gather(rows: Rows, draws: SampledRows, step: tf.Tensor) -> Rows:
    """The batch of one step of some, mixed where the draws say so."""
    return gather_batch(rows, SampledRows(*(None if draw is None else draw[step] for draw in draws)))


def gather_batch(rows: Rows, draws: SampledRows) -> Rows:
    """The rows of one batch (or of one for each of many networks), mixed where the draws say so."""
    batch = _take(rows, draws.rows)
    if draws.partners is None or draws.shares is None:
        return batch
    partner, share = _take(rows, draws.partners), draws.shares
    return Rows(
        inputs=_blend(batch.inputs, partner.inputs, share[..., None]),
        targets=_blend(batch.targets, partner.targets, share[..., None]),
        weights=None if rows.weights is None else _blend(batch.weights, partner.weights, share),
    )


def _take(rows: Rows, indices: tf.Tensor) -> Rows:
    return Rows(*(None if column is None else _gather(column, indices) for column in rows))


def _gather(column: tf.Tensor | ClassTargets, indices: tf.Tensor) -> tf.Tensor:
    return column.gather(indices) if isinstance(column, ClassTargets) else tf.gather(column, indices)


def _blend(one: tf.Tensor, other: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return share * one + (1.0 - share) * other
