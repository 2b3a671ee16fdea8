"""Training to the end: steps, holdout checks, stops, and the best weights kept (docs/training.md, "Holdout checks")."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pyramid.errors import TrainingError
from pyramid.fields import OBJECTIVES
from pyramid.progress import Report
from pyramid.settings.options import LimitOptions
from pyramid.train.checks import HoldoutCheck, OnCheck, ignore_check
from pyramid.train.dataset import Dataset
from pyramid.train.loop import Evaluated, State, Steps
from pyramid.train.monitor import Monitor, are_finite

MAX_STEPS_PER_CALL = 256
SECONDS_PER_CALL = 0.25
SECONDS_PER_REPORT = 0.2
STEPS_TO_TIME = 4

Metrics = dict[str, float]


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


def training_limits(options: LimitOptions, holdout: Dataset, started: float) -> TrainingLimits:
    """The limits that a job's settings give."""
    return TrainingLimits(
        holdout_rows=len(holdout),
        batch_size=options.batch_size,
        patience=options.patience,
        max_iterations=options.max_iterations,
        started=started,
        max_training_time=options.max_training_time,
        max_seconds_per_update=options.max_seconds_per_update,
        warmup_iterations=options.learning_rate_warmup_iterations,
        decisive=holdout.objective.decisive,
    )


@dataclass(frozen=True)
class Fit:
    """The outcome of a training.

    Attributes:
        state: the weights of the last check that was not a step back.
        metrics: that check's holdout metrics; larger is better.
        iterations: optimiser steps taken in all.
        checks: holdout checks in all.
        stopped_by: "patience", "max_iterations", "max_training_time" or "non_finite".
        bests: the best value of each metric so far.
        seconds: that the training took.
    """

    state: State
    metrics: Metrics
    iterations: int
    checks: int
    stopped_by: str
    bests: Metrics = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class _Progress:
    """Where a training stands; lives as long as one `fit`."""

    state: State
    began: float = field(default_factory=time.perf_counter)
    monitor: Monitor = field(default_factory=Monitor)
    iterations: int = 0
    checks: int = 0
    worse: int = 0
    best: tuple[State, Metrics] | None = None
    seconds_per_step: float = 0.0
    calls: int = 0
    reported: float = -math.inf

    @classmethod
    def after(cls, state: State, earlier: Fit | None) -> _Progress:
        """The beginning, or where an earlier training ended: its weights are to be bettered."""
        if earlier is None:
            return cls(state)
        return cls(
            state,
            began=time.perf_counter() - earlier.seconds,
            monitor=Monitor(dict(earlier.bests)),
            iterations=earlier.iterations,
            checks=earlier.checks,
            best=(state, earlier.metrics),
        )

    def steps_in_call(self, most: int) -> int:
        """How many steps the next call takes: few until a step has been timed, then about a quarter second's."""
        if self.calls < 2:
            return min(most, (1, STEPS_TO_TIME)[self.calls])
        if self.seconds_per_step * most <= SECONDS_PER_CALL:
            return most
        return max(1, int(SECONDS_PER_CALL / self.seconds_per_step))


def fit(
    state: State,
    steps: Steps[Evaluated],
    evaluate: Callable[[Evaluated], Metrics],
    limits: TrainingLimits,
    report: Report,
    earlier: Fit | None = None,
    on_check: OnCheck = ignore_check,
) -> Fit:
    """Train from `state` until patience, iterations or time run out, or numbers are no longer finite.

    Args:
        steps: as `compile_steps` gives it, for calls of up to `limits.steps_per_call`.
        evaluate: the holdout metrics of what the last call before a check gave.
        report: told of each check, a few times a second at most.
        earlier: a training that this one goes on from, with fresh patience: `state` holds its weights. Iterations,
            checks and seconds count on, and `state` comes back if nothing better is found.
        on_check: told of each check with finite numbers.

    Raises:
        TrainingError: not one check had finite metrics.
    """
    progress = _Progress.after(state, earlier)
    stopped_by = None
    while stopped_by is None:
        loss, outcome = _train_until_check(progress, steps, limits)
        stopped_by = _check(progress, loss, evaluate(outcome), limits, report, on_check)
    if progress.best is None:
        raise TrainingError(
            f"the training never reached finite metrics: after {progress.iterations} iterations the loss was "
            f"{loss}; a smaller learning_rate may help"
        )
    best_state, metrics = progress.best
    return Fit(
        best_state,
        metrics,
        progress.iterations,
        progress.checks,
        stopped_by,
        progress.monitor.best,
        time.perf_counter() - progress.began,
    )


def _train_until_check(
    progress: _Progress, steps: Steps[Evaluated], limits: TrainingLimits
) -> tuple[float, Evaluated]:
    """Run steps until the next check is due; gives the mean loss of the last call, and what it is judged by."""
    due = progress.iterations + limits.steps_to_check(progress.worse)
    if limits.max_iterations is not None:
        due = min(due, limits.max_iterations)
    last_check = time.perf_counter()
    while True:
        n_steps = progress.steps_in_call(min(due - progress.iterations, limits.steps_per_call))
        began = time.perf_counter()
        progress.state, mean_loss, outcome = steps(progress.state, progress.iterations, n_steps)
        loss = float(mean_loss)
        progress.seconds_per_step = (time.perf_counter() - began) / max(1, n_steps)
        progress.iterations += n_steps
        progress.calls += 1
        waited = time.perf_counter() - last_check
        overdue = waited >= limits.max_seconds_per_update or limits.out_of_time()
        if progress.iterations >= due or overdue or not math.isfinite(loss):
            return loss, outcome


def _check(
    progress: _Progress,
    loss: float,
    metrics: Metrics,
    limits: TrainingLimits,
    report: Report,
    on_check: OnCheck,
) -> str | None:
    """Judge the holdout metrics; gives what ends the training, or None."""
    progress.checks += 1
    if not math.isfinite(loss) or not are_finite(metrics):
        _report(progress, progress.best[1] if progress.best else {}, limits, report, _warning(progress))
        return "non_finite"
    decisive = {name: metrics[name] for name in limits.decisive or metrics}
    verdict = progress.monitor.check(decisive, progress.iterations < limits.warmup_iterations)
    progress.worse = verdict.worse
    if verdict.keep:
        progress.best = (progress.state.judged, metrics)
    seconds = time.perf_counter() - progress.began
    on_check(HoldoutCheck(progress.iterations, seconds, loss, metrics, verdict.keep))
    if time.perf_counter() - progress.reported >= SECONDS_PER_REPORT:
        _report(progress, metrics, limits, report)
    if progress.monitor.failures >= limits.patience:
        return "patience"
    if limits.max_iterations is not None and progress.iterations >= limits.max_iterations:
        return "max_iterations"
    return "max_training_time" if limits.out_of_time() else None


def _report(
    progress: _Progress, metrics: Metrics, limits: TrainingLimits, report: Report, message: str | None = None
) -> None:
    progress.reported = time.perf_counter()
    headline = next((one.headline for one in OBJECTIVES.values() if metrics.keys() >= set(one.headline)), ())
    elapsed = progress.reported - progress.began
    report(
        limits.progress(progress.iterations, progress.monitor.failures),
        iterations=progress.iterations,
        seconds_per_iteration=elapsed / max(1, progress.iterations),
        time_elapsed=elapsed,
        checks=progress.checks,
        **{name: metrics[name] for name in headline},
        **({} if message is None else {"message": message}),
    )


def _warning(progress: _Progress) -> str:
    outcome = "the best weights before are kept" if progress.best else "there were no finite ones before"
    return f"warning: not all numbers are finite after {progress.iterations} iterations: {outcome}"
