"""Numbers as answers: how far they are from the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from typing_extensions import override

from pyramid.fields.objectives import NumericObjective
from pyramid.report_page.answers.kind import Answers, parse_galleries, worst_images
from pyramid.report_page.bounds import thinned
from pyramid.report_page.charts import scatter_plot
from pyramid.train.checks import HoldoutAnswers

MOST_POINTS = 1_000


@dataclass(frozen=True)
class Scatter(Answers):
    """Truth against prediction of a number.

    Attributes:
        points: (truth, prediction) pairs in the objective's units.
        n_images: images in all, of which the points are a sample.
    """

    kind: ClassVar[str] = "numeric"
    units: ClassVar[str] = "Errors are in the units of the labels."
    points: tuple[tuple[float, float], ...]
    n_images: int

    @classmethod
    @override
    def of(cls, holdout: HoldoutAnswers) -> Self:
        objective = holdout.objective
        assert isinstance(objective, NumericObjective)
        truth = np.array(objective.in_units(holdout.truth.astype(np.float64)))
        # where all numbers are equal, so are all predictions of the model
        predictions = holdout.outputs[:, 0].astype(np.float64) * objective.stdev + objective.mean

        def told(place: int) -> tuple[str, str, bool]:
            return f"{truth[place]:.5g}", f"{predictions[place]:.5g}", False

        points = np.stack([truth, predictions], axis=1)[thinned(len(truth), MOST_POINTS)]
        worst = worst_images(holdout, np.abs(predictions - truth), told)
        return cls((worst,), tuple((x, y) for x, y in points.tolist()), len(truth))

    @classmethod
    @override
    def parse(cls, value: Mapping[str, Any]) -> Self:
        points = tuple((truth, predicted) for truth, predicted in value["points"])
        return cls(parse_galleries(value["galleries"]), points, value["n_images"])

    @override
    def html(self) -> str:
        shown = len(self.points)
        rest = "" if shown == self.n_images else f" {shown} of {self.n_images} images are drawn."
        return (
            f"<p>A point a holdout image; on the dashed line both are equal.{rest}</p>"
            f"{scatter_plot(self.points)}"
        )
