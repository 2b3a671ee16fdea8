"""When a training is checked, and when it ends."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from pyramid.settings.options import LimitOptions

MAX_STEPS_PER_CALL = 256


@dataclass(frozen=True)
class TrainingLimits:
    """When to check, and when to stop.

    Attributes:
        holdout_rows: rows that a check predicts.
        batch_size: rows of a step.
        patience: consecutive failed checks that end the training.
        max_iterations: optimiser steps; None is no limit.
        started: unix time in seconds from which `max_training_time` counts.
        max_training_time: in seconds; None is no limit.
        max_seconds_per_update: a check happens at the latest after so long.
        warmup_iterations: failed checks before this iteration are not counted.
        decisive: the metrics that a check is judged by; none are all.
    """

    holdout_rows: int
    batch_size: int
    patience: int
    max_iterations: int | None
    started: float
    max_training_time: float | None
    max_seconds_per_update: float
    warmup_iterations: int
    decisive: tuple[str, ...] = ()

    @property
    def least_steps_per_check(self) -> int:
        """Steps between checks while every metric gets better."""
        return max(4, math.ceil(10 * self.holdout_rows / self.batch_size))

    @property
    def steps_per_call(self) -> int:
        """The most steps that one compiled call takes."""
        most = MAX_STEPS_PER_CALL if self.max_iterations is None else max(1, self.max_iterations)
        return min(MAX_STEPS_PER_CALL, self.least_steps_per_check, most)

    def steps_to_check(self, worse_metrics: int) -> int:
        """Steps until the next check when `worse_metrics` got worse at the last."""
        return max(4 * worse_metrics, self.least_steps_per_check)

    def out_of_time(self) -> bool:
        """Whether `max_training_time` is over."""
        return self.max_training_time is not None and time.time() - self.started >= self.max_training_time

    def progress(self, iterations: int, failures: int) -> float:
        """Share of the training that is done at the least, 0 to 1."""
        shares = []
        if self.max_iterations:
            shares.append(iterations / self.max_iterations)
        if self.max_training_time:
            shares.append((time.time() - self.started) / self.max_training_time)
        return min(1.0, max(shares, default=failures / self.patience))


def training_limits(
    options: LimitOptions, holdout_rows: int, started: float, decisive: tuple[str, ...] = ()
) -> TrainingLimits:
    """The limits that a job's settings give."""
    return TrainingLimits(
        holdout_rows=holdout_rows,
        batch_size=options.batch_size,
        patience=options.patience,
        max_iterations=options.max_iterations,
        started=started,
        max_training_time=options.max_training_time,
        max_seconds_per_update=options.max_seconds_per_update,
        warmup_iterations=options.learning_rate_warmup_iterations,
        decisive=decisive,
    )
