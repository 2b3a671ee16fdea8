"""The public functions: a document or a file becomes a model, a model becomes a file."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from sensenet.errors import ModelFormatError, SettingsError
from sensenet.export import FORMATS
from sensenet.models.bundle import MAGIC
from sensenet.models.deepnet import Deepnet, deepnet_of_bundle, deepnet_of_document
from sensenet.models.settings import Settings
from sensenet.parsing import shown

GZIP_MAGIC = b"\x1f\x8b"
MAX_DOCUMENT_BYTES = 4 << 30

Source = Mapping[str, Any] | str | os.PathLike[str]


def create_model(source: Source, settings: Mapping[str, Any] | None = None) -> Deepnet:
    """Make a model that predicts.

    >>> model = create_model({
    ...     "preprocess": [{"type": "numeric", "index": 0, "mean": 1.0, "stdev": 2.0}],
    ...     "output_exposition": {"type": "numeric", "mean": 0.5, "stdev": 1.0},
    ...     "layers": [{"type": "dense", "weights": [[3.0]], "offset": [0.0], "activation_function": None}],
    ...     "trees": None,
    ... })
    >>> model([5.0]).tolist()
    [[6.5]]

    Args:
        source: a model document (or a BigML resource around one) as a dict, or the path of a `.json`, `.json.gz` or
            `.smbundle` file; files are told by what is in them, not by their names.
        settings: see `sensenet.models.settings.RULES`.

    Raises:
        ModelFormatError: a document or bundle that cannot be read; gives the place in it.
        SettingsError: an unknown setting, or a wrong value.
    """
    checked = settings if isinstance(settings, Settings) else Settings(settings)
    if isinstance(source, Mapping):
        return deepnet_of_document(source, checked)
    if not isinstance(source, (str, os.PathLike)):
        raise ModelFormatError(f"model: expected a dict or a path, got {shown(source)}")
    path = Path(source)
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
        if start == MAGIC:
            return deepnet_of_bundle(path, checked)
        return deepnet_of_document(_read_document(path, start.startswith(GZIP_MAGIC)), checked)
    except OSError as error:
        raise ModelFormatError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error


def convert(
    model: Deepnet | Source,
    settings: Mapping[str, Any] | None,
    output_path: str | os.PathLike[str],
    to_format: str,
) -> str:
    """Write a model in another format.

    Args:
        model: a model, or what `create_model` takes.
        settings: for making the model; None for one that is made already.
        output_path: the file to write.
        to_format: one of `sensenet.export.FORMATS`.

    Returns:
        The path of the file written.

    Raises:
        SettingsError: an unknown format, or settings for a model that is made already.
        ModelFormatError: see `create_model`.
        OSError: the file cannot be written.
    """
    if to_format not in FORMATS:
        raise SettingsError(f"to_format: expected one of {', '.join(FORMATS)}, got {shown(to_format)}")
    if isinstance(model, Deepnet):
        if settings:
            raise SettingsError("settings: a model that is made already cannot take other settings")
        made = model
    else:
        made = create_model(model, settings)
    return FORMATS[to_format](made, output_path)


def _read_document(path: Path, compressed: bool) -> Any:
    try:
        if compressed:
            with gzip.open(path) as file:
                encoded = file.read(MAX_DOCUMENT_BYTES + 1)
        else:
            with path.open("rb") as file:
                encoded = file.read(MAX_DOCUMENT_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ModelFormatError(f"not a whole gzip file: {error}") from error
    if len(encoded) > MAX_DOCUMENT_BYTES:
        raise ModelFormatError(f"expected a document of at most {MAX_DOCUMENT_BYTES} bytes")
    try:
        return orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        raise ModelFormatError(f"not valid JSON: {error}") from error
