"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_SUFFIX = ".partial"


def temporary_path(path: Path) -> Path:
    """The name that `path` is written under until it is whole: hidden, beside it, marked with the writer's pid."""
    return path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the directory of `path`; on success fsync it and rename it to `path`.

    When the body raises, the temporary file is removed and an old file under `path` stays as it was.

    Raises:
        OSError: the file cannot be written (`filename` is the final path).
    """
    final = Path(path)
    temporary = temporary_path(final)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(final)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(final)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_partial_files(directory: str | os.PathLike[str], pid: int) -> None:
    """Remove the files and folders that the dead process `pid` was in the middle of writing below `directory`."""
    for leftover in list(Path(directory).rglob(f".*.{pid}{TEMPORARY_SUFFIX}")):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
