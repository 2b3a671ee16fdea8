"""Where the jobs of a search run: this machine's workers, or others'."""

from __future__ import annotations

from concurrent.futures import Future
from types import TracebackType
from typing import Any, Protocol, Self

from pyramid.errors import PyramidError

Job = dict[str, Any]
Result = dict[str, Any]


class JobFailed(PyramidError):  # noqa: N818 - what became of a job, not of whoever asked for it
    """A job that gave no result; the message is its own.

    Attributes:
        error_type: as its closing line names it.
    """

    def __init__(self, error_type: str, message: str):
        """Tell of a failure."""
        super().__init__(message)
        self.error_type = error_type


class Backend(Protocol):
    """Runs jobs; what they write lands in their `output_directory` on this machine. Use it in a `with`."""

    @property
    def slots(self) -> int:
        """How many jobs run at once."""

    def submit(self, job: Job) -> Future[Result]:
        """Have a job run as soon as there is a free slot.

        Returns:
            its result, or a `JobFailed`.
        """

    def close(self) -> None:
        """Cancel what runs and what waits, and end all processes."""

    def __enter__(self) -> Self:
        """This backend."""

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close it."""
