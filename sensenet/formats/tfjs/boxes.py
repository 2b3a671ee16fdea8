"""A detector's function for TensorFlow.js: of all its boxes those that are kept."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from sensenet.detection import Suppression
from sensenet.formats.smbundle.serving import IMAGE_INPUT, best_boxes


def kept_boxes_function(function: Any, rule: Suppression) -> Any:
    """`function` of one image, and of its boxes those that `rule` keeps, best first.

    The operations that choose them have outputs of any size, so that TensorFlow.js runs them in `predictAsync` only.
    Plain operations would do with `predict`, but cost a trip to the graphics chip for each box that is kept.

    Args:
        function: concrete, of `image_pixel_inputs` to `boxes` (n, boxes, 4), `scores` and `classes` (n, boxes).
        rule: which boxes are kept.

    Returns:
        The same with the shapes (1, h, w, channels), (1, k, 4), (1, k) and (1, k).
    """
    (spec,) = function.structured_input_signature[1].values()
    one_image = tf.TensorSpec((1, *spec.shape[1:]), spec.dtype, name=IMAGE_INPUT)

    def kept(image_pixel_inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        found = function(**{IMAGE_INPUT: image_pixel_inputs})
        names = ("boxes", "scores", "classes")
        best = best_boxes(tuple(found[name][0] for name in names), rule)
        return {name: column[None] for name, column in zip(names, best, strict=True)}

    return tf.function(kept, input_signature=[one_image], autograph=False).get_concrete_function()
