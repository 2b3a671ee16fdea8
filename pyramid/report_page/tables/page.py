"""Makes the page about a search over a table and writes it."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path

import numpy as np

from pyramid.report_page.bounds import cut
from pyramid.report_page.frame import facts, page, section, spaced, values
from pyramid.report_page.tables.answers import TABLE_ANSWERS
from pyramid.report_page.tables.columns import columns_html, left_out_html
from pyramid.report_page.tables.importances import column_importances, importances_html
from pyramid.report_page.tables.intervals import bootstrap_deviations
from pyramid.report_page.tables.leaderboard import leaderboard_html, said
from pyramid.report_page.tables.sources import FitSources, read_sources
from pyramid.report_page.tables.worst import worst_html
from pyramid.report_page.units import in_own_units, shown_number
from pyramid.workspace import Workspace, write_bytes

INTERVAL_SEED = 0
NO_ANSWERS = "<p>The final model has no predictions out of fold.</p>"

Facts = list[tuple[str, str]]


def write_table_report(output_directory: str | os.PathLike[str]) -> None:
    """Write `report.html` about a search over a table, of what it has left in its output directory.

    Raises:
        WorkspaceError: a file that is missing, unreadable or does not fit, or the page cannot be written.
        DataError: `rows.ser` does not hold the rows of the model's fields.
    """
    workspace = Workspace(Path(output_directory))
    write_bytes(workspace.report, render(read_sources(workspace)).encode())


def render(sources: FitSources) -> str:
    """The page, one HTML text that needs no other file."""
    report, objective = sources.report, sources.fields.objective
    importances = column_importances(sources)
    name = cut(objective.name or "the objective")
    return page(
        f"Prediction of {name}",
        f"<article><h1>Prediction of {escape(name)}</h1>{_headline(sources)}"
        + _answers(sources)
        + section("importances", "Importances", importances_html(importances, len(sources.importances)))
        + section("fields", "Fields", columns_html(report, importances))
        + section("left_out", "Warnings, and what was left out", left_out_html(report))
        + section(
            "leaderboard", "Leaderboard", leaderboard_html(report, sources.selection, objective.label_unit)
        )
        + section("settings", "Settings", values(_settings(sources)))
        + "</article>",
    )


def _answers(sources: FitSources) -> str:
    if sources.answers is None:
        return section("answers", "Truth and prediction", NO_ANSWERS)
    answers = TABLE_ANSWERS[sources.fields.objective.kind].of(sources.answers)
    return section("answers", "Truth and prediction", answers.html()) + section(
        "worst", "Worst rows", worst_html(answers, sources)
    )


def _headline(sources: FitSources) -> str:
    """What there was, and how good the model is."""
    report, document = sources.report, sources.document
    about = [
        ("rows", str(report.rows)),
        ("fields", str(len(document["preprocess"]))),
        ("networks", str(len(document.get("networks") or [None]))),
        ("candidates", str(len(report.candidates))),
        ("time", _time(report.seconds)),
    ]
    told = f"{facts(about)}<h3>{_measured_on(sources)}</h3>{facts(_metrics(sources))}"
    if report.test_metrics is None:
        return told
    test = [(name, shown_number(value)) for name, value in in_own_units(report.test_metrics, 1.0).items()]
    return f"{told}<h3>On the test rows</h3>{facts(test)}"


def _measured_on(sources: FitSources) -> str:
    if sources.selection is None:
        return "On rows that the search chose by"
    return "Out of fold: on rows that had no part in training or choosing what predicts them"


def _metrics(sources: FitSources) -> Facts:
    """Each metric, with its interval where there is one."""
    unit = sources.fields.objective.label_unit
    selection = sources.selection
    measured = sources.document["validation_metrics"] if selection is None else selection["metrics"]
    shown = in_own_units(measured, unit)
    if sources.answers is None or selection is None:
        return [(name, shown_number(value)) for name, value in shown.items()]
    deviations = bootstrap_deviations(sources.answers, np.random.default_rng(INTERVAL_SEED))
    ends = [
        in_own_units(
            {name: value + deviations[name][end] for name, value in measured.items() if name in deviations},
            unit,
        )
        for end in (0, 1)
    ]
    return [
        (_with_interval(name, *(end.get(name) for end in ends)), shown_number(value))
        for name, value in shown.items()
    ]


def _with_interval(name: str, *ends: float | None) -> str:
    known = sorted(end for end in ends if end is not None)
    return f"{name} (95%: {' to '.join(map(shown_number, known))})" if known else name


def _settings(sources: FitSources) -> Facts:
    return [(spaced(key), cut(said(value))) for key, value in sorted(sources.report.options.items())]


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
