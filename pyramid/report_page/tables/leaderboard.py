"""The candidates of a search, the best first, and how the best got better over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from pyramid.report_page.bounds import cut, thinned
from pyramid.report_page.charts import curve
from pyramid.report_page.frame import figure, spaced, table
from pyramid.report_page.tables.fit_report import Candidate, FitReport
from pyramid.report_page.units import in_own_units, shown_number

MOST_CANDIDATES, MOST_POINTS = 50, 400
TITLE = "what"
LOSSES = {"log_loss": "log loss", "squared_error": "squared error (the variance of the objective is 1)"}


def leaderboard_html(report: FitReport, selection: Mapping[str, Any] | None, label_unit: float) -> str:
    """The history, the selection in words, and the table.

    Args:
        label_unit: see `Objective.label_unit`.
    """
    shares = {} if selection is None else selection["weights"]
    metric = report.options.get("metric")
    ranked = sorted(report.candidates, key=lambda one: _rank(one, metric))
    # those of the final model are always shown
    kept = [place for place, one in enumerate(ranked) if place < MOST_CANDIDATES or shares.get(one.job_id)]
    names = list(dict.fromkeys(name for one in ranked for name in one.metrics))
    rows = [_cells(place, ranked[place], names, shares, label_unit) for place in kept]
    rest = "" if len(kept) == len(ranked) else f"<p>{len(kept)} of {len(ranked)} candidates are shown.</p>"
    head = ("", "candidate", "kind", "settings", *map(spaced, names), "seconds", "share")
    return _history(report) + _selection(selection) + rest + table(head, rows, "candidates")


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings as a line: `layers 64 x 64, dropout rate 0.5, batch normalization`; what is off is not said."""
    words = (
        spaced(name) if value is True else said(value) if name == TITLE else f"{spaced(name)} {said(value)}"
        for name, value in settings.items()
        if value is not None and value is not False
    )
    return ", ".join(words)


def said(value: Any) -> str:
    """The value of a setting."""
    if isinstance(value, bool) or value is None:
        return "yes" if value else "-" if value is None else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, (list, tuple)):
        return " x ".join(map(said, value))
    return in_words(value) if isinstance(value, Mapping) else str(value)


def _rank(one: Candidate, metric: str | None) -> tuple[bool, float]:
    """The best first, by the metric that was asked for, else by the loss; those that failed come last."""
    worse = one.loss if metric is None else -one.metrics.get(metric, math.nan)
    return (worse is None or math.isnan(worse), worse or 0.0)


def _cells(
    place: int, one: Candidate, names: Sequence[str], shares: Mapping[str, float], label_unit: float
) -> list[str]:
    measured = in_own_units(one.metrics, label_unit)
    share = shares.get(one.job_id)
    told = in_words(one.settings) if one.reason is None else f"{one.status}: {one.reason}"
    texts = [
        *(str(place + 1), one.job_id, one.kind, told),
        *(shown_number(measured.get(name)) for name in names),
        "-" if one.seconds is None else f"{one.seconds:.1f}",
        f"{share:.1%}" if share else "",
    ]
    return [escape(cut(text)) for text in texts]


def _history(report: FitReport) -> str:
    points = [(seconds, loss) for seconds, loss in report.history if math.isfinite(loss)]
    if not points:
        return ""
    points = [points[place] for place in thinned(len(points), MOST_POINTS)]
    steps = [points[0]]
    for earlier, later in zip(points, [*points[1:], (report.seconds, points[-1][1])], strict=True):
        steps += [(max(later[0], earlier[0]), earlier[1]), (max(later[0], earlier[0]), later[1])]
    drawing = curve("loss of the best candidate", steps, (), None)
    return f'<div class="charts">{figure("Loss of the best candidate over seconds", drawing)}</div>'


def _selection(selection: Mapping[str, Any] | None) -> str:
    if selection is None:
        return "<p>The candidates were ranked by their evaluations.</p>"
    single, chosen, honest = (shown_number(selection[key]) for key in ("best_single", "selected", "honest"))
    loss = LOSSES.get(selection["loss"], str(selection["loss"]))
    return (
        f"<p>Out of fold, the {escape(loss)} of the best candidate is {single}, that of the final model {chosen}, and "
        f"{honest} where the rows that it is measured on had no part in choosing it. Metrics of candidates are out of "
        "fold; their shares are those in the final model.</p>"
    )
