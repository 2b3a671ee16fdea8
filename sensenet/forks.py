"""Processes that were forked from one that had used TensorFlow: they lack its threads, and would wait for them."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from sensenet.errors import ForkError

_CONTEXT_MODULE = "tensorflow.python.eager.context"
_TASKS = Path("/proc/self/task")


class _Fork:
    """What is known of this process.

    Attributes:
        has_lost_threads: whether TensorFlow had begun to work in the process that this one was forked from.
    """

    def __init__(self) -> None:
        # where TensorFlow was used and forked before anybody imported this module, only its threads are missing
        self.has_lost_threads = _is_in_use() and _has_python_threads_only()

    def happened(self) -> None:
        """Look around in a new child."""
        self.has_lost_threads = self.has_lost_threads or _is_in_use()


def has_lost_threads() -> bool:
    """Whether this process was forked from one that had used TensorFlow."""
    return _fork.has_lost_threads


def check_fork() -> None:
    """Refuse to call TensorFlow where that would never return.

    Raises:
        ForkError: this process was forked from one that had used TensorFlow.
    """
    if has_lost_threads():
        raise fork_error()


def fork_error() -> ForkError:
    """The error of `check_fork`."""
    return ForkError(
        "this process was forked from one that had used TensorFlow already, whose threads do not survive a fork: "
        "fork first and make the model in the child, or start processes in another way (multiprocessing's "
        '"spawn" or "forkserver")'
    )


def _is_in_use() -> bool:
    """Whether TensorFlow has started its threads, which it does with its first operation. Does not import it."""
    module: Any = sys.modules.get(_CONTEXT_MODULE)
    context = None if module is None else module.context_safe()
    return context is not None and context._context_handle is not None


def _has_python_threads_only() -> bool:
    try:
        return len(list(_TASKS.iterdir())) <= threading.active_count()
    except OSError:  # not on Linux
        return False


_fork = _Fork()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fork.happened)
