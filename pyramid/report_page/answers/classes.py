"""Classes as answers: which were taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from typing_extensions import override

from pyramid.report_page.answers.kind import Answers, parse_galleries, worst_images
from pyramid.report_page.bounds import cut
from pyramid.report_page.charts import confusion_matrix
from pyramid.train.checks import HoldoutAnswers
from pyramid.train.confusions import count_confusions

MOST_CLASSES = 24


@dataclass(frozen=True)
class Confusion(Answers):
    """Truth against prediction of a classifier.

    Attributes:
        classes: names of the ones shown.
        counts: for each true class how many images were predicted as each class.
        n_classes: classes in all.
    """

    kind: ClassVar[str] = "categorical"
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    n_classes: int

    @classmethod
    @override
    def of(cls, holdout: HoldoutAnswers) -> Self:
        truth, shares, names = holdout.truth, holdout.outputs, holdout.objective.classes
        predictions = shares.argmax(axis=1)
        counts = count_confusions(truth, predictions, len(names))
        shown = _most_confused(counts)

        def told(place: int) -> tuple[str, str, bool]:
            true, predicted = told_classes(names, shares[place], truth[place])
            return true, predicted, bool(truth[place] != predictions[place])

        # the worst is that whose truth is the least likely
        worst = worst_images(holdout, -shares[np.arange(len(truth)), truth], told)
        return cls(
            galleries=(worst,),
            classes=tuple(cut(names[place]) for place in shown),
            counts=tuple(tuple(row) for row in counts[np.ix_(shown, shown)].tolist()),
            n_classes=len(names),
        )

    @classmethod
    @override
    def parse(cls, value: Mapping[str, Any]) -> Self:
        counts = tuple(tuple(row) for row in value["counts"])
        return cls(parse_galleries(value["galleries"]), tuple(value["classes"]), counts, value["n_classes"])

    @override
    def html(self) -> str:
        shown = len(self.classes)
        rest = (
            "" if shown == self.n_classes else f" Only the {shown} most confused of {self.n_classes} classes."
        )
        return (
            "<p>How many holdout images of each true class (rows) were predicted as each class (columns); "
            f"errors are red.{rest}</p>{confusion_matrix(self.classes, self.counts)}"
        )


def told_classes(names: Sequence[str], shares: np.ndarray, truth: int) -> tuple[str, str]:
    """The true class of a row and the predicted one, each with the probability given to it.

    Args:
        shares: (classes,) probabilities.
        truth: the position of the true class.
    """
    true, predicted = (f"{cut(names[one])} ({shares[one]:.1%})" for one in (truth, int(shares.argmax())))
    return true, predicted


def _most_confused(counts: np.ndarray) -> np.ndarray:
    """The classes with the most errors, as truth and as prediction, in the order of the classes."""
    errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    return np.sort(np.argsort(-errors, kind="stable")[:MOST_CLASSES])
