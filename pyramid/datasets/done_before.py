"""Whether a step has been done before: a report beside its results says what they were made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from pyramid.storage.files import write_json
from sensenet.files import read_whole


def report_path(result: Path) -> Path:
    """Where the report on a result stands: `points.report.json` beside `points.json`."""
    return result.with_suffix(".report.json")


def file_state(path: Path) -> list[int]:
    """What changes with a file's content: its size and the time of its last change, in nanoseconds.

    Raises:
        OSError: it is not there.
    """
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def earlier_report(results: Sequence[Path], made_from: Any) -> dict[str, Any] | None:
    """The report on results that are there and as they were, if they were made from the same; else None.

    Args:
        results: the files; the report stands beside the first.
        made_from: a JSON value.
    """
    try:
        report = orjson.loads(read_whole(report_path(results[0])))
        is_same = report["made_from"] == made_from and report["results"] == _states(results)
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or it is of something else
        return None
    return report if is_same else None


def write_report(results: Sequence[Path], made_from: Any, facts: Mapping[str, Any]) -> None:
    """Write what `earlier_report` reads: facts, and what the results were made from.

    Raises:
        WorkspaceError: it cannot be written.
    """
    content = {**facts, "made_from": made_from, "results": _states(results)}
    write_json(report_path(results[0]), content)


def _states(results: Sequence[Path]) -> list[list[int]]:
    return [file_state(path) for path in results]
