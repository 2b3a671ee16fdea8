"""Files become what predicts images; what a file is, its content says, never its name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sensenet.errors import ModelFormatError
from sensenet.files import is_file, open_regular
from sensenet.formats.frozen_graph import DETECTION_OUTPUTS, GRAPH_FILE, IMAGE_TENSOR
from sensenet.formats.smbundle.functions import SAVED_MODEL
from sensenet.formats.smbundle.serving import IMAGE_INPUT
from sensenet.models.wrappers import create_model
from sensenet.predictors.detection_graphs import detection_predictor, is_detection_graph
from sensenet.predictors.exports import exported_predictor
from sensenet.predictors.naming import Labels
from sensenet.predictors.predictor import ImagePredictor, predictor_of_model
from sensenet.predictors.runtimes import Opened, open_graph, open_onnx, open_savedmodel, open_tflite

HEAD_BYTES = 4096
DOCUMENT, SAVEDMODEL, FROZEN, TFLITE, ONNX = (
    "document or bundle",
    "SavedModel",
    "frozen graph",
    "TFLite file",
    "ONNX file",
)
_TFLITE_MAGIC = b"TFL3"
# protocol buffers begin with the number and type of a field: of ONNX its version, of graphs a node, or another field
_ONNX_FIELD, _GRAPH_FIELDS = b"\x08", (b"\x0a", b"\x12", b"\x22")
_SAVED_MODEL_BEGINNING = b"\x08\x01\x12"
_CONTROL_CHARACTERS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def kind_of_model(path: Path) -> str:
    """What a file or folder is: `DOCUMENT` where it is none of the others.

    Raises:
        ModelFormatError: a folder without a model.
        OSError, ValueError: see `sensenet.files.open_regular`.
    """
    if path.is_dir():
        if is_file(path / SAVED_MODEL):
            return SAVEDMODEL
        if is_file(path / GRAPH_FILE):
            return FROZEN
        raise ModelFormatError(f"{path}: expected a file, or a folder with {SAVED_MODEL} or {GRAPH_FILE}")
    with open_regular(path) as file:
        head = file.read(HEAD_BYTES)
    if head[4:8] == _TFLITE_MAGIC:
        return TFLITE
    if head.startswith(_SAVED_MODEL_BEGINNING):
        return SAVEDMODEL
    if head.startswith(_ONNX_FIELD):
        return ONNX
    # a line end, too, begins as a graph does; but JSON has no control characters, and behind a node's name comes one
    is_text = _CONTROL_CHARACTERS.search(head) is None
    return FROZEN if head.startswith(_GRAPH_FIELDS) and not is_text else DOCUMENT


def open_image_predictor(
    path: str | os.PathLike[str], min_score: float | None, labels: Labels
) -> ImagePredictor:
    """What predicts images with a file or folder.

    A SavedModel and a frozen graph are programs, which TensorFlow runs: see docs/security.md.

    Args:
        path: of a document, a bundle, a SavedModel, a TFLite or ONNX file, or a frozen graph of a detector.
        min_score: a box's score has to be above it; None: what the file says, else 0.5.
        labels: other names of the classes, as far as they are theirs (`naming.class_names`).

    Raises:
        ModelFormatError: it cannot be read, or is none of these.
        InputError: a model that does not predict images, or a label map of other classes.
        SettingsError: the program that runs it is not installed.
        OSError: it cannot be read.
    """
    place = Path(path)
    try:
        kind = kind_of_model(place)
    except ValueError as error:
        raise ModelFormatError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    if kind == DOCUMENT:
        settings = {"input_image_format": "pixel_values", "bounding_box_threshold": min_score}
        return predictor_of_model(create_model(place, settings), labels, str(path))
    opened, folder = _open(kind, place)
    if is_detection_graph(opened):
        return detection_predictor(opened, folder, min_score, labels)
    if kind == FROZEN and opened.facts is None:
        raise ModelFormatError(
            f"{path}: expected a graph with {IMAGE_TENSOR} and {', '.join(DETECTION_OUTPUTS)}, as detectors of the "
            "TensorFlow models repository have, or one that was exported here, with its facts.json beside it"
        )
    return exported_predictor(opened, min_score, labels, str(path), keeps_boxes=kind == SAVEDMODEL)


def _open(kind: str, path: Path) -> tuple[Opened, Path]:
    """A file, and the folder that it is in."""
    folder = path if path.is_dir() else path.parent
    if kind == SAVEDMODEL:
        return open_savedmodel(folder), folder
    if kind == FROZEN:
        graph = path / GRAPH_FILE if path.is_dir() else path
        return open_graph(graph, (IMAGE_TENSOR, IMAGE_INPUT), (*DETECTION_OUTPUTS, "output")), folder
    return (open_tflite if kind == TFLITE else open_onnx)(path), folder
