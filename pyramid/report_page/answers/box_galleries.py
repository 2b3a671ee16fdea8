"""Pictures of what a detector finds in holdout images, of boxes that are false, and of those that it misses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyramid.fields.boxes import SHOWN_SCORE, ScoredBoxes, true_boxes
from pyramid.report_page.answers.kind import N_WORST
from pyramid.report_page.bounds import cut, thinned
from pyramid.report_page.drawing import Box, around, as_boxes, draw_window, whole
from pyramid.report_page.pictures import Gallery, Shown, data_uri
from pyramid.train.box_matching import Matches, TrueBoxes
from pyramid.train.checks import HoldoutAnswers

N_DRAWN = 8
DRAWN_SIDE, PART_SIDE = 288, 160


@dataclass(frozen=True, eq=False)
class DetectedImages:
    """The holdout images of a detector, each with what is in it and what was found.

    Attributes:
        holdout: all of it; outputs are `BoxAnswers`.
        truth, found: of each image.
    """

    holdout: HoldoutAnswers
    truth: Sequence[TrueBoxes]
    found: Sequence[ScoredBoxes]

    @classmethod
    def of(cls, holdout: HoldoutAnswers) -> DetectedImages:
        """What a detector says of the images."""
        return cls(holdout, true_boxes(holdout.truth), holdout.outputs.boxes())

    @property
    def names(self) -> Sequence[str]:
        """Those of the classes."""
        return self.holdout.objective.classes

    def true_boxes(self, image: int) -> list[Box]:
        """What is in an image."""
        true = self.truth[image]
        return as_boxes(true.corners, true.classes, self.names)

    def found_boxes(self, image: int) -> list[Box]:
        """All that was found in an image, best first."""
        found = self.found[image]
        return as_boxes(found.corners, found.classes, self.names, found.scores)

    def likely_boxes(self, image: int) -> list[Box]:
        """What was found in an image with a score above `SHOWN_SCORE`."""
        return [box for box in self.found_boxes(image) if box["score"] > SHOWN_SCORE]


def draw_some(images: DetectedImages) -> list[tuple[int, str, np.ndarray]]:
    """Some of the images: place, file, and (height, width, 3) uint8 with what is true and what was likely found.

    Raises:
        InputError: an image that has become unreadable.
    """
    places = thinned(len(images.truth), N_DRAWN)
    drawn = []
    for place, (file, pixels) in zip(places.tolist(), images.holdout.look(places), strict=True):
        found, true = images.likely_boxes(place), images.true_boxes(place)
        drawn.append((place, file, draw_window(pixels, whole(pixels), DRAWN_SIDE, found, true, images.names)))
    return drawn


def box_galleries(images: DetectedImages, matches: Sequence[Matches]) -> tuple[Gallery, ...]:
    """Some images with all boxes, then single boxes that are false or missed.

    Args:
        matches: of each image.

    Raises:
        InputError: an image that has become unreadable.
    """
    return _whole_images(images, matches), _false_boxes(images, matches), _missed_boxes(images, matches)


def _whole_images(images: DetectedImages, matches: Sequence[Matches]) -> Gallery:
    pictures = []
    for place, file, pixels in draw_some(images):
        likely = images.found[place].scores > SHOWN_SCORE
        n_true, n_found = len(images.truth[place].classes), int(likely.sum())
        n_hits = int((likely & matches[place].hits).sum())
        told = f"{_counted(n_found)}, {n_found - n_hits} false, {n_true - n_hits} missed"
        wrong = not n_hits == n_found == n_true
        pictures.append(Shown(data_uri(pixels, DRAWN_SIDE), cut(file), _counted(n_true), told, wrong))
    words = f"What is there is dashed; what was found with a score above {SHOWN_SCORE:g} has a colour for each class."
    return Gallery("drawn", "Holdout images", words, tuple(pictures))


def _false_boxes(images: DetectedImages, matches: Sequence[Matches]) -> Gallery:
    """The found boxes that hit no true one, with the highest scores."""
    owners, places, scores = _flat(
        [found.scores * ~match.hits for found, match in zip(images.found, matches, strict=True)]
    )
    worst = np.argsort(-scores, kind="stable")[: min(N_WORST, np.count_nonzero(scores))]
    pictures = []
    for (file, pixels), image, place in _looked_at(images, owners[worst], places[worst]):
        box = images.found_boxes(image)[place]
        picture = _part(pixels, box, [box], images.true_boxes(image), images.names)
        told = f"{cut(box['label'])} {box['score']:.2f}"
        pictures.append(Shown(picture, cut(file), "none that it hits", told, wrong=True))
    words = (
        "The boxes with the highest scores that hit no true one, whatever their score, and, dashed, the true ones that "
        "they meet."
        if pictures
        else "There are none: every box that was found hits a true one."
    )
    return Gallery("false", "False boxes", words, tuple(pictures))


def _missed_boxes(images: DetectedImages, matches: Sequence[Matches]) -> Gallery:
    """The true boxes that no likely box hits, those with the lowest scores, and of these the largest."""
    owners, places, scores = _flat(
        [_scores_of_truths(*each) for each in zip(images.truth, images.found, matches, strict=True)]
    )
    *_, areas = _flat([_areas(true.corners) for true in images.truth])
    order = np.lexsort((-areas, scores))
    worst = order[: min(N_WORST, np.count_nonzero(scores <= SHOWN_SCORE))]
    pictures = []
    for number, ((file, pixels), image, place) in zip(
        worst.tolist(), _looked_at(images, owners[worst], places[worst]), strict=True
    ):
        box, score = images.true_boxes(image)[place], float(scores[number])
        picture = _part(pixels, box, images.likely_boxes(image), [box], images.names)
        told = f"{cut(box['label'])} {score:.2f}" if score else "nothing"
        pictures.append(Shown(picture, cut(file), cut(box["label"]), told, wrong=True))
    words = (
        f"The true boxes (dashed) that no box with a score above {SHOWN_SCORE:g} hits: first those that none hits at "
        "all, the largest first. What was found there is in colours."
        if pictures
        else f"There are none: every true box is hit by one with a score above {SHOWN_SCORE:g}."
    )
    return Gallery("missed", "Missed boxes", words, tuple(pictures))


def _looked_at(
    images: DetectedImages, owners: np.ndarray, places: np.ndarray
) -> list[tuple[tuple[str, np.ndarray], int, int]]:
    """File and pixels, number of the image, and place of the box in it, of some boxes."""
    looked = images.holdout.look(owners) if len(owners) else []
    return list(zip(looked, owners.tolist(), places.tolist(), strict=True))


def _part(
    pixels: np.ndarray, box: Box, found: Sequence[Box], true: Sequence[Box], names: Sequence[str]
) -> str:
    """What is around a box, with the boxes that it meets, as a data URI."""
    found, true = ([one for one in boxes if _meet(one["box"], box["box"])] for boxes in (found, true))
    part = draw_window(pixels, around(box["box"], pixels), PART_SIDE, found, true, names)
    return data_uri(part, PART_SIDE)


def _meet(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _flat(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values one after the other, as (image, place in it, value)."""
    counts = [len(part) for part in parts]
    owners = np.repeat(np.arange(len(parts)), counts)
    places = np.concatenate([np.empty(0, np.int64), *map(np.arange, counts)])
    return owners, places, np.concatenate([np.empty(0), *parts])


def _scores_of_truths(true: TrueBoxes, found: ScoredBoxes, match: Matches) -> np.ndarray:
    """(truths,): the score of the box that hits each; 0 where none does."""
    scores = np.zeros(len(true.classes))
    scores[match.truths[match.hits]] = found.scores[match.hits]
    return scores


def _areas(corners: np.ndarray) -> np.ndarray:
    return (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])


def _counted(count: int) -> str:
    return "1 box" if count == 1 else f"{count} boxes"
