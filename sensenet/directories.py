"""Whole directories: a reader never sees half of one, and nothing of somebody else's is replaced."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensenet.files import write_whole
from sensenet.partial_files import remove, temporary_path


def write_directory(path: str | os.PathLike[str], files: Mapping[str, Any], marker: str) -> str:
    """Write files as the new directory `path`; the directories above it are made where they are missing.

    It is written under a temporary name and renamed. An empty directory is replaced, and one that holds the file
    `marker`: an earlier export. Between its leaving and the coming of the new one there is none for a moment.

    Args:
        path: of the directory.
        files: bytes-like contents by their paths in it.
        marker: one of these paths, which tells such a directory from others.

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


def check_replaceable(final: Path, marker: str) -> None:
    """Check that nothing stands where a new directory is to be, or what `write_directory` would replace.

    Raises:
        OSError: something else stands there (`filename` is its path).
    """
    if not os.path.lexists(final):
        return
    if final.is_symlink() or not final.is_dir():
        raise OSError(errno.ENOTDIR, "expected a new directory, but there is something else", str(final))
    if any(final.iterdir()) and not (final / marker).is_file():
        reason = f"expected a new or empty directory, or an earlier export, which has {marker}"
        raise OSError(errno.ENOTEMPTY, reason, str(final))


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
