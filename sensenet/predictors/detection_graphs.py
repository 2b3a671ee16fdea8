"""Detectors with the tensors that the TensorFlow models repository exports: ours, and any other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sensenet.errors import ModelFormatError
from sensenet.files import is_file
from sensenet.formats.frozen_graph import DETECTION_OUTPUTS
from sensenet.label_map import LABEL_MAP_FILE, labels_by_id, read_label_map
from sensenet.predictors.exports import checked_min_score
from sensenet.predictors.predictor import DEFAULT_MIN_SCORE, DETECTION, ImagePredictor, Names
from sensenet.predictors.runtimes import Opened

OPAQUE = 255


def is_detection_graph(opened: Opened) -> bool:
    """Whether a file takes one image and gives boxes as those detectors do."""
    return len(opened.inputs) == 1 and opened.outputs >= set(DETECTION_OUTPUTS)


def detection_predictor(
    opened: Opened, folder: Path, min_score: float | None, names: Names
) -> ImagePredictor:
    """What finds boxes with such a file.

    Args:
        opened: the file.
        folder: where its label map may be.
        min_score: a box's score has to be above it; None: what the facts say, else 0.5.
        names: of the classes, in the place of those of the label map; a class without a name is called by its number.

    Raises:
        ModelFormatError: damaged facts.
        InputError: a label map that cannot be read, or a score below which the file gives no boxes.
    """
    if not names and is_file(folder / LABEL_MAP_FILE):
        names = labels_by_id(read_label_map(folder / LABEL_MAP_FILE))
    (image,) = opened.inputs
    facts = opened.facts if isinstance(opened.facts, Mapping) else {}
    try:
        n_channels = len(facts["image"]["colour_order"]) if facts else 3
        rotation = bool(facts["image"]["exif_rotation"]) if facts else False
        baked = float(facts["detection"]["threshold"]) if facts else None
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFormatError(f"{folder}: the facts of the model are damaged: {error!r:.100}") from error
    if baked is None:
        threshold = DEFAULT_MIN_SCORE if min_score is None else min_score
    else:
        threshold = checked_min_score(min_score, baked)

    def find(pixels: np.ndarray) -> list[dict[str, Any]]:
        alpha = [(0, 0), (0, 0), (0, n_channels - pixels.shape[-1])]
        found = opened.run({image: np.pad(pixels, alpha, constant_values=OPAQUE)[None]})
        return _as_dicts(found, pixels.shape, threshold, names)

    return ImagePredictor(DETECTION, tuple(names.values()), rotation, find)


def _as_dicts(
    found: Mapping[str, np.ndarray], shape: tuple[int, ...], threshold: float, names: Names
) -> list[dict[str, Any]]:
    """What `sensenet.detection.as_dicts` gives, of boxes in shares of an image of `shape`."""
    height, width = shape[:2]
    n_boxes = int(found["num_detections"][0])
    boxes, scores, classes = (found[name][0][:n_boxes] for name in DETECTION_OUTPUTS[:3])
    corners = np.rint(boxes[:, [1, 0, 3, 2]] * np.array([width, height] * 2, np.float32)).astype(np.int64)
    likely = [i for i in np.argsort(-scores, kind="stable").tolist() if scores[i] > np.float32(threshold)]
    return [
        {
            "box": corners[i].tolist(),
            "label": names.get(int(classes[i]), str(int(classes[i]))),
            "score": float(scores[i]),
        }
        for i in likely
    ]
