"""The files that images are made of: foregrounds with the labels of their directories, and backgrounds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyramid.errors import DataError
from pyramid.generation.options import GenerationOptions

NO_LABEL = ""


@dataclass(frozen=True)
class Sources:
    """The files, sorted by their names.

    Attributes:
        foregrounds: paths.
        labels: the label of each of them: the name of its sub-directory, or "".
        backgrounds: paths.
    """

    foregrounds: tuple[str, ...]
    labels: tuple[str, ...]
    backgrounds: tuple[str, ...]


def find_sources(options: GenerationOptions) -> Sources:
    """List the directories. Names that begin with a dot are passed over; all other files are taken for images.

    Raises:
        DataError: a directory that cannot be read or holds no images, or a name that cannot be a label.
    """
    root = Path(options.foreground_root)
    labelled = [(file, NO_LABEL) for file in _files(root)]
    for directory in _directories(root):
        files = _files(directory)
        if not files:
            raise DataError(f"{directory}, a label of foreground_image_root, holds no images")
        labelled += [(file, _label(directory)) for file in files]
    if not labelled:
        raise DataError(f"{root}, the foreground_image_root, holds no images")
    foregrounds, labels = zip(*labelled, strict=True)
    return Sources(foregrounds, labels, tuple(_backgrounds(options)))


def _backgrounds(options: GenerationOptions) -> list[str]:
    """None where all are drawn."""
    if options.random_background_rate == 1:
        return []
    assert options.background_root is not None, "it is needed then"
    files = _files(Path(options.background_root))
    if not files:
        raise DataError(
            f"{options.background_root}, the background_image_root, holds no images (those in sub-directories are "
            "not used); with random_background_rate 1 none are needed"
        )
    return files


def _files(directory: Path) -> list[str]:
    return [str(path) for path in _listed(directory) if not path.is_dir()]


def _directories(directory: Path) -> Iterator[Path]:
    return (path for path in _listed(directory) if path.is_dir())


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{directory} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a null character in the path
        raise DataError(f"{str(directory)!r} cannot be read: {error}") from error


def _label(directory: Path) -> str:
    name = directory.name
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{directory.parent}: the name {os.fsencode(name)!r} is not valid UTF-8, so it cannot be a label"
        ) from None
    return name
