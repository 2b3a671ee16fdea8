"""Runs the jobs of a search, as many at once as there is room for, until there are no more or it is time to stop."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field

from pyramid.search.backend import Backend, Job, JobFailed, Result
from pyramid.search.candidates import Outcome, PlannedJob, failures_of, outcomes_of
from pyramid.search.clock import LEAST_JOB_SECONDS, Clock
from pyramid.search.interrupts import Interrupts
from pyramid.search.planner import Planner
from pyramid.worker.protocol import Cancelled

TICK_SECONDS = 0.2
FIRST_OVERRUN_SECONDS, MOST_OVERRUN_SHARE = 1.5, 0.15


@dataclass
class Progress:
    """How far a search is.

    Attributes:
        outcomes: of all candidates whose jobs have ended, in the order in which they ended.
        running: candidates in jobs that run now.
        history: [seconds, best loss, candidates done] after each job.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    running: int = 0
    history: list[tuple[float, float, int]] = field(default_factory=list)

    @property
    def best(self) -> Outcome | None:
        """The candidate with the lowest loss."""
        done = [one for one in self.outcomes if one.is_done]
        return min(done, key=lambda one: (one.loss, one.candidate.number), default=None)

    @property
    def n_done(self) -> int:
        """Candidates that there is a submodel of."""
        return sum(one.is_done for one in self.outcomes)

    @property
    def n_failed(self) -> int:
        """Candidates that there is none of."""
        return len(self.outcomes) - self.n_done

    def add(self, outcomes: list[Outcome], seconds: float) -> None:
        """Take in the outcomes of a job that has ended."""
        self.outcomes += outcomes
        best = self.best
        self.history.append((seconds, math.inf if best is None else best.loss, self.n_done))


Show = Callable[[Progress], None]


def run_search(
    planner: Planner, backend: Backend, clock: Clock, interrupts: Interrupts, show: Show
) -> Progress:
    """Run the planner's jobs; the first one is run however little time there is.

    Jobs that are still running when it is late are cancelled with their backend, which is closed.

    Args:
        show: told how far the search is, several times a second.
    """
    progress, overrun = Progress(), FIRST_OVERRUN_SECONDS
    # a machine that stood still for a while would else end the search
    most_overrun = max(overrun, clock.share(MOST_OVERRUN_SHARE) or 0.0)
    running: dict[Future[Result], PlannedJob] = {}
    while not interrupts.asked:
        while len(running) < backend.slots:
            planned = _next(planner, clock, overrun, is_first=not (running or progress.outcomes))
            if planned is None:
                break
            running[backend.submit(planned.job)] = planned
        progress.running = sum(len(one.candidates) for one in running.values())
        show(progress)
        if not running or (clock.is_late and progress.n_done):
            break
        for future in wait(running, TICK_SECONDS, FIRST_COMPLETED).done:
            planned = running.pop(future)
            overrun = min(max(overrun, _overrun(planned, future)), most_overrun)
            outcomes = _outcomes(planned, future)
            planner.tell(planned, outcomes)
            progress.add(outcomes, clock.elapsed)
    backend.close()
    _collect_late(running, progress, clock)
    progress.running = 0
    return progress


def run_alone(backend: Backend, job: Job) -> Result:
    """Run a job that nothing else can be done without; a signal's handler runs in the meantime.

    Raises:
        JobFailed: it failed.
    """
    future = backend.submit(job)
    while not wait([future], TICK_SECONDS).done:
        pass
    return future.result()


def _next(planner: Planner, clock: Clock, overrun: float, is_first: bool) -> PlannedJob | None:
    seconds = clock.job_seconds(overrun)
    if seconds is None or seconds >= LEAST_JOB_SECONDS:
        return planner.next(seconds)
    return planner.next(LEAST_JOB_SECONDS) if is_first else None


def _overrun(planned: PlannedJob, future: Future[Result]) -> float:
    """For how many seconds a job went on when its training had to end."""
    most = planned.job.get("max_training_time")
    if most is None or future.exception() is not None:
        return 0.0
    return float(future.result()["job_time"] - most)


def _outcomes(planned: PlannedJob, future: Future[Result]) -> list[Outcome]:
    try:
        return outcomes_of(planned, future.result())
    except JobFailed as error:
        return failures_of(planned, str(error))


def _collect_late(running: dict[Future[Result], PlannedJob], progress: Progress, clock: Clock) -> None:
    """Of jobs that ended with their backend: take those that were done; the others are no failures."""
    for future, planned in running.items():
        if future.cancelled():
            continue
        error = future.exception()
        if not isinstance(error, JobFailed) or error.error_type != Cancelled.__name__:
            progress.add(_outcomes(planned, future), clock.elapsed)
