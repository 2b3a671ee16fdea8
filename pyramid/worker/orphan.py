"""A child that does not outlive its parent, whatever it is in the middle of."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
LAST_SECONDS = int(signal.SIGQUIT) if sys.platform == "linux" else 3


def end_with_parent(parent_pid: int) -> None:
    """Have the kernel end this process 3 seconds after its parent, should it still be there.

    The usual end is the closed connection, which a thread sees at once; then it can remove half-written files. A
    thread needs the interpreter, though, which a long call into a library may hold. So the kernel's signal at the
    parent's death is caught by the C function `alarm` itself, called with the signal's number: SIGQUIT is 3, and when
    those 3 seconds are over SIGALRM, which nobody catches, ends the process. Elsewhere than on Linux the thread is all.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        libc.signal.restype = ctypes.c_void_p
        libc.signal(signal.SIGQUIT, ctypes.cast(libc.alarm, ctypes.c_void_p))
        libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGQUIT), 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(0)


def forget_alarm(parent_pid: int) -> None:
    """Between jobs: undo what a SIGQUIT from anybody but a dying parent has begun."""
    if sys.platform == "linux":
        signal.alarm(0)
        # In this order: the kernel's signal comes before this look, which then sees it, or after, and sets the alarm.
        if os.getppid() != parent_pid:
            signal.alarm(LAST_SECONDS)


def stoppable_main_thread() -> Callable[[float], None]:
    """Prepare for the main thread to be stopped for good, wherever it is, so that it begins no more files.

    Returns:
        what another thread stops it with; waits at most so many seconds until it stands.
    """
    asked, stands = threading.Event(), threading.Event()

    def stop_here(*_: object) -> None:
        if asked.is_set():
            stands.set()
            threading.Event().wait()

    signal.signal(signal.SIGUSR1, stop_here)

    def stop(max_seconds: float) -> None:
        asked.set()
        main = threading.main_thread().ident
        if main is not None:
            signal.pthread_kill(main, signal.SIGUSR1)
        stands.wait(max_seconds)

    return stop
