"""The lines between the orchestrator and the worker: their words, and strict JSON."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import orjson

from pyramid.errors import PyramidError, SettingsError

READY = "pyramid process ready - version {version}"
PROGRESS = b"pyramid progress - "
COMPLETE = b"pyramid job complete - "

TERMINATE = "terminate"
CANCEL = "cancel "


class Cancelled(PyramidError):  # noqa: N818 - the name is part of the protocol
    """A job that the orchestrator, or a signal to the worker, ended."""


class WorkerDied(PyramidError):  # noqa: N818 - the name is part of the protocol
    """A job whose process died; says of what."""


class NotAccepted(PyramidError):  # noqa: N818 - the name is part of the protocol
    """A job line that came after `terminate`."""


class JobFileError(PyramidError):
    """A line that is no path of a readable JSON file."""


def progress_line(job_id: str | None, progress: float, facts: Mapping[str, Any] | None = None) -> bytes:
    """How far a job is; `progress` is 0 to 1."""
    return PROGRESS + encode({"job_id": job_id, "progress": progress, **(facts or {})}) + b"\n"


def closing_lines(closing: Mapping[str, Any]) -> bytes:
    """The two lines that end every job: progress 1, and its result or failure."""
    done = progress_line(closing["job_id"], 1.0)
    return done + COMPLETE + encode(closing) + b"\n"


def failure(error: BaseException, job_id: str | None) -> dict[str, Any]:
    """What the closing line of a failed job says.

    Returns:
        `job_id`; `error`, a traceback as one string; `error_type`; `error_message`, one line; for a wrong setting also
        `error_path`, the JSON pointer of the first one.
    """
    told: dict[str, Any] = {
        "job_id": job_id,
        "error": "".join(traceback.format_exception(error)),
        "error_type": type(error).__name__,
        "error_message": " ".join(str(error).split()) or type(error).__name__,
    }
    if isinstance(error, SettingsError):
        told["error_path"] = error.violations[0].path
    return told


def encode(value: Any) -> bytes:
    """Strict JSON in UTF-8 on one line: what is not finite becomes null, what JSON does not know its text."""
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(value, default=_plain, option=options)
    except TypeError:
        # File names that are no UTF-8 come as lone surrogates; integers may be longer than 64 bits.
        return orjson.dumps(_readable(value), default=str, option=options)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_readable(str(key)): _readable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return float(value)
    return value
