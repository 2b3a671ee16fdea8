"""Reading the file of a model document: JSON of which nearly everything is numbers in a few long arrays."""

from __future__ import annotations

import gzip
import re
import secrets
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from sensenet.errors import ModelFormatError
from sensenet.layers import LAYERS
from sensenet.parsing import float32_array

GZIP_MAGIC = b"\x1f\x8b"
MAX_DOCUMENT_BYTES = 4 << 30
HARMLESS_BYTES = 256 << 20
MAX_COMPRESSION = 100
LONG_BYTES = 1 << 16
ARRAY_KEYS = frozenset({"mean_image"}.union(*(layer.parameters for layer in LAYERS.values())))


def read_document(path: Path) -> Any:
    """The document in a `.json` or `.json.gz` file, told by their content; see `loads` for its arrays.

    Raises:
        ModelFormatError: not JSON, or a damaged gzip file.
        OSError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            allowed = _allowed_bytes(path.stat().st_size) if compressed else MAX_DOCUMENT_BYTES
            with gzip.open(file) if compressed else file as content:
                encoded = content.read(allowed + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ModelFormatError(f"not a whole gzip file: {error}") from error
    if len(encoded) > allowed:
        raise ModelFormatError(f"expected a document of at most {allowed} bytes")
    return loads(encoded)


def _allowed_bytes(compressed_bytes: int) -> int:
    """How large a compressed document may become: numbers shrink to a third, a bomb to a thousandth."""
    return min(MAX_DOCUMENT_BYTES, max(HARMLESS_BYTES, MAX_COMPRESSION * compressed_bytes))


def loads(encoded: bytes, keys: Iterable[str] = ARRAY_KEYS) -> Any:
    """Parse JSON; long arrays of nothing but numbers below one of `keys` become NumPy float32 at once.

    As lists, numbers take eight times the memory, and a parser holds those of the whole document. So each long array
    is cut out and parsed by itself; what is left is small.

    Raises:
        ModelFormatError: not JSON.
    """
    token = secrets.token_hex(16)  # what no document can hold
    arrays: list[np.ndarray] = []
    pieces, end = [], 0
    for start, stop in _long_arrays(encoded, keys):
        numbers = _numbers(memoryview(encoded)[start:stop])
        if numbers is not None:
            pieces += [encoded[end:start], f'"{token}{len(arrays)}"'.encode()]
            arrays.append(numbers)
            end = stop
    if arrays:
        try:
            document = orjson.loads(b"".join([*pieces, encoded[end:]]))
        except orjson.JSONDecodeError:
            pass  # the whole text tells the right place of the error
        else:
            if _put_back(document, token, arrays) == len(arrays):
                return document
    try:
        return orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        raise ModelFormatError(f"not valid JSON: {error}") from error


def _long_arrays(encoded: bytes, keys: Iterable[str]) -> Iterable[tuple[int, int]]:
    """Where long arrays without texts and objects begin and end, if the text is JSON at all."""
    names = b"|".join(re.escape(key).encode() for key in sorted(keys))
    for match in re.finditer(rb'"(?:%s)"\s*:\s*(?=\[)' % names, encoded):
        # the next name or the object's end comes behind the array, or something inside it that is no number
        after = encoded.find(b'"', match.end())
        after = len(encoded) if after < 0 else after
        brace = encoded.find(b"}", match.end(), after)
        stop = encoded.rfind(b"]", match.end(), after if brace < 0 else brace) + 1
        if stop - match.end() >= LONG_BYTES:
            yield match.end(), stop


def _numbers(text: memoryview) -> np.ndarray | None:
    """The array that `text` holds; None where it holds something else, which its reader will judge."""
    try:
        return float32_array(orjson.loads(text))
    except ValueError:  # JSONDecodeError is one
        return None


def _put_back(document: Any, token: str, arrays: list[np.ndarray]) -> int:
    """Put the arrays into their places in `document`, and count these."""
    placed = 0
    open_ends = [document]
    while open_ends:
        value = open_ends.pop()
        if isinstance(value, list):
            # lists in lists are trees, which are long, and have no names in them
            open_ends.extend(item for item in value if isinstance(item, dict))
            continue
        for key, inner in value.items():
            if isinstance(inner, str) and inner.startswith(token):
                value[key] = arrays[int(inner.removeprefix(token))]
                placed += 1
            elif isinstance(inner, (dict, list)):
                open_ends.append(inner)
    return placed
