"""Whole directories: a reader never sees half of one, and nothing of somebody else's is replaced."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sensenet.files import is_file, open_regular, write_whole
from sensenet.partial_files import remove, temporary_path


class Marker(NamedTuple):
    """What tells an earlier export from a directory of somebody else.

    Attributes:
        name: of a file in it.
        beginning: of what is in that file.
    """

    name: str
    beginning: bytes


def write_directory(path: str | os.PathLike[str], files: Mapping[str, Any], marker: Marker) -> str:
    """Write files as the new directory `path`; the directories above it are made where they are missing.

    It is written under a temporary name and renamed. An empty directory is replaced, and one that has `marker`: an
    earlier export. Between its leaving and the coming of the new one there is none for a moment.

    Args:
        path: of the directory.
        files: bytes-like contents by their paths in it.
        marker: one of these files.

    Returns:
        The path of the directory.

    Raises:
        OSError: it cannot be written, or something else stands there (`filename` is the final path).
    """
    final = Path(path)
    check_replaceable(final, marker)
    partial = temporary_path(final)
    try:
        for name, content in files.items():
            _write(partial / name, content, final / name)
        _publish(partial, final)
    except BaseException:
        remove(partial)
        raise
    return os.fspath(path)


def check_replaceable(final: Path, marker: Marker) -> None:
    """Check that nothing stands where a new directory is to be, or what `write_directory` would replace.

    Raises:
        OSError: something else stands there (`filename` is its path).
    """
    if not final.name:  # "." or "/"
        raise OSError(errno.EINVAL, "expected the name of a new directory", str(final))
    if not os.path.lexists(final):
        return
    if final.is_symlink() or not final.is_dir():
        raise OSError(errno.ENOTDIR, "expected a new directory, but there is something else", str(final))
    if any(final.iterdir()) and not _has(final, marker):
        reason = (
            f"expected a new or empty directory, or an earlier export, which has {marker.name} as we write it"
        )
        raise OSError(errno.ENOTEMPTY, reason, str(final))


def _has(directory: Path, marker: Marker) -> bool:
    file = directory / marker.name
    if not is_file(file):
        return False
    with open_regular(file) as content:
        return content.read(len(marker.beginning)) == marker.beginning


def _write(target: Path, content: Any, final: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(final)) from error


def _publish(partial: Path, final: Path) -> None:
    if not final.exists():
        partial.rename(final)
        return
    old = temporary_path(final.with_name(f"{final.name}.old"))
    final.rename(old)
    try:
        partial.rename(final)
    except OSError:
        old.rename(final)
        raise
    remove(old)
