"""Whole files: a reader never sees half of one, and nothing but a regular file is opened for reading.

What is on its way has a temporary name, see `partial_files`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from sensenet.partial_files import remove, temporary_path

# What Windows lacks is 0 there. A FIFO must not block, a terminal must not become ours, a link is not followed.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_OLD = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


class WholeFile:
    """A file on its way: what is written goes to the disk at once, so that no error is lost in a buffer.

    Attributes:
        path: its temporary name.
        size_bytes: how much has been written.
    """

    def __init__(self, final: Path):
        """Make the empty file that will become `final`.

        Raises:
            OSError: it cannot be made, or would take the place of a device, a FIFO or a socket (`filename` is the
                final path, as in all errors of this class).
        """
        _check_kept(final)
        self.path = temporary_path(final)
        self.size_bytes = 0
        self._final = final
        self._is_closed = False
        with _naming(final):
            self._descriptor = os.open(self.path, _NEW, 0o666)

    def write(self, data: Any) -> int:
        """Write all of a bytes-like object (a contiguous array is one).

        Raises:
            OSError: no room, say.
        """
        view = memoryview(data)
        if not view.nbytes:
            return 0
        left = view.cast("B")
        with _naming(self._final):
            while left:
                left = left[os.write(self._descriptor, left) :]
        self.size_bytes += view.nbytes
        return view.nbytes

    def restart(self) -> None:
        """Forget what has been written.

        Raises:
            OSError: the disk is gone, say.
        """
        with _naming(self._final):
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.size_bytes = 0

    def settle(self) -> None:
        """Bring what was written to the disk, still under the temporary name; nothing can be written after it.

        Raises:
            OSError: the disk has lost some of it.
        """
        if self._is_closed:
            return
        with _naming(self._final):
            os.fsync(self._descriptor)
            found = os.fstat(self._descriptor).st_size
        self.close()
        if found != self.size_bytes:
            raise OSError(f"{self._final}: {self.size_bytes} bytes were written, but {found} are there")

    def publish(self) -> None:
        """Give the file its final name.

        Raises:
            OSError: a directory stands there, say.
        """
        with _naming(self._final):
            self.path.replace(self._final)

    def close(self) -> None:
        """Let go of the file, if that has not been done."""
        if not self._is_closed:
            self._is_closed = True
            os.close(self._descriptor)


class WholeFiles:
    """Files that appear together; made by `whole_files`."""

    def __init__(self) -> None:
        """No files yet."""
        self.files: list[WholeFile] = []

    def new(self, path: str | os.PathLike[str]) -> WholeFile:
        """One more of them.

        Raises:
            OSError: it cannot be made.
        """
        self.files.append(WholeFile(Path(path)))
        return self.files[-1]

    def settle(self) -> None:
        """Bring all of them to the disk: nothing but their renaming can fail after it.

        Raises:
            OSError: the disk has lost some of it.
        """
        for file in self.files:
            file.settle()


@contextmanager
def whole_files() -> Iterator[WholeFiles]:
    """New files that get their final names when the body succeeds, in the order in which they were made.

    Before the first is renamed all are checked and fsynced. When that or the body fails, the temporary files are
    removed and the old files stay as they were.

    Raises:
        OSError: a file cannot be written (`filename` is its final path).
    """
    together = WholeFiles()
    try:
        yield together
        together.settle()
        for file in together.files:
            file.publish()
    except BaseException:
        for file in together.files:
            file.close()
            remove(file.path)
        raise


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[WholeFile]:
    """A new file that becomes `path` when the body succeeds: checked, fsynced and renamed.

    When the body raises, the temporary file is removed and an old file under `path` stays as it was.

    Raises:
        OSError: the file cannot be written (`filename` is the final path).
    """
    with _naming(Path(path)), whole_files() as together:
        yield together.new(path)


def write_whole(path: str | os.PathLike[str], content: Any) -> None:
    """Write `content`, a bytes-like object, as `path`: see `whole_file`.

    Raises:
        OSError: the file cannot be written (`filename` is the final path).
    """
    with whole_file(path) as file:
        file.write(content)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading; what else there is (a FIFO, a device, a directory) is not even opened.

    Raises:
        OSError: it cannot be opened, or is no regular file (`strerror` says so).
        ValueError: a path with a null character.
    """
    check_regular(path)
    # what stood there a moment ago may be something else by now
    file = open(path, "rb", opener=lambda name, _: os.open(name, _OLD))  # noqa: SIM115 - the caller closes it
    try:
        _check_mode(os.fstat(file.fileno()).st_mode, path)
    except OSError:
        file.close()
        raise
    return file


def read_whole(path: str | os.PathLike[str]) -> bytes:
    """The content of a regular file.

    Raises:
        OSError, ValueError: see `open_regular`.
    """
    with open_regular(path) as file:
        return file.read()


def is_file(path: Path) -> bool:
    """Whether there is a regular file, also where the system can have none of that name."""
    with suppress(OSError):
        return path.is_file()
    return False


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuse what is no regular file, without opening it: for readers that open files themselves.

    Raises:
        OSError: it is not there, or is no regular file (`strerror` says so).
        ValueError: a path with a null character.
    """
    _check_mode(Path(path).stat().st_mode, path)


@contextmanager
def _naming(final: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename == str(final):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(final)) from error


def _check_kept(final: Path) -> None:
    """Refuse to take the place of a device, say, as root may: `/dev/null` would be gone for everybody."""
    try:
        mode = final.lstat().st_mode
    except OSError:  # nothing stands there, or making the file says what is wrong
        return
    if not (stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
        _check_mode(mode, final)


def _check_mode(mode: int, path: str | os.PathLike[str]) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    raise OSError(errno.EINVAL, f"it is {kind}, expected a regular file", os.fspath(path))
