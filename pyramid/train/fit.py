"""Training to the end: steps, holdout checks, stops, and the best weights kept (docs/training.md, "Holdout checks")."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pyramid.errors import TrainingError
from pyramid.fields import OBJECTIVES
from pyramid.progress import Report
from pyramid.train.checks import HoldoutCheck, OnCheck, ignore_check
from pyramid.train.limits import TrainingLimits
from pyramid.train.loop import Evaluated, State, Steps
from pyramid.train.monitor import Monitor, are_finite
from pyramid.train.pace import Run

SECONDS_PER_REPORT = 0.2

Metrics = dict[str, float]


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

    run: Run
    began: float = field(default_factory=time.perf_counter)
    monitor: Monitor = field(default_factory=Monitor)
    checks: int = 0
    worse: int = 0
    best: tuple[State, Metrics] | None = None
    reported: float = -math.inf

    @classmethod
    def after(cls, state: State, earlier: Fit | None) -> _Progress:
        """The beginning, or where an earlier training ended: its weights are to be bettered."""
        if earlier is None:
            return cls(Run(state))
        return cls(
            Run(state, earlier.iterations),
            began=time.perf_counter() - earlier.seconds,
            monitor=Monitor(dict(earlier.bests)),
            checks=earlier.checks,
            best=(state, earlier.metrics),
        )


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
        loss, outcome = progress.run.until_check(steps, limits, progress.worse)
        stopped_by = _check(progress, loss, evaluate(outcome), limits, report, on_check)
    if progress.best is None:
        raise TrainingError(
            f"the training never reached finite metrics: after {progress.run.iterations} iterations the loss was "
            f"{loss}; a smaller learning_rate may help"
        )
    best_state, metrics = progress.best
    return Fit(
        best_state,
        metrics,
        progress.run.iterations,
        progress.checks,
        stopped_by,
        progress.monitor.best,
        time.perf_counter() - progress.began,
    )


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
    verdict = progress.monitor.check(decisive, progress.run.iterations < limits.warmup_iterations)
    progress.worse = verdict.worse
    if verdict.keep:
        progress.best = (progress.run.state.judged, metrics)
    seconds = time.perf_counter() - progress.began
    on_check(HoldoutCheck(progress.run.iterations, seconds, loss, metrics, verdict.keep))
    if time.perf_counter() - progress.reported >= SECONDS_PER_REPORT:
        _report(progress, metrics, limits, report)
    if progress.monitor.failures >= limits.patience:
        return "patience"
    if limits.max_iterations is not None and progress.run.iterations >= limits.max_iterations:
        return "max_iterations"
    return "max_training_time" if limits.out_of_time() else None


def _report(
    progress: _Progress, metrics: Metrics, limits: TrainingLimits, report: Report, message: str | None = None
) -> None:
    progress.reported = time.perf_counter()
    headline = next((one.headline for one in OBJECTIVES.values() if metrics.keys() >= set(one.headline)), ())
    elapsed = progress.reported - progress.began
    report(
        limits.progress(progress.run.iterations, progress.monitor.failures),
        iterations=progress.run.iterations,
        seconds_per_iteration=elapsed / max(1, progress.run.iterations),
        time_elapsed=elapsed,
        checks=progress.checks,
        **{name: metrics[name] for name in headline},
        **({} if message is None else {"message": message}),
    )


def _warning(progress: _Progress) -> str:
    outcome = "the best weights before are kept" if progress.best else "there were no finite ones before"
    return f"warning: not all numbers are finite after {progress.run.iterations} iterations: {outcome}"
