"""The children of a worker: one serves, at times one is warmed to take its place, and some are leaving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.worker.child import Child
from pyramid.worker.limits import Limits


@dataclass(frozen=True)
class Death:
    """The end of a child that nobody asked for; `cause` is `was killed by SIGSEGV`, `writer` that of the child."""

    writer: str | None
    cause: str


class Crew:
    """Keeps a warm child at hand.

    A child that has served long enough goes on until its successor is warm, so that no job waits for one.
    """

    def __init__(self, command: Sequence[str], limits: Limits):
        """Start children with `command`; none is started yet."""
        self._command = command
        self._limits = limits
        self._serving: Child | None = None
        self._successor: Child | None = None
        self._leaving: list[Child] = []

    def start(self) -> None:
        """Have a child that serves: the successor, or a new one."""
        if self._serving is None:
            self._serving = self._successor or Child(self._command)
            self._successor = None

    @property
    def is_changing(self) -> bool:
        """Whether a child that was told to go is still to be reaped."""
        return bool(self._leaving)

    def connected(self) -> list[Child]:
        """The children that may have something to tell."""
        return [child for child in (self._serving, self._successor) if child is not None]

    def hear(self) -> tuple[list[dict[str, Any]], Death | None]:
        """What the serving child has told since, and its death where it has died.

        One that dies while it warms up would do so again: the next is started when a job needs it.
        """
        self._leaving = [child for child in self._leaving if not child.has_ended()]
        if self._successor is not None and not self._successor.hear()[1]:
            self._successor.end()
            self._successor = None
        if self._serving is None:
            return [], None
        messages, there = self._serving.hear()
        if there:
            return messages, None
        was_warm = self._serving.warm
        death = Death(self._serving.writer, self._serving.end())
        self._serving = None
        if was_warm:
            self.start()
        return messages, death

    def relieve(self) -> None:
        """Between jobs: let a successor that is warm serve."""
        if self._serving is not None and self._successor is not None and self._successor.warm:
            self._serving.kill()
            self._leaving.append(self._serving)
            self._serving = None
            self.start()

    def warm_child(self) -> Child | None:
        """The child for the next job, None while it warms up."""
        self.start()
        return self._serving if self._serving is not None and self._serving.warm else None

    def job_done(self, rss_bytes: float) -> None:
        """Warm a successor where the serving child, after a job that left it this large, has served long enough."""
        child = self._serving
        if child is not None and self._successor is None and self._limits.exceeded(rss_bytes, child.jobs):
            self._successor = Child(self._command, yielding=True)

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
        for child in self.connected():
            child.kill()
        for child in (*self.connected(), *self._leaving):
            child.end()
