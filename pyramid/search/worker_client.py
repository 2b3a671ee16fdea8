"""One spawned `pyramid`, as an orchestrator sees it: job files in, lines out, one job at a time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import orjson

import pyramid
from pyramid.errors import PyramidError
from pyramid.worker import protocol

IDLE_SECONDS = 30 * 24 * 3600
"""A worker waits for jobs as long as its search goes on; it ends with its input, or with us."""

END_SECONDS = 3.0
WARNING = "warning: "
LINES_KEPT, LAST_LINES_SECONDS = 20, 1.0

THREADS_VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)
"""What TensorFlow, XLA (which uses TensorFlow's threads), OpenMP and linear algebra read when they start."""


class WorkerGoneError(PyramidError):
    """A worker that ended while it had a job."""


class Worker:
    """A spawned worker. One thread runs jobs with it; any other may end it."""

    def __init__(self, threads: int | None = None, debug: bool = False, idle_seconds: float = IDLE_SECONDS):
        """Start it; it imports TensorFlow in the background while its first job is made.

        Args:
            threads: of all its libraries together, about; None is as many as there are processors.
            debug: whether what it logs goes to our standard error, else its last line is told if it ends.
            idle_seconds: without a job, after which it ends.
        """
        self._lock = threading.Lock()
        self._job_id: str | None = None
        # A group of its own keeps a terminal's Ctrl-C away from it: what runs on after one is for us to say.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pyramid.search.launcher", str(os.getpid()), str(idle_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if debug else subprocess.PIPE,
            env=worker_environment(os.environ, threads),
            process_group=0,
        )
        self._last_lines: deque[bytes] = deque(maxlen=LINES_KEPT)
        self._listener = threading.Thread(
            target=_keep, args=(self._process.stderr, self._last_lines), daemon=True
        )
        self._listener.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it is still there."""
        return self._process.poll() is None

    def run(self, job_id: str, path: Path) -> dict[str, Any]:
        """Run the job of a file.

        Returns:
            the object of its closing line, of a failure, too; and `warnings`, those that it has given on the way.

        Raises:
            WorkerGoneError: it ended before it gave one.
        """
        assert self._process.stdout is not None
        with self._lock:
            self._write(os.fspath(path))
            self._job_id = job_id
        warnings: list[str] = []
        for line in self._process.stdout:
            if not line.endswith(b"\n"):
                break  # it was killed while it wrote
            if line.startswith(protocol.COMPLETE):
                self._job_id = None
                return {**orjson.loads(line.removeprefix(protocol.COMPLETE)), "warnings": warnings}
            warnings += _warnings(line)
        raise WorkerGoneError(f"the worker {_how_it_ended(self._process.wait())}{self._last_words()}")

    def end(self) -> None:
        """Cancel its job, and have it end; does not wait for that."""
        with self._lock, contextlib.suppress(WorkerGoneError, OSError):
            if self._job_id is not None:
                self._write(protocol.CANCEL + self._job_id)
            assert self._process.stdin is not None
            self._process.stdin.close()

    def wait(self) -> None:
        """Wait until it has ended; one that does not in time is killed."""
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
                return

    def _last_words(self) -> str:
        """What it has said last on its standard error; after a crash of Python that is the error."""
        self._listener.join(LAST_LINES_SECONDS)
        said = [line.decode(errors="replace").strip() for line in list(self._last_lines)]
        last = next(filter(None, reversed(said)), "")
        return f": {last}" if last else ""

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(os.fsencode(line) + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise WorkerGoneError(f"the worker takes no jobs any more{self._last_words()}") from error


def worker_environment(given: Mapping[str, str], threads: int | None) -> dict[str, str]:
    """The environment of a worker: what is `given`, this very package, and so many threads."""
    root = str(Path(pyramid.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, given.get("PYTHONPATH", ""))))
    limits = {} if threads is None else dict.fromkeys(THREADS_VARIABLES, str(threads))
    return {**given, **limits, "PYTHONPATH": path}


def _keep(stream: IO[bytes] | None, last_lines: deque[bytes]) -> None:
    for line in stream or ():
        last_lines.append(line)


def _warnings(line: bytes) -> list[str]:
    """The warning of a progress line, if it is one."""
    if not line.startswith(protocol.PROGRESS):
        return []
    message = orjson.loads(line.removeprefix(protocol.PROGRESS)).get("message", "")
    return [message.removeprefix(WARNING)] if message.startswith(WARNING) else []


def _how_it_ended(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
