"""From a line of input to a job that a child can be given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from pyramid.memory import give_back
from pyramid.settings.base_settings import BaseSettings, job_id_of
from pyramid.worker.protocol import JobFileError, failure
from pyramid.worker.streams import Line
from sensenet.collection import collection_paused
from sensenet.files import open_regular

MAX_JOB_BYTES = 32 * 2**20
MAX_ID_CHARACTERS = 255
# Memory is given back after a file that is larger.
LARGE_BYTES = 1_000_000
SHOWN_CHARACTERS = 100


@dataclass(frozen=True)
class AcceptedJob:
    """A valid job, as little of it as the parent needs.

    Attributes:
        encoded: its settings but the start time, a JSON object.
    """

    job_id: str | None
    output_directory: str
    encoded: bytes

    def started_at(self, unix_seconds: float) -> bytes:
        """Its settings with their start time, a JSON object."""
        return b'{"start_time":%b,' % orjson.dumps(unix_seconds) + self.encoded[1:]


@dataclass(frozen=True)
class ParsedJob:
    """What a job line turned out to be.

    Attributes:
        job_id: None where it could not be read.
        job: None where it is refused.
        refusal: what the closing line of a job that is refused says.
    """

    job_id: str | None
    job: AcceptedJob | None = None
    refusal: Mapping[str, Any] | None = None


def parse_job(line: Line) -> ParsedJob:
    """Read and validate the job file that `line` names; never raises."""
    content = b""
    try:
        with collection_paused():
            content = _read(line)
            return _validate(_parse(content, line))
    except Exception as error:
        return refused(error, None)
    finally:
        if len(content) > LARGE_BYTES:
            give_back()


def _validate(job: Any) -> ParsedJob:
    job_id = _id_in(job)
    try:
        return ParsedJob(job_id, job=_accept(job))
    except Exception as error:
        return refused(error, job_id)


def refused(error: Exception, job_id: str | None) -> ParsedJob:
    """A job that is answered with `error`: its text alone, as the frames that it came through hold a whole file."""
    return ParsedJob(job_id, refusal=failure(error, job_id))


def peek_job_id(line: Line) -> str | None:
    """The id of the job in the file that `line` names, None where it cannot be read; never raises."""
    try:
        return _id_in(_parse(_read(line), line))
    except Exception:
        return None


def _read(line: Line) -> bytes:
    """The content of the file that `line` names.

    Raises:
        JobFileError: there is no such file, or it is too large.
    """
    path = os.fsdecode(line.text)
    if line.too_long:
        raise JobFileError(f"a line of {line.size_bytes} bytes is too long for a path: {_shown(line)}")
    try:
        with open_regular(path) as file:
            # one byte more than there should be, lest half a file that is still growing passes for a whole one
            content = file.read(min(os.fstat(file.fileno()).st_size, MAX_JOB_BYTES) + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise JobFileError(f"the job file {_shown(line)} cannot be read: {reason}") from error
    if len(content) > MAX_JOB_BYTES:
        raise JobFileError(
            f"the job file {_shown(line)} has more than {MAX_JOB_BYTES} bytes; larger sets of rows belong in a file of "
            "their own, named by cache_file"
        )
    return content


def _parse(content: bytes, line: Line) -> Any:
    """The JSON value in `content`.

    Raises:
        JobFileError: there is none.
    """
    if not content.strip():
        raise JobFileError(f"the job file {_shown(line)} is empty")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise JobFileError(f"the job file {_shown(line)} is not valid JSON: {error}") from None


def _shown(line: Line) -> str:
    path = os.fsdecode(line.text)
    return repr(path if len(path) <= SHOWN_CHARACTERS else path[:SHOWN_CHARACTERS] + "...")


def _accept(content: Any) -> AcceptedJob:
    settings = BaseSettings(content)
    values = {key: value for key, value in settings.as_dict().items() if key != "start_time"}
    return AcceptedJob(settings.job_id, settings.output_directory, orjson.dumps(values))


def _id_in(job: Any) -> str | None:
    job_id = job_id_of(job) if isinstance(job, dict) else None
    return job_id if job_id is not None and len(job_id) <= MAX_ID_CHARACTERS else None
