"""Training networks on folds to the end, and which of their states are kept (docs/training.md, "Folds").

Early stopping is honest: when the network that will predict a fold stops, and which of its states is kept, is decided
by what the networks of the other folds lose on theirs. Its own loss on its own fold has no say.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import tensorflow as tf

from pyramid.progress import Report
from pyramid.train.fit import SECONDS_PER_REPORT
from pyramid.train.limits import TrainingLimits
from pyramid.train.loop import State
from pyramid.train.pace import Run
from pyramid.train.stacked.architecture import Weights
from pyramid.train.stacked.places import Stack
from pyramid.train.stacked.snapshots import Snapshots, StackedSteps, mean_iterations, weights_of

TOLERANCE = 1e-3
"""The share by which a loss has to fall below the lowest one to be better: less is noise."""


@dataclass(frozen=True)
class VariantFit:
    """What became of one variant.

    Attributes:
        folds: the kept weights of the networks of the folds.
        refitted: those of the one that learnt from all rows; None without one, or where they are not finite.
        kept: for each fold the iteration whose weights are kept.
        iterations: steps taken until it was finished.
        loss: mean of the judged losses at the check with the lowest mean; None where there was no check.
        stopped_by: "patience", "max_iterations", "max_training_time" or "non_finite".
    """

    folds: Weights
    refitted: Weights | None
    kept: tuple[int, ...]
    iterations: int
    loss: float | None
    stopped_by: str


@dataclass
class _Course:
    """Where the variants stand; lives as long as one `fit_stack`.

    Attributes:
        kept: the weights that are kept of the networks of the folds, variant after variant.
        kept_at: (variants, folds) int, the iterations that they are from; -1 where there are none yet.
        honest: (variants, folds), the lowest mean loss of the other folds.
        failures: (variants, folds) int, checks in a row at which it did not get lower.
        best: (variants,), the lowest mean loss of all folds.
        stopped: (variants,), what ended each; None where it goes on.
        iterations: (variants,) int, when.
    """

    kept: Weights
    kept_at: np.ndarray
    honest: np.ndarray
    failures: np.ndarray
    best: np.ndarray
    stopped: list[str | None]
    iterations: np.ndarray
    began: float = field(default_factory=time.perf_counter)
    reported: float = -math.inf
    checks: int = 0

    @classmethod
    def at(cls, stack: Stack, start: Weights) -> _Course:
        """The beginning."""
        each, shape = stack.variants, (stack.variants, stack.folds)
        return cls(
            start.take(stack.of_folds.ravel()),
            np.full(shape, -1),
            np.full(shape, np.inf),
            np.zeros(shape, int),
            np.full(each, np.inf),
            [None] * each,
            np.zeros(each, int),
        )

    @property
    def running(self) -> list[int]:
        """The variants that go on."""
        return [variant for variant, reason in enumerate(self.stopped) if reason is None]

    def stop(self, variants: Sequence[int], reason: str, iterations: int) -> None:
        """They change no more."""
        for variant in variants:
            self.stopped[variant], self.iterations[variant] = reason, iterations


def fit_stack(
    stack: Stack,
    start: Weights,
    slots: Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
    steps: StackedSteps,
    judge: Callable[[Weights], np.ndarray],
    fold_sizes: np.ndarray,
    limits: TrainingLimits,
    tell: Callable[[float], Mapping[str, float]],
    report: Report,
) -> list[VariantFit | None]:
    """Train until every variant has stopped.

    Args:
        start: the weights that all networks begin with.
        slots: the optimiser's state before the first step.
        judge: the (variants * folds,) losses of the networks of the folds, each on its own fold.
        fold_sizes: (folds,) int, rows; a fold without any has no say.
        tell: what to say of a judged loss in a progress line.
        report: told of the checks, a few times a second at most.

    Returns:
        One for each variant; None where it never was finite.
    """
    parameters = tf.constant(start.parameters)
    run = Run(State(parameters, (tf.constant(start.statistics),), slots(parameters)))
    course = _Course.at(stack, start)
    snapshots = Snapshots(run.state)
    shares = _shares(fold_sizes)
    if limits.max_iterations == 0:
        course.kept_at[:] = 0
        course.stop(course.running, "max_iterations", 0)
    while course.running:
        _, means = run.until_check(_watching(steps, stack.numbers[course.running]), limits)
        judged = judge(weights_of(run.state).take(stack.of_folds.ravel()))
        _check(course, stack, run, judged.reshape(stack.of_folds.shape), shares, means.numpy(), limits)
        _report(course, run, limits, tell, report)
        if stack.refit:
            snapshots.keep(run, course.kept_at)
    fits = [_outcome(variant, stack, course) for variant in range(stack.variants)]
    if stack.refit:
        _refit(fits, stack, snapshots, steps, limits)
    return fits


def _refit(
    fits: list[VariantFit | None],
    stack: Stack,
    snapshots: Snapshots,
    steps: StackedSteps,
    limits: TrainingLimits,
) -> None:
    """Give the fits their refitted weights where they are finite, in one pass over the iterations."""
    done = [(variant, fit) for variant, fit in enumerate(fits) if fit is not None]
    for variant, fit in sorted(done, key=lambda one: mean_iterations(one[1].kept)):
        state = snapshots.after(fit.kept, steps, limits)
        refitted = weights_of(state).take([int(stack.numbers[variant, -1])])
        if np.isfinite(refitted.parameters).all() and np.isfinite(refitted.statistics).all():
            fits[variant] = replace(fit, refitted=refitted)


def _watching(steps: StackedSteps, nets: np.ndarray) -> Callable[..., tuple[State, float, tf.Tensor]]:
    """Steps as a training of one network has them: their loss is the lowest of the variants that still matter.

    So it is not finite, which brings the next check on at once, only where that is so of all: the clock says how many
    steps a call has, and no variant may feel when another one breaks.

    Args:
        nets: (variants, networks of each) int.
    """

    def watched(state: State, first_step: int, n_steps: int) -> tuple[State, float, tf.Tensor]:
        state, means = steps(state, first_step, n_steps)
        losses = means.numpy()[nets].sum(axis=1)
        return state, losses.min(initial=np.inf, where=np.isfinite(losses)), means

    return watched


def _check(
    course: _Course,
    stack: Stack,
    run: Run,
    judged: np.ndarray,
    shares: np.ndarray,
    losses: np.ndarray,
    limits: TrainingLimits,
) -> None:
    """Judge the (variants, folds) losses: keep what is better, stop what is not."""
    course.checks += 1
    weights = weights_of(run.state)
    for variant in course.running:
        if not (np.isfinite(judged[variant]).all() and np.isfinite(losses[stack.numbers[variant]]).all()):
            course.stop([variant], "non_finite", run.iterations)
            continue
        honest, lowest = _means_of_others(judged[variant], shares), course.honest[variant]
        going_on = course.failures[variant] < limits.patience
        better = np.flatnonzero(going_on & (honest < lowest * (1.0 - TOLERANCE)))
        if run.iterations >= limits.warmup_iterations:
            course.failures[variant] += going_on
        lowest[better], course.failures[variant, better] = honest[better], 0
        course.kept_at[variant, better] = run.iterations
        places, there = variant * stack.folds + better, stack.of_folds[variant, better]
        course.kept.parameters[places] = weights.parameters[there]
        course.kept.statistics[places] = weights.statistics[there]
        course.best[variant] = min(course.best[variant], float(judged[variant] @ shares))
    over = [v for v in course.running if (course.failures[v] >= limits.patience).all()]
    course.stop(over, "patience", run.iterations)
    if limits.max_iterations is not None and run.iterations >= limits.max_iterations:
        course.stop(course.running, "max_iterations", run.iterations)
    if limits.out_of_time():
        course.stop(course.running, "max_training_time", run.iterations)


def _shares(fold_sizes: np.ndarray) -> np.ndarray:
    """(folds,): what each fold counts in a mean: alike, and nothing without rows."""
    there = (fold_sizes > 0).astype(np.float64)
    return there / there.sum()


def _means_of_others(losses: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(folds,): for each fold the mean loss of the others."""
    others = shares * ~np.eye(len(shares), dtype=bool)
    return others @ losses / others.sum(axis=1)


def _outcome(variant: int, stack: Stack, course: _Course) -> VariantFit | None:
    kept, reason = course.kept_at[variant], course.stopped[variant]
    if (kept < 0).any() or reason is None:
        return None
    places = np.arange(stack.folds) + variant * stack.folds
    best = float(course.best[variant])
    return VariantFit(
        course.kept.take(places),
        None,
        tuple(int(at) for at in kept),
        int(course.iterations[variant]),
        best if math.isfinite(best) else None,
        reason,
    )


def _report(
    course: _Course,
    run: Run,
    limits: TrainingLimits,
    tell: Callable[[float], Mapping[str, float]],
    report: Report,
) -> None:
    now = time.perf_counter()
    if now - course.reported < SECONDS_PER_REPORT:
        return
    course.reported = now
    failures = min((int(course.failures[v].min()) for v in course.running), default=limits.patience)
    elapsed, best = now - course.began, float(course.best.min())
    report(
        limits.progress(run.iterations, failures),
        iterations=run.iterations,
        seconds_per_iteration=elapsed / max(1, run.iterations),
        time_elapsed=elapsed,
        checks=course.checks,
        **(tell(best) if math.isfinite(best) else {}),
    )
