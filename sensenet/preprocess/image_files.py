"""The bytes of image files that somebody names: regular files of a bounded size, and of one directory if need be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sensenet.errors import InputError
from sensenet.files import open_regular

MAX_FILE_BYTES = 2**30
"""The largest file that is read: more than `limits.MAX_PIXELS` need uncompressed."""


@dataclass(frozen=True)
class Confinement:
    """The only directory that files may lie in, wherever their names and links lead.

    Attributes:
        directory: its path; links in it have been followed.
        remark: what an error says of it behind "lies outside of".
    """

    directory: str
    remark: str

    @classmethod
    def to(cls, directory: str | os.PathLike[str], remark: str) -> Confinement:
        """Follow the links of `directory` once.

        Raises:
            ValueError: a path with a null character.
        """
        return cls(os.path.realpath(directory), remark)

    def check(self, real_path: str) -> None:
        """Refuse a path, of which all links have been followed, that is not below the directory.

        Raises:
            InputError: says so.
        """
        if not real_path.startswith(self.directory.rstrip(os.sep) + os.sep):
            raise InputError(f"it lies outside of {self.remark}")


def read_named_file(directory: str, name: str, confinement: Confinement | None = None) -> bytes:
    """The content of the file `name` in `directory`; an absolute name stands for itself.

    Raises:
        InputError: it cannot be read, is no regular file, too large or outside of the confinement; gives the path.
    """
    with open_named_file(directory, name, confinement) as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{Path(directory) / name}: expected at most {MAX_FILE_BYTES:,} bytes")
    return data


@contextmanager
def open_named_file(directory: str, name: str, confinement: Confinement | None = None) -> Iterator[BinaryIO]:
    """The file `name` in `directory` for reading; an absolute name stands for itself.

    Raises:
        InputError: it, or what the body does with it, cannot be read, is no regular file or outside of the
            confinement; gives the path.
    """
    path = Path(directory) / name
    try:
        if confinement is not None and (Path(name).is_absolute() or ".." in Path(name).parts):
            # what lies outside is not even touched, so that nobody learns what there is
            confinement.check(os.path.realpath(path))
        with open_regular(path) as file:
            if confinement is not None:
                # a link may have been put there since
                confinement.check(_opened_path(file, path))
            yield file
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _opened_path(file: BinaryIO, path: Path) -> str:
    """Where the open file really is.

    Raises:
        InputError: another file has taken its place meanwhile.
        OSError: it is gone.
    """
    try:
        return str(Path(f"/proc/self/fd/{file.fileno()}").readlink())
    except OSError:  # not on Linux
        found = os.path.realpath(path)
        if not os.path.samestat(os.fstat(file.fileno()), Path(found).stat()):
            raise InputError("it was replaced while it was opened") from None
        return found
