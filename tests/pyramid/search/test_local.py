"""Workers of this machine: a job in, a result out, whatever happens to the worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from worker_client import inherited_environment, is_alive, wait_until

from pyramid.search.backend import JobFailed
from pyramid.search.local import LocalBackend, job_path
from pyramid.search.worker_client import THREADS_VARIABLES, worker_environment
from pyramid.tables.recipe import categorical_field, numeric_field, tabular_jobs

END_SECONDS = 8


@pytest.fixture
def jobs(tmp_path: Path) -> list[dict[str, Any]]:
    """Caching, training and finalizing of a small table."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 2))
    rows = np.column_stack([inputs, inputs[:, 0] > 0])
    fields = [*(numeric_field(k, rows[:, k]) for k in range(2)), categorical_field(2, ("a", "b"))]
    return tabular_jobs(tmp_path / "out", rows, fields, tree_embedding=False)


def endless(training: dict[str, Any]) -> dict[str, Any]:
    return training | {"patience": 8192, "learning_rate": 1e-9}


def worker_pids() -> set[int]:
    """Our workers, once they are no launchers any more."""
    return {child.pid for child in psutil.Process().children() if "pyramid.worker" in child.cmdline()}


def descendants(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def failure(future: Future[dict[str, Any]], seconds: float = 60) -> JobFailed:
    error = future.exception(seconds)
    assert isinstance(error, JobFailed), error
    return error


def test_jobs_run_and_leave_their_files(jobs: list[dict[str, Any]]) -> None:
    caching = jobs[0]
    with LocalBackend(1) as backend:
        result = backend.submit(caching).result(60)
        wrong = failure(backend.submit(caching | {"seed": -1}))
    assert result["full_data_shape"][0] == 200
    assert job_path(caching).is_file()
    assert wrong.error_type == "SettingsError"
    assert "/seed" in str(wrong)


def test_a_job_whose_worker_dies_is_tried_once_more_on_a_new_worker(jobs: list[dict[str, Any]]) -> None:
    caching, training, _ = jobs
    with LocalBackend(1) as backend:
        backend.submit(caching).result(60)
        future = backend.submit(endless(training))
        wait_until(job_path(training).is_file, 10, "it is about to begin")
        time.sleep(0.2)
        for _ in range(2):
            assert not future.done()
            wait_until(worker_pids, 10, "a worker is there")
            (pid,) = worker_pids()
            wait_until(lambda pid=pid: descendants(pid), 10, "it has a child")
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: not is_alive(pid), 10, "it is gone")
            time.sleep(0.2)
        lost = failure(future, 10)
        assert lost.error_type == "WorkerDied"
        assert "SIGKILL" in str(lost)
        assert backend.submit(caching).result(60)["full_data_shape"][0] == 200


def test_closing_cancels_what_runs_and_leaves_no_process(jobs: list[dict[str, Any]]) -> None:
    caching, training, _ = jobs
    others = set(descendants(os.getpid()))  # such as multiprocessing's resource tracker, which stays
    with LocalBackend(1) as backend:
        backend.submit(caching).result(60)
        running = backend.submit(endless(training))
        waiting = backend.submit(caching)
        time.sleep(1)
        processes = set(descendants(os.getpid())) - others
        began = time.monotonic()
    assert time.monotonic() - began < END_SECONDS
    assert failure(running).error_type == "Cancelled"
    assert waiting.cancelled()
    assert processes
    wait_until(lambda: not any(map(is_alive, processes)), 2, "what was killed is gone")
    assert not list(Path(caching["output_directory"]).rglob("*.partial"))


def test_workers_do_not_outlive_a_killed_driver(tmp_path: Path) -> None:
    code = (
        "import time; from pyramid.search.local import LocalBackend\n"
        "with LocalBackend(2): print('there', flush=True); time.sleep(60)"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=inherited_environment(), cwd=tmp_path
    )
    assert driver.stdout is not None
    with driver.stdout:
        driver.stdout.readline()
        wait_until(lambda: len(descendants(driver.pid)) >= 4, 10, "two workers have their children")
        left = descendants(driver.pid)
        driver.kill()
        driver.wait()
    wait_until(lambda: not any(map(is_alive, left)), END_SECONDS, "they are gone")


FAKE_WORKER = """#!{python}
import os, sys
os.write(2, b"some notice\\nImportError: no library\\n")
{begins}
sys.stdin.readline()
os.write(1, {written!r})
"""


def ran_by_a_fake(
    monkeypatch: pytest.MonkeyPatch, folder: Path, written: bytes, begins: str = ""
) -> Future[dict[str, Any]]:
    """What becomes of a job whose workers write something and end."""
    script = folder / "worker"
    script.write_text(
        FAKE_WORKER.format(python=sys.executable, begins=begins, written=written), encoding="utf-8"
    )
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    job = {"job_type": "search_submodel", "job_id": "a", "output_directory": str(folder / "out")}
    with LocalBackend(1) as backend:
        future = backend.submit(job)
        future.exception(30)
    return future


@pytest.mark.parametrize(
    ("written", "begins", "error_type", "said"),
    [
        (b"", "sys.exit(3)", "WorkerDied", "ImportError: no library"),
        (b'pyramid job complete - {"job_id": "a", "job_ti', "", "WorkerDied", "exit code 0"),
        (b"pyramid job complete - nonsense\n", "", "JSONDecodeError", ""),
    ],
    ids=["cannot start", "half a line", "no JSON"],
)
def test_a_worker_that_answers_nothing_useful_costs_its_job(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: bytes, begins: str, error_type: str, said: str
) -> None:
    failed = failure(ran_by_a_fake(monkeypatch, tmp_path, written, begins))
    assert failed.error_type == error_type
    assert said in str(failed)


def test_the_warnings_of_a_job_come_with_its_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = (
        b'pyramid progress - {"job_id": "a", "progress": 0.5, "message": "warning: few rows"}\n'
        b'pyramid progress - {"job_id": "a", "progress": 0.6, "message": "going on"}\n'
        b'pyramid job complete - {"job_id": "a"}\n'
    )
    result = ran_by_a_fake(monkeypatch, tmp_path, lines).result()
    assert result == {"job_id": "a", "warnings": ["few rows"]}


@pytest.mark.parametrize("threads", [1, 3, None])
def test_the_threads_of_a_worker_are_limited_by_its_environment(threads: int | None) -> None:
    environment = worker_environment({"HOME": "/home"}, threads)
    found = {environment.get(name) for name in THREADS_VARIABLES}
    assert found == {None if threads is None else str(threads)}
    assert environment["HOME"] == "/home"
