"""Boxes as what is predicted: the objects in an image, each a box of one of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from typing_extensions import override

from pyramid.errors import DataError
from pyramid.fields.box_rules import (
    BOX_FORM,
    CLASS,
    COLUMNS,
    CORNERS,
    MOST_BOXES,
    NAMED_BOX_FORM,
    box_problem,
    count_problem,
    named_box_problems,
)
from pyramid.fields.kinds import ClassesField
from pyramid.fields.objective import Objective, not_a_class
from pyramid.train.box_matching import TrueBoxes
from pyramid.train.box_metrics import evaluate_boxes

NO_BOX = -1
"""The class of rows that only fill up an image's label."""

SHOWN_SCORE = 0.5
LOSSES = ("ciou_loss", "confidence_loss", "probability_loss")
TOTAL_LOSS = "total_loss"


class BoxAnswers(NamedTuple):
    """What a detector says of n images whose boxes are known; arrays, or tensors.

    Attributes:
        losses: (n, 3) float32, one for each of `LOSSES`.
        corners: (n, k, 4) float32, x1, y1, x2, y2 in pixels of the network's input, best first.
        scores: (n, k) float32; 0 where no box is.
        classes: (n, k) int32.
    """

    losses: Any
    corners: Any
    scores: Any
    classes: Any

    def boxes(self) -> list[ScoredBoxes]:
        """The boxes of each image."""
        counts = np.count_nonzero(self.scores, axis=1)
        columns = zip(self.corners, self.scores, self.classes, counts, strict=True)
        return [ScoredBoxes(corners[:n], scores[:n], classes[:n]) for corners, scores, classes, n in columns]


@dataclass(frozen=True)
class ScoredBoxes:
    """The boxes that were found in an image, best first.

    Attributes:
        corners: (k, 4) float32.
        scores: (k,) float32.
        classes: (k,) int32.
    """

    corners: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True, kw_only=True)
class BoxesObjective(ClassesField, Objective):
    """The boxes in an image.

    A label is (k, 5) float32: x1, y1, x2, y2 in pixels and the position of the class. Labels of several images are
    one (images, most, 5) array, filled up with rows of the class `NO_BOX`.
    """

    kind: ClassVar[str] = "bounding_box"
    row_key = "boxes"
    label_form = f"a list of at most {MOST_BOXES} boxes, each {NAMED_BOX_FORM}"
    losses = ()
    headline = ("mAP_50", TOTAL_LOSS)
    decisive = (TOTAL_LOSS,)
    has_classes = False
    activation = None

    @property
    def n_outputs(self) -> int:
        """For each box that could be: its place and size, whether it is one, and of which class."""
        return COLUMNS + len(self.values)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.values

    @classmethod
    @override
    def of_labels(cls, labels: Sequence[Any], index: int) -> Self:
        return cls(index=index, values=tuple(sorted({box[CLASS] for boxes in labels for box in boxes})))

    @staticmethod
    @override
    def is_label(value: Any) -> bool:
        return isinstance(value, list) and count_problem(value) is None and not named_box_problems(value)

    @classmethod
    @override
    def label_problems(cls, value: Any) -> list[tuple[str, str]]:
        if not isinstance(value, list):
            return super().label_problems(value)
        too_many = count_problem(value)
        return named_box_problems(value) if too_many is None else [("", too_many)]

    @override
    def names_in(self, label: Any) -> list[tuple[str, str]]:
        return [(f"/{place}", box[CLASS]) for place, box in enumerate(label)]

    @override
    def standardised(self, label: Any) -> Any:
        return label

    @property
    @override
    def row_label_form(self) -> str:
        return f"a list of at most {MOST_BOXES} boxes, each {BOX_FORM}, a value of the objective or its index"

    @override
    def is_row_label(self, value: Any) -> bool:
        return isinstance(value, list)

    @override
    def read_label(self, label: Any) -> np.ndarray:
        too_many = count_problem(label)
        if too_many is not None:
            raise DataError(f'"boxes": {too_many}')
        rows = [self._read_box(place, box) for place, box in enumerate(label)]
        return np.array(rows, np.float32).reshape(-1, COLUMNS)

    def _read_box(self, place: int, box: Any) -> tuple[float, ...]:
        problem = box_problem(box)
        if problem is None and not self._knows(box[CLASS]):
            problem = not_a_class(box[CLASS])
        if problem is not None:
            raise DataError(f'"boxes", box {place}: {problem}')
        name = box[CLASS]
        return (*box[CORNERS], self.values.index(name) if isinstance(name, str) else name)

    def _knows(self, name: Any) -> bool:
        return name in self.values if isinstance(name, str) else 0 <= name < len(self.values)

    @override
    def stack(self, labels: Sequence[Any]) -> np.ndarray:
        most = max(map(len, labels), default=0)
        stacked = np.zeros((len(labels), most, COLUMNS), np.float32)
        stacked[..., CLASS] = NO_BOX
        for row, boxes in zip(stacked, labels, strict=True):
            row[: len(boxes)] = boxes
        return stacked

    @override
    def labels(self, raw: np.ndarray, first_row: int = 0) -> np.ndarray:
        raise DataError("the objective is boxes, which a .ser cannot hold: they are in the rows of a .json")

    @override
    def encode_into(self, labels: np.ndarray, out: np.ndarray) -> None:
        out[...] = labels

    @override
    def targets(self, labels: np.ndarray) -> np.ndarray:
        return labels

    @override
    def truth(self, targets: np.ndarray) -> np.ndarray:
        return targets

    @override
    def class_of(self, labels: np.ndarray) -> np.ndarray:
        """The rarest class in each image; `NO_BOX` where none is."""
        counts = self.count(labels)
        # one column more for the rows that are no boxes: the last, which position -1 is, too
        rarity = np.append(counts, np.iinfo(np.int64).max)
        classes = np.concatenate([labels[..., CLASS], np.full((len(labels), 1), NO_BOX)], axis=1)
        classes = classes.astype(np.int64)
        return np.take_along_axis(classes, rarity[classes].argmin(axis=1)[:, None], axis=1)[:, 0]

    def count(self, labels: np.ndarray) -> np.ndarray:
        """(classes,) int64: how many boxes each class has."""
        classes = labels[..., CLASS].astype(np.int64)
        return np.bincount(classes[classes != NO_BOX], minlength=len(self.values))

    def absence(self, counts: Sequence[int]) -> str | None:
        """What keeps classes that have so many boxes from being learnt; None where each has one."""
        if not any(counts):
            return "no image has a box: there is nothing to find"
        absent = [name for name, count in zip(self.values, counts, strict=True) if not count]
        if not absent:
            return None
        return f"no box is of {', '.join(absent)}: each value of the objective needs at least one"

    @override
    def strata(self, labels: np.ndarray) -> np.ndarray:
        return self.class_of(labels)

    @override
    def smoothed(self, targets: np.ndarray, factor: float) -> np.ndarray:
        return targets

    @override
    def evaluate(self, truth: np.ndarray, outputs: Any) -> dict[str, float]:
        """See `Objective`.

        Args:
            outputs: `BoxAnswers`.
        """
        means = outputs.losses.mean(axis=0, dtype=np.float64)
        names = (*LOSSES, TOTAL_LOSS)
        if not np.isfinite(means).all():
            return dict.fromkeys((*names, "mAP_50", "mAP_50_95"), float("nan"))
        measured = evaluate_boxes(true_boxes(truth), outputs.boxes(), len(self.values))
        losses = dict(zip(names, (-mean for mean in (*means.tolist(), float(means.sum()))), strict=True))
        return {**losses, "mAP_50": measured.map_50, "mAP_50_95": measured.map_50_95}

    @override
    def in_units(self, labels: np.ndarray) -> list[Any]:
        boxes = [each[each[:, CLASS] != NO_BOX].tolist() for each in labels]
        return [[[*box[CORNERS], self.values[int(box[CLASS])]] for box in each] for each in boxes]

    @override
    def said(self, prediction: Any) -> Any:
        return prediction


def true_boxes(labels: np.ndarray) -> list[TrueBoxes]:
    """The boxes in each of (images, most, 5) labels."""
    there = [each[each[:, CLASS] != NO_BOX] for each in labels]
    return [TrueBoxes(each[:, CORNERS], each[:, CLASS].astype(np.int64)) for each in there]
