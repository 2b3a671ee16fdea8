"""Standard input and output that never block the worker and never fill its memory."""

from __future__ import annotations

import os
import select
from dataclasses import dataclass

from pyramid.worker.backoff import is_transient, short_sleep

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


class OutputBuffer:
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

    def append(self, data: bytes) -> None:
        """Have `data` sent after all that waits, by the next `flush`."""
        self._waiting += data

    def put(self, data: bytes) -> None:
        """Send `data` after all that waits.

        Raises:
            OutputGoneError: nobody reads any more.
        """
        self.append(data)
        self.flush()

    def flush(self) -> None:
        """Write what the reader takes now.

        Raises:
            OutputGoneError: nobody reads any more.
        """
        try:
            poller = select.poll()
            poller.register(self.descriptor, select.POLLOUT)
            while self._waiting and poller.poll(0):
                written = os.write(self.descriptor, self._waiting[: select.PIPE_BUF])
                del self._waiting[:written]
        except OSError as error:
            if not is_transient(error):
                raise OutputGoneError(f"answers cannot be written: {error.strerror}") from error
            short_sleep()


class LossyWriter:
    """Text for people: nobody waits for it, and nothing fails for it.

    While its reader does not keep up lines are left out, and ` ...` stands in their place.
    """

    def __init__(self, descriptor: int, room_bytes: int):
        """Write to `descriptor`; lines are left out while `room_bytes` wait."""
        self._output = OutputBuffer(descriptor, room_bytes)
        self._gone = False
        self._skipping = False

    @property
    def descriptor(self) -> int | None:
        """What to poll for room, None while nothing waits."""
        return self._output.descriptor if self._output else None

    def put(self, text: bytes) -> None:
        """Write `text`, or leave it out."""
        if self._gone:
            return
        if not self._output.has_room:
            self._skipping = True
        elif self._skipping:
            _, line_end, rest = text.partition(b"\n")
            if line_end:
                self._skipping = False
                self._output.append(b" ...\n" + rest)
        else:
            self._output.append(text)
        self.flush()

    def flush(self) -> None:
        """Write what the reader takes now."""
        try:
            self._output.flush()
        except OutputGoneError:
            self._gone = True
            self._output = OutputBuffer(self._output.descriptor, 0)


def drain(descriptor: int, most_bytes: int) -> tuple[bytes, bool]:
    """Read what a non-blocking descriptor has now.

    Returns:
        about `most_bytes` at most, and whether more may come.
    """
    data = bytearray()
    try:
        while len(data) < most_bytes:
            part = os.read(descriptor, READ_BYTES)
            if not part:
                return bytes(data), False
            data += part
    except OSError as error:
        return bytes(data), is_transient(error)
    return bytes(data), True
