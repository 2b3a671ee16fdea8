"""The parent: owns the input, the output, the queue and the clock, and answers every job line in order.

One loop waits for whatever happens next: bytes of input, room for output, a message of the child, a signal. No step of
it blocks, so a `cancel` or a signal is heard at once, whatever else goes on.
"""

from __future__ import annotations

import os
import signal
import socket
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from pyramid import __version__
from pyramid.worker import protocol
from pyramid.worker.active_job import ActiveJob
from pyramid.worker.backoff import Backoff
from pyramid.worker.child_limits import ChildLimits
from pyramid.worker.child_pool import ChildDeath, ChildPool
from pyramid.worker.job_file import ParsedJob, refused
from pyramid.worker.job_queue import JobQueue, cancelled
from pyramid.worker.signals import ending_signals, received
from pyramid.worker.standard_streams import StandardStreams
from pyramid.worker.streams import Line, OutputGoneError
from sensenet.partial_files import remove_partial_files

EXIT_DONE, EXIT_OUTPUT_GONE = 0, 128 + signal.SIGPIPE
# How often a busy child is looked at, should a process that it left behind keep its connection open.
HEARTBEAT_SECONDS = 1.0
# The longest wait in one go: poll counts milliseconds in a C int, which an idle time of a month would not fit.
LONGEST_WAIT_SECONDS = 3600.0
# What answering takes at most after a signal: reading the ids of waiting jobs, and all of it.
READ_IDS_SECONDS, LAST_WORDS_SECONDS = 0.5, 1.5
# How many children a job is given to before one begins it.
MOST_TRIES = 3
LONGEST_LOOP_BACKOFF_SECONDS = 1.0


class Supervisor:
    """One worker, from its ready line to its exit code."""

    def __init__(self, idle_seconds: float, limits: ChildLimits, command: Sequence[str], debug: bool):
        """Serve until `idle_seconds` pass without a job.

        Args:
            command: starts a child.
            debug: whether standard error gets the traceback of each failed job.
        """
        self._debug = debug
        self._idle_seconds = idle_seconds
        self._streams = StandardStreams()
        self._output = self._streams.answers
        self._log = self._streams.diagnostics.put
        self._pool = ChildPool(command, limits, self._log)
        self._queue = JobQueue()
        self._active: ActiveJob | None = None
        self._last_activity = time.monotonic()
        self._accepting = True
        self._exit_code: int | None = None
        self._give_up_at = float("inf")
        self._loop_error: Exception | None = None
        self._loop_backoff = Backoff(LONGEST_LOOP_BACKOFF_SECONDS)

    def run(self) -> int:
        """Serve.

        Returns:
            the exit code of the process.
        """
        try:
            with ending_signals() as signals:
                self._output.put(protocol.READY.format(version=__version__).encode() + b"\n")
                self._pool.request()
                while not self._is_over():
                    self._go_on(signals)
        except OutputGoneError:
            self._exit_code = EXIT_OUTPUT_GONE
            self._end_running_job()
        finally:
            self._pool.kill()
        return EXIT_DONE if self._exit_code is None else self._exit_code

    def _go_on(self, signals: socket.socket) -> None:
        """One round of the loop. What nobody foresaw in it costs the job whose turn it is, and a pause."""
        try:
            if self._loop_error is not None:
                self._answer_loop_error(self._loop_error)
            self._wait(signals)
            self._poll_child()
            self._advance()
            self._loop_backoff.forget()
        except OutputGoneError:
            raise
        except Exception as error:
            self._loop_error = error
            # so that an error which stays does not keep the processor busy
            time.sleep(self._loop_backoff.begin())

    def _answer_loop_error(self, error: Exception) -> None:
        self._log("".join(traceback.format_exception(error)).encode(errors="backslashreplace"))
        if self._active is not None:
            self._end_running_job()
            self._refuse(refused(error, self._active.job.job_id), self._active.began)
        self._loop_error = None

    def _is_over(self) -> bool:
        now = time.monotonic()
        over = not self._accepting or now >= self._last_activity + self._idle_seconds
        if over and self._exit_code is None and self._is_idle():
            self._exit_code = EXIT_DONE
        answered = self._is_idle() and not self._output
        return self._exit_code is not None and (answered or now >= self._give_up_at)

    def _is_idle(self) -> bool:
        return self._active is None and not self._queue and not self._streams.lines

    def _wait(self, signals: socket.socket) -> None:
        """Wait until something happens, and take up what came in from outside."""
        others = [(signals.fileno(), False), *self._pool.descriptors()]
        self._streams.wait(self._timeout_seconds(), listening=self._exit_code is None, others=others)
        while self._streams.lines:
            self._receive(self._streams.lines.popleft())
        if not self._streams.input_open:
            self._accepting = False
        number = received(signals)
        if number is not None and self._give_up_at == float("inf"):
            self._exit_code = 128 + number
            self._give_up_at = time.monotonic() + LAST_WORDS_SECONDS

    def _timeout_seconds(self) -> float:
        now = time.monotonic()
        if self._exit_code is not None:
            return max(0.0, min(HEARTBEAT_SECONDS, self._give_up_at - now))
        if self._active is not None:
            return min(HEARTBEAT_SECONDS, self._pool.timeout_seconds)
        if self._queue:
            return 0.0 if self._output.has_room else HEARTBEAT_SECONDS
        until_idle = max(0.0, self._last_activity + self._idle_seconds - now)
        heartbeat = HEARTBEAT_SECONDS if self._pool.is_changing else LONGEST_WAIT_SECONDS
        return min(heartbeat, until_idle, self._pool.timeout_seconds)

    def _receive(self, line: Line) -> None:
        self._last_activity = time.monotonic()
        words = os.fsdecode(line.text)
        if words == protocol.TERMINATE:
            self._accepting = False
        elif words.startswith(protocol.CANCEL) and not line.too_long:
            self._cancel(words.removeprefix(protocol.CANCEL).strip())
        elif words or line.too_long:
            self._queue.add(line, self._accepting)

    def _cancel(self, job_id: str) -> None:
        self._queue.cancel(job_id)
        if self._active is not None and self._active.job.job_id == job_id:
            self._cancel_active(self._active)

    def _cancel_active(self, active: ActiveJob) -> None:
        self._end_running_job()
        self._refuse(cancelled(active.job.job_id), active.began)

    def _end_running_job(self) -> None:
        """Kill the child that has a job, and clear away what it was in the middle of writing."""
        if self._active is None or not self._active.handed_over:
            return
        self._active.handed_over = False
        writer = self._pool.kill_serving()
        if writer is not None:
            remove_partial_files(self._active.job.output_directory, writer)
        self._pool.request()

    def _poll_child(self) -> None:
        messages, death = self._pool.poll()
        for message in messages:
            self._handle_message(message)
        if death is not None and self._active is not None:
            self._handle_death(death, self._active)

    def _handle_message(self, message: Mapping[str, Any]) -> None:
        """Act on what the child has told of its job."""
        active = self._active
        if active is None:
            return
        if message["kind"] == "began":
            active.running = True
        elif message["kind"] == "closing":
            self._close(message["closing"], active.began)
            self._pool.job_done(message["rss_bytes"])
        elif self._output.has_room:
            # A reader that does not keep up gets fewer progress lines; the job does not wait for it.
            told = protocol.progress_line(active.job.job_id, message["progress"], message["facts"])
            self._output.put(told)

    def _handle_death(self, death: ChildDeath, active: ActiveJob) -> None:
        """Give a job that was not begun to the next child; answer one that was."""
        active.handed_over = False
        active.tries += 1
        if not active.running and active.tries < MOST_TRIES:
            return
        if death.writer is not None:
            remove_partial_files(active.job.output_directory, death.writer)
        self._fail(active, death.cause)

    def _fail(self, active: ActiveJob, cause: str) -> None:
        error = protocol.WorkerDied(f"the process that runs the jobs {cause}")
        self._refuse(refused(error, active.job.job_id), active.began)

    def _advance(self) -> None:
        """Begin the next job; hand the job whose turn it is to a child once one is warm."""
        if self._exit_code is not None:
            self._cancel_everything()
            return
        if self._active is None:
            self._pool.promote_successor()
            self._begin_next()
        if self._active is not None and not self._active.handed_over:
            self._pool.request()
        start_error = self._pool.start_if_due()
        if start_error is not None:
            self._report_start_failure(f"cannot be started: {start_error.strerror or start_error}")
        if self._active is not None and not self._active.handed_over:
            self._hand_over(self._active)

    def _cancel_everything(self) -> None:
        if self._active is not None:
            self._cancel_active(self._active)
        for parsed in self._queue.cancel_all(READ_IDS_SECONDS):
            self._refuse(parsed, time.monotonic())

    def _begin_next(self) -> None:
        if not self._queue or not self._output.has_room:
            return
        began = time.monotonic()
        parsed = self._queue.take()
        if parsed.job is None:
            self._refuse(parsed, began)
        else:
            self._active = ActiveJob(parsed.job, began)

    def _report_start_failure(self, cause: str) -> None:
        """Say that no child can be started, to the job that waits for one or else to people."""
        if self._active is None:
            self._log(f"pyramid: the process that runs the jobs {cause}\n".encode())
        else:
            self._fail(self._active, cause)

    def _hand_over(self, active: ActiveJob) -> None:
        child = self._pool.warm_child()
        if child is not None:
            active.handed_over, active.began = True, time.monotonic()
            child.send(active.job.started_at(time.time()))

    def _refuse(self, parsed: ParsedJob, began: float) -> None:
        assert parsed.refusal is not None
        self._close(parsed.refusal, began)

    def _close(self, closing: Mapping[str, Any], began: float) -> None:
        """Answer a job; where it is its turn, the turn is over."""
        now = time.monotonic()
        if self._debug and "error" in closing:
            self._log(closing["error"].encode(errors="backslashreplace"))
        # Nothing can fail between these: a job is answered once, whatever comes after.
        self._output.append(protocol.closing_lines({**closing, "job_time": now - began}))
        self._active, self._last_activity = None, now
        self._output.flush()
