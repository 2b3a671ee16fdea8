"""Ctrl-C and SIGTERM during a search: the first asks it to finish with what there is, the next ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ACKNOWLEDGED = "interrupted: ending what runs, to make a model of what there is; once more gives up"


class Interrupts:
    """What the signals have asked for.

    Attributes:
        asked: whether one has come while something could be finished.
        patient: whether the first one only asks; else it raises KeyboardInterrupt, as does every further one.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        """Begin without any.

        Args:
            say: is told that the first one has been heard.
        """
        self._say = say
        self.asked = False
        self.patient = False

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        """Take in a signal.

        Raises:
            KeyboardInterrupt: there is nothing to finish, or the first one has not been enough.
        """
        if self.asked or not self.patient:
            raise KeyboardInterrupt
        self.asked = True
        self._say(ACKNOWLEDGED)


@contextmanager
def watched_interrupts(say: Callable[[str], None]) -> Iterator[Interrupts]:
    """Handle the signals within the body; in a thread that is not the main one they stay as they are."""
    interrupts = Interrupts(say)
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interrupts.handle) for number in numbers}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
