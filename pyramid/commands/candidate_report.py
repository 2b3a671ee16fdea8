"""The page about all candidates of one `pyramid_train`: the best first, and why others failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyramid.commands.console import error_lines
from pyramid.commands.sharing import TrialOutcome
from pyramid.report_page.data import parse_report
from pyramid.report_page.render import render
from pyramid.report_page.units import ShownMetrics, shown_number
from pyramid.workspace import Workspace, read_json, write_bytes


def write_candidates(
    outcomes: Sequence[TrialOutcome[Any]],
    best: TrialOutcome[Any] | None,
    metrics: ShownMetrics,
    workspace: Workspace,
) -> None:
    """Write the page as that of the workspace, from what each candidate's job has left.

    Args:
        metrics: those in the table.

    Raises:
        WorkspaceError: a file cannot be read or written.
    """
    done = sorted(
        (outcome for outcome in outcomes if outcome.result is not None), key=lambda one: one is not best
    )
    reports = [
        parse_report(read_json(workspace.submodel(one.candidate.job_id).report_data, "image_training"))
        for one in done
    ]
    summary = [(str(one.candidate), _outcome(one, one is best, metrics)) for one in outcomes]
    write_bytes(workspace.report, render(*reports, summary=summary).encode())


def _outcome(outcome: TrialOutcome[Any], is_best: bool, metrics: ShownMetrics) -> str:
    if outcome.result is None:
        assert outcome.error is not None
        return f"failed: {error_lines(outcome.error)[0]}"
    measured = metrics.of(outcome.result["validation_metrics"])
    shown = [f"{name} {shown_number(value)}" for name, value in measured.items() if value is not None]
    return ", ".join([*shown, f"{outcome.seconds:.1f} s", *(["the best"] if is_best else [])])
