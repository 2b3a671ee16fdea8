"""Standard input and output that never block the worker and never fill its memory."""

from __future__ import annotations

import os
import select
from dataclasses import dataclass

MAX_LINE_BYTES = 65_536
READ_BYTES = 65_536


class OutputGoneError(Exception):
    """Nobody reads the answers any more."""


@dataclass(frozen=True)
class Line:
    """One line of input, without its end.

    Attributes:
        text: its bytes; of a line longer than `MAX_LINE_BYTES` only the beginning.
        size_bytes: how long it really was.
    """

    text: bytes
    size_bytes: int

    @property
    def too_long(self) -> bool:
        """Whether `text` is only the beginning of the line."""
        return self.size_bytes > len(self.text)

    def stripped(self) -> Line:
        """The line without the white space around it; one that is too long stays as it is."""
        text = self.text.strip()
        return self if self.too_long else Line(text, len(text))


class LineReader:
    """Cuts a stream of bytes into lines; of a line without end it keeps the beginning only."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._head = bytearray()
        self._size_bytes = 0

    def feed(self, data: bytes) -> list[Line]:
        """The lines that `data` completes."""
        *complete, rest = data.split(b"\n")
        lines = []
        for part in complete:
            self._append(part)
            lines.append(self._take())
        self._append(rest)
        return lines

    def finish(self) -> list[Line]:
        """What stood behind the last line end, when the stream is over."""
        return [self._take()] if self._size_bytes else []

    def _append(self, part: bytes) -> None:
        self._head += part[: MAX_LINE_BYTES - len(self._head)]
        self._size_bytes += len(part)

    def _take(self) -> Line:
        line = Line(bytes(self._head), self._size_bytes)
        self._head.clear()
        self._size_bytes = 0
        return line


class Outbox:
    """Lines on their way out: written at once while the reader keeps up, kept while it does not.

    A descriptor may be shared with other processes (a terminal, a log), so it is never made non-blocking: a write of at
    most `PIPE_BUF` bytes that `poll` allows does not block.
    """

    def __init__(self, descriptor: int, room_bytes: int):
        """Write to `descriptor`; there is room while less than `room_bytes` wait."""
        self.descriptor = descriptor
        self._room_bytes = room_bytes
        self._waiting = bytearray()

    def __len__(self) -> int:
        """Bytes that wait."""
        return len(self._waiting)

    @property
    def has_room(self) -> bool:
        """Whether the reader keeps up well enough for more."""
        return len(self._waiting) < self._room_bytes

    def put(self, data: bytes) -> None:
        """Send `data` after all that waits.

        Raises:
            OutputGoneError: nobody reads any more.
        """
        self._waiting += data
        self.flush()

    def flush(self) -> None:
        """Write what the reader takes now.

        Raises:
            OutputGoneError: nobody reads any more.
        """
        poller = select.poll()
        poller.register(self.descriptor, select.POLLOUT)
        while self._waiting and poller.poll(0):
            try:
                written = os.write(self.descriptor, self._waiting[: select.PIPE_BUF])
            except OSError as error:
                raise OutputGoneError(f"answers cannot be written: {error.strerror}") from error
            del self._waiting[:written]
