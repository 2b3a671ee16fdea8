"""How long a fit has been going on, and how much of its time is left."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

FINALIZING_SECONDS, MOST_FINALIZING_SHARE = 6.0, 0.2

LEAST_JOB_SECONDS = 1.5
LATE_SHARE = 0.05
LONGEST_JOB_SHARE = 0.34


@dataclass(frozen=True)
class Clock:
    """The time of one fit.

    Attributes:
        seconds: that it has in all; None is no limit.
        began: monotonic seconds.
        finalizing_seconds: kept for the final model, its measuring and its report.
    """

    seconds: float | None
    began: float = field(default_factory=time.monotonic)
    finalizing_seconds: float = FINALIZING_SECONDS

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        """Seconds until the end; infinite without a limit."""
        return math.inf if self.seconds is None else self.seconds - self.elapsed

    @property
    def search_left(self) -> float:
        """Seconds until finalizing has to begin."""
        if self.seconds is None:
            return math.inf
        return self.left - min(self.finalizing_seconds, MOST_FINALIZING_SHARE * self.seconds)

    @property
    def is_late(self) -> bool:
        """Whether what still runs is not to be waited for."""
        return self.seconds is not None and self.search_left < -LATE_SHARE * self.seconds

    def job_seconds(self, overrun: float) -> float | None:
        """How long the training of a job that begins now may take; no job may take most of the search.

        Args:
            overrun: seconds that a job still needs when its training is over.

        Returns:
            None without a limit; less than `LEAST_JOB_SECONDS` where no job is worth beginning.
        """
        if self.seconds is None:
            return None
        return min(self.search_left - overrun, max(LEAST_JOB_SECONDS, LONGEST_JOB_SHARE * self.seconds))

    def after_waiting(self, seconds: float) -> Clock:
        """The clock of a machine that let a worker's start take so long: finalizing takes about as long there."""
        return replace(self, finalizing_seconds=max(self.finalizing_seconds, seconds))

    def share(self, part: float) -> float | None:
        """A part of the time in all, None without a limit."""
        return None if self.seconds is None else part * self.seconds
