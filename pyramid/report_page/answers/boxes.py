"""Boxes as answers: how many are found of each class, those that are wrong, and those that are missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, ClassVar, Self

import numpy as np
from typing_extensions import override

from pyramid.fields.boxes import SHOWN_SCORE, true_boxes
from pyramid.report_page.answers.box_galleries import DetectedImages, box_galleries, draw_some
from pyramid.report_page.answers.kind import Answers, parse_galleries
from pyramid.report_page.bounds import cut, thinned
from pyramid.report_page.charts import precision_recall_chart
from pyramid.report_page.drawing import draw_corners
from pyramid.report_page.frame import figure, table
from pyramid.report_page.units import shown_number
from pyramid.train.box_metrics import Curve, evaluate_boxes
from pyramid.train.checks import HoldoutAnswers

MOST_ROWS = 200
MOST_CURVES = 24
MOST_CURVE_POINTS = 100
HEADINGS = ("class", "true boxes", "AP at 0.5", "AP 0.5:0.95", "precision", "recall")


@dataclass(frozen=True)
class ClassRow:
    """How well the boxes of one class are found; None where that is not defined.

    Attributes:
        truths: how many there are.
        ap_50, ap_50_95: see `BoxMetrics`.
        precision, recall: at IoU 0.5, of boxes whose score is above 0.5.
    """

    name: str
    truths: int
    ap_50: float | None
    ap_50_95: float | None
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class ClassCurve:
    """Recall and precision of one class at IoU 0.5.

    Attributes:
        points: from the best box down; of very many boxes some.
        shown: the point of the boxes whose score is above 0.5; None where there is none.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    shown: tuple[float, float] | None


@dataclass(frozen=True)
class Detections(Answers):
    """Truth against what a detector finds.

    Attributes:
        rows: of the classes with the most boxes.
        curves: of those of them with the most boxes, where any was found.
        n_classes: classes in all.
    """

    kind: ClassVar[str] = "bounding_box"
    rows: tuple[ClassRow, ...]
    curves: tuple[ClassCurve, ...]
    n_classes: int

    @classmethod
    @override
    def of(cls, holdout: HoldoutAnswers) -> Self:
        names, images = holdout.objective.classes, DetectedImages.of(holdout)
        metrics = evaluate_boxes(images.truth, images.found, len(names))
        columns = [metrics.ap_50, metrics.ap_50_95, *metrics.precision_recall_at(SHOWN_SCORE)]
        rows = [
            ClassRow(cut(name), truths, *shares)
            for name, truths, shares in zip(
                names, metrics.truths.tolist(), _defined(np.stack(columns, axis=1)), strict=True
            )
        ]
        frequent = np.argsort(-metrics.truths, kind="stable")
        return cls(
            galleries=box_galleries(images, metrics.images),
            rows=tuple(rows[place] for place in np.sort(frequent[:MOST_ROWS])),
            curves=tuple(
                _curve(rows[place], metrics.curves[place])
                for place in np.sort(frequent[:MOST_CURVES])
                if rows[place].truths and len(metrics.curves[place].scores)
            ),
            n_classes=len(names),
        )

    @classmethod
    @override
    def parse(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            parse_galleries(value["galleries"]),
            tuple(ClassRow(**row) for row in value["rows"]),
            tuple(_parse_curve(curve) for curve in value["curves"]),
            value["n_classes"],
        )

    @override
    def html(self) -> str:
        rest = (
            ""
            if len(self.rows) == self.n_classes
            else f" Only the {len(self.rows)} classes with the most boxes of {self.n_classes}."
        )
        return (
            "<p>A found box is a hit where its intersection with a true box of its class is at least half of their "
            f"union. Precision and recall are those of boxes with a score above {SHOWN_SCORE:g}; average precision "
            f"(AP) is that of all, AP 0.5:0.95 its mean where 50%, 55%, ... 95% of the union are asked for.{rest}</p>"
            + table(HEADINGS, map(_cells, self.rows), "numbers")
            + self._charts()
        )

    def _charts(self) -> str:
        if not self.curves:
            return "<p>No box of these classes was found.</p>"
        charts = "".join(
            figure(curve.name, precision_recall_chart(curve.name, curve.points, curve.shown))
            for curve in self.curves
        )
        rest = (
            f" Only {MOST_CURVES} classes, those with the most boxes." if self.n_classes > MOST_CURVES else ""
        )
        return (
            "<p>Precision over recall, from the box with the highest score down; the red ring marks those with a score "
            f'above {SHOWN_SCORE:g}.{rest}</p><div class="charts">{charts}</div>'
        )

    @staticmethod
    @override
    def draw_holdout(holdout: HoldoutAnswers) -> list[np.ndarray]:
        return [picture for *_, picture in draw_some(DetectedImages.of(holdout))]

    @staticmethod
    @override
    def draw_label(pixels: np.ndarray, label: np.ndarray) -> np.ndarray:
        (true,) = true_boxes(label[None])
        return draw_corners(pixels, true.corners)


def _defined(shares: np.ndarray) -> list[list[float | None]]:
    """Rows of numbers, None in place of NaN."""
    return [[None if np.isnan(share) else share for share in row] for row in shares.tolist()]


def _curve(row: ClassRow, curve: Curve) -> ClassCurve:
    points = np.stack([curve.recall, curve.precision], axis=1).round(4)
    shown = None if row.recall is None or row.precision is None else (row.recall, row.precision)
    return ClassCurve(row.name, _pairs(points[thinned(len(points), MOST_CURVE_POINTS)].tolist()), shown)


def _parse_curve(value: Mapping[str, Any]) -> ClassCurve:
    shown = value["shown"]
    return ClassCurve(value["name"], _pairs(value["points"]), None if shown is None else (shown[0], shown[1]))


def _pairs(points: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((recall, precision) for recall, precision in points)


def _cells(row: ClassRow) -> list[str]:
    shares = (row.ap_50, row.ap_50_95, row.precision, row.recall)
    return [escape(row.name), str(row.truths), *map(shown_number, shares)]
