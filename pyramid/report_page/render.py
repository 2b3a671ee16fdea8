"""Makes the page of a report's data: one HTML text that needs no other file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from pyramid.report_page.charts import curve
from pyramid.report_page.data import Augmented, ReportData
from pyramid.report_page.frame import facts, figure, page, section, spaced, table, values
from pyramid.report_page.pictures import Gallery, Shown
from pyramid.train.checks import HoldoutCheck

NO_HOLDOUT = "<p>There are no holdout images.</p>"
SUMMARY_HEADINGS = ("candidate", "outcome")


def render(*reports: ReportData, summary: Sequence[tuple[str, str]] = ()) -> str:
    """The page of one or several trainings.

    Args:
        reports: one section each, in this order.
        summary: a name and its outcome for each line of a table at the top; none without them.
    """
    title = "Training of images" if len(reports) != 1 else reports[0].title
    body = "\n".join([*([_summary(summary)] if summary else []), *map(_article, reports)])
    return page(title, body)


def _summary(summary: Sequence[tuple[str, str]]) -> str:
    rows = [(escape(name), escape(outcome)) for name, outcome in summary]
    return section("candidates", "Candidates", table(SUMMARY_HEADINGS, rows))


def _article(data: ReportData) -> str:
    answers = data.answers
    return (
        f"<article><h1>{escape(data.title)}</h1>{facts(data.result)}"
        + section("curves", "Learning curves", _curves(data))
        + section("answers", "Truth and prediction", NO_HOLDOUT if answers is None else answers.html())
        + "".join(
            section(one.kind, one.title, _gallery(one)) for one in (answers.galleries if answers else ())
        )
        + section("augmented", "Augmented training images", _sheet(data.augmentations, data.sheet))
        + section("settings", "Settings", values(data.settings))
        + "</article>"
    )


def _curves(data: ReportData) -> str:
    if not data.checks:
        return "<p>There was no check of the holdout images with finite numbers.</p>"
    series = {
        **{name: [check.metrics[name] for check in data.checks] for name in data.checks[0].metrics},
        "training loss": [check.loss for check in data.checks],
    }
    rates = [check.learning_rate for check in data.checks]
    if None not in rates:
        series["learning rate"] = [rate for rate in rates if rate is not None]
    spans = _spans(data.checks)
    kept = max((place for place, check in enumerate(data.checks) if check.kept), default=None)
    charts = []
    for name, measured in series.items():
        points = [(check.iteration, value) for check, value in zip(data.checks, measured, strict=True)]
        finite = [(float(x), y) for x, y in points if math.isfinite(y)]
        mark = None if kept is None or points[kept] not in finite else points[kept]
        if finite:
            drawing = curve(name, finite, spans, mark)
            charts.append(figure(spaced(name), drawing))
    units = "" if data.answers is None else f" {data.answers.units}"
    told = "; ".join(f"phase {number}: {escape(text)}" for number, text in enumerate(data.phases, 1))
    return (
        f"<p>Over the iterations, measured on the holdout images at {data.n_checks} checks. Larger metrics "
        f"are better, and smaller errors and losses.{units} The red ring marks the check whose weights were kept. "
        f"{told}.</p>"
        f'<div class="charts">{"".join(charts)}</div>'
    )


def _spans(checks: Sequence[HoldoutCheck]) -> list[tuple[float, float]]:
    """First and last iteration of each phase, the first from 0, as far as checks know."""
    ends: dict[int, int] = {}
    for check in checks:
        ends[check.phase] = check.iteration
    marks = [0, *(ends.get(phase, -1) for phase in range(1, max(ends) + 1))]
    for place in range(1, len(marks)):
        marks[place] = max(marks[place], marks[place - 1])
    return [(float(start), float(end)) for start, end in pairwise(marks)]


def _gallery(gallery: Gallery) -> str:
    figures = "".join(map(_figure, gallery.pictures))
    return f'<p>{escape(gallery.words)}</p><div class="pictures">{figures}</div>'


def _figure(shown: Shown) -> str:
    kind = "wrong" if shown.wrong else "said"
    return (
        f'<figure><img alt="" src="{escape(shown.picture)}"><figcaption>'
        f'<div class="truth">truth: {escape(shown.truth)}</div>'
        f'<div class="{kind}">predicted: {escape(shown.prediction)}</div>'
        f"<div>{escape(shown.file)}</div></figcaption></figure>"
    )


def _sheet(augmentations: Sequence[str], sheet: Sequence[Augmented]) -> str:
    if not augmentations:
        return "<p>The training images were not augmented.</p>"
    rows = "".join(
        f'<div title="{escape(row.file)}">'
        + "".join(f'<img alt="" src="{escape(picture)}">' for picture in (row.picture, *row.versions))
        + "</div>"
        for row in sheet
    )
    return (
        f"<p>{escape(', '.join(augmentations))}. Each image as it is (framed), then as training may see it.</p>"
        f'<div class="sheet">{rows}</div>'
    )
