"""The `.smbundle` file: a folder's files one after the other, behind a header that lists them.

    magic | 1 byte n | n * 1024 bytes of JSON, padded with blanks | the files' bytes in the header's order

The header is `[[relative_dir, [subdirs], [[file, size], ...]], ...]`, as `os.walk` gives it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import orjson

from sensenet.errors import ModelFormatError
from sensenet.files import open_regular, write_whole

MAGIC = b"bigml_tensorflow_saved_model_bundle"
SUFFIX = ".smbundle"
HEADER_UNIT = 1024
MAX_HEADER_UNITS = 255
COPY_BYTES = 1 << 20


def pack(files: Mapping[str, bytes]) -> bytes:
    """The content of a bundle with these files, by their paths ("assets/settings.json").

    Raises:
        ModelFormatError: more files than the header can list.
    """
    folders: dict[PurePosixPath, list[PurePosixPath]] = {PurePosixPath("."): []}
    for path in map(PurePosixPath, sorted(files)):
        for folder in reversed(path.parents):
            folders.setdefault(folder, [])
        folders[path.parent].append(path)
    header = [
        [
            str(folder),
            sorted(inner.name for inner in folders if inner != folder and inner.parent == folder),
            [[path.name, len(files[str(path)])] for path in paths],
        ]
        for folder, paths in folders.items()
    ]
    encoded = orjson.dumps(header)
    units = -(-len(encoded) // HEADER_UNIT)
    if units > MAX_HEADER_UNITS:
        raise ModelFormatError(f"{len(files)} files are more than a bundle's header can list")
    start = MAGIC + bytes([units]) + encoded.ljust(units * HEADER_UNIT)
    return b"".join([start, *(files[str(path)] for paths in folders.values() for path in paths)])


def unpack(path: str | os.PathLike[str]) -> dict[str, bytes]:
    """The files of a bundle, by their paths in it.

    Raises:
        ModelFormatError: not a bundle, one that was cut off, or one with a path that leaves its folder.
    """
    with _opened(Path(path)) as (source, _, files):
        return {str(name): source.read(size) for name, size in files}


def write_bundle(directory: str | os.PathLike[str]) -> str:
    """Write the files below `directory` into `directory` + ".smbundle".

    Returns:
        The path of the bundle.

    Raises:
        ModelFormatError: more files than the header can list.
        OSError: a file cannot be read, or the bundle cannot be written.
    """
    root = Path(directory)
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    bundle = root.with_name(root.name + SUFFIX)
    write_whole(bundle, pack({name: path.read_bytes() for name, path in files.items()}))
    return str(bundle)


def read_bundle(path: str | os.PathLike[str], target: str | os.PathLike[str] | None = None) -> str:
    """Unpack a bundle into a folder.

    Args:
        path: the bundle.
        target: the folder to write, made if absent; default `path` without ".smbundle".

    Returns:
        The folder.

    Raises:
        ModelFormatError: not a bundle, one that was cut off, or one with a path that leaves the folder; then
            nothing has been written.
    """
    bundle = Path(path)
    if target is None and bundle.suffix != SUFFIX:
        raise ModelFormatError(f'{bundle}: without a target the name has to end in "{SUFFIX}"')
    root = Path(target) if target is not None else bundle.with_suffix("")
    with _opened(bundle) as (source, folders, files):
        for folder in folders:
            _inside(root, folder, bundle).mkdir(parents=True, exist_ok=True)
        for name, size in files:
            with _inside(root, name, bundle).open("wb") as file:
                _copy(source, file, size)
    return str(root)


@contextmanager
def _opened(
    bundle: Path,
) -> Iterator[tuple[BinaryIO, list[PurePosixPath], list[tuple[PurePosixPath, int]]]]:
    """The bundle behind its header, its folders, and its files with their sizes in bytes.

    Raises:
        ModelFormatError: see `unpack`.
    """
    try:
        source = open_regular(bundle)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise ModelFormatError(f"{bundle}: cannot be read: {reason}") from error
    with source:
        folders, files = _read_header(source, bundle)
        wanted = source.tell() + sum(size for _, size in files)
        if (size := os.fstat(source.fileno()).st_size) != wanted:
            raise ModelFormatError(f"{bundle}: expected {wanted} bytes, as its header says, got {size}")
        yield source, folders, files


def _read_header(
    source: BinaryIO, bundle: Path
) -> tuple[list[PurePosixPath], list[tuple[PurePosixPath, int]]]:
    """The folders, and the files with their sizes in bytes; every path checked."""
    start = source.read(len(MAGIC) + 1)
    if not start.startswith(MAGIC) or len(start) == len(MAGIC):
        raise ModelFormatError(f"{bundle}: expected a bundle, which begins with {MAGIC.decode()}")
    encoded = source.read(start[-1] * HEADER_UNIT)
    if len(encoded) < start[-1] * HEADER_UNIT:
        raise ModelFormatError(f"{bundle}: its header is cut off")
    try:
        entries = list(_entries(orjson.loads(encoded)))
    except (ValueError, TypeError, KeyError) as error:
        raise ModelFormatError(f"{bundle}: its header is not a list of folders ({error})") from error
    folders = [folder for folder, _ in entries]
    files = [(folder / name, size) for folder, listed in entries for name, size in listed]
    strangers = [name for _, listed in entries for name, _ in listed if PurePosixPath(name).name != name]
    strangers += [str(name) for name in [*folders, *(name for name, _ in files)] if _leaves(name)]
    if strangers:
        raise ModelFormatError(f"{bundle}: the path {strangers[0]!r} leaves the folder")
    if len({name for name, _ in files}) < len(files):
        raise ModelFormatError(f"{bundle}: its header lists a file twice")
    return folders, files


def _leaves(name: PurePosixPath) -> bool:
    return name.is_absolute() or ".." in name.parts or "\\" in str(name) or "\0" in str(name)


def _entries(header: Any) -> Iterator[tuple[PurePosixPath, list[tuple[str, int]]]]:
    """The folders, and what each lists: the names of its files with their sizes in bytes; names are not checked."""
    if not isinstance(header, list) or not header:
        raise ValueError("expected a list")
    for folder, _, listed in header:
        files = []
        for name, size in listed:
            if not isinstance(size, int) or isinstance(size, bool) or size < 0:
                raise ValueError(f"expected a size in bytes, got {size!r}")
            if not isinstance(name, str):
                raise ValueError(f"expected the name of a file, got {name!r}")
            files.append((name, size))
        yield PurePosixPath(folder), files


def _inside(root: Path, name: PurePosixPath, bundle: Path) -> Path:
    """`name` below `root`; a link that was there before must not lead out of it either."""
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise ModelFormatError(f"{bundle}: the path {str(name)!r} leaves the folder")
    return path


def _copy(source: BinaryIO, target: BinaryIO, size_bytes: int) -> None:
    left = size_bytes
    while left and (piece := source.read(min(left, COPY_BYTES))):
        target.write(piece)
        left -= len(piece)
