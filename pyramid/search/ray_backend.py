"""The machines of a Ray cluster: every job is a task, whose placement, retries and data Ray takes care of."""

from __future__ import annotations

import logging
import socket
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pyramid.errors import PyramidError
from pyramid.search import ray_node
from pyramid.search.backend import Job, JobFailed, Result
from pyramid.search.local import write_job
from pyramid.search.worker_client import WorkerGoneError
from pyramid.worker.protocol import Cancelled
from pyramid.workspace import Workspace, whole_files

MOST_RETRIES = 3
MOST_AT_ONCE = 4096
REMOVING_SECONDS = 30.0
REACHING_SECONDS = 10.0


class ClusterError(PyramidError):
    """A cluster that cannot be used; says why."""


class RayBackend:
    """Runs the trainings of one fit, whose rows are cached; nothing is shared with the nodes but what Ray carries."""

    def __init__(self, address: str, n_workers: int | None = None, debug: bool = False):
        """Connect to the cluster, unless this process already is.

        Args:
            address: `auto`, `ray://HOST:PORT`, or what else `ray.init` takes.
            n_workers: trainings at once; None is one for each processor that the cluster has at the time.
            debug: whether what workers log is shown.

        Raises:
            ClusterError: it cannot be reached.
        """
        self._n_workers, self._debug = n_workers, debug
        self._connected_here = not ray.is_initialized()
        if self._connected_here:
            connect(address, debug)
        self._name = f"pyramid_{uuid.uuid4().hex}"
        self._pool = ThreadPoolExecutor(n_workers or MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._closed = False
        self._shared: ray.ObjectRef | None = None
        self._running: set[ray.ObjectRef] = set()
        self._removing: list[ray.ObjectRef] = []
        processors = processors_of_nodes()
        self._n_cpus = 1 if n_workers is None else processors_each(processors, n_workers)

    def __enter__(self) -> Self:
        """This backend."""
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close it, and leave the cluster as it was."""
        self.close()
        if self._removing:
            ray.wait(self._removing, num_returns=len(self._removing), timeout=REMOVING_SECONDS)
        if self._connected_here:
            ray.shutdown()

    @property
    def slots(self) -> int:
        """How many trainings run at once."""
        return self._n_workers or max(1, sum(processors_of_nodes()))

    def submit(self, job: Job) -> Future[Result]:
        """As the protocol says; a training whose worker or node is lost is begun again elsewhere."""
        return self._pool.submit(self._run, job)

    def close(self) -> None:
        """Cancel what runs and what waits, with its processes."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for ref in list(self._running):
            ray.cancel(ref, force=True)
        self._pool.shutdown()
        self._removing = self._remove_folders()

    def _run(self, job: Job) -> Result:
        try:
            write_job(job)
            answer = self._answer(job)
            if "error" not in answer.closing:
                _write(Path(job["output_directory"]), answer)
        except RayError as error:
            raise self._failure(error) from error
        except Exception as error:  # whatever it is, it costs this job only
            raise JobFailed(type(error).__name__, str(error)) from error
        if "error" in answer.closing:
            raise JobFailed(answer.closing["error_type"], answer.closing["error_message"])
        return answer.closing

    def _answer(self, job: Job) -> ray_node.Answer:
        ref = self._start(job)
        try:
            answer: ray_node.Answer = ray.get(ref)
        finally:
            self._running.discard(ref)
        return answer

    def _start(self, job: Job) -> ray.ObjectRef:
        with self._lock:
            if self._closed:
                raise Cancelled("the search ended before the job began")
            if self._shared is None:
                self._shared = ray.put(self._share(Workspace(Path(job["output_directory"]))))
            task = ray.remote(ray_node.run_job).options(
                num_cpus=self._n_cpus, max_retries=MOST_RETRIES, retry_exceptions=[WorkerGoneError]
            )
            ref: ray.ObjectRef = task.remote(self._shared, job)
            self._running.add(ref)
        return ref

    def _share(self, workspace: Workspace) -> ray_node.Shared:
        """Put the cached files where every node gets them from."""
        paths = [path for path in (*workspace.cached_files(), workspace.dataset_info) if path.exists()]
        cached = {path.name: ray.put(ray_node.as_array(path)) for path in paths}
        return ray_node.Shared(self._name, cached, self._n_cpus, self._debug)

    def _failure(self, error: RayError) -> JobFailed:
        if self._closed or isinstance(error, TaskCancelledError):
            return JobFailed(Cancelled.__name__, "the search ended")
        cause: Any = error.cause if isinstance(error, RayTaskError) else error
        return JobFailed(type(cause).__name__, str(cause).strip().partition("\n")[0])

    def _remove_folders(self) -> list[ray.ObjectRef]:
        """Have every node remove what it has kept for us; gives the tasks."""
        if self._shared is None:
            return []
        task = ray.remote(ray_node.remove_folder)
        nodes = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in _living_nodes()]
        return [task.options(num_cpus=0, scheduling_strategy=node).remote(self._name) for node in nodes]


def processors_each(processors_of_nodes: Sequence[int], n_workers: int) -> int:
    """How many processors each of so many workers gets, so that all of them find room at once; at least 1."""
    fitting = [
        each
        for each in range(1, max(processors_of_nodes, default=1) + 1)
        if sum(processors // each for processors in processors_of_nodes) >= n_workers
    ]
    return max(fitting, default=1)


def connect(address: str, debug: bool) -> None:
    """Connect this process to a cluster.

    Args:
        address: `auto`, `ray://HOST:PORT`, or what else `ray.init` takes.
        debug: whether what workers log is shown.

    Raises:
        ClusterError: it cannot be reached.
    """
    try:
        _check_port(address)
        ray.init(address=address, log_to_driver=debug, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ClusterError(f"ray: the cluster at {address} cannot be reached: {reason}") from error


def _check_port(address: str) -> None:
    """Try where a host and a port are named: Ray itself would for minutes, and then end this process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), REACHING_SECONDS).close()


def _living_nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def processors_of_nodes() -> list[int]:
    """How many processors each living node of the cluster has."""
    return [int(node["Resources"].get("CPU", 0)) for node in _living_nodes()]


def _write(output: Path, answer: ray_node.Answer) -> None:
    """Write a training's files: all, or, where one cannot be written, none."""
    with whole_files() as together:
        for name, content in answer.files.items():
            path = output / name
            path.parent.mkdir(exist_ok=True)
            together.new(path).write(content)
