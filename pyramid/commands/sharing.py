"""Several candidates share one time: each gets its part of what is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from pyramid.errors import DataError, TrainingError

C = TypeVar("C")
NONE_FAILED: Mapping[Any, Exception] = MappingProxyType({})


@dataclass(frozen=True)
class TrialOutcome(Generic[C]):
    """What became of a candidate: a job's result, or the error that ended it.

    Attributes:
        seconds: that it took.
    """

    candidate: C
    seconds: float
    result: dict[str, Any] | None = None
    error: Exception | None = None


def try_each(
    candidates: Sequence[C],
    max_total_seconds: float,
    train: Callable[[C, float], dict[str, Any]],
    failed: Mapping[C, Exception] = NONE_FAILED,
    clock: Callable[[], float] = time.monotonic,
) -> list[TrialOutcome[C]]:
    """Train one candidate after the other; time that one leaves unused goes to the rest in equal parts.

    A candidate that fails does not stop the others.

    Args:
        train: trains a candidate for at most so many seconds.
        failed: candidates that cannot be trained, and why; they take no time from the others.
        clock: seconds, from any beginning.

    Raises:
        DataError: the rows cannot be used, which are the same for all.
    """
    began, outcomes = clock(), []
    waiting = sum(candidate not in failed for candidate in candidates)
    for candidate in candidates:
        if candidate in failed:
            outcomes.append(TrialOutcome(candidate, 0.0, error=failed[candidate]))
            continue
        start = clock()
        left = max_total_seconds - (start - began)
        result, error = _tried(train, candidate, left / waiting)
        waiting -= 1
        outcomes.append(TrialOutcome(candidate, clock() - start, result, error))
    return outcomes


def best_of(outcomes: Sequence[TrialOutcome[C]], metric: str) -> TrialOutcome[C] | None:
    """The outcome with the largest validation metric, the first of equals; None where all failed."""
    done = [outcome for outcome in outcomes if outcome.result is not None]
    return max(done, key=lambda outcome: _score(outcome, metric), default=None)


def _score(outcome: TrialOutcome[Any], metric: str) -> float:
    assert outcome.result is not None
    value = outcome.result["validation_metrics"][metric]
    return float("-inf") if value is None else float(value)


def _tried(
    train: Callable[[C, float], dict[str, Any]], candidate: C, seconds: float
) -> tuple[dict[str, Any] | None, Exception | None]:
    if seconds <= 0:
        return None, TrainingError("no time was left of max_total_time")
    try:
        return train(candidate, seconds), None
    except DataError:
        raise
    except Exception as error:
        return None, error
