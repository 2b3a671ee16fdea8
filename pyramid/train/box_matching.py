"""Which found boxes hit which truths, at the ten thresholds of COCO (arXiv 1405.0312), as pycocotools matches them.

Boxes of the same image and class are matched at intersections over union (IoU) of 0.5, 0.55, ... 0.95: the found
ones choose in the order of their scores, each the truth that it overlaps most of those still free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
MOST_FOUND = 100
"""So many boxes of an image, the best, count for each class; detectors are asked for as many in all."""

LEAST_SCORE = 1e-3
"""Worse boxes are not asked for: they hardly move the mean precision."""

"""Of an image and class only so many found boxes count, the best."""


@dataclass(frozen=True, eq=False)
class TrueBoxes:
    """The boxes that are in one image.

    Attributes:
        corners: (k, 4), x1, y1, x2, y2 in pixels.
        classes: (k,) int.
    """

    corners: np.ndarray
    classes: np.ndarray


class FoundBoxes(Protocol):
    """What was found in one image, in any order: `sensenet.detection.Boxes`, for one."""

    @property
    def corners(self) -> np.ndarray:
        """(k, 4), x1, y1, x2, y2 in pixels."""

    @property
    def scores(self) -> np.ndarray:
        """(k,) float, finite."""

    @property
    def classes(self) -> np.ndarray:
        """(k,) int."""


@dataclass(frozen=True, eq=False)
class Matches:
    """The boxes of one image at IoU 0.5.

    Attributes:
        truths: (found,) int64, which truth a found box hits; -1: none.
    """

    truths: np.ndarray

    @property
    def hits(self) -> np.ndarray:
        """(found,) bool, which found boxes hit a truth."""
        return self.truths >= 0


@dataclass(frozen=True, eq=False)
class Matching:
    """The found boxes that count of all images: image by image, class by class, best first.

    Attributes:
        scores: (found,) float.
        classes: (found,) int64.
        hits: (thresholds, found) bool, at each of `IOU_THRESHOLDS`.
        images: the boxes of each image at IoU 0.5.
    """

    scores: np.ndarray
    classes: np.ndarray
    hits: np.ndarray
    images: tuple[Matches, ...]


def match_boxes(truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes]) -> Matching:
    """Match the boxes of each image.

    Args:
        truth: of each image; may be empty.
        found: of each image, in the same order; may be empty.

    Raises:
        ValueError: not as many of the one as of the other.
    """
    chosen = [_best(each.scores, each.classes) for each in found]
    counted = [(each.scores[best], each.classes[best]) for each, best in zip(found, chosen, strict=True)]
    scores = np.concatenate([np.empty(0, np.float32), *(each for each, _ in counted)])
    classes = np.concatenate([np.empty(0, np.int64), *(each for _, each in counted)])
    pairs = _overlapping(truth, found, chosen)
    thresholds, kept = _matched(pairs, len(classes), sum(len(each.classes) for each in truth))
    hits = np.zeros((len(IOU_THRESHOLDS), len(classes)), bool)
    hits[thresholds, pairs.found[kept]] = True
    return Matching(
        scores, classes, hits, tuple(_by_image(truth, found, chosen, pairs.take(kept[thresholds == 0])))
    )


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Found boxes and truths of their image and class with an IoU of 0.5 or above, numbered through all images.

    Found boxes are numbered image by image, class by class, best first, without those that do not count. Pairs stand
    in the order of `found`, those of one box in the order in which it prefers them.
    """

    found: np.ndarray
    truths: np.ndarray
    ious: np.ndarray

    def take(self, chosen: Any) -> _Pairs:
        return _Pairs(self.found[chosen], self.truths[chosen], self.ious[chosen])


def _best(scores: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The positions of the boxes that count: class by class, best first, of equal ones the earlier."""
    order = np.lexsort((-scores, classes))
    ordered = classes[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return order[rank < MOST_FOUND]


def _overlapping(
    truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], chosen: Sequence[np.ndarray]
) -> _Pairs:
    parts, n_found, n_true = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))], 0, 0
    for true, boxes, best in zip(truth, found, chosen, strict=True):
        iou = _ious(boxes.corners[best], true.corners)
        iou[boxes.classes[best][:, None] != true.classes] = 0
        box, there = np.nonzero(iou >= IOU_THRESHOLDS[0])
        parts.append((box + n_found, there + n_true, iou[box, there]))
        n_found, n_true = n_found + len(best), n_true + len(true.classes)
    pairs = _Pairs(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    # of truths that it overlaps equally, pycocotools takes the last
    return pairs.take(np.lexsort((-pairs.truths, -pairs.ious, pairs.found)))


def _ious(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(found, true) float64: the intersection over union of (found, 4) and (true, 4) corners."""
    a = np.asarray(found, np.float64).reshape(-1, 1, 4)
    b = np.asarray(true, np.float64).reshape(1, -1, 4)
    common = _area(np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:]))
    union = _area(a[..., :2], a[..., 2:]) + _area(b[..., :2], b[..., 2:]) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def _area(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    sides = np.maximum(high - low, 0)
    return sides[..., 0] * sides[..., 1]


def _matched(pairs: _Pairs, n_found: int, n_true: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs that are matches, at each threshold by itself.

    Choosing in the order of scores is the one stable matching where all truths prefer the better box. So it is made
    by deferred acceptance (Gale and Shapley, 1962), all boxes at a time: each asks for the truth it likes best, a
    truth keeps the best that asks, and none asks a truth that has a better one.

    Returns:
        (matches,) positions in `IOU_THRESHOLDS` and (matches,) positions in `pairs`.
    """
    thresholds, places = np.nonzero(pairs.ious >= IOU_THRESHOLDS[:, None])
    found = pairs.found[places] + thresholds * n_found
    truths = pairs.truths[places] + thresholds * n_true
    left = np.arange(len(places))
    holders = np.empty(len(IOU_THRESHOLDS) * n_true, np.int64)
    while True:
        asking = left[np.flatnonzero(np.diff(found[left], prepend=-1))]
        holders[:] = len(IOU_THRESHOLDS) * n_found
        # of repeated indices the last one is assigned: that of the best box
        holders[truths[asking[::-1]]] = found[asking[::-1]]
        hopeful = found[left] <= holders[truths[left]]
        if hopeful.all():
            return thresholds[asking], places[asking]
        left = left[hopeful]


def _by_image(
    truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], chosen: Sequence[np.ndarray], matches: _Pairs
) -> list[Matches]:
    images, n_found, n_true = [], 0, 0
    for true, boxes, best in zip(truth, found, chosen, strict=True):
        first, last = np.searchsorted(matches.found, [n_found, n_found + len(best)])
        there = matches.take(slice(first, last))
        hit, truths = best[there.found - n_found], there.truths - n_true
        places = np.full(len(boxes.scores), -1)
        places[hit] = truths
        images.append(Matches(places))
        n_found, n_true = n_found + len(best), n_true + len(true.classes)
    return images
