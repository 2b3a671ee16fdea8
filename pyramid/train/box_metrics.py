"""How good found boxes are: mean average precision as COCO defines it (arXiv 1405.0312), equal to pycocotools.

Average precision is the mean, over recalls 0, 0.01, ... 1, of the best precision at that recall or a greater one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyramid.train.box_matching import IOU_THRESHOLDS, FoundBoxes, Matches, TrueBoxes, match_boxes

RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall of one class at IoU 0.5, from the best found box down, images mixed.

    Attributes:
        scores: (found,) falling.
        precision: (found,) float64, hits among the boxes down to this one.
        recall: (found,) float64, rising: truths hit by them; NaN without truths.
    """

    scores: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


@dataclass(frozen=True, eq=False)
class BoxMetrics:
    """How good the found boxes of some images are.

    Attributes:
        map_50, map_50_95: mean average precision over the classes that have truths, at IoU 0.5 and as the mean over
            all thresholds; in [0, 1], 0 where no class has any.
        ap_50, ap_50_95: (classes,) float64 of each class; NaN without truths.
        truths: (classes,) int64, how many there are.
        curves: one a class.
        images: what was hit and missed, one an image.
    """

    map_50: float
    map_50_95: float
    ap_50: np.ndarray
    ap_50_95: np.ndarray
    truths: np.ndarray
    curves: tuple[Curve, ...]
    images: tuple[Matches, ...]

    def precision_recall_at(self, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Precision and recall at IoU 0.5 of the boxes whose score is above a threshold.

        Returns:
            (classes,) and (classes,) float64: precision NaN without such boxes, recall NaN without truths.
        """
        # in the scores' own precision, as `sensenet.detection` compares them
        counts = [int(np.sum(curve.scores > curve.scores.dtype.type(threshold))) for curve in self.curves]
        precision = [c.precision[n - 1] if n else np.nan for c, n in zip(self.curves, counts, strict=True)]
        recall = [c.recall[n - 1] if n else 0.0 for c, n in zip(self.curves, counts, strict=True)]
        return np.array(precision), np.where(self.truths > 0, recall, np.nan)


def evaluate_boxes(truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], n_classes: int) -> BoxMetrics:
    """All metrics of a detector.

    Args:
        truth: of each image; may be empty.
        found: of each image, in the same order; may be empty.
        n_classes: classes of boxes are below it.

    Raises:
        ValueError: not as many of the one as of the other, or a class out of range.
    """
    for classes in [*(each.classes for each in truth), *(each.classes for each in found)]:
        if classes.size and not 0 <= classes.min() <= classes.max() < n_classes:
            raise ValueError(f"expected classes in [0, {n_classes}), got {np.unique(classes).tolist()}")
    matching = match_boxes(truth, found)
    n_true = sum((np.bincount(each.classes, minlength=n_classes) for each in truth), np.zeros(n_classes, int))
    ap, curves = np.full((n_classes, len(IOU_THRESHOLDS)), np.nan), []
    for c in range(n_classes):
        places = np.flatnonzero(matching.classes == c)
        places = places[np.argsort(-matching.scores[places], kind="stable")]
        precision, recall = _precision_recall(matching.hits[:, places], n_true[c])
        curves.append(Curve(matching.scores[places], precision[0], recall[0]))
        if n_true[c]:
            ap[c] = _average_precision(precision, recall)
    there = ap[n_true > 0]
    return BoxMetrics(
        map_50=float(there[:, 0].mean()) if len(there) else 0.0,
        map_50_95=float(there.mean()) if len(there) else 0.0,
        ap_50=ap[:, 0],
        ap_50_95=ap.mean(axis=1),
        truths=n_true,
        curves=tuple(curves),
        images=matching.images,
    )


def _precision_recall(hits: np.ndarray, n_true: int) -> tuple[np.ndarray, np.ndarray]:
    """Both (thresholds, found) float64, of (thresholds, found) hits from the best box down."""
    n_hits = np.cumsum(hits, axis=1)
    precision = n_hits / np.arange(1, hits.shape[1] + 1)
    return precision, n_hits / n_true if n_true else np.full(hits.shape, np.nan)


def _average_precision(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """(thresholds,) float64, of (thresholds, found) each."""
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.pad(best, ((0, 0), (0, 1)))  # a recall that is not reached has precision 0
    return np.array(
        [row[np.searchsorted(reached, RECALLS)].mean() for row, reached in zip(best, recall, strict=True)]
    )
