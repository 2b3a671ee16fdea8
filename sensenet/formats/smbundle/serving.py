"""The function of raw values that a bundle serves: for servers, and readers, that have none of our Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import tensorflow as tf

from sensenet.detection import MAX_COORDINATE, Suppression
from sensenet.document.fields import CategoricalField, ImageField, NumericOutput, Output
from sensenet.preprocess.image import placement, rescale_all, to_rgb
from sensenet.preprocess.reading import ImageLoader
from sensenet.preprocess.tabular import ColumnCodec

# the last is every other kind
KINDS = (ImageField, CategoricalField, object)
IMAGE_INPUT = "image_pixel_inputs"
NUMERIC_INPUT = "numeric_inputs"
# boxes are compared within this distance of the image's corner: so float32 holds the coordinates of 100 classes exactly
FAR = 65_536.0


@dataclass(frozen=True, eq=False)
class Rescaled:
    """A function of pixels of one size, for pixels of any size.

    Attributes:
        function: takes (n, height, width, 3) float32 RGB.
        width, height: that it takes.
        rescale_type: how images are brought to that size.
        color_space: of the images.
    """

    function: Any
    width: int
    height: int
    rescale_type: str
    color_space: str

    @property
    def channels(self) -> int:
        """Of the images: 4 with alpha."""
        return len(self.color_space)

    def __call__(self, pixels: tf.Tensor) -> Any:
        """(n, h, w, channels) float32 of 0 to 255 -> what the function gives."""
        sized = rescale_all(pixels, self.width, self.height, self.rescale_type)
        return self.function(to_rgb(sized, self.color_space))


def rescaled(function: Any, loader: ImageLoader) -> Rescaled:
    """`function` for pixels of any size, treated as `loader` treats those of files."""
    return Rescaled(function, loader.width, loader.height, loader.rescale_type, loader.reading.color_space)


def raw_function(
    output: Output,
    codecs: Sequence[ColumnCodec],
    predict: Any,
    normalized: bool,
    images: Rescaled | None = None,
) -> Any:
    """The concrete function of raw values around `predict`.

    Its inputs are `numeric_inputs`, one float32 column a field (a number is standardised, NaN is the field's missing
    value; a category is its position among the field's values, any other number an unknown one; an image's column
    is not looked at), and `image_pixel_inputs`, (rows, h, w, channels) float32 of 0 to 255, or (rows, image fields,
    h, w, channels) where there are several. An input that no field needs is left out.

    Args:
        output: of the model.
        codecs: of its fields.
        predict: (rows, columns) float32 -> (rows, outputs).
        normalized: whether a numeric output stays standardised.
        images: for models with image fields.
    """

    def serve(image_pixel_inputs: tf.Tensor | None, numeric_inputs: tf.Tensor | None) -> dict[str, tf.Tensor]:
        matrix = tf.concat(_blocks(codecs, image_pixel_inputs, numeric_inputs, images), axis=1)
        predicted = predict(matrix)
        if isinstance(output, NumericOutput) and not normalized:
            predicted = predicted * output.stdev + output.mean
        return {"output": predicted}

    n_images = sum(isinstance(codec.field, ImageField) for codec in codecs)
    table = tf.TensorSpec((None, len(codecs)), tf.float32, name=NUMERIC_INPUT)
    if images is None or n_images == 0:
        return _concrete(lambda numeric_inputs: serve(None, numeric_inputs), [table])
    several = () if n_images == 1 else (n_images,)
    picture = tf.TensorSpec((None, *several, None, None, images.channels), tf.float32, name=IMAGE_INPUT)
    if n_images == len(codecs):
        return _concrete(lambda image_pixel_inputs: serve(image_pixel_inputs, None), [picture])
    return _concrete(serve, [picture, table])


def _concrete(function: Any, signature: list[tf.TensorSpec]) -> Any:
    return tf.function(function, input_signature=signature, autograph=False).get_concrete_function()


def _blocks(
    codecs: Sequence[ColumnCodec],
    pixels: tf.Tensor | None,
    numbers: tf.Tensor | None,
    images: Rescaled | None,
) -> list[tf.Tensor]:
    """The columns of the fields; those of neighbours of one kind are made in one go."""
    features = iter(()) if images is None or pixels is None else iter(_features(pixels, images))
    offset, scale, missing = (
        np.array([getattr(codec, name) for codec in codecs], np.float32)
        for name in ("offset", "scale", "missing")
    )
    if numbers is not None:
        moved = tf.where(tf.math.is_nan(numbers), missing, numbers) - offset
        # 0, as only a run can know: servers and converters make a product of a division by a constant, and the last bit
        # decides on which side of a threshold a number is
        nothing = tf.minimum(tf.cast(tf.shape(numbers)[0], tf.float32), 0.0)
        standardised = tf.math.divide_no_nan(moved, scale + nothing)
    blocks = []
    kinds = groupby(enumerate(codecs), lambda each: next(k for k in KINDS if isinstance(each[1].field, k)))
    for kind, neighbours in kinds:
        positions, of_kind = zip(*neighbours, strict=True)
        if kind is ImageField:
            blocks += [next(features) for _ in positions]
        elif kind is CategoricalField:
            widths = [codec.width for codec in of_kind]
            # float32, as they come: made integers, numbers beyond int32 are any category, as the runtime likes
            categories = np.concatenate([np.arange(width, dtype=np.float32) for width in widths])
            blocks.append(
                tf.cast(tf.gather(numbers, np.repeat(positions, widths), axis=1) == categories, tf.float32)
            )
        else:
            blocks.append(standardised[:, positions[0] : positions[-1] + 1])
    return blocks


def _features(pixels: tf.Tensor, images: Rescaled) -> list[tf.Tensor]:
    """One (rows, features) tensor for each image field."""
    if pixels.shape.rank == 4:
        return [images(pixels)]
    n_images, shape = pixels.shape[1], tf.shape(pixels)
    features = images(tf.reshape(pixels, (-1, shape[2], shape[3], images.channels)))
    return tf.unstack(tf.reshape(features, (-1, n_images, features.shape[1])), axis=1)


def all_boxes(images: Rescaled, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
    """All boxes of (n, h, w, channels) float32 `pixels`, in the order: branches, rows, columns, anchors.

    Args:
        images: the function (n, height, width, 3) -> `detection.Decoded`, as a dict.
        pixels: 0 to 255.

    Returns:
        `boxes` (n, boxes, 4) float32, x1, y1, x2, y2 in whole pixels of the images, `scores` (n, boxes) float32 and
        `classes` (n, boxes) int32.
    """
    shape = tf.shape(pixels)
    place = placement(shape[1], shape[2], images.height, images.width, images.rescale_type)
    decoded = images(pixels)
    corners = tf.round(place.to_original(decoded["corners"]))
    # a far too large exponent gives infinity, and damaged weights NaN
    corners = tf.where(
        tf.math.is_nan(corners), 0.0, tf.clip_by_value(corners, -MAX_COORDINATE, MAX_COORDINATE)
    )
    return {"boxes": corners, "scores": decoded["scores"], "classes": decoded["classes"]}


def all_boxes_function(images: Rescaled) -> Any:
    """The concrete function of a detector: `image_pixel_inputs`, as `box_function`, to what `all_boxes` gives."""
    return _of_pixels(lambda image_pixel_inputs: all_boxes(images, image_pixel_inputs), images)


def box_function(images: Rescaled, rule: Suppression) -> Any:
    """The concrete function of a detector: `image_pixel_inputs`, (n, h, w, channels) float32 of 0 to 255, to boxes.

    It gives `boxes` (n, k, 4), x1, y1, x2, y2 in pixels of the images, `scores` (n, k) and `classes` (n, k) int32,
    best first. k is the largest number of objects in an image; the rows behind fewer objects are 0.

    Args:
        images: the function (n, height, width, 3) -> `detection.Decoded`, as a dict.
        rule: which boxes are kept.
    """

    def serve(image_pixel_inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return kept_boxes(all_boxes(images, image_pixel_inputs), rule)

    return _of_pixels(serve, images)


def _of_pixels(function: Any, images: Rescaled) -> Any:
    signature = tf.TensorSpec((None, None, None, images.channels), tf.float32, name=IMAGE_INPUT)
    return _concrete(function, [signature])


def kept_boxes(found: dict[str, tf.Tensor], rule: Suppression) -> dict[str, tf.Tensor]:
    """Those of `all_boxes` that are kept, in the same form: of each image the best first, and zeros behind fewer."""
    shapes = (rule.max_objects, 4), (rule.max_objects,), (rule.max_objects,), ()
    dtypes = tf.float32, tf.float32, tf.int32, tf.int32
    types = tuple(tf.TensorSpec(*each) for each in zip(shapes, dtypes, strict=True))
    boxes = (found["boxes"], found["scores"], found["classes"])
    *kept, counts = tf.map_fn(partial(_suppressed, rule=rule), boxes, fn_output_signature=types)
    k = tf.reduce_max(counts)
    return {name: column[:, :k] for name, column in zip(("boxes", "scores", "classes"), kept, strict=True)}


def _suppressed(boxes: tuple[tf.Tensor, ...], rule: Suppression) -> tuple[tf.Tensor, ...]:
    """One image's boxes that are kept, filled up with zeros to `max_objects`, and their number."""
    kept = best_boxes(boxes, rule)
    n = tf.shape(kept[1])[0]
    missing = [[0, rule.max_objects - n]]
    filled = [tf.pad(each, missing + [[0, 0]] * (each.shape.rank - 1)) for each in kept]
    return (*filled, n)


def best_boxes(boxes: tuple[tf.Tensor, ...], rule: Suppression) -> tuple[tf.Tensor, ...]:
    """Those of one image's boxes that are kept, best first: (k, 4) corners, (k,) scores and (k,) classes."""
    likely = boxes[1] > rule.threshold
    boxes = tuple(tf.boolean_mask(each, likely) for each in boxes)
    corners, scores, classes = boxes
    apart = tf.clip_by_value(corners, -FAR, FAR)
    if not rule.class_agnostic:
        # every class in a place of its own: then no two boxes of different classes touch
        apart += tf.cast(classes, tf.float32)[:, None] * (2 * FAR + 1)
    chosen = tf.image.non_max_suppression(apart, scores, rule.max_objects, rule.iou_threshold)
    return tuple(tf.gather(each, chosen) for each in boxes)
