"""Which download is next: hosts are asked in turn, each by so many at once, and none before it wants to be."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Task = TypeVar("Task")

SUCCESSES_FOR_MORE = 50
"""After so many answers, a host that wanted fewer requests gets one more at once."""


@dataclass
class _Host(Generic[Task]):
    """What is known of a host.

    Attributes:
        limit: how many requests it gets at once.
        waiting: what it is to be asked for.
        running: how many requests it is answering.
        ready_at: when it may be asked again.
        successes: answers since its limit was changed.
    """

    limit: int
    waiting: deque[Task] = field(default_factory=deque)
    running: int = 0
    ready_at: float = 0.0
    successes: int = 0


class Schedule(Generic[Task]):
    """The tasks that wait, for any number of threads.

    A host that asks for a pause gets half as many requests at once from then on, and slowly more again.
    """

    def __init__(self, per_host: int):
        """No tasks yet; each host is asked by at most `per_host` threads at once."""
        self._per_host = per_host
        self._hosts: dict[str, _Host[Task]] = {}
        self._delayed: list[tuple[float, int, str, Task]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._is_stopped = False

    def put(self, host: str, task: Task, delay_seconds: float = 0.0) -> None:
        """Add a task, which is not begun before `delay_seconds` are over."""
        with self._changed:
            heapq.heappush(self._delayed, (time.monotonic() + delay_seconds, next(self._numbers), host, task))
            self._changed.notify()

    def take(self) -> tuple[str, Task] | None:
        """Wait for a task that may be begun; None once `stop` has been called."""
        with self._changed:
            while not self._is_stopped:
                now = time.monotonic()
                self._let_go_delayed(now)
                for name, host in self._hosts.items():
                    if host.waiting and host.running < host.limit and host.ready_at <= now:
                        host.running += 1
                        # it goes to the end: the others are asked before it
                        self._hosts[name] = self._hosts.pop(name)
                        return name, host.waiting.popleft()
                self._changed.wait(self._seconds_to_wait(now))
        return None

    def done(self, name: str, pause_seconds: float | None = None) -> None:
        """Tell that a task has ended.

        Args:
            pause_seconds: how long the host does not want to be asked; None: it did not say.
        """
        with self._changed:
            host, now = self._hosts[name], time.monotonic()
            host.running -= 1
            host.successes += 1
            if pause_seconds is not None:
                if host.ready_at <= now:
                    host.limit = max(1, host.limit // 2)
                host.ready_at, host.successes = max(host.ready_at, now + pause_seconds), 0
            elif host.successes >= SUCCESSES_FOR_MORE:
                host.limit, host.successes = min(self._per_host, host.limit + 1), 0
            if not (host.running or host.waiting) and host.ready_at <= now and host.limit == self._per_host:
                del self._hosts[name]
            self._changed.notify_all()

    def stop(self) -> None:
        """Give out no more tasks."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _let_go_delayed(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            _, _, name, task = heapq.heappop(self._delayed)
            self._hosts.setdefault(name, _Host(self._per_host)).waiting.append(task)

    def _seconds_to_wait(self, now: float) -> float | None:
        times = [host.ready_at for host in self._hosts.values() if host.waiting and host.ready_at > now]
        times += [self._delayed[0][0]] if self._delayed else []
        return max(0.0, min(times) - now) if times else None
