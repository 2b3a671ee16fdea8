"""When a child has served long enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyramid.memory import memory_bytes

MEGABYTE = 1_000_000
DEFAULT_JOBS_PER_CHILD = 64


@dataclass(frozen=True)
class ChildLimits:
    """What a child may do before another takes its place between jobs.

    Attributes:
        max_rss_bytes: resident memory that a job may leave behind.
        jobs: how many jobs it runs.
    """

    max_rss_bytes: float
    jobs: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ChildLimits:
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


def _positive(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not value > 0:
        raise ValueError(f"{name}: expected a number greater than 0, got '{text}'")
    return value
