"""Columns that name image files. A `.ser` holds names of at most 31 bytes: files with longer ones, or which lie
elsewhere, get short names in a folder of their own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import polars as pl

from pyramid.errors import DataError
from pyramid.frames.facts import ColumnFacts
from pyramid.tables.ser import NAME_BYTES, pascal_name
from sensenet.files import is_file, write_whole

DIGEST_LETTERS = 20
_SHORT_NAME = re.compile(rf"[0-9a-f]{{{DIGEST_LETTERS}}}(\..*)?")


@dataclass(frozen=True)
class ImageFiles:
    """Where the image files of a table are, and where jobs find them.

    Attributes:
        root: what the table's names are relative to.
        folder: where files get short names; None: they are read where they are.
    """

    root: Path
    folder: Path | None = None

    @property
    def image_root(self) -> str:
        """What jobs call the folder of the images."""
        return str((self.root if self.folder is None else self.folder).absolute())

    def names(self, column: pl.Series) -> np.ndarray:
        """(rows,) 32 bytes each: the names in rows of a `.ser`; those of files that there are not are empty.

        Raises:
            OSError: a file cannot be linked or copied.
        """
        distinct = column.unique(maintain_order=True).drop_nulls()
        short = pl.Series([self._name(name) for name in distinct], dtype=pl.String)
        positions = column.replace_strict(
            distinct, pl.Series(range(len(distinct)), dtype=pl.Int64), default=-1
        )
        pascal = np.array([pascal_name(name) for name in [*short, ""]])
        return pascal.astype(f"V{1 + NAME_BYTES}")[positions.to_numpy()]

    def _name(self, name: str) -> str:
        file = self.root / name
        if not is_file(file):
            return ""
        if self.folder is None:
            return name
        short = _short_name(name)
        _put(file, self.folder / short)
        return short


def image_files(columns: list[ColumnFacts], root: Path, folder: Path | None) -> ImageFiles:
    """How the images of some columns are read: from a folder of short names where one of them needs it.

    Args:
        folder: for these; None: there is none.

    Raises:
        DataError: one of them needs it, and there is none.
    """
    if all(column.values.is_complete and all(map(_fits, column.values.frame["value"])) for column in columns):
        return ImageFiles(root)
    if folder is None:
        raise DataError(
            f'"{columns[0].name}": names of image files that have more than {NAME_BYTES} bytes, or lead out of their '
            "folder, need a folder for shorter ones (image_folder)"
        )
    return ImageFiles(root, folder)


def remove_short_names(folder: Path) -> None:
    """Remove what was put into a folder of short names, and the folder if nothing else is in it."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if _SHORT_NAME.fullmatch(path.name):
            path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def n_missing_files(column: ColumnFacts, root: Path) -> int:
    """How many of the names that were seen lead to no file."""
    return sum(not is_file(root / name) for name in column.values.frame["value"])


def _fits(name: str) -> bool:
    path = PurePath(name)
    return len(name.encode()) <= NAME_BYTES and not path.is_absolute() and ".." not in path.parts


def _short_name(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST_LETTERS]
    return digest + PurePath(name).suffix.lower()


def _put(file: Path, place: Path) -> None:
    """A second name for a file; a copy where there cannot be one."""
    if place.exists() and place.samefile(file):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    linked = False
    with contextlib.suppress(OSError):
        # a hard link: a symbolic one would lead out of the folder
        os.link(file.resolve(), place)
        linked = True
    if not linked:
        write_whole(place, file.read_bytes())
