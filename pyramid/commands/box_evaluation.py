"""How good a detector is on images whose boxes are known: metrics, and pictures of what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import sensenet
from pyramid.commands.box_pictures import draw_rows, prepare_for_rows
from pyramid.commands.console import CommandError
from pyramid.commands.image_batches import predict_batches
from pyramid.commands.labelled_rows import BoxRows
from pyramid.commands.scores import box_report
from pyramid.errors import DataError
from pyramid.images.rows import listed
from pyramid.train.box_matching import LEAST_SCORE, MOST_FOUND, TrueBoxes
from pyramid.train.box_metrics import evaluate_boxes
from sensenet.detection import Boxes
from sensenet.errors import ModelFormatError, SettingsError
from sensenet.models.detector import Detector


def evaluate_detector(path: Path, rows: BoxRows, threshold: float, folder: Path | None) -> None:
    """Print the metrics of a detector.

    Args:
        path: of its document or bundle.
        rows: images and their boxes.
        threshold: of the score, for precision, recall and pictures.
        folder: where pictures go; None: nowhere.

    Raises:
        CommandError: a model that cannot be used.
        DataError: images that cannot be read, or classes that the model does not know; names up to twenty.
    """
    detector = _detector(path)
    truth = _true_boxes(rows, detector.classes)
    if folder is not None:
        prepare_for_rows(folder, rows)
    found = _found(detector, rows)
    print(f"{len(truth)} images, {sum(len(each.classes) for each in truth)} boxes")
    print(box_report(evaluate_boxes(truth, found, len(detector.classes)), detector.classes, threshold))
    if folder is not None:
        likely = [boxes.take(boxes.scores > np.float32(threshold)) for boxes in found]
        draw_rows(rows, likely, detector, folder)


def _true_boxes(rows: BoxRows, classes: Sequence[str]) -> list[TrueBoxes]:
    places = {name: place for place, name in enumerate(classes)}
    unknown = [
        f"row {number}/boxes/{place}: {box[-1]:.80}"
        for number, boxes in enumerate(rows.boxes)
        for place, box in enumerate(boxes)
        if box[-1] not in places
    ]
    if unknown:
        raise DataError(
            f"{len(unknown)} boxes are of no class of the model, whose classes are "
            f"{', '.join(classes)!s:.200}:\n{listed(unknown)}"
        )
    return [
        TrueBoxes(
            np.array([box[:-1] for box in boxes], np.float64).reshape(-1, 4),
            np.array([places[box[-1]] for box in boxes], np.int64),
        )
        for boxes in rows.boxes
    ]


def _detector(path: Path) -> Detector:
    # average precision needs boxes of nearly every score
    settings = {
        "bounding_box_threshold": LEAST_SCORE,
        "max_objects": MOST_FOUND,
        "output_unfiltered_boxes": False,
        "pad_bounding_box_output": False,
    }
    try:
        model = sensenet.create_model(path, settings)
    except ModelFormatError as error:
        raise CommandError(f"{path}: {error}") from error
    except SettingsError as error:
        raise CommandError(
            f"{path}: this bundle gives no boxes of low scores, which average precision needs; evaluate the "
            "model's JSON document"
        ) from error
    if not isinstance(model, Detector):
        raise CommandError(f"{path} finds no boxes, so its rows need labels, but these have boxes")
    return model


def _found(detector: Detector, rows: BoxRows) -> list[Boxes]:
    def predict(images: list[bytes]) -> list[Boxes]:
        found = detector.arrays(images)
        # a list of one image is one image
        return [Boxes(*each) for each in (found if len(images) > 1 else [found])]

    return [boxes for batch in predict_batches(predict, rows.files, rows) for boxes in batch]
