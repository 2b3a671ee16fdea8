"""Becomes a worker that does not outlive the process that wanted it: `python -m pyramid.search.launcher PID ARGUMENTS`.

The kernel sends a worker SIGTERM when the thread that started it ends, which the worker answers by cancelling its
job. Elsewhere than on Linux it ends by the end of its input, once its job is done.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from pyramid.worker.orphan import PR_SET_PDEATHSIG

WORKER = ("-P", "-m", "pyramid.worker")


def main() -> None:
    """Become `pyramid` with the arguments after the parent's process id."""
    parent, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(0)
    os.execv(sys.executable, [sys.executable, *WORKER, *arguments])


if __name__ == "__main__":
    main()
