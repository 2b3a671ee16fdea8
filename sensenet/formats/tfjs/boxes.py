"""A detector's function for TensorFlow.js: of all its boxes those that are kept."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from sensenet.detection import Suppression
from sensenet.formats.smbundle.serving import IMAGE_INPUT, chosen_boxes


def kept_boxes_function(function: Any, rule: Suppression) -> Any:
    """`function` of one image, and of its boxes those that `rule` keeps, best first.

    The operation that chooses them is NonMaxSuppressionV3, which has no batches, and which TensorFlow.js runs in
    `executeAsync` (and `predictAsync`) only: the loop in plain operations that `execute` could run costs one round
    trip to the graphics chip a box.

    Args:
        function: concrete, of `image_pixel_inputs`, to `boxes` (n, boxes, 4), `scores` and `classes` (n, boxes).
        rule: which boxes are kept.

    Returns:
        The same with the shapes (1, h, w, channels), (1, k, 4), (1, k) and (1, k).
    """
    (spec,) = function.structured_input_signature[1].values()
    one = tf.TensorSpec((1, *spec.shape[1:]), spec.dtype, name=IMAGE_INPUT)

    def kept(image_pixel_inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        boxes = function(**{IMAGE_INPUT: image_pixel_inputs})
        chosen = chosen_boxes(boxes["boxes"][0], boxes["scores"][0], boxes["classes"][0], rule)
        return {name: tf.gather(column, chosen, axis=1) for name, column in boxes.items()}

    return tf.function(kept, input_signature=[one], autograph=False).get_concrete_function()
