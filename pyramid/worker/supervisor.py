"""The parent: owns the input, the output, the queue and the clock, and answers every job line in order.

One loop waits for whatever happens next: bytes of input, room for output, a message of the child, a signal. No step of
it blocks, so a `cancel` or a signal is heard at once, whatever else goes on.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyramid import __version__
from pyramid.settings.base_settings import BaseSettings
from pyramid.worker import protocol
from pyramid.worker.child import EXECUTOR
from pyramid.worker.crew import Crew
from pyramid.worker.intake import Intake
from pyramid.worker.jobqueue import JobQueue, cancelled
from pyramid.worker.limits import Limits
from pyramid.worker.streams import READ_BYTES, Line, LineReader, Outbox, OutputGoneError
from sensenet.files import remove_partial_files

STDIN, STDOUT = 0, 1
EXIT_DONE, EXIT_OUTPUT_GONE = 0, 128 + signal.SIGPIPE
OUTBOX_ROOM_BYTES = 1_000_000
# How often a busy child is looked at, should a process that it left behind keep its connection open.
HEARTBEAT_SECONDS = 1.0
# The longest wait in one go: poll counts milliseconds in a C int, which an idle time of a month would not fit.
LONGEST_WAIT_SECONDS = 3600.0
# What answering takes at most after a signal: reading the ids of waiting jobs, and all of it.
READ_IDS_SECONDS, LAST_WORDS_SECONDS = 0.5, 1.5


@dataclass
class Turn:
    """The job whose turn it is.

    Attributes:
        began: monotonic seconds when a warm child got it, before that when its turn came.
        handed_over: whether a child has it.
    """

    settings: BaseSettings
    began: float
    handed_over: bool = False


class Supervisor:
    """One worker, from its ready line to its exit code."""

    def __init__(self, idle_seconds: float, limits: Limits, command: Sequence[str] = EXECUTOR):
        """Serve until `idle_seconds` pass without a job; `command` starts a child."""
        self._idle_seconds = idle_seconds
        self._crew = Crew(command, limits)
        self._reader = LineReader()
        self._outbox = Outbox(STDOUT, OUTBOX_ROOM_BYTES)
        self._queue = JobQueue()
        self._turn: Turn | None = None
        self._last_activity = time.monotonic()
        self._input_open = True
        self._accepting = True
        self._exit_code: int | None = None
        self._give_up_at = float("inf")

    def run(self) -> int:
        """Serve.

        Returns:
            the exit code of the process.
        """
        try:
            with _signals() as signals:
                self._outbox.put(protocol.READY.format(version=__version__).encode() + b"\n")
                self._crew.start()
                while not self._is_over():
                    self._wait(signals)
                    self._hear_child()
                    self._advance()
        except OutputGoneError:
            self._exit_code = EXIT_OUTPUT_GONE
            self._end_running_job()
        finally:
            self._crew.kill()
        return EXIT_DONE if self._exit_code is None else self._exit_code

    def _is_over(self) -> bool:
        now = time.monotonic()
        over = not self._accepting or now >= self._last_activity + self._idle_seconds
        if over and self._exit_code is None and self._is_idle():
            self._exit_code = EXIT_DONE
        return self._exit_code is not None and (not self._outbox or now >= self._give_up_at)

    def _is_idle(self) -> bool:
        return self._turn is None and not self._queue

    def _wait(self, signals: socket.socket) -> None:
        """Wait until something happens, and take up what came in from outside."""
        poller = select.poll()
        poller.register(signals, select.POLLIN)
        if self._input_open and self._exit_code is None:
            poller.register(STDIN, select.POLLIN)
        if self._outbox:
            poller.register(STDOUT, select.POLLOUT)
        for child in self._crew.connected():
            poller.register(child, select.POLLIN | (select.POLLOUT if child.sending else 0))
        happened = {descriptor for descriptor, _ in poller.poll(self._patience_seconds() * 1000)}
        if STDOUT in happened:
            self._outbox.flush()
        if STDIN in happened:
            self._read_input()
        if signals.fileno() in happened:
            self._stop(signals.recv(1)[0])

    def _patience_seconds(self) -> float:
        now = time.monotonic()
        if self._exit_code is not None:
            return max(0.0, min(HEARTBEAT_SECONDS, self._give_up_at - now))
        if self._turn is not None:
            return HEARTBEAT_SECONDS
        if self._queue:
            return 0.0 if self._outbox.has_room else HEARTBEAT_SECONDS
        until_idle = min(LONGEST_WAIT_SECONDS, max(0.0, self._last_activity + self._idle_seconds - now))
        return min(HEARTBEAT_SECONDS, until_idle) if self._crew.is_changing else until_idle

    def _read_input(self) -> None:
        try:
            data = os.read(STDIN, READ_BYTES)
        except OSError:
            data = b""
        for line in self._reader.feed(data) if data else self._reader.finish():
            self._receive(line.stripped())
        if not data:
            self._input_open = self._accepting = False

    def _receive(self, line: Line) -> None:
        self._last_activity = time.monotonic()
        words = os.fsdecode(line.text)
        if words == protocol.TERMINATE:
            self._accepting = False
        elif words.startswith(protocol.CANCEL) and not line.too_long:
            self._cancel(words.removeprefix(protocol.CANCEL).strip())
        elif (words or line.too_long) and self._accepting:
            self._queue.add(line)

    def _cancel(self, job_id: str) -> None:
        self._queue.cancel(job_id)
        if self._turn is not None and self._turn.settings.job_id == job_id:
            self._cancel_turn(self._turn)

    def _cancel_turn(self, turn: Turn) -> None:
        self._end_running_job()
        self._refuse(cancelled(turn.settings.job_id), turn.began)
        self._turn = None

    def _end_running_job(self) -> None:
        """Kill the child that has a job, and clear away what it was in the middle of writing."""
        if self._turn is not None and self._turn.handed_over:
            writer = self._crew.kill_serving()
            if writer is not None:
                remove_partial_files(self._turn.settings.output_directory, writer)
            if self._exit_code is None:
                self._crew.start()

    def _stop(self, number: int) -> None:
        """Cancel everything because of a signal."""
        if self._give_up_at < float("inf"):
            return
        self._exit_code = 128 + number
        self._give_up_at = time.monotonic() + LAST_WORDS_SECONDS
        if self._turn is not None:
            self._cancel_turn(self._turn)
        for intake in self._queue.cancel_all(READ_IDS_SECONDS):
            self._refuse(intake, time.monotonic())

    def _hear_child(self) -> None:
        messages, death = self._crew.hear()
        for message in messages:
            if self._turn is None:
                continue
            if message["kind"] == "closing":
                self._close(message["closing"], self._turn.began)
                self._turn = None
                self._crew.job_done(message["rss_bytes"])
            elif self._outbox.has_room:
                # A reader that does not keep up gets fewer progress lines; the job does not wait for it.
                told = protocol.progress_line(
                    self._turn.settings.job_id, message["progress"], message["facts"]
                )
                self._outbox.put(told)
        if death is not None and self._turn is not None:
            turn, self._turn = self._turn, None
            if death.writer is not None:
                remove_partial_files(turn.settings.output_directory, death.writer)
            error = protocol.WorkerDied(f"the process that runs the jobs {death.cause}")
            self._refuse(Intake(turn.settings.job_id, error=error), turn.began)

    def _advance(self) -> None:
        """Begin the next turn; hand the job whose turn it is to a child once one is warm."""
        if self._exit_code is not None:
            return
        if self._turn is None:
            self._crew.relieve()
        if self._turn is None and self._queue and self._outbox.has_room:
            began = time.monotonic()
            intake = self._queue.take()
            if intake.settings is None:
                self._refuse(intake, began)
            else:
                self._turn = Turn(intake.settings, began)
        if self._turn is not None and not self._turn.handed_over:
            child = self._crew.warm_child()
            if child is not None:
                self._turn = Turn(self._turn.settings, time.monotonic(), handed_over=True)
                child.send({**self._turn.settings.as_dict(), "start_time": time.time()})

    def _refuse(self, intake: Intake, began: float) -> None:
        assert intake.error is not None
        self._close(protocol.failure(intake.error, intake.job_id), began)

    def _close(self, closing: Mapping[str, Any], began: float) -> None:
        self._last_activity = time.monotonic()
        self._outbox.put(protocol.closing_lines({**closing, "job_time": self._last_activity - began}))


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket that gives the number of each SIGTERM and SIGINT as a byte, in place of their usual effects."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        previous = signal.set_wakeup_fd(theirs.fileno())
        handlers = {
            number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield ours
        finally:
            signal.set_wakeup_fd(previous)
            for number, handler in handlers.items():
                signal.signal(number, handler)
