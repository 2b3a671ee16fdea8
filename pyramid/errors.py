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
        violations: every broken rule, in the order of the file's keys; never empty.
    """

    def __init__(self, violations: Sequence[Violation]):
        """Join the messages of `violations` into one text."""
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{v.path or '/'}: {v.message}" for v in self.violations))


class DataError(PyramidError):
    """Rows, labels or arrays that cannot be used; says which file and which row."""


class WorkspaceError(PyramidError):
    """A file of the output directory that is missing, unreadable or cannot be written."""


class TrainingError(PyramidError):
    """Training that never reached a finite state."""
