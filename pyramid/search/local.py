"""The workers of this machine."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from pyramid.search.backend import Job, JobFailed, Result
from pyramid.search.worker_client import Worker, WorkerGoneError
from pyramid.worker.protocol import Cancelled, WorkerDied
from pyramid.workspace import Workspace, write_json

JOBS_FOLDER = "jobs"
MOST_TRIES = 2


class LocalBackend:
    """So many workers, each with a thread of ours that feeds it; the end of a `with` is their end."""

    def __init__(self, n_workers: int, threads: int | None = None, debug: bool = False):
        """Start the workers.

        Args:
            threads: of each, None for no limit.
            debug: whether what they log is shown.
        """
        self._slots, self._threads, self._debug = n_workers, threads, debug
        self._lock = threading.Lock()
        self._closed = False
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._workers: list[Worker] = []
        self._pool = ThreadPoolExecutor(n_workers)
        try:
            for _ in range(n_workers):
                self._idle.put(self._new_worker())
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        """This backend."""
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @property
    def slots(self) -> int:
        """How many workers there are."""
        return self._slots

    def submit(self, job: Job) -> Future[Result]:
        """As the protocol says; a worker that dies costs the job one of its two tries."""
        return self._pool.submit(self._run, job)

    def close(self) -> None:
        """Cancel what runs and what waits, and end the workers."""
        with self._lock:
            self._closed = True
            workers = list(self._workers)
        self._pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.end()
        for worker in workers:
            worker.wait()
        self._pool.shutdown()

    def _run(self, job: Job) -> Result:
        try:
            path = write_job(job)
            closing = self._tried(job["job_id"], path)
        except Exception as error:  # whatever it is, it costs this job only
            raise JobFailed(type(error).__name__, str(error)) from error
        if "error" in closing:
            raise JobFailed(closing["error_type"], closing["error_message"])
        return closing

    def _tried(self, job_id: str, path: Path) -> Result:
        """The closing line of a job's last try."""
        worker = self._idle.get()
        try:
            for _ in range(MOST_TRIES):
                # a closed backend has no new ones, which ends the job as cancelled
                if self._closed or not worker.is_alive:
                    worker = self._replace(worker)
                closing = _closing(worker, job_id, path)
                if closing.get("error_type") != WorkerDied.__name__:
                    break
        finally:
            self._idle.put(worker)
        return closing

    def _new_worker(self) -> Worker:
        with self._lock:
            if self._closed:
                raise Cancelled("the search ended before the job did")
            worker = Worker(self._threads, self._debug)
            self._workers.append(worker)
            return worker

    def _replace(self, gone: Worker) -> Worker:
        worker = self._new_worker()
        self._workers.remove(gone)
        return worker


def _closing(worker: Worker, job_id: str, path: Path) -> Result:
    try:
        return worker.run(job_id, path)
    except WorkerGoneError as error:
        message = str(error)
        return {"error": message, "error_type": WorkerDied.__name__, "error_message": message}


def write_job(job: Job) -> Path:
    """Write a job's file into the folder `jobs` of its output directory; gives its path.

    Raises:
        WorkspaceError: it cannot be written.
    """
    path = job_path(job)
    Workspace.create(path.parent)
    write_json(path, job)
    return path


def job_path(job: Job) -> Path:
    """The job's file: trainings are called by their ids, the others by what they do."""
    name = job["job_id"] if job["job_type"] == "search_submodel" else job["job_type"]
    return Path(job["output_directory"]) / JOBS_FOLDER / f"{name}.json"
