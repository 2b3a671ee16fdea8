"""States that a training of another length can go on from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from pyramid.train.limits import TrainingLimits
from pyramid.train.loop import State
from pyramid.train.pace import Run
from pyramid.train.stacked.architecture import Weights

MAX_SNAPSHOT_BYTES = 256_000_000

StackedSteps = Callable[[State, int, int], tuple[State, tf.Tensor]]
"""`(state, first_step, n_steps) -> (state, (nets,) mean losses)`."""


class Snapshots:
    """States that the training of refitted networks can go on from: at which iteration they end is known last.

    A step depends on its number and the state before it alone, so going on from an earlier state gives the weights
    that a training of just so many iterations would have given.
    """

    def __init__(self, start: State):
        """Begin with the first state."""
        size = 4 * sum(
            int(np.prod(vector.shape)) for vector in (start.parameters, *start.buffers, *start.slots)
        )
        self._most = max(1, MAX_SNAPSHOT_BYTES // size)
        self._states = {0: start}

    def keep(self, run: Run, kept_at: np.ndarray) -> None:
        """Keep the state of a check, and of those before it what can still be needed.

        Args:
            kept_at: (variants, folds) int, the iterations whose weights are kept so far, or -1.
        """
        self._states[run.iterations] = run.state
        needed = min((mean_iterations(kept) for kept in kept_at if (kept >= 0).all()), default=run.iterations)
        first = max(at for at in self._states if at <= needed)
        left = sorted(at for at in self._states if at >= first)
        while len(left) > self._most:
            left = left[::2]
        self._states = {at: self._states[at] for at in left}

    def after(self, kept: Sequence[int], steps: StackedSteps, limits: TrainingLimits) -> State:
        """The state after the mean of the kept iterations; those of later calls must not be earlier."""
        iterations = mean_iterations(kept)
        at = max(there for there in self._states if there <= iterations)
        state = self._states[at]
        while at < iterations:
            count = min(limits.steps_per_call, iterations - at)
            state, _ = steps(state, at, count)
            at += count
        self._states = {at: state} | {there: one for there, one in self._states.items() if there > at}
        return state


def mean_iterations(kept: Sequence[int] | np.ndarray) -> int:
    """How long a refitted network learns; kept iterations only ever grow, and so does this."""
    return round(float(np.mean(kept)))


def weights_of(state: State) -> Weights:
    """The weights in a state of all networks."""
    return Weights(state.parameters.numpy(), state.buffers[0].numpy())
