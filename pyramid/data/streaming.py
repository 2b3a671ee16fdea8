"""Matrices written block by block: memory holds some blocks, never the whole."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from pyramid.errors import WorkspaceError
from pyramid.workspace import whole_file

MAX_THREADS = 8

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Target:
    """A `.npy` file to write and the sorted rows that belong into it; None is all of them."""

    path: Path
    rows: np.ndarray | None


def write_matrices(
    targets: Sequence[Target], blocks: Iterable[tuple[int, np.ndarray]], n_rows: int, columns: int
) -> None:
    """Write one float32 matrix, or samples of its rows, to several files in one pass.

    Args:
        blocks: the number of its first row and the (block rows, columns) of each block, in order.

    Raises:
        WorkspaceError: a file cannot be written; then all of them are left as they were.
    """
    with ExitStack() as stack:
        files = []
        for target in targets:
            file = stack.enter_context(whole_file(target.path))
            length = n_rows if target.rows is None else len(target.rows)
            header = {"descr": "<f4", "fortran_order": False, "shape": (length, columns)}
            np.lib.format.write_array_header_1_0(file, header)
            files.append(file)
        for start, block in blocks:
            for file, target in zip(files, targets, strict=True):
                picked = block if target.rows is None else _pick(block, start, target.rows)
                try:
                    file.write(np.ascontiguousarray(picked))
                except OSError as error:  # several files are open: say which
                    reason = error.strerror or error
                    raise WorkspaceError(f"{target.path} cannot be written: {reason}") from error


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
