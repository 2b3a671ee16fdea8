"""An orchestrator in miniature: spawns a worker, sends it lines, reads its answers with time-outs."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

WORKER = (sys.executable, "-m", "pyramid.worker")
FAKE_WORKER = (sys.executable, str(Path(__file__).parent / "worker" / "fake_worker.py"))
READY, PROGRESS, COMPLETE = "pyramid process ready - ", "pyramid progress - ", "pyramid job complete - "
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """One line of a worker.

    Attributes:
        kind: ready, progress, complete, or stray for a line that is none of these.
        data: its JSON object (empty for ready and stray lines).
        text: the line as it came.
        at: monotonic seconds when it came.
    """

    kind: str
    data: dict[str, Any]
    text: str
    at: float


def parse(line: bytes) -> Answer:
    """Take one line of a worker apart; JSON that is not strict raises ValueError."""
    at, text = time.monotonic(), line.decode("utf-8").removesuffix("\n")
    if text.startswith(READY):
        return Answer("ready", {}, text, at)
    for kind, prefix in (("progress", PROGRESS), ("complete", COMPLETE)):
        if text.startswith(prefix):
            return Answer(kind, json.loads(text.removeprefix(prefix), parse_constant=_not_strict), text, at)
    return Answer("stray", {}, text, at)


def inherited_environment() -> dict[str, str]:
    """Our environment, in which this checkout's packages are found from any folder."""
    python_path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": python_path}


class Worker:
    """A spawned worker; use it in a `with` statement, which kills it when it is still there at the end.

    Attributes:
        process: the process.
        started: monotonic seconds when it was spawned.
        progress: the progress lines read since the last closing line.
    """

    def __init__(
        self,
        idle_seconds: float = 60,
        command: Sequence[str | os.PathLike[str]] = WORKER,
        environment: Mapping[str, str] | None = None,
        wait_until_ready: bool = True,
        stdin: Any = subprocess.PIPE,
        stderr: Any = None,
    ):
        """Spawn `command` with the idle time-out; `environment` comes on top of ours.

        Where `stderr` is given (a descriptor) the property `stderr` stays empty.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="worker-client-")
        self._numbers = itertools.count()
        self._stderr = (Path(self._folder.name) / "stderr").open("wb")
        self._answers: queue.Queue[Answer | ValueError | None] = queue.Queue()
        self.progress: list[Answer] = []
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*map(str, command), str(idle_seconds)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=self._stderr if stderr is None else stderr,
            env={**inherited_environment(), **(environment or {})},
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        if wait_until_ready:
            self.ready = self.next_answer(10)
            assert self.ready.kind == "ready", self.ready

    def __enter__(self) -> Worker:
        """This worker."""
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Kill what is left."""
        self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.close_input()
        self.process.wait(10)
        self._thread.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._stderr.close()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """The process id of the parent."""
        return self.process.pid

    @property
    def stderr(self) -> str:
        """All that it, its children and their libraries have written to standard error."""
        return Path(self._stderr.name).read_text(encoding="utf-8", errors="replace")

    def children(self) -> list[int]:
        """The process ids of its children (Linux)."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [int(pid) for pid in listed.split()]

    def write(self, data: bytes) -> None:
        """Write bytes to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, *lines: str | os.PathLike[str]) -> None:
        """Write lines to its standard input."""
        self.write("".join(f"{os.fspath(line)}\n" for line in lines).encode())

    def job_file(self, job: Any) -> Path:
        """Write a job file; what is no JSON value yet (str, bytes) is written as it stands."""
        path = Path(self._folder.name) / f"job_{next(self._numbers)}.json"
        raw = job if isinstance(job, bytes) else job.encode() if isinstance(job, str) else None
        path.write_bytes(json.dumps(job).encode() if raw is None else raw)
        return path

    def submit(self, *jobs: Any) -> None:
        """Write job files and send their paths."""
        self.send(*[self.job_file(job) for job in jobs])

    def next_answer(self, max_seconds: float) -> Answer:
        """The next line; TimeoutError when it does not come, EOFError when no more will."""
        try:
            answer = self._answers.get(timeout=max_seconds)
        except queue.Empty:
            raise TimeoutError(f"no line within {max_seconds} s; stderr:\n{self.stderr[-3000:]}") from None
        if answer is None:
            self._answers.put(None)
            raise EOFError(f"the worker closed its output; stderr:\n{self.stderr[-3000:]}")
        if isinstance(answer, ValueError):
            raise answer
        return answer

    def closing(self, max_seconds: float = 60) -> dict[str, Any]:
        """The next closing line; the progress lines before it are in `progress` then."""
        deadline = time.monotonic() + max_seconds
        self.progress = []
        while True:
            answer = self.next_answer(max(0.0, deadline - time.monotonic()))
            if answer.kind == "complete":
                self._check_progress(answer)
                return answer.data
            assert answer.kind == "progress", answer
            self.progress.append(answer)

    def run(self, job: Any, max_seconds: float = 60) -> dict[str, Any]:
        """Send one job, give its closing line."""
        self.submit(job)
        return self.closing(max_seconds)

    def wait_for_progress(self, max_seconds: float = 60) -> Answer:
        """The next progress line."""
        answer = self.next_answer(max_seconds)
        assert answer.kind == "progress", answer
        return answer

    def rest(self, max_seconds: float = 60) -> Iterator[Answer]:
        """All lines until the worker closes its output."""
        with contextlib.suppress(EOFError):
            while True:
                yield self.next_answer(max_seconds)

    def signal(self, number: signal.Signals) -> None:
        """Send the parent a signal."""
        self.process.send_signal(number)

    def close_input(self) -> None:
        """Close its standard input."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()

    def exit_code(self, max_seconds: float = 10) -> int:
        """Wait for its end."""
        return self.process.wait(max_seconds)

    def _check_progress(self, closing: Answer) -> None:
        values = [answer.data["progress"] for answer in self.progress]
        assert values, f"no progress line before {closing.text}"
        assert values[-1] == 1.0, values
        assert values == sorted(values), values
        assert {answer.data["job_id"] for answer in self.progress} == {closing.data["job_id"]}

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                self._answers.put(parse(line))
            except ValueError as error:
                self._answers.put(error)
        self._answers.put(None)


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie (Linux)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Any, max_seconds: float, what: str) -> None:
    """Wait until `condition()` is true; AssertionError when it does not become so."""
    deadline = time.monotonic() + max_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {max_seconds} s: {what}"
        time.sleep(0.01)


def _not_strict(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
