"""Reading the file of a model document: JSON of which nearly everything is numbers in a few long arrays."""

from __future__ import annotations

import gzip
import os
import re
import secrets
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson

from sensenet.collection import collection_paused
from sensenet.document.parsing import float32_array
from sensenet.errors import ModelFormatError
from sensenet.files import open_regular
from sensenet.layers import LAYERS

GZIP_MAGIC = b"\x1f\x8b"
MAX_DOCUMENT_BYTES = 4 << 30
HARMLESS_BYTES = 32 << 20
MAX_COMPRESSION = 20
"""How many times its size a compressed file may become: numbers become 2 to 3 times as large, forests 3 to 13 times."""

HARMLESS_OBJECT_BYTES = 256 << 20
MAX_OBJECT_BYTES = 4 << 30
OBJECT_BYTES_PER_TEXT_BYTE = 25
OBJECT_BYTES_PER_FILE_BYTE = 400
"""What Python's objects for a document may take, as `_object_bytes` estimates it. A forest of nothing but zeros and
ones comes to 22 times its text and 260 times its compressed file, one of real thresholds to 11 and 33 times."""

OBJECT_BYTES: Mapping[int, int] = MappingProxyType({ord(","): 40, ord("["): 72, ord("{"): 200})
COUNTED_BYTES = 1 << 20
LONG_BYTES = 1 << 16
ARRAY_KEYS = frozenset({"mean_image"}.union(*(layer.parameters for layer in LAYERS.values())))


def read_document(path: Path) -> Any:
    """The document in a `.json` or `.json.gz` file, told by their content; see `loads` for its arrays.

    Raises:
        ModelFormatError: not JSON, a damaged gzip file, a document that would take unreasonable memory, or a path with
            a null character.
        OSError: the file cannot be read, or is no regular file.
    """
    try:
        with open_regular(path) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            allowed = _allowed_bytes(size_bytes) if compressed else MAX_DOCUMENT_BYTES
            with gzip.open(file) if compressed else file as content:
                encoded = content.read(allowed + 1)
        if len(encoded) > allowed:
            raise ModelFormatError(f"expected a document of at most {allowed} bytes")
        return loads(encoded, max_object_bytes=_allowed_object_bytes(len(encoded), size_bytes))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ModelFormatError(f"not a whole gzip file: {error}") from error
    except MemoryError as error:
        raise ModelFormatError("there is not enough memory for this document") from error
    except ModelFormatError:
        raise
    except ValueError as error:  # a null character in the path
        raise ModelFormatError(f"cannot be read: {error}") from error


def _allowed_bytes(compressed_bytes: int) -> int:
    """How large a compressed document may become."""
    return min(MAX_DOCUMENT_BYTES, max(HARMLESS_BYTES, MAX_COMPRESSION * compressed_bytes))


def _allowed_object_bytes(text_bytes: int, file_bytes: int) -> int:
    """How much memory the objects of a document may take."""
    related = min(OBJECT_BYTES_PER_TEXT_BYTE * text_bytes, OBJECT_BYTES_PER_FILE_BYTE * file_bytes)
    return min(MAX_OBJECT_BYTES, max(HARMLESS_OBJECT_BYTES, related))


def loads(encoded: bytes, keys: Iterable[str] = ARRAY_KEYS, max_object_bytes: int = MAX_OBJECT_BYTES) -> Any:
    """Parse JSON; long arrays of nothing but numbers below one of `keys` become NumPy float32 at once.

    As lists, numbers take eight times the memory, and a parser holds those of the whole document. So each long array
    is cut out and parsed by itself; what is left is small.

    Args:
        encoded: the text.
        keys: names of arrays.
        max_object_bytes: how much memory Python's objects for one of the arrays, and for what is left, may take.

    Raises:
        ModelFormatError: not JSON, or it would take more memory.
    """
    token = secrets.token_hex(16)  # what no document can hold
    arrays: list[np.ndarray] = []
    pieces, end = [], 0
    for start, stop in _long_arrays(encoded, keys):
        numbers = _numbers(memoryview(encoded)[start:stop], max_object_bytes)
        if numbers is not None:
            pieces += [encoded[end:start], f'"{token}{len(arrays)}"'.encode()]
            arrays.append(numbers)
            end = stop
    if arrays:
        rest = b"".join([*pieces, encoded[end:]])
        _refuse_many_values(rest, max_object_bytes)
        try:
            document = _loads(rest)
        except orjson.JSONDecodeError:
            pass  # the whole text tells the right place of the error
        else:
            if _put_back(document, token, arrays) == len(arrays):
                return document
    _refuse_many_values(encoded, max_object_bytes)
    try:
        return _loads(encoded)
    except orjson.JSONDecodeError as error:
        raise ModelFormatError(f"not valid JSON: {error}") from error


def _loads(text: bytes) -> Any:
    with collection_paused():
        return orjson.loads(text)


def _refuse_many_values(text: bytes, max_object_bytes: int) -> None:
    if (wanted := _object_bytes(text)) > max_object_bytes:
        raise ModelFormatError(
            f"its lists, objects and values would take about {wanted >> 20} MB of memory, expected at most "
            f"{max_object_bytes >> 20} MB for a file of this size"
        )


def _object_bytes(text: bytes | memoryview) -> int:
    """About how much memory Python's objects for a JSON text take: a list, an object, and one value more."""
    characters = np.frombuffer(text, np.uint8)
    strips = range(0, len(characters), COUNTED_BYTES)
    return sum(
        size * int(np.count_nonzero(characters[start : start + COUNTED_BYTES] == character))
        for start in strips
        for character, size in OBJECT_BYTES.items()
    )


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


def _numbers(text: memoryview, max_object_bytes: int) -> np.ndarray | None:
    """The array that `text` holds; None where it holds something else, or too much, which its reader will judge."""
    if _object_bytes(text) > max_object_bytes:
        return None
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
