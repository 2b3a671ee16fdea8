"""What whoever starts a fit can choose."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pyramid.errors import PyramidError

CROSS_FITTED, WINDOWS, NO_TREES = "cross_fitted", "windows", "none"
TREE_KINDS = (CROSS_FITTED, WINDOWS, NO_TREES)
LARGEST_SEED = 2**31 - 1
LOOKAHEAD = 16
DEFAULT_SECONDS = 60.0
FEWEST_FOLDS, MOST_FOLDS = 2, 16


class ChoiceError(PyramidError):
    """A choice that cannot be; the message says what could."""


@dataclass(frozen=True, kw_only=True)
class FitChoices:
    """How a fit goes.

    Attributes:
        time: seconds that it may take; None is 60, or no limit where `max_candidates` or `quick` ends it.
        workers: processes that train; None is one for each processor, of all machines where there are several.
        ray: the address of a Ray cluster whose machines train; None is this machine.
        folds: None is 5, below 500 rows 10.
        metric: what the leaderboard is ordered by; None is the loss.
        test_share: of the rows, held back to measure the final model.
        quick: a single network, trained on all rows.
        trees: "cross_fitted", "windows" or "none".
        keep: whether the submodels stay.
        max_candidates: after so many the search ends.
        lookahead: jobs that may be chosen before the outcome of the first of them is known, where `max_candidates`
            ends the search and no clock: at most so many run at once.
        debug: whether what workers log is shown.
    """

    time: float | None = None
    workers: int | None = None
    folds: int | None = None
    seed: int = 0
    metric: str | None = None
    test_share: float = 0.0
    quick: bool = False
    trees: str = CROSS_FITTED
    keep: bool = False
    max_candidates: int | None = None
    ray: str | None = None
    lookahead: int = LOOKAHEAD
    debug: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ChoiceError: says what could.
        """
        rules = {
            "time: expected seconds greater than 0": self.time is None or self.time > 0,
            "workers: expected at least 1": self.workers is None or self.workers >= 1,
            f"folds: expected {FEWEST_FOLDS} to {MOST_FOLDS}": self.folds is None
            or FEWEST_FOLDS <= self.folds <= MOST_FOLDS,
            f"seed: expected 0 to {LARGEST_SEED}": 0 <= self.seed <= LARGEST_SEED,
            "test_share: expected a share from 0 to less than 1": 0 <= self.test_share < 1,
            f"trees: expected one of {', '.join(TREE_KINDS)}": self.trees in TREE_KINDS,
            "max_candidates: expected at least 1": self.max_candidates is None or self.max_candidates >= 1,
            "lookahead: expected at least 1": self.lookahead >= 1,
        }
        for rule, is_kept in rules.items():
            if not is_kept:
                raise ChoiceError(f"{rule}, got {getattr(self, rule.partition(':')[0])}")

    @property
    def seconds(self) -> float | None:
        """The time, None for no limit."""
        if self.time is None and self.max_candidates is None and not self.quick:
            return DEFAULT_SECONDS
        return self.time

    @property
    def n_workers(self) -> int:
        """How many processes train; no more than there can be jobs at once."""
        limits = [self.workers or n_processors()]
        if self.seconds is None:
            limits.append(self.lookahead)
        if self.max_candidates is not None:
            limits.append(self.max_candidates)
        return 1 if self.quick else min(limits)

    @property
    def threads(self) -> int:
        """Of each of them."""
        return max(1, n_processors() // self.n_workers)


def n_processors() -> int:
    """How many processors are ours."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
