"""Files of data sets: annotations that are read, and images written under safe names that no two share."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from pyramid.errors import DataError, WorkspaceError
from pyramid.storage.files import naming_file, write_bytes
from sensenet.files import read_whole
from sensenet.preprocess.image_files import Confinement, open_named_file

LONGEST_NAME_BYTES = 255
MOST_PARTS = 32
MAX_SMALL_BYTES = 1 << 24


def is_safe_name(file: str) -> bool:
    """Whether a file of this name lies in the folder that it is put into, on every system."""
    parts = file.split("/")
    return (
        0 < len(parts) <= MOST_PARTS
        and all(part not in ("", ".", "..") for part in parts)
        and not set(file) & {"\\", "\0", ":"}
        and all(len(part.encode("utf-8", "surrogatepass")) <= LONGEST_NAME_BYTES for part in parts)
    )


def put_image(folder: Path, file: str, content: bytes) -> None:
    """Write an image file below a folder; one that is there with the same content stays.

    Raises:
        DataError: a name that leads out of the folder, or one that is there with other content.
        WorkspaceError: it cannot be written.
    """
    if not is_safe_name(file):
        raise DataError(f"{file!r:.200} is no name for a file below {folder}")
    path = folder / file
    if path.is_file():
        with naming_file(path):
            same = read_whole(path) == content
        if not same:
            raise DataError(f"{path} is there already, with other content: choose another folder")
        return
    make_folder(path.parent)
    write_bytes(path, content)


def make_folder(folder: Path) -> None:
    """Make a folder, if it is not there.

    Raises:
        WorkspaceError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"{folder} cannot be made: {getattr(error, 'strerror', None) or error}"
        ) from error


class Stems:
    """The names of images without their endings, after which annotation files are called."""

    def __init__(self) -> None:
        """None yet."""
        self._files: dict[str, str] = {}

    def take(self, file: str) -> str:
        """The stem of an image.

        Raises:
            DataError: another image has it; names both.
        """
        stem = PurePosixPath(file).with_suffix("").as_posix()
        other = self._files.setdefault(stem, file)
        if other != file:
            raise DataError(f"{other} and {file} would share the annotations {stem}: rename one of them")
        return stem


def read_small_file(folder: Path, name: str) -> bytes:
    """The content of an annotation file of one image.

    Args:
        folder: of a data set, which may come from anybody.
        name: below it. A link that leads elsewhere is not followed: what an error shows might be a secret.

    Raises:
        InputError: it cannot be read, or leads out of the folder.
        DataError: it is longer than any of those.
    """
    confinement = Confinement.to(
        folder, f"{folder}, which links of a data set may not leave: copy what they lead to"
    )
    with open_named_file(str(folder), name, confinement) as file:
        content = file.read(MAX_SMALL_BYTES + 1)
    if len(content) > MAX_SMALL_BYTES:
        raise DataError(f"{folder / name}: expected at most {MAX_SMALL_BYTES:,} bytes")
    return content


def plain_number(text: str, where: str) -> float:
    """A number of a text, NaN and infinity among them.

    Raises:
        DataError: it is none; says where.
    """
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{where}: expected a number, got {text!r:.60}") from None


def written_number(value: float) -> str:
    """A number as short as it can be: whole ones without a point."""
    return str(int(value)) if value == int(value) else repr(float(value))
