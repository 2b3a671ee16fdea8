from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from worker_client import FAKE_WORKER, Worker

MakeJob = Callable[..., dict[str, Any]]
MakeWorker = Callable[..., Worker]


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """Makes a job that does what a function of `fake_jobs.py` does."""

    def make(
        do: str = "succeed", job_id: str = "job", level: int | None = None, **options: Any
    ) -> dict[str, Any]:
        return {
            "job_type": "finalize_output",
            "job_id": job_id,
            "is_search": False,
            "logging_level": level,
            "objective_type": "numeric",
            "output_directory": str(tmp_path / "output"),
            "info_list": [{"index": index, "type": "numeric", "mean": 0, "stdev": 1} for index in range(2)],
            "training_options": {"do": do, **options},
        }

    return make


@pytest.fixture
def make_worker() -> Iterator[MakeWorker]:
    """Spawns workers that run fake jobs; the test's end is theirs."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(Worker(*args, **{"command": FAKE_WORKER, **kwargs}))


@pytest.fixture(scope="module")
def shared() -> Iterator[Worker]:
    """One worker for all tests of a module, each of which must leave it able to run the next job."""
    with Worker(command=FAKE_WORKER) as worker:
        yield worker
        assert worker.process.poll() is None
