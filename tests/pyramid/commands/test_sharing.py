"""How candidates share one time, and which of them is the best."""

from __future__ import annotations

import pytest

from pyramid.commands.sharing import Outcome, best_of, try_each
from pyramid.errors import DataError, SettingsError, TrainingError, Violation


class Clock:
    """Time that passes only when a candidate takes it."""

    def __init__(self):
        self.seconds = 1000.0
        self.shares = []

    def __call__(self):
        return self.seconds

    def train(self, candidate, max_seconds):
        self.shares.append(max_seconds)
        taken, outcome = candidate
        self.seconds += min(taken, max_seconds) if taken < 1000 else taken
        if isinstance(outcome, Exception):
            raise outcome
        return {"validation_metrics": {"likelihood": outcome}}


def run(candidates, seconds=60):
    clock = Clock()
    return clock.shares, try_each(candidates, seconds, clock.train, clock)


def test_who_uses_all_of_it_gets_an_equal_part():
    shares, outcomes = run([(99, 0.1), (99, 0.3), (99, 0.2)])
    assert shares == [20, 20, 20]
    assert [outcome.seconds for outcome in outcomes] == [20, 20, 20]
    assert best_of(outcomes, "likelihood") is outcomes[1]


def test_unused_time_goes_to_the_rest():
    shares, _ = run([(5, 0.1), (99, 0.3), (99, 0.2)])
    assert shares == [20, 27.5, 27.5]


def test_a_failure_stops_no_other_and_gives_its_time_away():
    shares, outcomes = run([(2, SettingsError([Violation("/a", "no")])), (99, 0.3), (3, RuntimeError("bug"))])
    assert shares == [20, 29, 29]
    assert [type(outcome.error) for outcome in outcomes] == [SettingsError, type(None), RuntimeError]
    assert best_of(outcomes, "likelihood") is outcomes[1]


def test_rows_that_cannot_be_used_stop_all():
    with pytest.raises(DataError):
        run([(1, DataError("no such rows")), (1, 0.5)])


def test_who_comes_when_nothing_is_left_is_not_trained():
    shares, outcomes = run([(1000, 0.1), (1, 0.9)])
    assert shares == [30]
    assert isinstance(outcomes[1].error, TrainingError)
    assert best_of(outcomes, "likelihood") is outcomes[0]


def test_the_first_of_equals_is_the_best_and_an_undefined_metric_the_worst():
    outcomes = run([(1, None), (1, 0.4), (1, 0.4)])[1]
    assert best_of(outcomes, "likelihood") is outcomes[1]
    assert best_of([Outcome("a", 1.0, error=ValueError("no"))], "likelihood") is None
