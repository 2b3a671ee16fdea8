"""What a TFLite file says of an image."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from sensenet.errors import ModelFormatError
from sensenet.formats.base import PathLike
from sensenet.formats.smbundle.serving import IMAGE_INPUT
from sensenet.formats.tflite.writing import TFLITE, read_facts
from sensenet.models.predict.images import RawImages
from sensenet.preprocess.reading import ImageReading

DETECTOR_OUTPUTS = ("boxes", "scores", "classes")


def tflite_predict(path: PathLike, image_file: Any) -> list[np.ndarray]:
    """What a TFLite file of a model of one image says, by `ai-edge-litert` where that is installed.

    Args:
        path: a file that `sensenet.convert` wrote.
        image_file: an image in any form of `sensenet.preprocess.reading.read_image`.

    Returns:
        `[output]`, (1, classes) probabilities or (1, 1) numbers; of a detector `[boxes, scores, classes]` with all its
        boxes: (1, boxes, 4) float32, x1, y1, x2, y2 in whole pixels of the image, (1, boxes) float32, (1, boxes) int32.

    Raises:
        ModelFormatError: not such a file, or a model of other fields.
        InputError: an image that cannot be read.
        OSError: the file cannot be read.
    """
    facts = read_facts(path)
    if [field["type"] for field in facts["fields"]] != ["image"]:
        raise ModelFormatError(f"{os.fspath(path)}: expected a model of one image and nothing else")
    image = facts["image"]
    reading = ImageReading(color_space=image["colour_order"], exif_rotation=image["exif_rotation"])
    pixels = RawImages(reading, len(image["colour_order"]), several=False).one(image_file, "image_file")
    consumer = next(consumer for consumer in TFLITE.consumers if consumer.is_installed())
    (answer,) = consumer.run(os.fspath(path), [{IMAGE_INPUT: pixels}])
    names = DETECTOR_OUTPUTS if facts["type"] == "detection" else ("output",)
    return [answer[name] for name in names]
