"""Processes that share the work of this one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from pyramid.errors import PyramidError
from pyramid.worker.orphan import end_with_parent


@contextmanager
def process_pool(processes: int, doing: str) -> Iterator[ProcessPoolExecutor]:
    """A pool of so many processes; at the end, whatever it is, none is left.

    Args:
        doing: what they do, for people: "made images".

    Raises:
        PyramidError: a process was killed.
    """
    # a process that was forked from one with TensorFlow could not use it
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin_process, (os.getpid(),))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise PyramidError(
            f"a process that {doing} was killed, maybe for want of memory; --processes 1 needs the least"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_process(parent_pid: int) -> None:
    """In a new process: it ends with its parent, which alone hears of an interrupt."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(parent_pid)
