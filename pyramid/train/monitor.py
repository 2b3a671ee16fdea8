"""Decides from the holdout metrics of each check whether training still gets better.

See docs/training.md, "The gain rule".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

FINE = 1e-8
COARSE = 1e-3


@dataclass(frozen=True)
class Verdict:
    """What one check says.

    Attributes:
        keep: the weights are at least as good as the best so far.
        failed: the check counts against the patience.
        worse: how many metrics got worse.
    """

    keep: bool
    failed: bool
    worse: int


@dataclass
class Monitor:
    """The best metrics so far, and how many checks in a row have failed.

    Attributes:
        best: the largest value of each metric; larger is better.
        failures: consecutive failed checks.
    """

    best: dict[str, float] = field(default_factory=dict)
    failures: int = 0

    def check(self, metrics: Mapping[str, float], warming_up: bool) -> Verdict:
        """Compare one check's metrics with the best so far.

        Args:
            metrics: finite values, larger is better; the same names every time.
            warming_up: a failed check is not counted.
        """
        better, worse = self._moves(metrics, FINE)
        gain = better - worse
        if abs(gain) == 1:
            coarsely_better, coarsely_worse = self._moves(metrics, COARSE)
            gain = coarsely_better - coarsely_worse
        if gain > 0:
            self.failures = 0
            self.best = {name: max(value, self.best.get(name, value)) for name, value in metrics.items()}
            return Verdict(keep=True, failed=False, worse=worse)
        if not warming_up:
            self.failures += 1
        return Verdict(keep=gain == 0, failed=not warming_up, worse=worse)

    def _moves(self, metrics: Mapping[str, float], threshold: float) -> tuple[int, int]:
        changes = [value - self.best.get(name, -math.inf) for name, value in metrics.items()]
        return sum(change > threshold for change in changes), sum(change < -threshold for change in changes)


def are_finite(metrics: Mapping[str, float]) -> bool:
    """Whether every metric is a finite number."""
    return all(math.isfinite(value) for value in metrics.values())
