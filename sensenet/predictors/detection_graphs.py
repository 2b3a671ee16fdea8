"""Detectors with the tensors that the TensorFlow models repository exports: ours, and any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sensenet.detection import Boxes
from sensenet.errors import ModelFormatError
from sensenet.files import is_file
from sensenet.formats.frozen_graph import DETECTION_OUTPUTS
from sensenet.label_map import FIRST_CLASS, LABEL_MAP_FILE, read_label_map
from sensenet.predictors.exports import checked_min_score
from sensenet.predictors.naming import Labels, class_names, renamed
from sensenet.predictors.predictor import DEFAULT_MIN_SCORE, DETECTION, ImagePredictor
from sensenet.predictors.runtimes import Opened

OPAQUE = 255


def is_detection_graph(opened: Opened) -> bool:
    """Whether a file takes one image and gives boxes as those detectors do."""
    return len(opened.inputs) == 1 and opened.outputs >= set(DETECTION_OUTPUTS)


def detection_predictor(
    opened: Opened, folder: Path, min_score: float | None, labels: Labels
) -> ImagePredictor:
    """What finds boxes with such a file.

    Args:
        opened: the file.
        folder: where its label map may be.
        min_score: a box's score has to be above it; None: what the facts say, else 0.5.
        labels: other names of the classes; a class without a name is called by its number.

    Raises:
        ModelFormatError: damaged facts.
        InputError: a label map that cannot be read or is of other classes, or a score below which the file gives no
            boxes.
    """
    (image,) = opened.inputs
    facts = opened.facts if isinstance(opened.facts, Mapping) else {}
    try:
        n_channels = len(facts["image"]["colour_order"]) if facts else 3
        rotation = bool(facts["image"]["exif_rotation"]) if facts else False
        baked = float(facts["detection"]["threshold"]) if facts else None
        classes = list(facts["classes"]) if facts else []
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFormatError(f"{folder}: the facts of the model are damaged: {error!r:.100}") from error
    names = _names(classes, folder / LABEL_MAP_FILE, labels)
    if baked is None:
        threshold = DEFAULT_MIN_SCORE if min_score is None else min_score
    else:
        threshold = checked_min_score(min_score, baked)

    def find(pixels: np.ndarray) -> list[dict[str, Any]]:
        alpha = [(0, 0), (0, 0), (0, n_channels - pixels.shape[-1])]
        found = opened.run({image: np.pad(pixels, alpha, constant_values=OPAQUE)[None]})
        boxes = _boxes(found, pixels.shape)
        return _as_dicts(boxes if facts else _inside(boxes, pixels.shape), threshold, names)

    return ImagePredictor(DETECTION, tuple(names.values()), rotation, find)


def _names(classes: Sequence[str], beside: Path, labels: Labels) -> dict[int, str]:
    """The names of classes: of those that the facts know, else of the label map beside the graph."""
    items = read_label_map(beside) if is_file(beside) else ()
    if classes:
        given = labels if labels.items else replace(labels, items=items, place=str(beside))
        return dict(enumerate(renamed(classes, given), FIRST_CLASS))
    return class_names({item.id: (item.name, item.label) for item in items}, labels)


def _boxes(found: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> Boxes:
    """The boxes of one image of `shape`, in pixels, with classes as float32: what is no number is still in them."""
    height, width = shape[:2]
    n_boxes = max(0, int(np.nan_to_num(found["num_detections"][0])))
    shares, scores, classes = (found[name][0][:n_boxes] for name in DETECTION_OUTPUTS[:3])
    return Boxes(shares[:, [1, 0, 3, 2]] * np.array([width, height] * 2, np.float32), scores, classes)


def _inside(boxes: Boxes, shape: tuple[int, ...]) -> Boxes:
    """What is in an image of boxes that nobody vouches for: those that are finite, upright and not beyond it."""
    height, width = shape[:2]
    is_finite = np.isfinite(boxes.corners).all(axis=1) & np.isfinite(boxes.classes)
    corners = np.clip(np.where(is_finite[:, None], boxes.corners, 0), 0, [width, height] * 2)
    has_area = (np.rint(corners[:, 2:]) > np.rint(corners[:, :2])).all(axis=1)
    return replace(boxes, corners=corners).take(is_finite & has_area)


def _as_dicts(boxes: Boxes, threshold: float, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """What `sensenet.detection.as_dicts` gives, best first."""
    corners = np.rint(boxes.corners).astype(np.int64)
    likely = [
        i
        for i in np.argsort(-boxes.scores, kind="stable").tolist()
        if boxes.scores[i] > np.float32(threshold)
    ]
    return [
        {
            "box": corners[i].tolist(),
            "label": names.get(int(boxes.classes[i]), str(int(boxes.classes[i]))),
            "score": float(boxes.scores[i]),
        }
        for i in likely
    ]
