"""The files of pictures in a folder: named by their ids and the formats that they have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from sensenet.files import is_file
from sensenet.preprocess.pillow_decoding import FORMATS

_ENDINGS: Mapping[str, str] = MappingProxyType({name: name.lower() for name in FORMATS} | {"JPEG": "jpg"})


def picture_name(id_: str, format_name: str) -> str:
    """The name of the file of an image, whose format is one of `FORMATS`."""
    return f"{id_}.{_ENDINGS[format_name]}"


def found_picture(folder: Path, id_: str) -> Path | None:
    """The file of an image, whatever its format is; None: there is none."""
    paths = (folder / picture_name(id_, name) for name in _ENDINGS)
    return next((path for path in paths if is_file(path)), None)
