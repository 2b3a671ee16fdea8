"""The signals that end a worker, as bytes in a socket."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def ending_signals() -> Iterator[socket.socket]:
    """A socket that gives the number of each SIGTERM and SIGINT as a byte, in place of their usual effects."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        # A warning that the socket is full would be written to standard error, which may be full, too.
        previous = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        handlers = {
            number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield ours
        finally:
            signal.set_wakeup_fd(previous)
            for number, handler in handlers.items():
                signal.signal(number, handler)


def received(signals: socket.socket) -> int | None:
    """The number of a signal that has come, None where none has."""
    try:
        numbers = signals.recv(1)
    except OSError:
        return None
    return numbers[0] if numbers else None
