"""When a child has served long enough."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1_000_000
DEFAULT_JOBS_PER_CHILD = 64


@dataclass(frozen=True)
class Limits:
    """What a child may do before another takes its place between jobs.

    Attributes:
        max_rss_bytes: resident memory that a job may leave behind.
        jobs: how many jobs it runs.
    """

    max_rss_bytes: float
    jobs: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Limits:
        """The limits that `PYRAMID_MAX_RSS_MB` and `PYRAMID_JOBS_PER_CHILD` set.

        Raises:
            ValueError: one of them is no positive number.
        """
        default_mb = memory_bytes() / 2 / MEGABYTE
        return cls(
            max_rss_bytes=_positive(environment, "PYRAMID_MAX_RSS_MB", default_mb) * MEGABYTE,
            jobs=_positive(environment, "PYRAMID_JOBS_PER_CHILD", DEFAULT_JOBS_PER_CHILD),
        )

    def exceeded(self, rss_bytes: float, jobs: int) -> bool:
        """Whether a child with that memory after that many jobs is to be replaced."""
        return rss_bytes > self.max_rss_bytes or jobs >= self.jobs


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


def _positive(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not value > 0:
        raise ValueError(f"{name}: expected a number greater than 0, got '{text}'")
    return value
