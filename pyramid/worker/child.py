"""The parent's side of a child: a process that gets settings and tells how its job goes, over a private socket."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

import pyramid

EXECUTOR = (sys.executable, "-u", "-P", "-m", "pyramid.worker.executor")
RECEIVE_BYTES = 65_536
END_SECONDS = 1.0
STDERR = 2


class Child:
    """A running child.

    Attributes:
        writer: marks its half-written files; None until it is warm.
        jobs: how many jobs it has been given.
    """

    def __init__(self, command: Sequence[str] = EXECUTOR, yielding: bool = False):
        """Start `command`.

        Args:
            command: gets three more arguments: the descriptor of its socket, our process id, `yielding` as 0 or 1.
            yielding: whether its warming up gives way to a running job.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            # A group of its own keeps the signals of a terminal, and of whoever signals our group, away from it: ending
            # it in good order is our work. A session of its own would do so too, but Linux may share the processor
            # evenly among sessions, and a child that yields would not. Its standard output is our standard error.
            self.process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(os.getpid()), str(int(yielding))],
                stdin=subprocess.DEVNULL,
                stdout=STDERR,
                pass_fds=[theirs.fileno()],
                process_group=0,
                env=child_environment(os.environ),
            )
        ours.setblocking(False)
        self._socket = ours
        self._received = bytearray()
        self._unsent = bytearray()
        self.writer: str | None = None
        self.jobs = 0

    @property
    def warm(self) -> bool:
        """Whether it has imported what jobs need and takes one at once."""
        return self.writer is not None

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._socket.fileno()

    @property
    def sending(self) -> bool:
        """Whether a part of the settings is still on its way."""
        return bool(self._unsent)

    def send(self, settings: Mapping[str, Any]) -> None:
        """Give it a job."""
        self.jobs += 1
        self._unsent += orjson.dumps(settings) + b"\n"
        self.flush()

    def flush(self) -> None:
        """Send as much as it takes now; of a dead child `hear` tells."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self._unsent:
                sent = self._socket.send(self._unsent)
                del self._unsent[:sent]

    def hear(self) -> tuple[list[dict[str, Any]], bool]:
        """Exchange what can be exchanged now.

        Returns:
            what it has told of its job since, and whether it is still there.
        """
        self.flush()
        there = not self.has_ended()
        try:
            while data := self._socket.recv(RECEIVE_BYTES):
                self._received += data
            there = False
        except BlockingIOError:
            pass
        except ConnectionResetError:
            there = False
        *complete, rest = self._received.split(b"\n")
        self._received = rest
        messages = [orjson.loads(message) for message in complete]
        for message in messages:
            if message["kind"] == "warm":
                self.writer = message["writer"]
        return [message for message in messages if message["kind"] != "warm"], there

    def has_ended(self) -> bool:
        """Whether the process is gone (and reaped)."""
        return self.process.poll() is not None

    def kill(self) -> None:
        """End it and all that it started; does not wait for the end."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self._socket.close()

    def end(self) -> str:
        """Kill it where it still lives, wait for its end.

        Returns:
            what it ended of, in words.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(END_SECONDS)
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(END_SECONDS)
        return _cause(self.process.returncode)


def _cause(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (the machine may be out of memory)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Ours, with a quiet TensorFlow that takes GPU memory as it needs it, and with this very package."""
    defaults = {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        # the small steps of the training loop gain nothing from running side by side: a tenth faster without
        "XLA_FLAGS": "--xla_cpu_enable_concurrency_optimized_scheduler=false",
    }
    root = Path(pyramid.__file__).parents[1]
    path = environment.get("PYTHONPATH", "")
    if root.name not in ("site-packages", "dist-packages"):
        path = os.pathsep.join(filter(None, (str(root), path)))
    return {**defaults, **environment, "PYTHONPATH": path}
