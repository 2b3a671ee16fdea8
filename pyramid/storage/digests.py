"""Digests by which a job recognises the files that another one has left."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import orjson

from pyramid.storage.npy import forget_pages

SAMPLED_BYTES = 1 << 20
LEAST_ROWS, MOST_ROWS = 16, 512


def digest(content: Any) -> str:
    """The SHA-256 of a bytes-like object, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def layers_digest(layers: Any) -> str:
    """The digest of layers in their JSON form: the same before they are written and after they are read."""
    return digest(orjson.dumps(layers, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY))


def array_digest(array: np.ndarray) -> str:
    """The digest of an array's type, shape, and rows that are spread evenly over it.

    Half a gigabyte is not read for it. Where tree or image features come from another network or forest, all rows
    differ.
    """
    found = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    if array.ndim and len(array):
        row_bytes = max(1, array.nbytes // len(array))
        count = min(len(array), max(LEAST_ROWS, min(MOST_ROWS, SAMPLED_BYTES // row_bytes)))
        rows = np.linspace(0, len(array) - 1, count).astype(np.int64)
        found.update(array[rows].tobytes())
        forget_pages(array)
    return found.hexdigest()
