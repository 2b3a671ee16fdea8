"""Whole directories: a reader never sees half of one."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from sensenet.files import write_whole
from sensenet.partial_files import remove, temporary_path


def write_directory(path: str | os.PathLike[str], files: Mapping[str, bytes], marker: str) -> None:
    """Write `files` as the directory `path`: under a temporary name, which is renamed when all are on the disk.

    Args:
        path: what stands there already is replaced, if it is an empty directory or one that holds `marker`.
        files: content by path below the directory, "page/main.js" say.
        marker: a file that every such directory has.

    Raises:
        OSError: something else stands there, or a file cannot be written; in both cases all stays as it was.
    """
    final = Path(path)
    _check_replaceable(final, marker)
    new = temporary_path(final)
    old = new.with_name(f"{new.name}.old")
    try:
        for name, content in files.items():
            place = new / name
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, content)
        if final.exists():
            final.rename(old)
        new.rename(final)
    except BaseException:
        if old.exists() and not final.exists():
            old.rename(final)
        raise
    finally:
        remove(new)
        remove(old)


def _check_replaceable(final: Path, marker: str) -> None:
    if not final.exists() or (final / marker).is_file():
        return
    if not final.is_dir():
        raise OSError(errno.ENOTDIR, "a file stands there, expected a directory, or nothing", str(final))
    if any(final.iterdir()):
        raise OSError(errno.ENOTEMPTY, f"the directory is not empty, and holds no {marker}", str(final))
