"""What a search over a table tells of itself in `fit_report.json` (docs/tables.md, "The report")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyramid.errors import WorkspaceError
from pyramid.workspace import Workspace, read_json

WRITTEN_BY = "pyramid_fit"


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes:
        kind: of its field; empty where it is none.
        role: "input", "weight" or "objective".
        missing: rows without a value.
        distinct: different values; None where they are too many to count.
        top: the most frequent values and their rows, the most frequent first; may be empty.
        edges, counts: a histogram of numbers: k + 1 rising edges and k counts; may be empty.
    """

    name: str
    kind: str
    role: str
    missing: int
    distinct: int | None
    top: tuple[tuple[str, int], ...]
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Column:
        """The column of an entry of `table.columns`."""
        return cls(
            name=str(value["name"]),
            kind=str(value["kind"]),
            role=str(value["role"]),
            missing=int(value["missing"]),
            distinct=value["distinct"],
            top=tuple((str(name), int(rows)) for name, rows in value.get("top") or ()),
            edges=tuple(map(float, value.get("edges") or ())),
            counts=tuple(map(int, value.get("counts") or ())),
        )


@dataclass(frozen=True)
class Candidate:
    """One submodel that was tried.

    Attributes:
        settings: what it is; its own name for people under "what", if it has one.
        metrics: out of fold, as training jobs give them; empty where it failed.
        loss: log loss, or squared error of the standardised number; None where it failed.
        seconds: that it took; None where nobody knows.
        reason: why it is not whole; may be None.
    """

    job_id: str
    kind: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, float]
    loss: float | None
    seconds: float | None
    status: str
    reason: str | None

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Candidate:
        """The candidate of an entry of `candidates`."""
        return cls(
            job_id=str(value["job_id"]),
            kind=str(value["kind"]),
            settings=dict(value.get("settings") or {}),
            metrics=dict(value.get("metrics") or {}),
            loss=value.get("loss"),
            seconds=value.get("seconds"),
            status=str(value["status"]),
            reason=value.get("reason"),
        )


@dataclass(frozen=True)
class FitReport:
    """A whole search.

    Attributes:
        rows: of the table that have an objective.
        rows_without_objective: those left out for it.
        left_out: columns that are no fields, and why.
        history: (seconds, best loss so far), in their order.
        test_metrics: in the objective's own units, as `pyramid.train.metrics` gives them; None without test rows.
    """

    rows: int
    rows_without_objective: int
    columns: tuple[Column, ...]
    left_out: Mapping[str, str]
    warnings: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    history: tuple[tuple[float, float], ...]
    options: Mapping[str, Any]
    test_metrics: Mapping[str, float] | None
    seconds: float

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> FitReport:
        """The search that the content of the file tells of."""
        table = value["table"]
        return cls(
            rows=int(table["rows"]),
            rows_without_objective=int(table["rows_without_objective"]),
            columns=tuple(map(Column.parse, table["columns"])),
            left_out=dict(table["left_out"]),
            warnings=tuple(map(str, table["warnings"])),
            candidates=tuple(map(Candidate.parse, value["candidates"])),
            history=tuple((float(point[0]), float(point[1])) for point in value["history"]),
            options=dict(value["options"]),
            test_metrics=value["test_metrics"],
            seconds=float(value["seconds"]),
        )


def read_fit_report(workspace: Workspace) -> FitReport:
    """What the last search of a workspace told.

    Raises:
        WorkspaceError: it is missing, or is no such report.
    """
    path = workspace.fit_report
    value = read_json(path, WRITTEN_BY)
    try:
        return FitReport.parse(value)
    except KeyError as error:
        raise WorkspaceError(f"{path}, which {WRITTEN_BY} writes, has no {error}") from error
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise WorkspaceError(f"{path}, which {WRITTEN_BY} writes, cannot be used: {error}") from error
