"""Every error that pyramid raises on purpose, in one tree.

PyramidError
├── SettingsError (also ValueError)   a job file that breaks the contract; carries every violation
├── DataError                         rows, labels or arrays that cannot be used
├── WorkspaceError                    a file of the output directory that is missing, unreadable or cannot be written
└── TrainingError                     training that never reached a finite state
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_VIOLATIONS = 100
"""How many broken rules are looked for in one job file."""
TOLD_VIOLATIONS = 10


class PyramidError(Exception):
    """The root: catch this to catch everything that pyramid raises on purpose."""


@dataclass(frozen=True)
class Violation:
    """One broken rule of a job file: `path` is a JSON pointer to the value, `message` one clear sentence."""

    path: str
    message: str


class SettingsError(PyramidError, ValueError):
    """A job file that breaks the contract.

    Attributes:
        violations: every broken rule, in the order of the file's keys; never empty. Of a file that breaks very many,
            the first `MAX_VIOLATIONS` that were found.
    """

    def __init__(self, violations: Sequence[Violation]):
        """Join the messages of the first violations into one text, and count the others."""
        self.violations = tuple(violations)
        told = [f"{v.path or '/'}: {v.message}" for v in self.violations[:TOLD_VIOLATIONS]]
        more = len(self.violations) - len(told)
        if more:
            least = "at least " if len(self.violations) >= MAX_VIOLATIONS else ""
            told.append(f"and {least}{more} more")
        super().__init__("; ".join(told))


class DataError(PyramidError):
    """Rows, labels or arrays that cannot be used; says which file and which row."""


class WorkspaceError(PyramidError):
    """A file of the output directory that is missing, unreadable or cannot be written."""


class TrainingError(PyramidError):
    """Training that never reached a finite state."""
