"""SavedModels: directories that TensorFlow Serving and plain TensorFlow load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import tensorflow as tf

from sensenet.detection import Suppression
from sensenet.directories import Marker, write_directory
from sensenet.formats.base import FACTS_FILE, Arrays, Format, PathLike
from sensenet.formats.consumers import tensorflow_consumers
from sensenet.formats.exported import Exported, exported
from sensenet.formats.facts import FACTS_BEGINNING
from sensenet.formats.smbundle.functions import saved_model_files
from sensenet.formats.smbundle.serving import IMAGE_INPUT, kept_boxes

DEFAULT_SIGNATURE = "serving_default"
BYTES_SIGNATURE = "image_bytes"
OPAQUE = 255.0
BMP_MAGIC = b"BM"
BMP_BITS_PLACE = 28
"""Of the byte that says how many bits a pixel has."""
BMP_TRUE_COLOUR = 24
BMP_MESSAGE = "a BMP of fewer than 24 bits a pixel is not decoded here"
EXTRA_FACTS = f"assets.extra/{FACTS_FILE}"


def write_savedmodel(model: Any, path: PathLike) -> str:
    """Write a model as a SavedModel; `path` ends in a number where TensorFlow Serving is to find it.

    The signature `serving_default` takes the tensors of `formats.exported.Exported`, and gives its outputs; of a
    detector the boxes that are kept, zeros behind fewer of them in an image. `image_bytes`, of models with one image
    field, takes compressed images of any sizes, (rows,) texts, in the place of pixels.

    Raises:
        ModelFormatError, OSError: see `exported`, `write_directory`.
    """
    made = exported(model)
    signatures = {DEFAULT_SIGNATURE: _kept(made, made.function)}
    if _takes_bytes(made):
        signatures[BYTES_SIGNATURE] = _kept(made, _of_bytes(made))
    files = {**saved_model_files(tf.Module(), signatures), EXTRA_FACTS: orjson.dumps(made.facts)}
    return write_directory(path, files, Marker(EXTRA_FACTS, FACTS_BEGINNING))


def _takes_bytes(made: Exported) -> bool:
    image = made.facts["image"]
    n_images = sum(field["type"] == "image" for field in made.facts["fields"])
    # TensorFlow's decoder does not turn images
    return n_images == 1 and not image["exif_rotation"]


def _kept(made: Exported, function: Any) -> Any:
    """`function`; of a detector the boxes that its rule keeps."""
    if made.facts["detection"] is None:
        return function
    rule = Suppression(**made.facts["detection"])

    def kept(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return kept_boxes(function(**inputs), rule)

    specs = function.structured_input_signature[1]
    # not frozen: the signatures share the function that holds the weights, which would be in the file once each
    return tf.function(kept, autograph=False).get_concrete_function(**specs)


def _of_bytes(made: Exported) -> Any:
    """The exported function with `image_bytes` in the place of pixels; the images are computed one after the other."""
    channels = len(made.facts["image"]["colour_order"])
    outputs = {
        name: tf.TensorSpec(tensor.shape[1:], tensor.dtype)
        for name, tensor in made.function.structured_outputs.items()
    }

    def one(row: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        rest = {name: value[None] for name, value in row.items() if name != BYTES_SIGNATURE}
        pixels = _decoded(row[BYTES_SIGNATURE], channels)
        found = made.function(**{IMAGE_INPUT: pixels[None]}, **rest)
        return {name: tensor[0] for name, tensor in found.items()}

    def every(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return tf.map_fn(one, inputs, fn_output_signature=outputs)

    specs = {
        name: spec
        for name, spec in made.function.structured_input_signature[1].items()
        if name != IMAGE_INPUT
    }
    compressed = tf.TensorSpec((None,), tf.string, name=BYTES_SIGNATURE)
    return tf.function(every, autograph=False).get_concrete_function(**{BYTES_SIGNATURE: compressed}, **specs)


def _decoded(content: tf.Tensor, channels: int) -> tf.Tensor:
    """The pixels of a JPEG, PNG, BMP, GIF (its first picture) or WebP: (h, w, channels) float32, an alpha opaque."""
    pixels = tf.cond(
        tf.io.is_jpeg(content),
        # as `sensenet.preprocess.decoding` reads them: what `decode_image` does is faster, and differs by some levels
        lambda: tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: _decoded_other(content),
    )
    pixels = tf.cast(tf.ensure_shape(pixels, (None, None, 3)), tf.float32)
    return pixels if channels == 3 else tf.pad(pixels, [[0, 0], [0, 0], [0, 1]], constant_values=OPAQUE)


def _decoded_other(content: tf.Tensor) -> tf.Tensor:
    is_bmp = tf.strings.substr(content, 0, len(BMP_MAGIC)) == BMP_MAGIC
    bits = tf.io.decode_raw(tf.strings.substr(content, BMP_BITS_PLACE, 1), tf.uint8)
    # TensorFlow would take the places in a palette for shades of grey
    refused = tf.debugging.Assert(~is_bmp | tf.reduce_any(bits >= BMP_TRUE_COLOUR), [BMP_MESSAGE])
    with tf.control_dependencies([refused]):
        return tf.io.decode_image(content, channels=3, expand_animations=False)


def run_savedmodel(
    run: Callable[..., Any], path: str, calls: Sequence[Arrays]
) -> list[dict[str, np.ndarray]]:
    """What TensorFlow says of a SavedModel by its signature `serving_default`; `run` is how it is run."""
    return list(run("savedmodel", path, calls))


SAVEDMODEL = Format(write_savedmodel, consumers=tensorflow_consumers(run_savedmodel), keeps_boxes=True)
