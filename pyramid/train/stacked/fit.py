"""Training networks on folds to the end, and which of their states are kept (docs/training.md, "Folds").

Early stopping is honest: the state of the network that will predict a fold is chosen by what the networks of the other
folds lose on theirs. No label of a fold has a say in the weights that predict it.
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

TOLERANCE = 1e-3
"""The share by which a loss has to fall below the lowest one to be better: less is noise."""
MAX_SNAPSHOT_BYTES = 256_000_000

StackedSteps = Callable[[State, int, int], tuple[State, tf.Tensor]]
"""`(state, first_step, n_steps) -> (state, (nets,) mean losses)`."""


@dataclass(frozen=True)
class Stack:
    """Which network is which: variant after variant, in each the networks of the folds and then the refitted one.

    Attributes:
        variants, folds: how many there are.
        refit: whether each variant has a network that learns from all rows.
    """

    variants: int
    folds: int
    refit: bool

    @property
    def each(self) -> int:
        """Networks of a variant."""
        return self.folds + self.refit

    @property
    def numbers(self) -> np.ndarray:
        """(variants, networks of each) int: their places."""
        return np.arange(self.variants * self.each).reshape(self.variants, self.each)

    @property
    def of_folds(self) -> np.ndarray:
        """(variants, folds) int: the places of those that do not see a fold."""
        return self.numbers[:, : self.folds]


@dataclass(frozen=True)
class VariantFit:
    """What became of one variant.

    Attributes:
        folds: the kept weights of the networks of the folds.
        refitted: those of the one that learnt from all rows, or None.
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
        best: (variants,), the lowest mean loss of all folds.
        failures: (variants,) int, checks in a row that were not better.
        stopped: (variants,), what ended each; None where it goes on.
        iterations: (variants,) int, when.
    """

    kept: Weights
    kept_at: np.ndarray
    honest: np.ndarray
    best: np.ndarray
    failures: np.ndarray
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
            np.full(each, np.inf),
            np.zeros(each, int),
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
    snapshots = _Snapshots(run.state)
    shares = _shares(fold_sizes)
    if limits.max_iterations == 0:
        course.kept_at[:] = 0
        course.stop(course.running, "max_iterations", 0)
    while course.running:
        rows = [int(number) for variant in course.running for number in stack.numbers[variant]]
        _, means = run.until_check(_watching(steps, rows), limits)
        judged = judge(_weights(run.state).take(stack.of_folds.ravel()))
        _check(course, stack, run, judged.reshape(stack.of_folds.shape), shares, means.numpy(), limits)
        _report(course, run, limits, tell, report)
        if stack.refit:
            snapshots.keep(run, course)
    fits = [_outcome(variant, stack, course) for variant in range(stack.variants)]
    if not stack.refit:
        return fits
    last = [int(place) for place in stack.numbers[:, -1]]
    return [
        fit and replace(fit, refitted=snapshots.refitted(fit, place, steps, limits))
        for fit, place in zip(fits, last, strict=True)
    ]


def _watching(steps: StackedSteps, nets: Sequence[int]) -> Callable[..., tuple[State, tf.Tensor, tf.Tensor]]:
    """Steps as a training of one network has them: their loss is that of the networks that still matter."""

    def watched(state: State, first_step: int, n_steps: int) -> tuple[State, tf.Tensor, tf.Tensor]:
        state, means = steps(state, first_step, n_steps)
        return state, tf.reduce_sum(tf.gather(means, nets)), means

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
    weights = _weights(run.state)
    for variant in course.running:
        finite = np.isfinite(judged[variant]).all() and np.isfinite(losses[stack.numbers[variant]]).all()
        if not finite:
            course.stop([variant], "non_finite", run.iterations)
            continue
        honest = _means_of_others(judged[variant], shares)
        better = np.flatnonzero(honest < course.honest[variant] * (1.0 - TOLERANCE))
        course.honest[variant, better] = honest[better]
        course.kept_at[variant, better] = run.iterations
        places, there = variant * stack.folds + better, stack.of_folds[variant, better]
        course.kept.parameters[places] = weights.parameters[there]
        course.kept.statistics[places] = weights.statistics[there]
        mean = float(judged[variant] @ shares)
        if mean < course.best[variant] * (1.0 - TOLERANCE):
            course.best[variant], course.failures[variant] = mean, 0
        elif run.iterations >= limits.warmup_iterations:
            course.failures[variant] += 1
    course.stop(
        [v for v in course.running if course.failures[v] >= limits.patience], "patience", run.iterations
    )
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


def _weights(state: State) -> Weights:
    return Weights(state.parameters.numpy(), state.buffers[0].numpy())


class _Snapshots:
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

    def keep(self, run: Run, course: _Course) -> None:
        """Keep the state of a check, and of those before it what can still be needed."""
        self._states[run.iterations] = run.state
        needed = min(_refit_iterations(kept) for kept in course.kept_at)
        first = max(at for at in self._states if at <= needed)
        left = sorted(at for at in self._states if at >= first)
        while len(left) > self._most:
            left = left[::2]
        self._states = {at: self._states[at] for at in left}

    def refitted(self, fit: VariantFit, place: int, steps: StackedSteps, limits: TrainingLimits) -> Weights:
        """The weights of the network at `place` after the mean of the kept iterations."""
        iterations = _refit_iterations(fit.kept)
        at = max(there for there in self._states if there <= iterations)
        state = self._states[at]
        while at < iterations:
            count = min(limits.steps_per_call, iterations - at)
            state, _ = steps(state, at, count)
            at += count
        return _weights(state).take([place])


def _refit_iterations(kept_at: Sequence[int] | np.ndarray) -> int:
    """The rounded mean; kept iterations only ever grow, and so does this."""
    return max(0, round(float(np.mean(kept_at))))


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
    failures = min((int(course.failures[variant]) for variant in course.running), default=limits.patience)
    elapsed, best = now - course.began, float(course.best.min())
    report(
        limits.progress(run.iterations, failures),
        iterations=run.iterations,
        seconds_per_iteration=elapsed / max(1, run.iterations),
        time_elapsed=elapsed,
        checks=course.checks,
        **(tell(best) if math.isfinite(best) else {}),
    )
