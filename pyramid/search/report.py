"""What a fit tells of itself: the content of `fit_report.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pyramid.frames import Table
from pyramid.search.candidates import Outcome
from pyramid.search.choices import FitChoices
from pyramid.search.driver import Progress
from pyramid.search.leaderboard import DONE, FAILED, settings_of
from pyramid.search.output_folder import table_name


def fit_report(
    table: Table,
    objective: str,
    warnings: Sequence[str],
    choices: FitChoices,
    progress: Progress,
    test_metrics: Mapping[str, float] | None,
    seconds: float,
) -> dict[str, Any]:
    """All of it, as JSON values.

    Args:
        objective: the name of its column.
        warnings: of the table, of jobs, of the test rows.
        test_metrics: as `pyramid.train.metrics` gives them, in the objective's own units.
        seconds: that the fit took.
    """
    return {
        "table": _table(table, objective, warnings),
        "candidates": [_candidate(one) for one in progress.outcomes],
        "history": [point for point in progress.history if math.isfinite(point[1])],
        "options": asdict(choices),
        "test_metrics": test_metrics,
        "seconds": seconds,
    }


def _table(table: Table, objective: str, warnings: Sequence[str]) -> dict[str, Any]:
    return {
        "source": table_name(table.source),
        "objective": objective,
        "rows": table.n_rows,
        "rows_without_objective": table.rows_without_objective,
        "columns": [column.dump() for column in table.columns],
        "left_out": dict(table.left_out),
        "warnings": list(warnings),
    }


def _candidate(outcome: Outcome) -> dict[str, Any]:
    candidate = outcome.candidate
    return {
        "job_id": candidate.job_id,
        "number": candidate.number,
        "kind": candidate.kind,
        "settings": settings_of(candidate),
        "metrics": outcome.metrics,
        "loss": outcome.loss if outcome.is_done else None,
        "iterations": outcome.iterations,
        "seconds": outcome.seconds,
        "status": DONE if outcome.is_done else FAILED,
        "reason": outcome.reason,
    }
