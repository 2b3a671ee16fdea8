"""What predicts images with a file that one of our exporters wrote: its facts say how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sensenet.detection import Boxes, Suppression, as_dicts, non_max_suppression
from sensenet.errors import InputError, ModelFormatError
from sensenet.formats.facts import FACTS_VERSION
from sensenet.formats.smbundle.serving import IMAGE_INPUT
from sensenet.models.predict.images import RawImages
from sensenet.predictors.naming import Labels, distinct, renamed
from sensenet.predictors.predictor import (
    CLASSIFICATION,
    DETECTION,
    REGRESSION,
    ImagePredictor,
    wrong_fields,
)
from sensenet.predictors.runtimes import Opened
from sensenet.preprocess.reading import ImageReading


def exported_predictor(
    opened: Opened, min_score: float | None, labels: Labels, place: str, keeps_boxes: bool
) -> ImagePredictor:
    """What predicts images with an export.

    Args:
        opened: the file.
        min_score: a box's score has to be above it; None: what the facts say.
        labels: other names of the classes.
        place: what to call the file in an error.
        keeps_boxes: whether a detector gives the boxes that are kept, or all of them.

    Raises:
        ModelFormatError: the file was not written here, or its facts are damaged.
        InputError: a model of other fields than one image, a score below which the file gives no boxes, or a label
            map of other classes.
    """
    facts = opened.facts
    if not isinstance(facts, Mapping) or facts.get("facts_version") != FACTS_VERSION:
        raise ModelFormatError(
            f"{place}: expected a file that was exported here, with facts of version {FACTS_VERSION}"
        )
    try:
        return _predictor(opened, facts, min_score, labels, place, keeps_boxes)
    except (KeyError, TypeError) as error:
        raise ModelFormatError(f"{place}: the facts of the model are damaged: {error!r:.100}") from error


def checked_min_score(min_score: float | None, threshold: float) -> float:
    """The score above which boxes are shown, of a file that gives those above `threshold`.

    Raises:
        InputError: it is below that.
    """
    if min_score is not None and min_score < threshold:
        raise InputError(
            f"--min-score: this file gives the boxes above {threshold:g} only, got {min_score:g}"
        )
    return threshold if min_score is None else min_score


def _predictor(
    opened: Opened,
    facts: Mapping[str, Any],
    min_score: float | None,
    labels: Labels,
    place: str,
    keeps_boxes: bool,
) -> ImagePredictor:
    if [field["type"] for field in facts["fields"]] != ["image"]:
        raise wrong_fields(place)
    image, kind = facts["image"], facts["type"]
    if kind not in (DETECTION, CLASSIFICATION, REGRESSION):
        raise ModelFormatError(f"{place}: expected a model that detects or predicts, got {kind!r:.40}")
    classes = renamed(facts["classes"] or (), labels)
    # the channels are those of the file, as everywhere: see `ImageReading.color_space`
    channels = RawImages(ImageReading(), len(image["colour_order"]), several=False)

    def run(pixels: np.ndarray) -> dict[str, np.ndarray]:
        return opened.run({IMAGE_INPUT: channels.one(pixels, place)})

    rotation = bool(image["exif_rotation"])
    if kind != DETECTION:
        return ImagePredictor(kind, distinct(classes), rotation, lambda pixels: run(pixels)["output"][0])
    rule = Suppression(**facts["detection"])
    threshold = checked_min_score(min_score, rule.threshold) if keeps_boxes else min_score
    if threshold is not None:
        rule = replace(rule, threshold=threshold)
    return ImagePredictor(kind, classes, rotation, lambda pixels: as_dicts(_kept(run(pixels), rule), classes))


def _kept(found: Mapping[str, np.ndarray], rule: Suppression) -> Boxes:
    """The boxes that the rule keeps; of those that were kept already, none is left out but for its score."""
    corners = np.rint(found["boxes"][0]).astype(np.int32)
    boxes = Boxes(corners, found["scores"][0], found["classes"][0].astype(np.int32))
    return boxes.take(non_max_suppression(boxes, rule))
