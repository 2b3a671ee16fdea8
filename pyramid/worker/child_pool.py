"""The children of a worker: one serves, at times one is warmed to take its place, and some are leaving."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.worker.backoff import Backoff
from pyramid.worker.child import Child, WriteLog
from pyramid.worker.child_limits import ChildLimits


@dataclass(frozen=True)
class ChildDeath:
    """The end of a child that nobody asked for; `cause` is `was killed by SIGSEGV`, `writer` that of the child."""

    writer: str | None
    cause: str


class ChildPool:
    """Keeps a warm child at hand.

    A child that has served long enough goes on until its successor is warm, so that no job waits for one. Where none
    can be started, or one dies while it warms up, the next try comes after a pause, which grows until one is warm.
    """

    def __init__(self, command: Sequence[str], limits: ChildLimits, log: WriteLog):
        """Start children with `command`, and `log` what they print; none is started yet."""
        self._command = command
        self._limits = limits
        self._log = log
        self._serving: Child | None = None
        self._successor: Child | None = None
        self._leaving: list[Child] = []
        self._wanted = False
        self._backoff = Backoff()

    def request(self) -> None:
        """Have `start_if_due` see to it that a child serves."""
        self._wanted = True

    def start_if_due(self) -> OSError | None:
        """Start the child that is wanted, unless there is one or the pause after a failure is not over.

        Returns:
            why none could be started.
        """
        if self._serving is not None or not self._wanted or self._backoff.left_seconds:
            return None
        try:
            self._serving, self._successor = self._successor or Child(self._command, self._log), None
        except OSError as error:
            self._backoff.begin()
            return error
        self._wanted = False
        return None

    @property
    def timeout_seconds(self) -> float:
        """How long `start_if_due` has nothing to do if nothing happens."""
        return self._backoff.left_seconds if self._wanted and self._serving is None else float("inf")

    @property
    def is_changing(self) -> bool:
        """Whether a child that was told to go is still to be reaped."""
        return bool(self._leaving)

    def descriptors(self) -> Iterator[tuple[int, bool]]:
        """What to poll for input, and whether for room to send as well."""
        for child in self._connected():
            yield from child.descriptors()

    def poll(self) -> tuple[list[dict[str, Any]], ChildDeath | None]:
        """What the serving child has told since, and its death where it has died.

        One that dies while it warms up would do so again: the next is started when a job needs it.
        """
        for child in [child for child in self._leaving if child.has_ended()]:
            self._leaving.remove(child)
            child.end()
        if self._successor is not None and not self._successor.poll()[1]:
            successor, self._successor = self._successor, None
            successor.end()
        if self._serving is None:
            return [], None
        messages, there = self._serving.poll()
        if self._serving.warm:
            self._backoff.forget()
        return messages, None if there else self._remove_dead(self._serving)

    def _remove_dead(self, child: Child) -> ChildDeath:
        self._serving, self._wanted = None, child.warm
        if not child.warm:
            self._backoff.begin()
        return ChildDeath(child.writer, child.end())

    def promote_successor(self) -> None:
        """Between jobs: let a successor that is warm serve."""
        if self._serving is not None and self._successor is not None and self._successor.warm:
            self._leaving.append(self._serving)
            self._serving, self._successor = self._successor, None
            self._leaving[-1].kill()

    def warm_child(self) -> Child | None:
        """The child for the next job, None while it warms up or none is there."""
        return self._serving if self._serving is not None and self._serving.warm else None

    def job_done(self, rss_bytes: float) -> None:
        """Warm a successor where the serving child, after a job that left it this large, has served long enough."""
        child = self._serving
        if child is None or self._successor is not None or not self._limits.exceeded(rss_bytes, child.jobs):
            return
        try:
            self._successor = Child(self._command, self._log, yielding=True)
        except OSError as error:
            self._log(f"pyramid: no process can take the place of the one that runs jobs: {error}\n".encode())

    def kill_serving(self) -> str | None:
        """End the serving child in the middle of its job.

        Returns:
            what marks its half-written files.
        """
        child, self._serving = self._serving, None
        if child is None:
            return None
        child.kill()
        child.end()
        return child.writer

    def kill(self) -> None:
        """End all children."""
        for child in self._connected():
            child.kill()
        for child in (*self._connected(), *self._leaving):
            child.end()

    def _connected(self) -> list[Child]:
        return [child for child in (self._serving, self._successor) if child is not None]
