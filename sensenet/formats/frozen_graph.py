"""Frozen graphs: a GraphDef in a file, for programs that know nothing else; detectors as the models repository's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import tensorflow as tf

from sensenet.detection import Suppression
from sensenet.directories import Marker, write_directory
from sensenet.formats.base import FACTS_FILE, Arrays, Format, PathLike
from sensenet.formats.consumers import tensorflow_consumers
from sensenet.formats.exported import Exported, exported, freeze
from sensenet.formats.facts import FACTS_BEGINNING
from sensenet.formats.smbundle.serving import IMAGE_INPUT, kept_boxes
from sensenet.label_map import FIRST_CLASS, LABEL_MAP_FILE, label_map_text, numbered_names

GRAPH_FILE = "frozen_inference_graph.pb"
IMAGE_TENSOR = "image_tensor"
DETECTION_OUTPUTS = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")


def write_frozen_graph(model: Any, path: PathLike) -> str:
    """Write a model as a directory of `frozen_inference_graph.pb` and `facts.json`.

    A detector's graph takes `image_tensor` (1, height, width, channels) uint8, and gives of the n boxes that are kept,
    best first, `detection_boxes` (1, n, 4) float32 as ymin, xmin, ymax, xmax in shares of the image,
    `detection_scores` (1, n) float32, `detection_classes` (1, n) float32 from 1, and `num_detections` (1,) float32, as
    detectors exported by the TensorFlow models repository do; `label_map.pbtxt` names the classes. Other models' graphs
    have the tensors of `formats.exported.Exported`.

    Raises:
        ModelFormatError, OSError: see `exported`, `write_directory`.
    """
    made = exported(model)
    files = {FACTS_FILE: orjson.dumps(made.facts)}
    function = made.function
    if made.facts["detection"] is not None:
        function = _detection(made)
        files[LABEL_MAP_FILE] = label_map_text(numbered_names(made.facts["classes"])).encode()
    definition = function.graph.as_graph_def()
    content = definition.SerializeToString(deterministic=True)
    return write_directory(path, {GRAPH_FILE: content, **files}, Marker(FACTS_FILE, FACTS_BEGINNING))


def _detection(made: Exported) -> Any:
    """The concrete function of one uint8 image to the boxes that are kept."""
    rule = Suppression(**made.facts["detection"])

    def detect(image_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        found = kept_boxes(made.function(**{IMAGE_INPUT: tf.cast(image_tensor, tf.float32)}), rule)
        height, width = tf.unstack(tf.cast(tf.shape(image_tensor)[1:3], tf.float32))
        x1, y1, x2, y2 = tf.unstack(found["boxes"], axis=2)
        return {
            "detection_boxes": tf.stack([y1 / height, x1 / width, y2 / height, x2 / width], axis=2),
            "detection_scores": found["scores"],
            "detection_classes": tf.cast(found["classes"] + FIRST_CLASS, tf.float32),
            "num_detections": tf.reshape(tf.cast(tf.shape(found["scores"])[1], tf.float32), (1,)),
        }

    channels = len(made.facts["image"]["colour_order"])
    image = tf.TensorSpec((1, None, None, channels), tf.uint8, name=IMAGE_TENSOR)
    return freeze(tf.function(detect, input_signature=[image], autograph=False).get_concrete_function())


def run_frozen_graph(
    run: Callable[..., Any], path: str, calls: Sequence[Arrays]
) -> list[dict[str, np.ndarray]]:
    """What TensorFlow says of such a directory, boxes in whole pixels, classes from 0; `run` is how it is run."""
    facts = orjson.loads((Path(path) / FACTS_FILE).read_bytes())
    graph = str(Path(path) / GRAPH_FILE)
    if facts["detection"] is None:
        return list(run("frozen_graph", graph, calls, [output["name"] for output in facts["outputs"]]))
    images = [call[IMAGE_INPUT] for call in calls]
    answers = run(
        "frozen_graph", graph, [{IMAGE_TENSOR: image.astype(np.uint8)} for image in images], DETECTION_OUTPUTS
    )
    return [_in_pixels(answer, image) for answer, image in zip(answers, images, strict=True)]


def _in_pixels(answer: Arrays, image: np.ndarray) -> dict[str, np.ndarray]:
    y1, x1, y2, x2 = np.moveaxis(answer["detection_boxes"], 2, 0)
    height, width = image.shape[1:3]
    return {
        "boxes": np.rint(np.stack([x1 * width, y1 * height, x2 * width, y2 * height], axis=2)),
        "scores": answer["detection_scores"],
        "classes": answer["detection_classes"].astype(np.int32) - FIRST_CLASS,
    }


FROZEN_GRAPH = Format(write_frozen_graph, consumers=tensorflow_consumers(run_frozen_graph), keeps_boxes=True)
