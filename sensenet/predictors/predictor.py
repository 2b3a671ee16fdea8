"""One face for all that predicts an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensenet.detection import Boxes, as_dicts
from sensenet.document.fields import ImageField
from sensenet.errors import InputError
from sensenet.models.deepnet import Deepnet
from sensenet.models.detector import Detector
from sensenet.predictors.naming import Labels, distinct, renamed

DETECTION, CLASSIFICATION, REGRESSION = "detection", "classification", "regression"
DEFAULT_MIN_SCORE = 0.5


@dataclass(frozen=True, eq=False)
class ImagePredictor:
    """What predicts images.

    Attributes:
        kind: `DETECTION`, `CLASSIFICATION` or `REGRESSION`.
        classes: the names of what it can find or tell apart, so far as they are known.
        exif_rotation: whether images have to be turned as their EXIF orientation says.
        answer: (h, w, 3) uint8 RGB -> boxes as `sensenet.detection.as_dicts` gives them, best first; or (outputs,)
            float32.
    """

    kind: str
    classes: tuple[str, ...]
    exif_rotation: bool
    answer: Callable[[np.ndarray], Any]


def predictor_of_model(model: Any, labels: Labels, place: str) -> ImagePredictor:
    """What predicts images with a model of ours.

    Args:
        model: a `Detector`, or a `Deepnet` of one image.
        labels: other names of its classes.
        place: what to call the model in an error.

    Raises:
        InputError: a model of other fields, or a label map of other classes.
    """
    if isinstance(model, Detector):
        classes = renamed(model.classes, labels)

        def find(pixels: np.ndarray) -> list[dict[str, Any]]:
            (found,) = model.kept_boxes([pixels])
            return as_dicts(Boxes(*found), classes)

        return ImagePredictor(DETECTION, classes, model.exif_rotation, find)
    if not isinstance(model, Deepnet):
        raise InputError(f"{place}: it gives features of images; a model that predicts is needed")
    fields = [codec.field for codec in model.codecs]
    if len(fields) != 1 or not isinstance(fields[0], ImageField):
        raise wrong_fields(place)
    kind = REGRESSION if model.classes is None else CLASSIFICATION
    classes = distinct(renamed(model.classes or (), labels))
    image = model.facts()["image"]  # which bundles of the published package do not have
    rotation = image is not None and image["exif_rotation"]
    return ImagePredictor(kind, classes, rotation, lambda pixels: model(pixels)[0])


def wrong_fields(place: str) -> InputError:
    """The error of a model that takes more than an image."""
    return InputError(f"{place}: it takes more than one image, or none; give it a table")
