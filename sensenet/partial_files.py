"""The names of files on their way, and what becomes of those that nobody will finish.

A file is written under a temporary name beside its final one, `.NAME.PLACE-PID-TOKEN.partial`: PLACE stands for the
machine (or container), PID and TOKEN for the process. So one process never takes another's file for its own, wherever
the two run, and what a dead process has left can be told from what a living one is writing.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TEMPORARY_SUFFIX = ".partial"
OLD_SECONDS = 60.0
"""How old a dead process's file must be before somebody else removes it."""

_PARTIAL = re.compile(r"\..+\.(?P<place>[0-9a-f]{12})-(?P<pid>\d+)-[0-9a-f]{16}\.partial")
_TOKEN = secrets.token_hex(8)


def writer_name() -> str:
    """What marks the temporary files of this process: `PLACE-PID-TOKEN`."""
    return f"{_place()}-{os.getpid()}-{_TOKEN}"


def temporary_path(path: Path) -> Path:
    """The name that `path` is written under until it is whole: hidden, beside it, marked with its writer.

    Raises:
        IsADirectoryError: "." or "/", which have no name.
    """
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return path.with_name(f".{path.name}.{writer_name()}{TEMPORARY_SUFFIX}")


def remove_partial_files(directory: str | os.PathLike[str], writer: str) -> None:
    """Remove what the dead process of that `writer_name` was in the middle of writing below `directory`.

    What cannot be removed stays: others may be at work there, or the disk may be gone.
    """
    for leftover in _partial_files(directory):
        if leftover.name.endswith(f".{writer}{TEMPORARY_SUFFIX}"):
            remove(leftover)


def sweep(directory: str | os.PathLike[str], min_age_seconds: float = OLD_SECONDS) -> None:
    """Remove temporary files in `directory`, not below it, that nobody will finish.

    Their writer ran here (on this machine, in this container, since it started) and is no more, and they have not
    changed for `min_age_seconds`. Everything else stays.
    """
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = os.listdir(directory)  # noqa: PTH208 - of thousands of names few become paths
    for name in filter(_is_partial, names):
        parts, leftover = _PARTIAL.fullmatch(name), Path(directory) / name
        if parts is None or parts["place"] != _place() or _is_alive(int(parts["pid"])):
            continue
        with contextlib.suppress(OSError):
            if time.time() - leftover.lstat().st_mtime >= min_age_seconds:
                remove(leftover)


def _partial_files(directory: str | os.PathLike[str]) -> Iterator[Path]:
    # passes over folders that cannot be read, follows no links
    for folder, folders, names in os.walk(directory):
        for name in filter(_is_partial, [*folders, *names]):
            yield Path(folder) / name


def _is_partial(name: str) -> bool:
    return name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)


def remove(path: Path) -> None:
    """Remove a file or folder of this process, if it can be removed."""
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


@cache
def _place() -> str:
    """Where process ids mean what they mean here: this machine since its start, and in it this container."""
    known = [socket.gethostname()]
    with contextlib.suppress(OSError):
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with contextlib.suppress(OSError):
        known.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:12]
