"""The driver of a training, fed with scripted losses and metrics in place of a network."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from pyramid.errors import TrainingError
from pyramid.train.fit import fit
from pyramid.train.limits import TrainingLimits
from pyramid.train.loop import State

LIMITS = TrainingLimits(
    holdout_rows=40,
    batch_size=100,
    patience=3,
    max_iterations=None,
    started=0.0,
    max_training_time=None,
    max_seconds_per_update=1000.0,
    warmup_iterations=0,
)


def state_at(step: int) -> State:
    return State(tf.constant([float(step)]), (), ())


class Script:
    """A training whose metrics are a function of the step, and a record of what was asked of it."""

    def __init__(self, metrics, loss=lambda step: 1.0, seconds_per_step=0.0):
        self._metrics, self._loss, self._seconds = metrics, loss, seconds_per_step
        self.calls: list[int] = []
        self.checks: list[int] = []
        self.reports: list[dict] = []

    def steps(self, state, first_step, n_steps):
        assert float(state.parameters[0]) == first_step
        self.calls.append(n_steps)
        time.sleep(self._seconds * n_steps)
        state = state_at(first_step + n_steps)
        return state, tf.constant(self._loss(first_step + n_steps)), state.parameters

    def evaluate(self, predictions: np.ndarray):
        step = int(predictions[0])
        self.checks.append(step)
        return {"r_squared": self._metrics(step), "mean_squared_error": self._metrics(step)}

    def run(self, limits: TrainingLimits):
        report = lambda progress, **facts: self.reports.append({"progress": progress} | facts)  # noqa: E731
        return fit(state_at(0), self.steps, self.evaluate, limits, report)


def test_patience_ends_the_training_and_the_best_weights_come_back():
    script = Script(lambda step: -abs(step - 12.0))
    fitted = script.run(LIMITS)
    assert script.checks == [4, 8, 12, 16, 24, 32]  # two metrics got worse: 8 steps to the next check
    assert float(fitted.state.parameters[0]) == 12
    assert fitted.metrics["r_squared"] == 0
    assert (fitted.iterations, fitted.checks, fitted.stopped_by) == (32, 6, "patience")


@pytest.mark.parametrize(
    ("holdout_rows", "batch_size", "steps"), [(40, 100, 4), (819, 128, 64), (4096, 128, 320), (10, 8192, 4)]
)
def test_a_check_costs_a_small_part_of_the_training(holdout_rows, batch_size, steps):
    limits = replace(LIMITS, holdout_rows=holdout_rows, batch_size=batch_size)
    assert limits.steps_to_check(worse_metrics=0) == steps
    assert limits.steps_to_check(worse_metrics=5) == max(20, steps)


@pytest.mark.parametrize("max_iterations", [0, 1, 3, 10])
def test_max_iterations_is_never_passed_and_always_checked(max_iterations):
    script = Script(float)
    fitted = script.run(replace(LIMITS, max_iterations=max_iterations))
    assert fitted.iterations == script.checks[-1] == sum(script.calls) == max_iterations
    assert fitted.stopped_by == "max_iterations"


def test_time_ends_the_training():
    script = Script(float, seconds_per_step=0.01)
    fitted = script.run(replace(LIMITS, started=time.time(), max_training_time=0.2))
    assert fitted.stopped_by == "max_training_time"
    assert 1 <= fitted.iterations < 60


def test_a_slow_step_is_checked_in_time_and_not_lumped_into_long_calls():
    script = Script(float, seconds_per_step=0.06)
    limits = replace(LIMITS, holdout_rows=4096, max_iterations=12, max_seconds_per_update=0.2)
    script.run(limits)
    assert max(script.calls) <= 4
    assert len(script.checks) >= 3


@pytest.mark.parametrize("what", ["loss", "metrics"])
def test_numbers_that_are_not_finite_end_the_training_with_the_best_weights_and_a_warning(what):
    broken = lambda step: float("nan") if step > 10 else float(step)  # noqa: E731
    script = Script(float, loss=broken) if what == "loss" else Script(broken)
    fitted = script.run(LIMITS)
    assert fitted.stopped_by == "non_finite"
    assert float(fitted.state.parameters[0]) == 8
    assert "not all numbers are finite after 12 iterations" in script.reports[-1]["message"]


def test_a_training_that_never_was_finite_is_an_error():
    with pytest.raises(TrainingError, match=r"never reached finite metrics.*smaller learning_rate"):
        Script(lambda step: float("nan")).run(LIMITS)


def test_failures_while_warming_up_do_not_count():
    script = Script(lambda step: -float(step))
    fitted = script.run(replace(LIMITS, warmup_iterations=40))
    assert fitted.iterations > 40
    assert float(fitted.state.parameters[0]) == 4


def test_a_report_tells_how_far_the_training_is():
    script = Script(float)
    script.run(replace(LIMITS, max_iterations=8))
    report = script.reports[0]
    assert report["progress"] == pytest.approx(0.5)
    assert report["iterations"] == 4
    assert report["checks"] == 1
    assert report["r_squared"] == report["mean_squared_error"] == 4
    assert {"seconds_per_iteration", "time_elapsed"} <= report.keys()
