"""Every error that sensenet raises on purpose, in one tree.

SensenetError
├── ModelFormatError (also ValueError)   a document, bundle or weight file that breaks the format; says where
├── WeightsError                         weights that do not fit the network, or cannot be had
├── SettingsError (also ValueError)      an unknown setting or a wrong value
├── InputError (also ValueError)         a prediction input that cannot be understood
└── ForkError (also RuntimeError)        a process in which TensorFlow cannot work, for it was forked too late
"""

from __future__ import annotations


class SensenetError(Exception):
    """The root: catch this to catch everything that sensenet raises on purpose."""


class ModelFormatError(SensenetError, ValueError):
    """A document, bundle or weight file that breaks the format: `layers[3].rate: expected ..., got ...`."""


class WeightsError(SensenetError):
    """Weights that do not fit the network, or cannot be had."""


class SettingsError(SensenetError, ValueError):
    """An unknown setting, or a wrong value for a known one."""


class InputError(SensenetError, ValueError):
    """A prediction input that cannot be understood: says which row and which field."""


class ForkError(SensenetError, RuntimeError):
    """This process was forked from one that had used TensorFlow, so that a call of it would never return."""


def first_line(error: BaseException) -> str:
    """What an error of a library says first, in at most 500 characters; its type where it says nothing."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)[:500]
