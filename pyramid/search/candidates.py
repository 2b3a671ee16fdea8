"""What a search tries, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyramid.search.backend import Job
from pyramid.search.portfolio import Numbers, Structure

TREES, NETWORK = "trees", "network"


@dataclass(frozen=True)
class Candidate:
    """A submodel that is to be trained.

    Attributes:
        number: counts candidates in the order in which they were chosen.
        kind: "trees" for a readout of the tree features alone, else "network".
        title: what it is, for people.
        structure, numbers: of a network.
        rung: of the successive halving.
        goes_on: the number of the candidate that this one trains longer.
    """

    number: int
    kind: str
    title: str
    structure: Structure | None = None
    numbers: Numbers | None = None
    rung: int = 0
    goes_on: int | None = None

    @property
    def job_id(self) -> str:
        """Its name, and that of its submodel."""
        return f"{self.number:04}"


@dataclass(frozen=True)
class PlannedJob:
    """The `number`-th job of a search, and the candidates that it trains."""

    number: int
    candidates: tuple[Candidate, ...]
    job: Job


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate.

    Attributes:
        loss: log loss or squared error out of fold; infinite where it failed.
        metrics: out of fold; larger is better.
        seconds: that its job took, shared by the candidates of the job.
        stopped_early: whether its training ended before its last iteration.
        reason: why it failed; None where it did not.
    """

    candidate: Candidate
    loss: float = math.inf
    metrics: Mapping[str, float] | None = None
    iterations: int = 0
    seconds: float = 0.0
    stopped_early: bool = False
    reason: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether there is a submodel."""
        return self.reason is None


def outcomes_of(planned: PlannedJob, result: Mapping[str, Any]) -> list[Outcome]:
    """What a job's result says of each of its candidates."""
    of_each = {one["job_id"]: one for one in result.get("submodels", [result])}
    seconds = result["job_time"] / len(planned.candidates)
    return [_outcome(one, of_each.get(one.job_id), planned.job, seconds) for one in planned.candidates]


def failures_of(planned: PlannedJob, reason: str) -> list[Outcome]:
    """The same reason for each candidate of a job that failed."""
    return [Outcome(one, reason=reason) for one in planned.candidates]


def loss_of(metrics: Mapping[str, float]) -> float:
    """The loss that is searched for: log loss of classes, mean squared error of standardised numbers."""
    if "likelihood" in metrics:
        return -math.log(max(metrics["likelihood"], math.ulp(0.0)))
    return -metrics["mean_squared_error"]


def _outcome(candidate: Candidate, result: Mapping[str, Any] | None, job: Job, seconds: float) -> Outcome:
    if result is None:
        return Outcome(candidate, reason="its training never reached a finite loss", seconds=seconds)
    metrics, iterations = result["evaluation_metrics"], result["iterations"]
    if any(value is None for value in metrics.values()):
        return Outcome(candidate, reason="its metrics are not finite", seconds=seconds)
    return Outcome(
        candidate,
        loss=loss_of(metrics),
        metrics=metrics,
        iterations=iterations,
        seconds=seconds,
        stopped_early=iterations < job["max_iterations"],
    )
