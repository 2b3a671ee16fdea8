"""How much memory there is, and how much this process has."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path


def memory_bytes() -> float:
    """Memory of this machine, or of the container (cgroup v2) where that is less."""
    machine = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:
        return min(machine, float(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    except (OSError, ValueError):
        return machine


def resident_bytes() -> int:
    """Resident memory of this process; its peak where the system does not tell the present."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def give_back() -> None:
    """Return to the system what the C library has freed but keeps between what is still in use."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not every C library has it
        if trim is not None:
            trim(0)
