"""Makes the page of a report's data: one HTML text that needs no other file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from pyramid.report_page.charts import curve
from pyramid.report_page.data import Augmented, ReportData
from pyramid.report_page.pictures import Gallery, Shown
from pyramid.report_page.style import STYLE
from pyramid.train.checks import HoldoutCheck

# no script and nothing from elsewhere, whatever a file name tries
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
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
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _summary(summary: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(outcome)}</td></tr>" for name, outcome in summary)
    head = "".join(f"<th>{heading}</th>" for heading in SUMMARY_HEADINGS)
    return f'<section class="candidates"><h2>Candidates</h2><table><tr>{head}</tr>{rows}</table></section>'


def _article(data: ReportData) -> str:
    answers = data.answers
    facts = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(_spaced(name))}</span></div>"
        for name, value in data.result
    )
    return (
        f'<article><h1>{escape(data.title)}</h1><div class="facts">{facts}</div>'
        + _section("curves", "Learning curves", _curves(data))
        + _section("answers", "Truth and prediction", NO_HOLDOUT if answers is None else answers.html())
        + "".join(
            _section(one.kind, one.title, _gallery(one)) for one in (answers.galleries if answers else ())
        )
        + _section("augmented", "Augmented training images", _sheet(data.augmentations, data.sheet))
        + _section("settings", "Settings", _settings(data.settings))
        + "</article>"
    )


def _section(kind: str, title: str, content: str) -> str:
    return f'<section class="{kind}"><h2>{title}</h2>{content}</section>\n'


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
    for name, values in series.items():
        points = [(check.iteration, value) for check, value in zip(data.checks, values, strict=True)]
        finite = [(float(x), y) for x, y in points if math.isfinite(y)]
        mark = None if kept is None or points[kept] not in finite else points[kept]
        if finite:
            drawing = curve(name, finite, spans, mark)
            charts.append(f"<figure><figcaption>{escape(_spaced(name))}</figcaption>{drawing}</figure>")
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


def _settings(settings: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<div><span>{escape(key)}</span><b>{escape(value)}</b></div>" for key, value in settings)
    return f'<div class="values">{rows}</div>'


def _spaced(name: str) -> str:
    return name.replace("_", " ")
