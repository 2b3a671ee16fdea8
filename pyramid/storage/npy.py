"""`.npy` files: headers written and checked by hand, for NumPy trusts what a header promises."""

from __future__ import annotations

import io
import math
import mmap as mapping
import tokenize
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from sensenet.files import open_regular

_HEADER_READERS = MappingProxyType(
    {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
)
# what NumPy raises at one header or another that is none
_NO_HEADER = (
    *(ValueError, TypeError, OverflowError, EOFError, SyntaxError, tokenize.TokenError),
    *(RecursionError, MemoryError),
)


def npy_header(dtype: np.dtype, shape: Sequence[int]) -> bytes:
    """What stands before the numbers of an array in C order."""
    header = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(header, described)
    return header.getvalue()


def read_npy(path: Path, mmap: bool = False) -> np.ndarray:
    """The array of numbers in a file; `mmap` leaves it on disk until it is used.

    Raises:
        OSError: it cannot be opened, or is no regular file.
        ValueError: it is no whole `.npy` file of numbers.
        MemoryError: there is no room for the numbers.
    """
    with open_regular(path) as file:
        _check_header(file)
        if mmap:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        file.seek(0)
        array: np.ndarray = np.load(file, allow_pickle=False)
        return array


def forget_pages(array: np.ndarray) -> None:
    """Let go of the memory behind a file's array that was read; it comes back from the file when read again."""
    mapped: Any = array
    while isinstance(mapped, np.ndarray):
        mapped = mapped.base
    if isinstance(mapped, mapping.mmap) and hasattr(mapping, "MADV_DONTNEED"):
        mapped.madvise(mapping.MADV_DONTNEED)


def _check_header(file: BinaryIO) -> None:
    try:
        version = np.lib.format.read_magic(file)
        shape, _, dtype = _HEADER_READERS[version](file)
    except (*_NO_HEADER, KeyError) as error:
        raise ValueError("it is not a whole .npy file") from error
    if dtype.kind not in "biuf":
        raise ValueError(f"it is not a .npy file of numbers: it holds {dtype}")
    wanted, start = math.prod(shape) * dtype.itemsize, file.tell()
    there = file.seek(0, io.SEEK_END) - start
    if not 0 <= wanted <= there:
        raise ValueError(
            f"it is not a whole .npy file: its header promises {wanted} bytes of numbers, {there} are there"
        )
