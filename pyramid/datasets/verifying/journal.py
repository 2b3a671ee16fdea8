"""What has been found of pictures so far, so that an interrupted verification goes on where it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from pyramid.datasets.verifying.pictures import Picture
from pyramid.storage.files import naming_file

_TABLE = """
CREATE TABLE IF NOT EXISTS pictures
(id TEXT PRIMARY KEY, state TEXT, file TEXT, width INTEGER, height INTEGER, size INTEGER, reason TEXT) WITHOUT ROWID
"""


class Journal:
    """Pictures by id and state: a text that changes with whatever a picture was made from."""

    def __init__(self, connection: sqlite3.Connection):
        """Keep them in a database."""
        self._connection = connection

    def found(self, states: Mapping[str, str]) -> dict[str, Picture]:
        """What is known of ids in their states."""
        marks = ",".join("?" * len(states))
        query = f"SELECT id, state, file, width, height, size, reason FROM pictures WHERE id IN ({marks})"
        rows = self._connection.execute(query, list(states))
        return {id_: Picture(*picture) for id_, state, *picture in rows if states[id_] == state}

    def add(self, states: Mapping[str, str], pictures: Mapping[str, Picture]) -> None:
        """Keep what was found, whatever happens from now on."""
        rows: Sequence[tuple] = [
            (id_, states[id_], one.file, one.width, one.height, one.size, one.reason)
            for id_, one in pictures.items()
        ]
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


@contextmanager
def opened_journal(path: Path) -> Iterator[Journal]:
    """The journal in a file; one that is no journal, or damaged, is begun anew.

    Raises:
        WorkspaceError: it cannot be written.
    """
    with naming_file(path), closing(_connected(path)) as connection:
        try:
            yield Journal(connection)
        except sqlite3.Error as error:
            raise OSError(f"{error}") from error


def _connected(path: Path) -> sqlite3.Connection:
    for is_last in (False, True):
        connection = sqlite3.connect(path)
        try:
            # a lost last second costs that second's work, and only where the power fails
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(_TABLE)
            connection.execute("SELECT id, state, file, width, height, size, reason FROM pictures LIMIT 1")
            return connection
        except sqlite3.Error as error:
            connection.close()
            if is_last:
                raise OSError(f"{error}") from error
            path.unlink(missing_ok=True)
    raise AssertionError("the loop returns or raises")
