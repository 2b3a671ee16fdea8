"""Makes what will be needed next while what is there is used."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

Thing = TypeVar("Thing")


class Prefetcher(Generic[Thing]):
    """Things by their number, made in threads of its own some numbers ahead; use it in a `with`.

    Attributes:
        waited_seconds: how long takers have waited in all.
    """

    def __init__(self, make: Callable[[int], Thing], count: int = 2, first: int = 0, stop: int | None = None):
        """Begin to make.

        Args:
            make: gives the thing of a number; it depends on nothing else.
            count: how many are made ahead.
            first, stop: the numbers are those of `range(first, stop)`; None: they have no end.
        """
        self.waited_seconds = 0.0
        self._make, self._next, self._stop = make, first, stop
        self._pool = ThreadPoolExecutor(count)
        self._made: deque[Future[Thing]] = deque()
        for _ in range(count):
            self._begin_one()

    def __enter__(self) -> Prefetcher[Thing]:
        """Itself."""
        return self

    def __exit__(self, *_: Any) -> None:
        """Drop what was not taken."""
        self._pool.shutdown(cancel_futures=True)

    def take(self) -> Thing:
        """The thing of the next number.

        Raises:
            whatever making it raised; IndexError: there are no more.
        """
        began = time.perf_counter()
        thing = self._made.popleft().result()
        self._begin_one()
        self.waited_seconds += time.perf_counter() - began
        return thing

    def _begin_one(self) -> None:
        if self._stop is None or self._next < self._stop:
            self._made.append(self._pool.submit(self._make, self._next))
            self._next += 1
