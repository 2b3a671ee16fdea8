"""How long to wait before what failed is tried again."""

from __future__ import annotations

import errno
import time

FIRST_SECONDS, LONGEST_SECONDS = 0.1, 10.0
SHORT_SLEEP_SECONDS = 0.01

_TRANSIENT = frozenset(
    getattr(errno, name)
    for name in ("EAGAIN", "EINTR", "ENOMEM", "ENOBUFS", "EMFILE", "ENFILE", "ENOSPC", "EDQUOT")
    if hasattr(errno, name)
)


class Backoff:
    """A pause that doubles with each failure, up to a longest one, and is forgotten at the first success."""

    def __init__(self, longest_seconds: float = LONGEST_SECONDS):
        """Start without a pause."""
        self._longest_seconds = longest_seconds
        self._next_seconds = FIRST_SECONDS
        self._until = 0.0

    def begin(self) -> float:
        """Backoff, after a failure.

        Returns:
            for how many seconds.
        """
        seconds = self._next_seconds
        self._until = time.monotonic() + seconds
        self._next_seconds = min(2 * seconds, self._longest_seconds)
        return seconds

    def forget(self) -> None:
        """Backoff no more, after a success."""
        self._next_seconds, self._until = FIRST_SECONDS, 0.0

    @property
    def left_seconds(self) -> float:
        """How much of the pause is left; 0 where it is over."""
        return max(0.0, self._until - time.monotonic())


def is_transient(error: OSError) -> bool:
    """Whether the system may well do later what it refuses now: it was interrupted, or is short of something."""
    return error.errno in _TRANSIENT


def short_sleep() -> None:
    """Wait a moment: a failure that lasts does not keep the processor busy then, and nobody sees one that is over."""
    time.sleep(SHORT_SLEEP_SECONDS)
