"""What a table is taken for, and what a fit came to, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pyramid.frames import Table
from pyramid.report_page.units import shown_number
from pyramid.search.leaderboard import shown_leaderboard
from pyramid.search.result import FitResult


def summary(result: FitResult, metric: str | None = None) -> str:
    """The leaderboard, what the final model is worth, and where everything is.

    Args:
        metric: one that is shown beside those that always are.
    """
    names = list(dict.fromkeys([*result.headline, *([] if metric is None else [metric])]))
    lines = [shown_leaderboard(result.leaderboard, names), "", _measured("out of fold", result.metrics)]
    if result.test_metrics is not None:
        lines.append(_measured("on the test rows", result.test_metrics))
    lines.append(
        f"{result.seconds:.1f} s; the model: {result.document}; how it went: {result.workspace.report}"
    )
    return "\n".join(lines)


def _measured(where: str, metrics: Mapping[str, float]) -> str:
    told = ", ".join(f"{name} {shown_number(value)}" for name, value in metrics.items())
    return f"the final model {where}: {told}"


def table_summary(table: Table) -> str:
    """What the table is taken for, for people."""
    kinds = Counter(column.kind or "left out" for column in table.columns)
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{table.n_rows} rows, {len(table.columns)} columns: {counted}"
