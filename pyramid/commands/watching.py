"""What people watch while candidates train: a bar, the checks of the held-out images, a table at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from pyramid.commands.console import answer, error_lines
from pyramid.commands.sharing import TrialOutcome
from pyramid.progress import Report
from pyramid.report_page.units import ShownMetrics, shown_number
from pyramid.train.checks import HoldoutCheck, OnCheck

BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed}{postfix}"
WARNING = "warning"
NO_METRICS = ShownMetrics()
HEADINGS = ("candidate", "iterations", "seconds")


@contextmanager
def progress_display(title: str, metrics: ShownMetrics = NO_METRICS) -> Iterator[tuple[Report, OnCheck]]:
    """The report of one candidate's job, and what prints its checks.

    Args:
        title: what the candidate is called.
        metrics: the ones that are shown.
    """
    with tqdm(total=1.0, desc=title, bar_format=BAR, leave=False, file=sys.stderr) as bar:

        def report(progress: float, **facts: Any) -> None:
            bar.n = min(1.0, max(bar.n, progress))
            shown = metrics.of(facts)
            if shown:
                bar.set_postfix_str(_listed(shown), refresh=False)
            message = facts.get("message", "")
            if message.startswith(WARNING):
                bar.write(f"{title}: {message}", file=sys.stderr)
            elif message:
                bar.set_description_str(f"{title}: {message}", refresh=False)
            bar.refresh()

        def on_check(check: HoldoutCheck) -> None:
            with bar.external_write_mode(file=sys.stdout):
                answer(check_line(title, check, metrics))

        yield report, on_check


def check_line(title: str, check: HoldoutCheck, metrics: ShownMetrics) -> str:
    """One check of the held-out images, on one line."""
    measured = metrics.of(check.metrics)
    return f"{title}  iteration {check.iteration}  {check.seconds:.1f} s  {_listed(measured)}"


def outcome_table(
    outcomes: Sequence[TrialOutcome[Any]], best: TrialOutcome[Any] | None, metrics: ShownMetrics
) -> str:
    """All candidates with their validation metrics; the best is marked, the failed say why."""
    head = ["", HEADINGS[0], *metrics.names, *HEADINGS[1:]]
    rows = [head, *([" *"[outcome is best], *_cells(outcome, metrics)] for outcome in outcomes)]
    widths = [max(len(row[column]) for row in rows if len(row) == len(head)) for column in range(len(head))]
    widths[1] = max(len(row[1]) for row in rows)
    return "\n".join(_aligned(row, widths, len(head)) for row in rows)


def _cells(outcome: TrialOutcome[Any], metrics: ShownMetrics) -> list[str]:
    title = str(outcome.candidate)
    if outcome.result is None:
        assert outcome.error is not None
        return [title, f"failed: {error_lines(outcome.error)[0].splitlines()[0]}"]
    return [
        title,
        *map(shown_number, metrics.of(outcome.result["validation_metrics"]).values()),
        str(outcome.result["iterations"]),
        f"{outcome.seconds:.1f}",
    ]


def _aligned(row: Sequence[str], widths: Sequence[int], full: int) -> str:
    mark, title, *cells = row
    left = f"{mark:1} {title:{widths[1]}}"
    if len(row) < full:
        return "  ".join([left, *cells])
    return "  ".join([left, *(f"{cell:>{width}}" for cell, width in zip(cells, widths[2:], strict=True))])


def _listed(metrics: Mapping[str, Any]) -> str:
    return "  ".join(f"{name} {shown_number(value)}" for name, value in metrics.items())
