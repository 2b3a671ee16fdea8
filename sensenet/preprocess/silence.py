"""What Pillow would print about the files that it reads."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class _Silence:
    """How many threads want Python's warnings off: their filters are the process's, so the last one restores them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.lock = threading.Lock()
        self.threads = 0
        self.filters = warnings.catch_warnings()


_silence = _Silence()
if hasattr(os, "register_at_fork"):
    # a thread that held the lock is not there in the child to let it go
    os.register_at_fork(after_in_child=_silence.reset)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Keep Pillow from printing what it thinks of a file; safe in threads."""
    with _silence.lock:
        if _silence.threads == 0:
            _silence.filters = warnings.catch_warnings()
            _silence.filters.__enter__()
            warnings.simplefilter("ignore")
        _silence.threads += 1
    try:
        yield
    finally:
        with _silence.lock:
            _silence.threads -= 1
            if _silence.threads == 0:
                _silence.filters.__exit__(None, None, None)
