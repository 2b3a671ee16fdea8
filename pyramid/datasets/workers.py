"""Who does the work on a data set: this process, several of this machine, or a cluster; the results are the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from typing import Any, TypeVar

from pyramid.processes import process_pool

Item = TypeVar("Item")
Result = TypeVar("Result")
Wait = Callable[[], Any]


@dataclass(frozen=True)
class Workers:
    """Who does it.

    Attributes:
        slots: how many work at once.
        submit: has a function called with arguments, and gives what waits for its result; all can be pickled.
    """

    slots: int
    submit: Callable[..., Wait]

    def in_order(self, waits: Iterable[Wait]) -> Iterator[Any]:
        """The results of what was submitted, in that order; no more than are needed are under way at once."""
        running: deque[Wait] = deque()
        for wait in waits:
            running.append(wait)
            # a second one for each waits behind the first
            if len(running) > 2 * self.slots:
                yield running.popleft()()
        while running:
            yield running.popleft()()


@contextmanager
def _this_process() -> Iterator[Workers]:
    def submit(function: Callable[..., Result], *arguments: Any) -> Callable[[], Result]:
        result = function(*arguments)
        return lambda: result

    yield Workers(1, submit)


@contextmanager
def _some_processes(processes: int) -> Iterator[Workers]:
    with process_pool(processes, "worked on pictures") as pool:
        yield Workers(processes, lambda *call: pool.submit(*call).result)


def workers(processes: int = 1, ray_address: str | None = None) -> AbstractContextManager[Workers]:
    """Those who do the work; at the end they are gone.

    Args:
        processes: of this machine.
        ray_address: of a Ray cluster whose nodes see the same files under the same names; it is used instead.

    Raises:
        ClusterError: it cannot be reached.
        PyramidError: a process was killed.
        ModuleNotFoundError: Ray is not installed.
    """
    if ray_address is not None:
        cluster: AbstractContextManager[Workers] = import_module("pyramid.datasets.cluster").cluster(
            ray_address
        )
        return cluster
    return _this_process() if processes == 1 else _some_processes(processes)


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """So many items at a time."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
