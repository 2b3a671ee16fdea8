"""The job whose turn it is, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass

from pyramid.worker.job_file import AcceptedJob


@dataclass
class ActiveJob:
    """The job whose turn it is.

    Attributes:
        began: monotonic seconds when a warm child got it, before that when its turn came.
        handed_over: whether a child has it.
        running: whether that child has begun it.
        tries: how many children have died before they began it.
    """

    job: AcceptedJob
    began: float
    handed_over: bool = False
    running: bool = False
    tries: int = 0
