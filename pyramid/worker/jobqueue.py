"""The jobs that wait for their turn: paths only, whose files are read when the turn comes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from pyramid.worker.intake import Intake, peek_job_id, refused, take_in
from pyramid.worker.protocol import Cancelled
from pyramid.worker.streams import Line


class JobQueue:
    """Job lines in the order in which they came, and which of them are cancelled.

    The id of a waiting job is unknown until its file is read. A cancellation is therefore kept as the id and the number
    of lines that had come by then: it holds for those, not for a job of the same id that comes later.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._lines: deque[Line] = deque()
        self._taken = 0
        self._cancelled: dict[str, int] = {}

    def __len__(self) -> int:
        """How many jobs wait."""
        return len(self._lines)

    def add(self, line: Line) -> None:
        """Queue the job that `line` names."""
        self._lines.append(line)

    def cancel(self, job_id: str) -> None:
        """Cancel the jobs of that id that wait now."""
        if self._lines:
            self._cancelled[job_id] = self._taken + len(self._lines)

    def take(self) -> Intake:
        """Read the job whose turn it is; a cancelled one comes as an error."""
        intake = take_in(self._lines.popleft())
        number, self._taken = self._taken, self._taken + 1
        job_id = intake.job_id
        if job_id is not None and number < self._cancelled.get(job_id, 0):
            intake = cancelled(job_id)
        if not self._lines:
            self._cancelled.clear()
        return intake

    def cancel_all(self, max_seconds: float) -> Iterator[Intake]:
        """Take all jobs as cancelled; reads no more files for their ids once `max_seconds` are over."""
        deadline = time.monotonic() + max_seconds
        while self._lines:
            line = self._lines.popleft()
            yield cancelled(peek_job_id(line) if time.monotonic() < deadline else None)


def cancelled(job_id: str | None) -> Intake:
    """What becomes of a job that is cancelled."""
    name = "the job" if job_id is None else f"the job {job_id}"
    return refused(Cancelled(f"{name} was cancelled"), job_id)
