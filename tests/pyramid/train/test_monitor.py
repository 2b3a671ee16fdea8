from __future__ import annotations

import pytest

from pyramid.train.monitor import Monitor, are_finite


def monitor_at(**best: float) -> Monitor:
    monitor = Monitor()
    monitor.check(best, warming_up=False)
    return monitor


def test_the_first_check_is_an_improvement():
    verdict = Monitor().check({"accuracy": 0.1, "auc": 0.2}, warming_up=False)
    assert verdict.keep
    assert not verdict.failed
    assert verdict.worse == 0


@pytest.mark.parametrize(
    ("metrics", "keep", "failed", "worse"),
    [
        ({"a": 0.6, "b": 0.6, "c": 0.5}, True, False, 0),  # two better
        ({"a": 0.4, "b": 0.4, "c": 0.5}, False, True, 2),  # two worse
        ({"a": 0.6, "b": 0.4, "c": 0.5}, True, True, 1),  # one each: kept, and failed
        ({"a": 0.5, "b": 0.5, "c": 0.5}, True, True, 0),  # nothing moved
        ({"a": 0.5005, "b": 0.5, "c": 0.5}, True, True, 0),  # a gain of one must exceed 1e-3
        ({"a": 0.502, "b": 0.5, "c": 0.5}, True, False, 0),
        ({"a": 0.4995, "b": 0.5, "c": 0.5}, True, True, 1),  # and so must a loss of one
        ({"a": 0.498, "b": 0.5, "c": 0.5}, False, True, 1),
        ({"a": 0.5005, "b": 0.5005, "c": 0.5}, True, False, 0),  # two small gains count
        ({"a": 0.5 + 1e-9, "b": 0.5 + 1e-9, "c": 0.5}, True, True, 0),  # below 1e-8 nothing moves
    ],
)
def test_the_gain_decides(metrics, keep, failed, worse):
    verdict = monitor_at(a=0.5, b=0.5, c=0.5).check(metrics, warming_up=False)
    assert (verdict.keep, verdict.failed, verdict.worse) == (keep, failed, worse)


def test_an_improvement_raises_the_bests_and_forgives_failures():
    monitor = monitor_at(a=0.5, b=0.5, c=0.5)
    monitor.check({"a": 0.1, "b": 0.1, "c": 0.1}, warming_up=False)
    assert monitor.failures == 1
    monitor.check({"a": 0.7, "b": 0.7, "c": 0.4}, warming_up=False)
    monitor.check({"a": 0.8, "b": 0.8, "c": 0.9}, warming_up=False)
    assert monitor.failures == 0
    assert monitor.best == {"a": 0.8, "b": 0.8, "c": 0.9}


def test_failures_add_up_but_not_while_warming_up():
    monitor = monitor_at(a=0.5, b=0.5)
    for _ in range(3):
        assert not monitor.check({"a": 0.1, "b": 0.1}, warming_up=True).failed
    assert monitor.failures == 0
    for _ in range(3):
        monitor.check({"a": 0.1, "b": 0.1}, warming_up=False)
    assert monitor.failures == 3


def test_metrics_that_are_not_finite_are_noticed():
    assert are_finite({"a": 1.0})
    assert not are_finite({"a": 1.0, "b": float("nan")})
