"""The end of a fit: the final model of what was tried, its worth on test rows, and what is told of it all."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from pyramid.errors import PyramidError
from pyramid.report_page.tables import write_table_report
from pyramid.report_page.units import in_own_units
from pyramid.search.backend import Backend
from pyramid.search.begun import Begun, FitError
from pyramid.search.driver import Progress
from pyramid.search.interrupts import Interrupts
from pyramid.search.leaderboard import Entry, leaderboard, write_leaderboard
from pyramid.search.local import job_path
from pyramid.search.measuring import Measuring
from pyramid.search.output_folder import remove_submodels
from pyramid.search.portfolio import MAX_NETWORKS
from pyramid.search.result import FitResult
from pyramid.workspace import read_json
from sensenet.errors import SensenetError


def finish(begun: Begun, progress: Progress, service: Backend, interrupts: Interrupts) -> FitResult:
    """Finalize, measure, and leave what is told of it all.

    Raises:
        FitError: there is no final model; the submodels are kept.
        KeyboardInterrupt: interrupted for the second time before it is there.
    """
    request, workspace = begun.request, begun.workspace
    begun.watcher.phase("writing the final model")
    done = frozenset(one.candidate.job_id for one in progress.outcomes if one.is_done)
    remove_submodels(workspace, keep=done)
    measuring = None if request.test is None else Measuring(request.test, request.objective)
    _tell_of(begun, progress, {})
    _finalize(begun, service)
    interrupts.patient = False  # the model is there: what follows can be done without
    selection = read_json(workspace.selection, "finalize_output")
    entries = _tell_of(begun, progress, selection["weights"])
    test_metrics = None
    try:
        if measuring is not None:
            test_metrics = _test_metrics(begun, measuring)
            begun.write_report(progress, test_metrics)
        _write_page(begun)
    except KeyboardInterrupt:
        begun.warn(
            "interrupted: the final model is there, but was not measured on test rows, or has no report.html"
        )
    if not request.choices.keep:
        remove_submodels(workspace, keep=frozenset())
    return FitResult(
        workspace,
        entries,
        in_own_units(selection["metrics"], begun.objective.label_unit),
        None if test_metrics is None else in_own_units(test_metrics, 1.0),
        tuple(begun.warnings),
        begun.objective.headline,
        begun.clock.elapsed,
    )


def _finalize(begun: Begun, service: Backend) -> None:
    job = begun.jobs.finalizing(1 if begun.request.choices.quick else MAX_NETWORKS)
    try:
        begun.run(service, job, "the final model could not be written")
    except FitError as error:
        again = f"echo {shlex.quote(str(job_path(job)))} | pyramid"
        raise FitError(f"{error}; the submodels are kept, to try again: {again}") from error


def _tell_of(begun: Begun, progress: Progress, shares: Mapping[str, float]) -> list[Entry]:
    """Write the report and the leaderboard; gives its entries."""
    begun.write_report(progress)
    entries = leaderboard(progress.outcomes, begun.objective, begun.request.choices.metric, shares)
    write_leaderboard(begun.workspace.leaderboard, entries)
    return entries


def _test_metrics(begun: Begun, measuring: Measuring) -> dict[str, float] | None:
    """None, with a warning, where the test rows cannot be predicted: the model is there, and is not lost for that."""
    begun.watcher.phase("measuring the final model")
    try:
        measured = measuring.measured(begun.workspace.final_model)
    except Exception as error:  # whatever it is
        begun.warn(f"the final model could not be measured: {_said(error)}")
        return None
    for warning in measured.warnings:
        begun.warn(warning)
    return measured.metrics


def _write_page(begun: Begun) -> None:
    """Write the page about it all; a warning where it cannot be made."""
    try:
        write_table_report(begun.workspace.root)
    except Exception as error:  # whatever it is
        begun.warn(f"there is no report.html: {_said(error)}")


def _said(error: Exception) -> str:
    is_ours = isinstance(error, (PyramidError, SensenetError))
    return str(error) if is_ours else f"{type(error).__name__}: {error}"
