"""The worker's three standard streams, none of which it ever waits for alone."""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Iterable

from pyramid.worker.backoff import is_transient, short_sleep
from pyramid.worker.streams import READ_BYTES, Line, LineReader, LossyWriter, OutputBuffer

STDIN, STDOUT, STDERR = 0, 1, 2
ANSWERS_ROOM_BYTES, DIAGNOSTICS_ROOM_BYTES = 1_000_000, 65_536


class StandardStreams:
    """Lines in, answers out, and text for people.

    Attributes:
        answers: standard output.
        diagnostics: standard error.
        lines: what has been read and not taken up yet.
        input_open: whether more may be read.
    """

    def __init__(self) -> None:
        """Start with nothing read or written."""
        self.answers = OutputBuffer(STDOUT, ANSWERS_ROOM_BYTES)
        self.diagnostics = LossyWriter(STDERR, DIAGNOSTICS_ROOM_BYTES)
        self.lines: deque[Line] = deque()
        self.input_open = True
        self._reader = LineReader()

    def wait(self, max_seconds: float, listening: bool, others: Iterable[tuple[int, bool]]) -> None:
        """Wait until something happens; read and write what can be read and written.

        Args:
            listening: whether to read.
            others: descriptors that end the waiting when they have input or, where the second says so, room.

        Raises:
            OutputGoneError: nobody reads the answers any more.
        """
        poller = select.poll()
        if listening and self.input_open:
            poller.register(STDIN, select.POLLIN)
        if self.answers:
            poller.register(STDOUT, select.POLLOUT)
        if self.diagnostics.descriptor is not None:
            poller.register(self.diagnostics.descriptor, select.POLLOUT)
        for descriptor, sending in others:
            poller.register(descriptor, select.POLLIN | (select.POLLOUT if sending else 0))
        try:
            happened = {descriptor for descriptor, _ in poller.poll(max_seconds * 1000)}
        except OSError:
            short_sleep()
            return
        if STDOUT in happened:
            self.answers.flush()
        if STDERR in happened:
            self.diagnostics.flush()
        if STDIN in happened:
            self._read()

    def _read(self) -> None:
        try:
            data = os.read(STDIN, READ_BYTES)
        except OSError as error:
            if is_transient(error):
                short_sleep()
                return
            # a terminal that is gone, say: nothing more will come
            data = b""
        lines = self._reader.feed(data) if data else self._reader.finish()
        self.lines.extend(line.stripped() for line in lines)
        self.input_open = bool(data)
