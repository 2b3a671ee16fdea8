"""What `sensenet_predict` does with images: a line of JSON for each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from tqdm import tqdm

from sensenet.commands.output import written_to
from sensenet.commands.reading_options import warn
from sensenet.document.wording import counted
from sensenet.drawing import draw
from sensenet.drawn_pictures import prepare_folder, write_picture
from sensenet.errors import InputError
from sensenet.label_map import read_label_map
from sensenet.predictors.naming import Labels
from sensenet.predictors.opening import open_image_predictor
from sensenet.predictors.predictor import CLASSIFICATION, DETECTION, ImagePredictor
from sensenet.preprocess.decoding import decode_image
from sensenet.preprocess.image_files import read_named_file
from sensenet.preprocess.remote_images import fetch_image, is_address


def predict_images(parsed: argparse.Namespace) -> None:
    """Write a line of JSON for each image that can be read; what is wrong with the others goes to standard error.

    Args:
        parsed: the options.

    Raises:
        SensenetError: a model or a label map that cannot be used, or images that could not be read.
        OSError: a result cannot be written.
    """
    if parsed.min_score is not None and not 0 <= parsed.min_score <= 1:
        raise InputError(f"--min-score: expected a number from 0 to 1, got {parsed.min_score:g}")
    items = () if parsed.labels is None else read_label_map(parsed.labels)
    predictor = open_image_predictor(parsed.model, parsed.min_score, Labels(items, warn))
    if parsed.draw is not None:
        if predictor.kind != DETECTION:
            raise InputError(f"--draw: {parsed.model} finds no boxes that could be drawn")
        prepare_folder(parsed.draw, [name for name in parsed.inputs if not is_address(name)])
    n_failed = 0
    with written_to(parsed.output) as write:
        for number, name in enumerate(tqdm(parsed.inputs, unit=" images", leave=False, disable=None)):
            try:
                line = _line(predictor, name, number, parsed)
            except InputError as error:
                n_failed += 1
                warn(str(error))
                continue
            write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            if parsed.output is None:
                sys.stdout.flush()
    if n_failed:
        raise InputError(f"{counted(n_failed, 'image')} of {len(parsed.inputs)} could not be read")


def _line(predictor: ImagePredictor, name: str, number: int, parsed: argparse.Namespace) -> dict[str, Any]:
    """What is said of an image.

    Raises:
        InputError: it cannot be read; names it.
        OSError: the picture cannot be written.
    """
    data = fetch_image(name) if is_address(name) else read_named_file("", name)
    try:
        pixels = np.asarray(decode_image(data, predictor.exif_rotation))
        answer = predictor.answer(pixels)
        line = {"file": name, **_said(predictor, answer)}
        if parsed.draw is not None:
            picture = draw(data, answer, classes=predictor.classes, exif_rotation=predictor.exif_rotation)
            called = name.partition("?")[0] if is_address(name) else name
            path = write_picture(picture, parsed.draw, number, len(parsed.inputs), called, data)
            line["image"] = str(path)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    return line


def _said(predictor: ImagePredictor, answer: Any) -> dict[str, Any]:
    if predictor.kind == DETECTION:
        return {"boxes": [_box(box) for box in answer]}
    if predictor.kind == CLASSIFICATION:
        return {"probabilities": dict(zip(predictor.classes, answer.tolist(), strict=True))}
    return {"prediction": float(answer[0])}


def _box(box: Mapping[str, Any]) -> dict[str, Any]:
    coordinates = dict(zip(("x0", "y0", "x1", "y1"), box["box"], strict=True))
    return {"coordinates": coordinates, "label": box["label"], "confidence": box["score"]}
