"""strace as an injector: a system call of one process fails, or a signal comes at it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_client import wait_until

STRACE = shutil.which("strace")
needs_strace = pytest.mark.skipif(STRACE is None, reason="strace is not installed")


@contextlib.contextmanager
def injected(pid: int, calls: str, what: str, when: str, all_threads: bool = False) -> Iterator[Path]:
    """While the body runs, `what` (`error=EIO`, `signal=SIGKILL`) happens at the calls that `when` counts (`3`, `2+`).

    Args:
        calls: names that strace knows; one with a leading `?` need not exist on this machine.
        all_threads: not only the main thread, with one count for each.

    Returns:
        the trace, where an injected call ends in `(INJECTED)`.
    """
    assert STRACE is not None
    trace = Path(f"/tmp/strace-{pid}")
    follow = ["-f"] if all_threads else []
    rules = ["-e", f"trace={calls}", "-e", f"inject={calls}:{what}:when={when}"]
    process = subprocess.Popen(
        [STRACE, "-qq", *follow, "-o", trace, *rules, "-p", str(pid)], stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: process.poll() is not None or is_traced(pid), 10, "strace is attached")
        if process.poll() is not None:
            assert process.stderr is not None
            pytest.skip(f"strace cannot attach here: {process.stderr.read().strip()}")
        yield trace
    finally:
        process.terminate()
        process.communicate(timeout=10)
        trace.unlink(missing_ok=True)


def is_traced(pid: int) -> bool:
    """Whether a tracer is attached to all threads of a process."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return "\nTracerPid:\t0\n" not in (tasks[0] / "status").read_text(encoding="ascii")
    return False
