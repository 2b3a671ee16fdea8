"""Where a command's results go."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sensenet.files import whole_file


@contextmanager
def written_to(path: Path | None) -> Iterator[Callable[[bytes], Any]]:
    """What writes to a file, which is there when all was written, or to standard output.

    Raises:
        OSError: the file cannot be written.
    """
    if path is None:
        yield sys.stdout.buffer.write
        return
    with whole_file(path) as file:
        yield file.write
