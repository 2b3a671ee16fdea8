"""The one way back up from a running job to whoever watches it."""

from __future__ import annotations

from typing import Any, Protocol


class Report(Protocol):
    """Called by a job as it goes: `report(0.5, message="...")`."""

    def __call__(self, progress: float, **facts: Any) -> None:
        """Tell how far the job is.

        Args:
            progress: share of the job that is done, 0 to 1.
            facts: JSON values that go into the progress line beside it.
        """


def ignore(progress: float, **facts: Any) -> None:
    """A report that nobody watches."""
