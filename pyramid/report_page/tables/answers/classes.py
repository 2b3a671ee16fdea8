"""Classes as answers: which are taken for which, how well scores part them, and whether probabilities hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import ClassVar, Self

import numpy as np
from typing_extensions import override

from pyramid.report_page.answers.classes import told_classes
from pyramid.report_page.bounds import blocks, cut
from pyramid.report_page.charts import SHARES, confusion_matrix, histogram, shares_chart
from pyramid.report_page.frame import figure, table
from pyramid.report_page.tables.answers.kind import TableAnswers, largest
from pyramid.report_page.tables.score_curves import CALIBRATION_BINS, Calibration, ScoreCounts, drawn
from pyramid.report_page.tables.sources import OutOfFold
from pyramid.report_page.units import shown_number
from pyramid.train.confusions import count_confusions, largest_confusions

MOST_CLASSES, MOST_PAIRS = 20, 15
MOST_CURVES, N_WORST_CURVES = 6, 5
CHART_SIDE = 340
HEADINGS = ("class", "rows", "recall", "precision", "area under ROC", "average precision")
DIAGONAL = ("equal", [(0.0, 0.0), (1.0, 1.0)])

Curve = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class ClassAnswers(TableAnswers):
    """Truth against prediction of a classifier.

    Attributes:
        answers: of all rows.
        counts: (classes, classes) int64, for each true class how many rows were predicted as each class.
        scores: of each class against the rest.
        calibration: of two classes the probability of the second one, of more that of the predicted one.
    """

    kind: ClassVar[str] = "categorical"
    answers: OutOfFold
    counts: np.ndarray
    scores: ScoreCounts
    calibration: Calibration

    @classmethod
    @override
    def of(cls, answers: OutOfFold) -> Self:
        (n_rows, n_classes), truth = answers.outputs.shape, answers.truth
        predicted, highest = np.empty(n_rows, np.int64), np.empty(n_rows, np.float32)
        true_shares, last = np.empty(n_rows, np.float32), np.empty(n_rows, np.float32)

        def read() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for rows in blocks(n_rows, n_classes):
                shares = np.asarray(answers.outputs[rows])
                predicted[rows], highest[rows] = shares.argmax(axis=1), shares.max(axis=1)
                true_shares[rows], last[rows] = shares[np.arange(len(shares)), truth[rows]], shares[:, -1]
                yield truth[rows], shares

        scores = ScoreCounts.of(read(), n_classes)
        two = n_classes == 2
        return cls(
            # the worst is that whose truth is the least likely
            worst=largest(-true_shares),
            answers=answers,
            counts=count_confusions(truth, predicted, n_classes),
            scores=scores,
            calibration=Calibration.of(last, truth == 1)
            if two
            else Calibration.of(highest, predicted == truth),
        )

    @property
    def names(self) -> Sequence[str]:
        """The names of the classes."""
        return self.answers.objective.classes

    @override
    def told(self, row: int) -> tuple[str, str]:
        return told_classes(self.names, np.asarray(self.answers.outputs[row]), int(self.answers.truth[row]))

    @override
    def html(self) -> str:
        return self._confusions() + self._classes() + self._curves() + self._calibration()

    @property
    def shown(self) -> np.ndarray:
        """The most frequent classes, in the order of the classes."""
        return np.sort(np.argsort(-self.counts.sum(axis=1), kind="stable")[:MOST_CLASSES])

    def _rest(self) -> str:
        n_classes, n_shown = len(self.names), len(self.shown)
        return "" if n_shown == n_classes else f" Only the {n_shown} most frequent of {n_classes} classes."

    def _confusions(self) -> str:
        shown = self.shown
        names = [cut(self.names[one]) for one in shown]
        matrix = confusion_matrix(names, self.counts[np.ix_(shown, shown)].tolist())
        return (
            "<h3>Confusions</h3><p>How many rows of each true class (rows of the matrix) were predicted as each class "
            f'(columns); errors are red.{self._rest()}</p><div class="charts"><div>{matrix}</div>{self._pairs()}</div>'
        )

    def _pairs(self) -> str:
        """The largest errors, where a matrix is too large to find them, or has no room for them."""
        pairs = largest_confusions(self.counts, MOST_PAIRS)
        if len(self.names) <= MOST_CURVES or not pairs:
            return ""
        totals = self.counts.sum(axis=1)
        cells = [
            (
                *(escape(cut(self.names[one])) for one in (true, taken)),
                str(rows),
                f"{rows / totals[true]:.1%}",
            )
            for true, taken, rows in pairs
        ]
        return table(("true", "predicted", "rows", "of the class"), cells, "pairs")

    def _classes(self) -> str:
        hits, true, predicted = np.diag(self.counts), self.counts.sum(axis=1), self.counts.sum(axis=0)
        recall, precision = hits / np.maximum(true, 1), hits / np.maximum(predicted, 1)
        columns = [
            np.where(true > 0, recall, np.nan),
            np.where(predicted > 0, precision, np.nan),
            self.scores.auc,
            self.scores.average_precision,
        ]
        cells = [
            (escape(cut(self.names[one])), str(true[one]), *(_share(column[one]) for column in columns))
            for one in self.shown
        ]
        return f"<h3>Classes</h3><p>Each against the rest.{self._rest()}</p>" + table(
            HEADINGS, cells, "numbers"
        )

    def _curves(self) -> str:
        """ROC and precision-recall curves."""
        scores, lines = self.scores, self.drawn_classes
        if not len(scores.defined):
            return "<p>There are no curves: all rows are of one class.</p>"
        means = len(self.names) > MOST_CURVES
        rest = (
            f" The black line is the mean over all classes, the others are the {len(lines)} classes with the least "
            "area under ROC."
            if means
            else ""
        )
        roc = self._chart(
            "ROC",
            ("false positives", "recall"),
            scores.roc,
            scores.auc,
            scores.mean_roc() if means else None,
            [DIAGONAL],
        )
        precision = self._chart(
            "Precision and recall",
            ("recall", "precision"),
            scores.precision_recall,
            scores.average_precision,
            scores.mean_precision_recall() if means else None,
            [],
        )
        return (
            "<h3>Curves</h3><p>Over all thresholds on the probability of a class, against the rest; beside its name "
            f'stands the area below the curve, or the average precision.{rest}</p><div class="charts">{roc}{precision}'
            "</div>"
        )

    @property
    def drawn_classes(self) -> list[int]:
        """The classes that have curves: of two the second, of few all, of many those with the least area under ROC."""
        defined = self.scores.defined
        if len(self.names) <= MOST_CURVES:
            return [one for one in defined.tolist() if one or len(self.names) != 2]
        worst = np.argsort(self.scores.auc[defined], kind="stable")[:N_WORST_CURVES]
        return np.sort(defined[worst]).tolist()

    def _chart(
        self,
        title: str,
        axes_of: tuple[str, str],
        curve_of: Callable[[int], Curve],
        values: np.ndarray,
        mean: Curve | None,
        others: list[tuple[str, list[tuple[float, float]]]],
    ) -> str:
        lines = [
            (f"line series{place}", drawn(*curve_of(one))) for place, one in enumerate(self.drawn_classes)
        ]
        legend = [
            (f"series{place}", f"{cut(self.names[one])}: {_share(values[one])}")
            for place, one in enumerate(self.drawn_classes)
        ]
        if mean is not None:
            lines.append(("line mean", drawn(*mean)))
            legend.append(("mean", f"mean: {_share(values[self.scores.defined].mean())}"))
        keys = "".join(f'<li class="{kind}">{escape(told)}</li>' for kind, told in legend)
        chart = shares_chart(title, axes_of, [*others, *lines], side=CHART_SIDE)
        return figure(title, f'{chart}<ul class="legend">{keys}</ul>')

    def _calibration(self) -> str:
        found = self.calibration
        there = np.flatnonzero(found.counts)
        points = list(zip(found.said[there].tolist(), found.found[there].tolist(), strict=True))
        marks = [
            (point, f"said {point[0]:.1%}, found {point[1]:.1%}, {found.counts[place]} rows")
            for place, point in zip(there, points, strict=True)
        ]
        two = len(self.names) == 2
        whose = f"of {escape(cut(self.names[1]))}" if two else "of the predicted class"
        lines = [DIAGONAL, ("line", points)]
        chart = shares_chart("calibration", ("probability", "frequency"), lines, marks, CHART_SIDE)
        edges = np.linspace(*SHARES, CALIBRATION_BINS + 1).tolist()
        rows = histogram("rows by probability", edges, found.counts.tolist(), "probability")
        return (
            f"<h3>Calibration</h3><p>How often it came true, over the probability {whose}; on the dashed line "
            f"probabilities are right. They are off by {found.error:.4f} in the mean over the rows.</p>"
            f'<div class="charts">{figure("Reliability", chart)}{figure("Rows", rows)}</div>'
        )


def _share(value: float) -> str:
    return shown_number(None if np.isnan(value) else float(value))
