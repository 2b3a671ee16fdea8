"""The jobs that wait for their turn: paths only, whose files are read when the turn comes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from pyramid.worker.job_file import ParsedJob, parse_job, peek_job_id, refused
from pyramid.worker.protocol import TERMINATE, Cancelled, NotAccepted
from pyramid.worker.streams import Line


@dataclass(frozen=True)
class _WaitingLine:
    line: Line
    accepted: bool


class JobQueue:
    """Job lines in the order in which they came, and which of them are cancelled.

    The id of a waiting job is unknown until its file is read. A cancellation is therefore kept as the id and the number
    of lines that had come by then: it holds for those, not for a job of the same id that comes later.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._lines: deque[_WaitingLine] = deque()
        self._taken = 0
        self._cancelled: dict[str, int] = {}

    def __len__(self) -> int:
        """How many jobs wait."""
        return len(self._lines)

    def add(self, line: Line, accepted: bool = True) -> None:
        """Queue the job that `line` names; one that is not `accepted` is answered with an error at its turn."""
        self._lines.append(_WaitingLine(line, accepted))

    def cancel(self, job_id: str) -> None:
        """Cancel the jobs of that id that wait now."""
        if self._lines:
            self._cancelled[job_id] = self._taken + len(self._lines)

    def take(self) -> ParsedJob:
        """Read the job whose turn it is; one that is cancelled or was not accepted comes as an error."""
        waiting = self._lines.popleft()
        parsed = parse_job(waiting.line) if waiting.accepted else _not_accepted(waiting.line)
        number, self._taken = self._taken, self._taken + 1
        job_id = parsed.job_id
        if waiting.accepted and job_id is not None and number < self._cancelled.get(job_id, 0):
            parsed = cancelled(job_id)
        if not self._lines:
            self._cancelled.clear()
        return parsed

    def cancel_all(self, max_seconds: float) -> Iterator[ParsedJob]:
        """Take all jobs as cancelled; reads no more files for their ids once `max_seconds` are over."""
        deadline = time.monotonic() + max_seconds
        while self._lines:
            line = self._lines.popleft().line
            yield cancelled(peek_job_id(line) if time.monotonic() < deadline else None)


def cancelled(job_id: str | None) -> ParsedJob:
    """What becomes of a job that is cancelled."""
    name = "the job" if job_id is None else f"the job {job_id}"
    return refused(Cancelled(f"{name} was cancelled"), job_id)


def _not_accepted(line: Line) -> ParsedJob:
    error = NotAccepted(
        f"the job was not run: its line came after '{TERMINATE}', after which no job is accepted"
    )
    return refused(error, peek_job_id(line))
