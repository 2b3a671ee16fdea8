"""Numbers as answers: how far they are from the truth, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from typing_extensions import override

from pyramid.fields.objectives import NumericObjective
from pyramid.report_page.bounds import thinned
from pyramid.report_page.charts import histogram, residual_plot, scatter_plot
from pyramid.report_page.frame import figure, table
from pyramid.report_page.svg import short_number
from pyramid.report_page.tables.answers.kind import TableAnswers, largest
from pyramid.report_page.tables.sources import OutOfFold

MOST_POINTS = 1_000
N_BARS, TAIL = 40, 0.005
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
N_PARTS = 10
HEADINGS = ("truth", "rows", "mean residual", "median error", "90% of errors below")


@dataclass(frozen=True, eq=False)
class NumberAnswers(TableAnswers):
    """Truth against prediction of a number, both in the objective's own units.

    Attributes:
        truth, predictions: (rows,) float64.
    """

    kind: ClassVar[str] = "numeric"
    truth: np.ndarray
    predictions: np.ndarray

    @classmethod
    @override
    def of(cls, answers: OutOfFold) -> Self:
        objective = answers.objective
        assert isinstance(objective, NumericObjective)
        # where all numbers are equal, so are all predictions of the model
        truth, predictions = (
            numbers.astype(np.float64) * scale + objective.mean
            for numbers, scale in (
                (answers.truth, objective.scale),
                (np.asarray(answers.outputs[:, 0]), objective.stdev),
            )
        )
        return cls(largest(np.abs(predictions - truth)), truth, predictions)

    @property
    def residuals(self) -> np.ndarray:
        """(rows,) float64: predictions - truth."""
        return self.predictions - self.truth

    @override
    def told(self, row: int) -> tuple[str, str]:
        return short_number(self.truth[row]), short_number(self.predictions[row])

    @override
    def html(self) -> str:
        shown = thinned(len(self.truth), MOST_POINTS)
        truth, predictions, residuals = (
            one[shown].tolist() for one in (self.truth, self.predictions, self.residuals)
        )
        rest = "" if len(shown) == len(self.truth) else f" {len(shown)} of {len(self.truth)} rows are drawn."
        charts = (
            figure("Truth and prediction", scatter_plot(list(zip(truth, predictions, strict=True)))),
            figure("Residuals", residual_plot(list(zip(predictions, residuals, strict=True)))),
            figure("Rows by residual", self._histogram()),
        )
        return (
            f"<p>A point a row; on the dashed lines truth and prediction are equal. A residual is the prediction less "
            f'the truth.{rest}</p><div class="charts">{"".join(charts)}</div>'
            + self._quantiles()
            + self._parts()
        )

    def _histogram(self) -> str:
        """Of the residuals; the few that are far out are counted in the outermost bars."""
        least, most = np.quantile(self.residuals, [TAIL, 1 - TAIL])
        counts, edges = np.histogram(np.clip(self.residuals, least, most), N_BARS)
        return histogram("rows by residual", edges.tolist(), counts.tolist(), "prediction - truth")

    def _quantiles(self) -> str:
        found = np.quantile(np.abs(self.residuals), QUANTILES)
        return (
            "<h3>Errors</h3><p>So large are the absolute errors of that share of the rows at most.</p>"
            + table(
                ["rows", *(f"{one:.0%}" for one in QUANTILES)],
                [["error", *map(short_number, found)]],
                "numbers",
            )
        )

    def _parts(self) -> str:
        """Errors by the size of the truth."""
        edges = np.unique(np.quantile(self.truth, np.linspace(0, 1, N_PARTS + 1)))
        parts = np.clip(np.searchsorted(edges, self.truth, side="right") - 1, 0, max(len(edges) - 2, 0))
        cells = []
        for part in np.unique(parts):
            there = parts == part
            truth, residuals = self.truth[there], self.residuals[there]
            middle, far = np.quantile(np.abs(residuals), [0.5, 0.9])
            cells.append(
                [
                    f"{short_number(truth.min())} to {short_number(truth.max())}",
                    str(len(truth)),
                    *map(short_number, (residuals.mean(), middle, far)),
                ]
            )
        return "<h3>Errors by truth</h3><p>For each tenth of the rows, from the smallest truth.</p>" + table(
            HEADINGS, cells, "numbers"
        )
