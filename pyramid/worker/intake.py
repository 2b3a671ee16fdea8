"""From a line of input to the settings of a job."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Any

import orjson

from pyramid.settings.base_settings import BaseSettings, job_id_of
from pyramid.worker.protocol import JobFileError
from pyramid.worker.streams import Line

SHOWN_CHARACTERS = 100


@dataclass(frozen=True)
class Intake:
    """What a job line turned out to be: settings, or the error that they are refused with.

    Attributes:
        job_id: None where it could not be read.
    """

    job_id: str | None
    settings: BaseSettings | None = None
    error: Exception | None = None


def take_in(line: Line) -> Intake:
    """Read and validate the job file that `line` names; never raises."""
    job_id = None
    try:
        job = read_job(line)
        job_id = _id_in(job)
        settings = BaseSettings(job)
        _check_depth(settings, line)
        return Intake(job_id, settings=settings)
    except Exception as error:
        return Intake(job_id, error=error)


def peek_job_id(line: Line) -> str | None:
    """The id of the job in the file that `line` names, None where it cannot be read."""
    try:
        return _id_in(read_job(line))
    except JobFileError:
        return None


def read_job(line: Line) -> Any:
    """The JSON value in the file that `line` names.

    Raises:
        JobFileError: there is no such file, or no JSON in it.
    """
    path = os.fsdecode(line.text)
    shown = path if len(path) <= SHOWN_CHARACTERS else path[:SHOWN_CHARACTERS] + "..."
    if line.too_long:
        raise JobFileError(f"a line of {line.size_bytes} bytes is too long for a path: {shown!r}")
    try:
        content = _read_file(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise JobFileError(f"the job file {shown!r} cannot be read: {reason}") from error
    if not content.strip():
        raise JobFileError(f"the job file {shown!r} is empty")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise JobFileError(f"the job file {shown!r} is not valid JSON: {error}") from error


def _check_depth(settings: BaseSettings, line: Line) -> None:
    """Refuse what can be read but not handed to a child: orjson writes less deep nesting than it reads."""
    try:
        orjson.dumps(settings.as_dict())
    except TypeError as error:
        raise JobFileError(
            f"the job file {os.fsdecode(line.text)!r} is nested too deeply: {error}"
        ) from error


def _id_in(job: Any) -> str | None:
    return job_id_of(job) if isinstance(job, dict) else None


def _read_file(path: str) -> bytes:
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a regular file")
        return file.read()


def _open_at_once(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a pipe that nobody writes to would stop the worker.
    return os.open(path, flags | os.O_NONBLOCK)
