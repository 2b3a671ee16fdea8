"""What ties the files of one caching job together: `dataset_info.json`, the digest of each.

A caching job gives it its name before the other files theirs. So wherever the job ends in between, some file is not the
one whose digest stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.errors import WorkspaceError
from pyramid.storage.digests import array_digest, digest
from pyramid.storage.files import parse_json, read_array, read_bytes, read_json
from pyramid.workspace import Workspace

CACHING = "dataset_caching"
ROW_KEYS = ("rows", "folds")
DIGESTS_KEY = "digests"


@dataclass(frozen=True)
class CachedData:
    """What the last caching job of a workspace said of its files.

    Build it with `CachedData.of` before the first of them is read.

    Attributes:
        workspace: where they are.
        digests: by file name; None where an earlier version has cached, which said nothing.
    """

    workspace: Workspace
    digests: Mapping[str, str] | None

    @classmethod
    def of(cls, workspace: Workspace) -> CachedData:
        """What is said in this workspace.

        Raises:
            WorkspaceError: `dataset_info.json` is there and cannot be used.
        """
        path = workspace.dataset_info
        if not path.exists():
            return cls(workspace, None)
        info = read_json(path, CACHING)
        digests = info.get(DIGESTS_KEY) if isinstance(info, dict) else None
        if not isinstance(digests, dict):
            raise WorkspaceError(
                f"{path}, which a {CACHING} job writes, cannot be used: it has no {DIGESTS_KEY}"
            )
        return cls(workspace, digests)

    def check_array(self, path: Path, array: np.ndarray) -> None:
        """Refuse the array of a cached file that the last caching job did not write.

        Raises:
            WorkspaceError: it did not; names the file.
        """
        if self._has_digest(path):
            self._check(path, array_digest(array))

    def read_json(self, path: Path) -> Any:
        """The content of one of the JSON files.

        Raises:
            WorkspaceError: it cannot be read, or the last caching job did not write it.
        """
        content = read_bytes(path, CACHING)
        if self._has_digest(path):
            self._check(path, digest(content))
        return parse_json(content, path, CACHING)

    def digest_of(self, path: Path) -> str | None:
        """The digest of one of the JSON files; None where it is missing and nobody said that it should be there.

        Raises:
            WorkspaceError: it cannot be read, or the last caching job did not write it.
        """
        if not self._has_digest(path) and not path.exists():
            return None
        found = digest(read_bytes(path, CACHING))
        if self._has_digest(path):
            self._check(path, found)
        return found

    def _has_digest(self, path: Path) -> bool:
        """Whether a caching job of this version would have said what the file is."""
        if self.digests is None:
            return False
        real = path.resolve()
        is_here = real.parent == self.workspace.root.resolve()
        return is_here and real.name in {one.name for one in self.workspace.cached_files()}

    def _check(self, path: Path, found: str) -> None:
        assert self.digests is not None, "_has_digest said so"
        if self.digests.get(path.resolve().name) != found:
            raise WorkspaceError(
                f"{path} is not what the last {CACHING} job of {self.workspace.root} wrote, as "
                f"{self.workspace.dataset_info} tells: that job was interrupted, or the file is from another one; run "
                f"{CACHING} again, and then the training jobs"
            )


def row_digests(matrix: Path) -> dict[str, str | None]:
    """By `ROW_KEYS` the digests of a cached matrix, and of the folds of its rows; None where caching left no folds.

    Raises:
        WorkspaceError: one of them cannot be read.
    """
    folds = Workspace(matrix.resolve().parent).folds
    found = [
        array_digest(read_array(path, CACHING, mmap=True)) if path.exists() else None
        for path in (matrix, folds)
    ]
    return dict(zip(ROW_KEYS, found, strict=True))
