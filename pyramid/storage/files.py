"""Files of a workspace, written whole or not at all, read with clear errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from pyramid.errors import WorkspaceError
from pyramid.storage.nesting import is_deeper
from pyramid.storage.npy import npy_header, read_npy
from sensenet import files, partial_files
from sensenet.collection import collection_paused

MAX_JSON_DEPTH = 200
"""How deep what is read may be nested: less than what is ever written, and than what Python's stack bears."""


@contextmanager
def whole_file(path: Path) -> Iterator[files.WholeFile]:
    """A new file that becomes `path` when the body succeeds.

    Raises:
        WorkspaceError: the file cannot be written; names it and says why.
    """
    with naming_file(path), files.whole_file(path) as file:
        yield file


@contextmanager
def whole_files() -> Iterator[files.WholeFiles]:
    """New files that get their final names when the body succeeds, in the order in which they were made.

    Raises:
        WorkspaceError: one cannot be written; names it and says why. Unless that was its renaming, no file has changed.
    """
    try:
        with files.whole_files() as together:
            yield together
    except OSError as error:
        if error.filename is None:
            raise WorkspaceError(str(error)) from error
        raise WorkspaceError(f"{error.filename} cannot be written: {error.strerror}") from error


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Say what could not be written when the body fails to write `path`.

    Raises:
        WorkspaceError: the body raised an OSError; names the file and says why.
    """
    try:
        yield
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be written: {error.strerror or error}") from error


@contextmanager
def folder_beside(path: Path, kind: str) -> Iterator[Path]:
    """An empty folder for what leads to `path`, on the disk that this goes to; it is removed at the end.

    Args:
        path: of a file; what dead processes have left beside it is removed, too.
        kind: what is in the folder.

    Raises:
        WorkspaceError: it cannot be made.
    """
    partial_files.sweep(path.parent)
    folder = partial_files.temporary_path(path.with_name(f"{path.name}.{kind}"))
    with naming_file(folder):
        folder.mkdir()
    try:
        yield folder
    finally:
        partial_files.remove(folder)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as strict JSON.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    write_bytes(path, dumps(value))


def dumps(value: Any) -> bytes:
    """`value` as strict JSON."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` as the file `path`.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    with whole_file(path) as file:
        file.write(content)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one `.npy` file.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    with whole_file(path) as file:
        put_array(file, array)


def put_array(file: files.WholeFile, array: np.ndarray) -> None:
    """Write an array as the content of a `.npy` file.

    Raises:
        OSError: no room, say.
    """
    # np.save writes through a buffer of C whose last error it does not see
    file.write(npy_header(array.dtype, array.shape))
    file.write(np.ascontiguousarray(array))


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        WorkspaceError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be removed: {error.strerror or error}") from error


def check_there(paths: Iterable[Path]) -> None:
    """Make sure that files a job has written are still there when it says so.

    Raises:
        WorkspaceError: one is not; names it.
    """
    for path in paths:
        if not path.is_file():
            raise WorkspaceError(
                f"{path}, which this job has written, is gone: it was removed in the meantime"
            )


def read_bytes(path: Path, written_by: str) -> bytes:
    """Read a file that a `written_by` job (such as "dataset_caching") left.

    Raises:
        WorkspaceError: it is missing, or is no regular file; names the job that should have written it.
    """
    try:
        return files.read_whole(path)
    except (OSError, ValueError, MemoryError) as error:
        raise _unreadable(path, written_by, _reason(error)) from error


def read_json(path: Path, written_by: str) -> Any:
    """Read a JSON file that a `written_by` job left.

    Raises:
        WorkspaceError: the file is missing or is not JSON; names the job that should have written it.
    """
    return parse_json(read_bytes(path, written_by), path, written_by)


def parse_json(content: bytes, path: Path, written_by: str) -> Any:
    """What `read_json` gives for a file of this content.

    Raises:
        WorkspaceError: it is not JSON, or nested deeper than `MAX_JSON_DEPTH`.
    """
    try:
        with collection_paused():
            value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise _unreadable(path, written_by, f"not valid JSON ({error})") from error
    if is_deeper(value, MAX_JSON_DEPTH):
        raise _unreadable(path, written_by, f"it is nested more than {MAX_JSON_DEPTH} levels deep")
    return value


def read_array(path: Path, written_by: str, mmap: bool = False) -> np.ndarray:
    """Read a `.npy` file that a `written_by` job left; `mmap` leaves the numbers on disk until they are used.

    Raises:
        WorkspaceError: the file is missing, is not a whole `.npy` file of numbers, or does not fit into the memory.
    """
    try:
        return read_npy(path, mmap)
    except (OSError, ValueError, MemoryError) as error:
        raise _unreadable(path, written_by, _reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, MemoryError):
        return f"there is not enough memory for it ({error})"
    return str(error)


def _unreadable(path: Path, written_by: str, reason: str) -> WorkspaceError:
    return WorkspaceError(f"{path}, which a {written_by} job writes, cannot be read: {reason}")
