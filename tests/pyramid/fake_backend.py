"""A backend that trains nothing: what a job gives is a function of its settings."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pyramid.fields import parse_objective
from pyramid.search.backend import JobFailed
from pyramid.search.jobs import JobMaker
from pyramid.workspace import Workspace

FIELDS = [
    {"index": 0, "type": "numeric", "mean": 0.0, "stdev": 1.0},
    {"index": 1, "type": "categorical", "values": ["a", "b"]},
]


def job_maker(timed: bool = False, n_rows: int = 1000, tree_inputs: int = 5) -> JobMaker:
    shared = {"objective_type": "categorical", "output_directory": "out", "info_list": FIELDS}
    return JobMaker(
        shared, Workspace(Path("out")), parse_objective(FIELDS[-1]), n_rows, 5, 7, timed, tree_inputs
    )


class FakeBackend:
    """Runs so many jobs at once, each for a random moment; every seventh job fails, unless others are to."""

    def __init__(
        self,
        slots: int,
        seconds: float = 0.004,
        job_time: float = 1.0,
        fails: Callable[[int], bool] = lambda number: number % 7 == 0,
    ):
        self.slots, self.jobs, self.closed = slots, [], False
        self._job_time, self._fails = job_time, fails
        self._seconds, self._rng = seconds, random.Random(slots)
        self._pool = ThreadPoolExecutor(slots)

    def submit(self, job: dict[str, Any]) -> Future[dict[str, Any]]:
        self.jobs.append(job)
        return self._pool.submit(self._run, job, self._rng.random() * self._seconds, len(self.jobs))

    def close(self) -> None:
        self.closed = True
        self._pool.shutdown(cancel_futures=True)

    def _run(self, job: dict[str, Any], seconds: float, number: int) -> dict[str, Any]:
        time.sleep(seconds)
        if self._fails(number):
            raise JobFailed("TrainingError", "it never was finite")
        told = [result(job | variant) for variant in job.get("variants", [{}])]
        return {"job_id": job["job_id"], "job_time": self._job_time, "submodels": told}


ENDS = ("done", "TrainingError", "Cancelled")


class StubbornBackend(FakeBackend):
    """Ignores how long jobs may train: all but the first one end when it is closed, in turns as `ENDS` says."""

    def __init__(self, slots: int):
        super().__init__(slots, fails=lambda _: False)
        self._closing = threading.Event()

    def close(self) -> None:
        self._closing.set()
        super().close()

    def _run(self, job: dict[str, Any], seconds: float, number: int) -> dict[str, Any]:
        if number > 1:
            self._closing.wait(60)
            end = ENDS[(number - 2) % len(ENDS)]
            if end != "done":
                raise JobFailed(end, "it was closed")
        return super()._run(job, seconds, number)


def result(job: dict[str, Any]) -> dict[str, Any]:
    """What a job with those settings gives: the best is near a learning rate of 0.003, and longer is better."""
    loss = (
        abs(job["learning_rate"] - 0.003) + job.get("dropout_rate", 0) / 10 + 1 / (2 + job["max_iterations"])
    )
    metrics = {
        "accuracy": 1 - loss,
        "likelihood": 2.0 ** -min(loss, 9.0),
        "auc": 0.5,
        "max_phi": 0.0,
        "ndcg": 0.5,
    }
    return {"job_id": job["job_id"], "evaluation_metrics": metrics, "iterations": job["max_iterations"]}
