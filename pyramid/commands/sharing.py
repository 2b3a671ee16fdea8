"""Several candidates share one time: each gets its part of what is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pyramid.errors import DataError, TrainingError

C = TypeVar("C")


@dataclass(frozen=True)
class Outcome(Generic[C]):
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
    clock: Callable[[], float] = time.monotonic,
) -> list[Outcome[C]]:
    """Train one candidate after the other; time that one leaves unused goes to the rest in equal parts.

    A candidate that fails does not stop the others.

    Args:
        train: trains a candidate for at most so many seconds.
        clock: seconds, from any beginning.

    Raises:
        DataError: the rows cannot be used, which are the same for all.
    """
    began, outcomes = clock(), []
    for number, candidate in enumerate(candidates):
        start = clock()
        left = max_total_seconds - (start - began)
        result, error = _tried(train, candidate, left / (len(candidates) - number))
        outcomes.append(Outcome(candidate, clock() - start, result, error))
    return outcomes


def best_of(outcomes: Sequence[Outcome[C]], metric: str) -> Outcome[C] | None:
    """The outcome with the largest validation metric, the first of equals; None where all failed."""
    done = [outcome for outcome in outcomes if outcome.result is not None]
    return max(done, key=lambda outcome: _score(outcome, metric), default=None)


def _score(outcome: Outcome[Any], metric: str) -> float:
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
