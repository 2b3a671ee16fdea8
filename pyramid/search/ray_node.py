"""What runs on the nodes of a Ray cluster: a job, beside a copy of the cached files on the node's own disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import ray
from filelock import FileLock

import pyramid
from pyramid.errors import PyramidError
from pyramid.search.backend import Job, Result
from pyramid.search.local import write_job
from pyramid.search.worker_client import Worker, WorkerGoneError
from pyramid.worker.protocol import WorkerDied
from pyramid.workspace import Workspace, write_bytes

IDLE_SECONDS = 300.0
"""A worker that has nothing to do for so long ends: the Ray process that it belongs to may stay for others."""


class OtherVersionError(PyramidError):
    """A node whose pyramid is not the driver's."""


@dataclass(frozen=True)
class Shared:
    """What all tasks of a search have in common.

    Attributes:
        name: of the search, unique; names its folder on each node.
        cached: the files of the caching job by name: uint8 arrays in the object store.
        threads: of a worker.
        debug: whether what workers log is shown.
        version: of the driver's pyramid.
    """

    name: str
    cached: Mapping[str, ray.ObjectRef]
    threads: int
    debug: bool
    version: str = pyramid.__version__


@dataclass(frozen=True)
class Answer:
    """What a job gives.

    Attributes:
        closing: the object of its closing line.
        files: that it has left, by their paths in the output directory.
    """

    closing: Result
    files: Mapping[str, bytes]


def run_job(shared: Shared, job: Job) -> Answer:
    """Run a training job in a directory of its own on this node.

    Raises:
        WorkerGoneError: its worker ended; another try may succeed.
        OtherVersionError: this node's pyramid is not the driver's.
        OSError: the disk is full, say.
    """
    if pyramid.__version__ != shared.version:
        raise OtherVersionError(
            f"a node has pyramid {pyramid.__version__}, the driver {shared.version}: install the driver's"
        )
    folder = _node_folder(shared.name)
    cached = _cached_files(folder, shared.cached)
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as scratch:
        for path in cached.iterdir():
            os.link(path, Path(scratch, path.name))
        moved = job | {
            "output_directory": scratch,
            "cache_file": str(Path(scratch, Path(job["cache_file"]).name)),
        }
        closing = _closing(shared, moved)
        return Answer(closing, _left_by_trainings(Workspace(Path(scratch))))


def remove_folder(name: str) -> None:
    """Remove a search's folder on this node; it gets another name first, so that nobody writes into it meanwhile."""
    folder = _node_folder(name)
    gone = folder.with_name(f"{folder.name}.gone")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _node_folder(name: str) -> Path:
    """Several nodes may be one machine."""
    return Path(tempfile.gettempdir(), f"{name}_{ray.get_runtime_context().get_node_id()}")


def _cached_files(folder: Path, files: Mapping[str, ray.ObjectRef]) -> Path:
    """The directory of the cached files: the first task on a node writes them, the others wait for it."""
    cached, partial = folder / "cached", folder / "partial"
    if cached.is_dir():
        return cached
    folder.mkdir(mode=0o700, exist_ok=True)
    with FileLock(folder / "lock"):
        if not cached.is_dir():
            partial.mkdir(exist_ok=True)
            for name, content in files.items():
                write_bytes(partial / name, ray.get(content))
            partial.rename(cached)
    return cached


def _closing(shared: Shared, job: Job) -> Result:
    path = write_job(job)
    worker = _living_worker(shared.threads, shared.debug)
    try:
        closing = worker.run(job["job_id"], path)
    except BaseException:
        worker.end()
        worker.wait()
        raise
    if closing.get("error_type") == WorkerDied.__name__:
        raise WorkerGoneError(closing["error_message"])
    return closing


def _living_worker(threads: int, debug: bool) -> Worker:
    worker = _kept_worker(threads, debug)
    if worker.is_alive:
        return worker
    _kept_worker.cache_clear()
    return _kept_worker(threads, debug)


@lru_cache(maxsize=1)
def _kept_worker(threads: int, debug: bool) -> Worker:
    """The worker of this Ray process, which stays for its next tasks."""
    return Worker(threads, debug, IDLE_SECONDS)


def _left_by_trainings(workspace: Workspace) -> dict[str, bytes]:
    left = [path for submodel in workspace.submodels() for path in submodel.root.iterdir()]
    return {str(path.relative_to(workspace.root)): path.read_bytes() for path in left}


def as_array(path: Path) -> np.ndarray:
    """(bytes,) uint8 that need not be in memory: what Ray passes on without copies."""
    return np.memmap(path, np.uint8, "r")
