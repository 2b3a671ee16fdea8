"""How candidates share one time, and which of them is the best."""

from __future__ import annotations

import pytest

from pyramid.commands.sharing import TrialOutcome, best_of, try_each
from pyramid.commands.watching import check_line, outcome_table
from pyramid.errors import DataError, SettingsError, TrainingError, Violation
from pyramid.fields.objectives import NumericObjective
from pyramid.report_page.units import ShownMetrics
from pyramid.train.checks import HoldoutCheck
from sensenet.errors import WeightsError


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


def run(candidates, seconds=60, failed=None):
    clock = Clock()
    return clock.shares, try_each(candidates, seconds, clock.train, failed or {}, clock)


@pytest.mark.parametrize("place", range(3))
def test_a_candidate_that_cannot_be_trained_takes_no_share(place):
    candidates, error = [(99, 0.1), (99, 0.3)], WeightsError("not there")
    candidates.insert(place, (99, 0.2))
    shares, outcomes = run(candidates, failed={(99, 0.2): error})
    assert shares == [30, 30]
    assert (outcomes[place].error, outcomes[place].seconds) == (error, 0.0)
    assert best_of(outcomes, "likelihood").result["validation_metrics"]["likelihood"] == 0.3


def test_people_read_errors_positive_and_in_the_units_of_the_labels():
    shown = ShownMetrics.of_objective(NumericObjective(mean=3.0, stdev=20.0))
    metrics = {"r_squared": 0.5, "mean_squared_error": -0.25, "mean_absolute_error": -0.4}
    line = check_line("a", HoldoutCheck(7, 1.5, 0.1, metrics, True), shown)
    assert line == "a  iteration 7  1.5 s  r_squared 0.5000  mean_squared_error 100.0000"
    result = {"validation_metrics": metrics, "iterations": 7}
    outcome = TrialOutcome("a", 1.5, result)
    assert "  100.0000  " in outcome_table([outcome], outcome, shown)
    assert ShownMetrics(("accuracy", "mean_absolute_error")).of(
        {"accuracy": None, "mean_absolute_error": 0}
    ) == {
        "accuracy": None,
        "mean_absolute_error": 0.0,
    }


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
    assert best_of([TrialOutcome("a", 1.0, error=ValueError("no"))], "likelihood") is None
