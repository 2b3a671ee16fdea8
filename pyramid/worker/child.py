"""The parent's side of a child: a process that gets settings and tells how its job goes, over a private socket."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

import pyramid
from pyramid.worker.backoff import is_transient, short_sleep
from pyramid.worker.streams import drain

EXECUTOR = (sys.executable, "-u", "-P", "-m", "pyramid.worker.executor")
# of `pyramid`, and before the other arguments of a child
DEBUG_OPTION = "--debug"
RECEIVE_BYTES = 65_536
# How much of what it prints is taken at a time: one that prints without end keeps nobody else waiting.
PRINTED_BYTES = 1_000_000
END_SECONDS = 1.0

WriteLog = Callable[[bytes], None]


class Child:
    """A running child.

    Attributes:
        writer: marks its half-written files; None until it is warm.
        jobs: how many jobs it has been given.
    """

    def __init__(self, command: Sequence[str], log: WriteLog, yielding: bool = False):
        """Start `command`.

        Args:
            command: gets four more arguments: the descriptor of its socket, our process id, `yielding` as 0 or 1, and
                the path of its own directory for temporary files (empty where there is no room for one).
            log: gets what it prints. Its standard output and error are a pipe to us, since whoever reads our standard
                error may have gone, which would fail what prints, or not keep up, which would hang it.
            yielding: whether its warming up gives way to a running job.

        Raises:
            OSError: it cannot be started.
        """
        self.writer: str | None = None
        self.jobs = 0
        self._log = log
        self._received = bytearray()
        self._unsent = bytearray()
        with contextlib.ExitStack() as undo:
            self._folder = _temporary_folder()
            undo.callback(self._remove_folder)
            self._socket, theirs = socket.socketpair()
            undo.callback(_close, self._socket)
            with _closing(theirs):
                self._socket.setblocking(False)
                reading, writing = map(_Descriptor, os.pipe())
                self._printed: _Descriptor | None = reading
                undo.callback(_close, reading)
                with _closing(writing):
                    os.set_blocking(reading.number, False)
                    self.process = self._spawn(command, theirs, writing, yielding)
            undo.pop_all()

    def _spawn(
        self, command: Sequence[str], theirs: socket.socket, printing: _Descriptor, yielding: bool
    ) -> subprocess.Popen[bytes]:
        # A group of its own keeps the signals of a terminal, and of whoever signals our group, away from it: ending
        # it in good order is our work. A session of its own would do so too, but Linux may share the processor evenly
        # among sessions, and a child that yields would not.
        return subprocess.Popen(
            [*command, str(theirs.fileno()), str(os.getpid()), str(int(yielding)), self._folder],
            stdin=subprocess.DEVNULL,
            stdout=printing.number,
            stderr=printing.number,
            pass_fds=[theirs.fileno()],
            process_group=0,
            env=_environment(os.environ) | ({"TMPDIR": self._folder} if self._folder else {}),
        )

    @property
    def warm(self) -> bool:
        """Whether it has imported what jobs need and takes one at once."""
        return self.writer is not None

    def descriptors(self) -> Iterator[tuple[int, bool]]:
        """What to poll for input, and whether for room to send as well."""
        yield self._socket.fileno(), bool(self._unsent)
        if self._printed is not None:
            yield self._printed.number, False

    def send(self, settings: bytes) -> None:
        """Give it a job: its settings as JSON."""
        self.jobs += 1
        self._unsent += settings + b"\n"
        self._flush()

    def _flush(self) -> None:
        """Send as much as it takes now; of a dead child `poll` tells."""
        try:
            while self._unsent:
                sent = self._socket.send(self._unsent)
                del self._unsent[:sent]
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass
        except OSError as error:
            if not is_transient(error):
                raise
            short_sleep()

    def poll(self) -> tuple[list[dict[str, Any]], bool]:
        """Exchange what can be exchanged now.

        Returns:
            what it has told of its job since, and whether it is still there.
        """
        self._flush()
        there = self._receive(ended=self.has_ended())
        self._forward_output()
        *complete, rest = self._received.split(b"\n")
        self._received = rest
        messages = [orjson.loads(message) for message in complete]
        for message in messages:
            if message["kind"] == "warm":
                self.writer = message["writer"]
        return [message for message in messages if message["kind"] != "warm"], there

    def _receive(self, ended: bool) -> bool:
        """Take what it has sent; gives whether more may come."""
        try:
            while data := self._socket.recv(RECEIVE_BYTES):
                self._received += data
        except BlockingIOError:
            return not ended
        except OSError as error:
            if not is_transient(error):
                return False
            short_sleep()
            return True
        return False

    def _forward_output(self) -> None:
        """Log what it has printed."""
        if self._printed is None:
            return
        text, may_go_on = drain(self._printed.number, PRINTED_BYTES)
        if text:
            self._log(text)
        if not may_go_on:
            _close(self._printed)
            self._printed = None

    def has_ended(self) -> bool:
        """Whether the process is gone (and reaped)."""
        return self.process.poll() is not None

    def kill(self) -> None:
        """End it and all that it started; does not wait for the end."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
        _close(self._socket)

    def end(self) -> str:
        """Kill it where it still lives, wait for its end, tell its last words, remove its temporary files.

        Returns:
            what it ended of, in words.
        """
        self._wait()
        self.kill()
        self._wait()
        self._forward_output()
        if self._printed is not None:
            _close(self._printed)
            self._printed = None
        self._remove_folder()
        return _cause(self.process.returncode)

    def _wait(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            self.process.wait(END_SECONDS)

    def _remove_folder(self) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


class _Descriptor:
    """A number of an open file that can be closed like a socket."""

    def __init__(self, number: int):
        self.number = number

    def close(self) -> None:
        os.close(self.number)


def _temporary_folder() -> str:
    """A directory of a child's own: TensorFlow leaves files behind in a process that is killed."""
    try:
        return tempfile.mkdtemp(prefix="pyramid-")
    except OSError:
        return ""


def _close(opened: socket.socket | _Descriptor) -> None:
    # What Linux fails to close is closed nevertheless, and nobody could do more about it.
    with contextlib.suppress(OSError):
        opened.close()


@contextlib.contextmanager
def _closing(opened: socket.socket | _Descriptor) -> Iterator[None]:
    try:
        yield
    finally:
        _close(opened)


def _cause(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (the machine may be out of memory)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Ours, with this very package."""
    root = Path(pyramid.__file__).parents[1]
    path = environment.get("PYTHONPATH", "")
    if root.name not in ("site-packages", "dist-packages"):
        path = os.pathsep.join(filter(None, (str(root), path)))
    return {**environment, "PYTHONPATH": path}
