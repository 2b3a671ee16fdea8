"""The columns of the table: what they hold, how much of it is missing, how it is distributed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from pyramid.report_page.bounds import cut
from pyramid.report_page.frame import table
from pyramid.report_page.svg import short_number
from pyramid.report_page.tables.fit_report import Column, FitReport
from pyramid.report_page.tables.importances import Importance

MOST_COLUMNS, MOST_LEFT_OUT, MOST_VALUES = 50, 50, 4
WIDTH, HEIGHT = 200, 40
HEADINGS = ("column", "kind", "missing", "different values", "distribution", "importance")


def columns_html(report: FitReport, importances: Sequence[Importance]) -> str:
    """A table of the most important columns, after the objective."""
    shares = {one.column: one.mean for one in importances}
    ordered = sorted(report.columns, key=lambda one: (one.role != "objective", -shares.get(one.name, -1.0)))
    shown = ordered[:MOST_COLUMNS]
    rest = (
        ""
        if len(shown) == len(ordered)
        else f" The {len(shown)} most important of {len(ordered)} columns; the other {len(ordered) - len(shown)} are "
        f"not shown."
    )
    n_rows = report.rows
    rows = [
        (
            escape(cut(one.name)),
            escape(cut(one.kind or "left out")),
            _missing(one.missing, n_rows),
            "many" if one.distinct is None else str(one.distinct),
            _distribution(one, n_rows),
            _importance(shares.get(one.name)) if one.role == "input" else escape(one.role),
        )
        for one in shown
    ]
    return (f"<p>{rest.strip()}</p>" if rest else "") + table(HEADINGS, rows, "columns")


def left_out_html(report: FitReport) -> str:
    """The warnings, and what is no field and why."""
    warnings = [f"<li>{escape(cut(one))}</li>" for one in report.warnings[:MOST_LEFT_OUT]]
    parts = [f"<ul>{''.join(warnings)}</ul>{_others(len(report.warnings))}" if warnings else ""]
    if report.rows_without_objective:
        parts.append(f"<p>{report.rows_without_objective} rows were left out: they have no objective.</p>")
    parts.append(_left_out(report.left_out))
    return "".join(parts) if any(parts) else "<p>Nothing was left out.</p>"


def _left_out(reasons: Mapping[str, str]) -> str:
    if not reasons:
        return ""
    rows = [
        (escape(cut(name)), escape(cut(reason))) for name, reason in list(reasons.items())[:MOST_LEFT_OUT]
    ]
    return table(("column left out", "why"), rows) + _others(len(reasons))


def _others(count: int) -> str:
    return "" if count <= MOST_LEFT_OUT else f"<p>And {count - MOST_LEFT_OUT} others.</p>"


def _missing(missing: int, n_rows: int) -> str:
    return f"{missing / n_rows:.1%}" if missing and n_rows else "-"


def _importance(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def _distribution(column: Column, n_rows: int) -> str:
    """Bars of a number, or the most frequent values."""
    if column.counts:
        return _bars(column)
    if not column.top:
        return ""
    shown = column.top[:MOST_VALUES]
    told = [f"<div><b>{rows / max(n_rows, 1):.1%}</b> {escape(cut(value))}</div>" for value, rows in shown]
    others = n_rows - column.missing - sum(rows for _, rows in shown)
    if others > 0:
        told.append(f"<div><b>{others / n_rows:.1%}</b> others</div>")
    return f'<div class="top">{"".join(told)}</div>'


def _bars(column: Column) -> str:
    wide, highest = WIDTH / len(column.counts), max(*column.counts, 1)
    bars = "".join(
        f'<rect class="bar" x="{place * wide:.1f}" y="{HEIGHT * (1 - count / highest):.1f}" '
        f'width="{max(wide - 0.6, 0.5):.1f}" height="{HEIGHT * count / highest:.1f}"/>'
        for place, count in enumerate(column.counts)
    )
    ends = short_number(column.edges[0]), short_number(column.edges[-1])
    texts = f'<text y="{HEIGHT + 12}">{ends[0]}</text>'
    texts += f'<text x="{WIDTH}" y="{HEIGHT + 12}" text-anchor="end">{ends[1]}</text>'
    size = f'viewBox="0 0 {WIDTH} {HEIGHT + 16}" width="{WIDTH}" height="{HEIGHT + 16}"'
    return f'<svg {size} role="img" aria-label="from {ends[0]} to {ends[1]}">{bars}{texts}</svg>'
