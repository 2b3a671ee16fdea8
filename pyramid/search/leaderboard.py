"""The candidates of a search, the best first: as lines of a file, and as a table for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyramid.fields.objective import Objective
from pyramid.report_page.units import in_own_units, shown_number
from pyramid.search.candidates import Candidate, Outcome
from pyramid.search.portfolio import NUMBER_SPACE, STRUCTURE_SPACE
from pyramid.workspace import write_bytes

MOST_SHOWN = 12
DONE, FAILED = "done", "failed"
OF_HIDDEN_LAYERS = ("width", "activation_function", "residual", "batch_normalization", "dropout_rate")
SETTINGS = (*STRUCTURE_SPACE, *NUMBER_SPACE)


@dataclass(frozen=True)
class Entry:
    """A candidate with its place.

    Attributes:
        share: of the final model, 0 to 1.
        metrics: out of fold, in the objective's own units; empty where it failed.
    """

    rank: int
    outcome: Outcome
    share: float
    metrics: Mapping[str, float]

    @property
    def job_id(self) -> str:
        """The candidate's name."""
        return self.outcome.candidate.job_id


def leaderboard(
    outcomes: Sequence[Outcome], objective: Objective, metric: str | None, shares: Mapping[str, float]
) -> list[Entry]:
    """All candidates, the best first and those that failed last.

    Args:
        metric: what they are ordered by; None is the loss.
        shares: of the final model, by job id.
    """

    def rank(outcome: Outcome) -> tuple[bool, float, int]:
        worse = outcome.loss
        if metric is not None and outcome.metrics is not None:
            worse = -outcome.metrics[metric]
        return not outcome.is_done, worse, outcome.candidate.number

    return [
        Entry(
            place,
            outcome,
            shares.get(outcome.candidate.job_id, 0.0),
            in_own_units(outcome.metrics or {}, objective.label_unit),
        )
        for place, outcome in enumerate(sorted(outcomes, key=rank), 1)
    ]


def settings_of(candidate: Candidate) -> dict[str, Any]:
    """What a candidate was trained with, as far as candidates differ."""
    keys: dict[str, Any] = {"what": candidate.title}
    for part in (candidate.structure, candidate.numbers):
        if part is not None:
            keys |= asdict(part)
    is_linear = candidate.structure is not None and not candidate.structure.layers
    return {name: value for name, value in keys.items() if not (is_linear and name in OF_HIDDEN_LAYERS)}


def write_leaderboard(path: Path, entries: Sequence[Entry]) -> None:
    """Write the candidates as a CSV file, one a line.

    Raises:
        WorkspaceError: it cannot be written.
    """
    names = list(dict.fromkeys(name for entry in entries for name in entry.metrics))
    head = ["rank", "job_id", "kind", "what", "share", "status", "loss", *names]
    head += ["iterations", "seconds", "rung", "goes_on", *SETTINGS, "reason"]
    file = io.StringIO()
    table = csv.DictWriter(file, head, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for entry in entries:
        table.writerow(_line(entry))
    write_bytes(path, file.getvalue().encode())


def _line(entry: Entry) -> dict[str, Any]:
    outcome, candidate = entry.outcome, entry.outcome.candidate
    return {
        **settings_of(candidate),
        **entry.metrics,
        "rank": entry.rank,
        "job_id": candidate.job_id,
        "kind": candidate.kind,
        "share": round(entry.share, 6),
        "status": DONE if outcome.is_done else FAILED,
        "loss": outcome.loss if outcome.is_done else "",
        "iterations": outcome.iterations,
        "seconds": round(outcome.seconds, 3),
        "rung": candidate.rung,
        "goes_on": "" if candidate.goes_on is None else f"{candidate.goes_on:04}",
        "reason": outcome.reason or "",
    }


def shown_leaderboard(entries: Sequence[Entry], names: Sequence[str]) -> str:
    """The best candidates and all of the final model, for people.

    Args:
        names: of the metrics that are shown.
    """
    shown = [entry for entry in entries if entry.rank <= MOST_SHOWN or entry.share]
    head = ["", "candidate", "what it is", "loss", *names, "share"]
    rows = [head, *(_cells(entry, names) for entry in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            f"{cell:<{width}}" if column in (1, 2) else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    others = len(entries) - len(shown)
    return "\n".join([*lines, *([f"and {others} others"] if others else [])])


def _cells(entry: Entry, names: Sequence[str]) -> list[str]:
    outcome = entry.outcome
    return [
        str(entry.rank),
        entry.job_id,
        outcome.candidate.title,
        shown_number(outcome.loss) if outcome.is_done else FAILED,
        *(shown_number(entry.metrics.get(name)) for name in names),
        f"{entry.share:.1%}" if entry.share else "",
    ]
