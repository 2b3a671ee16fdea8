"""One face for all that predicts an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensenet.detection import Boxes, as_dicts
from sensenet.document.fields import ImageField
from sensenet.errors import InputError
from sensenet.label_map import FIRST_CLASS
from sensenet.models.deepnet import Deepnet
from sensenet.models.detector import Detector

DETECTION, CLASSIFICATION, REGRESSION = "detection", "classification", "regression"
DEFAULT_MIN_SCORE = 0.5
Names = Mapping[int, str]
"""Of a label map: the names of classes by their numbers, from 1."""


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


def predictor_of_model(model: Any, names: Names, place: str) -> ImagePredictor:
    """What predicts images with a model of ours.

    Args:
        model: a `Detector`, or a `Deepnet` of one image.
        names: in the place of the model's own.
        place: what to call the model in an error.

    Raises:
        InputError: a model of other fields.
    """
    if isinstance(model, Detector):
        classes = renamed(model.classes, names)

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
    classes = distinct(renamed(model.classes or (), names))
    image = model.facts()["image"]  # which bundles of the published package do not have
    rotation = image is not None and image["exif_rotation"]
    return ImagePredictor(kind, classes, rotation, lambda pixels: model(pixels)[0])


def wrong_fields(place: str) -> InputError:
    """The error of a model that takes more than an image."""
    return InputError(f"{place}: it takes more than one image, or none; give it a table")


def renamed(classes: Sequence[str], names: Names) -> tuple[str, ...]:
    """The classes of a model by other names; one that has none keeps its own."""
    return tuple(names.get(number, name) for number, name in enumerate(classes, FIRST_CLASS))


def distinct(classes: tuple[str, ...]) -> tuple[str, ...]:
    """The same classes.

    Raises:
        InputError: two of one name, whose probabilities nobody could tell apart.
    """
    twice = [name for name in classes if classes.count(name) > 1]
    if twice:
        raise InputError(f'--labels: two classes are called "{twice[0]}"')
    return classes
