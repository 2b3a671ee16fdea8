"""How many steps the calls between two checks take."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from pyramid.train.limits import TrainingLimits
from pyramid.train.loop import Evaluated, State, Steps

SECONDS_PER_CALL = 0.25
STEPS_TO_TIME = 4


@dataclass
class Run:
    """How far the steps of a training have come; lives as long as that.

    Attributes:
        state: after the last step.
        iterations: steps taken in all.
        seconds_per_step: of the last call.
        calls: made in this training.
    """

    state: State
    iterations: int = 0
    seconds_per_step: float = 0.0
    calls: int = 0

    def until_check(
        self, steps: Steps[Evaluated], limits: TrainingLimits, worse: int = 0
    ) -> tuple[float, Evaluated]:
        """Run steps until the next check is due; gives the mean loss of the last call, and what it is judged by.

        Args:
            worse: how many metrics got worse at the last check.
        """
        due = self.iterations + limits.steps_to_check(worse)
        if limits.max_iterations is not None:
            due = min(due, limits.max_iterations)
        last_check = time.perf_counter()
        while True:
            n_steps = self._steps_in_call(min(due - self.iterations, limits.steps_per_call))
            began = time.perf_counter()
            self.state, mean_loss, outcome = steps(self.state, self.iterations, n_steps)
            loss = float(mean_loss)
            self.seconds_per_step = (time.perf_counter() - began) / max(1, n_steps)
            self.iterations += n_steps
            self.calls += 1
            waited = time.perf_counter() - last_check
            overdue = waited >= limits.max_seconds_per_update or limits.out_of_time()
            if self.iterations >= due or overdue or not math.isfinite(loss):
                return loss, outcome

    def _steps_in_call(self, most: int) -> int:
        """How many steps the next call takes: few until a step has been timed, then about a quarter second's."""
        if self.calls < 2:
            return min(most, (1, STEPS_TO_TIME)[self.calls])
        if self.seconds_per_step * most <= SECONDS_PER_CALL:
            return most
        return max(1, int(SECONDS_PER_CALL / self.seconds_per_step))
