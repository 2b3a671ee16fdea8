"""Matrices written block by block: memory holds some blocks, never the whole."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from pyramid.storage.files import naming_file
from pyramid.storage.npy import npy_header
from sensenet.files import WholeFile, WholeFiles

MAX_THREADS = 8
MATRIX_TYPE = np.dtype("<f4")

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Target:
    """A `.npy` file to write and the sorted rows that belong into it; None is all of them."""

    path: Path
    rows: np.ndarray | None


def write_matrices(
    together: WholeFiles,
    targets: Sequence[Target],
    blocks: Iterable[tuple[int, np.ndarray]],
    n_rows: int,
    columns: int,
) -> list[WholeFile]:
    """Write one float32 matrix, or samples of its rows, to several files in one pass.

    Args:
        together: the files are among these, and get their names when they do.
        blocks: the number of its first row and the (block rows, columns) of each block, in order.

    Returns:
        The files, in the order of `targets`.

    Raises:
        WorkspaceError: a file cannot be made; names it.
        OSError: a file cannot be written.
    """
    files = [_begin(together, target, n_rows, columns) for target in targets]
    for start, block in blocks:
        for file, target in zip(files, targets, strict=True):
            picked = block if target.rows is None else _pick(block, start, target.rows)
            file.write(np.ascontiguousarray(picked))
    return files


def _begin(together: WholeFiles, target: Target, n_rows: int, columns: int) -> WholeFile:
    length = n_rows if target.rows is None else len(target.rows)
    with naming_file(target.path):
        file = together.new(target.path)
        file.write(npy_header(MATRIX_TYPE, (length, columns)))
    return file


def in_order(make: Callable[[int], _Made], starts: Iterable[int]) -> Iterator[_Made]:
    """`map` over a thread per core, never more than two results a thread ahead of who takes them."""
    n_threads = min(MAX_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(n_threads) as pool:
        pending: deque[Future[_Made]] = deque()
        for start in starts:
            pending.append(pool.submit(make, start))
            if len(pending) >= 2 * n_threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _pick(block: np.ndarray, start: int, rows: np.ndarray) -> np.ndarray:
    first, last = np.searchsorted(rows, (start, start + len(block)))
    return block[rows[first:last] - start]
