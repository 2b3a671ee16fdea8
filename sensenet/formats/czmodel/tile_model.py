"""What is converted: a Keras model, or a SavedModel on disk, as a function of one tile of an image."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from sensenet.document.parsing import brief
from sensenet.errors import ModelFormatError, first_line
from sensenet.files import is_file
from sensenet.formats.exported import freeze

SAVED_MODEL_FILE, TAG, SIGNATURE = "saved_model.pb", "serve", "serving_default"


class TileModel(NamedTuple):
    """A model of one input and one output.

    Attributes:
        call: a tensor like the input -> the output; it may take other heights and widths, too.
        input: the shape and type of the input.
        place: what to call the model in an error.
    """

    call: Callable[[tf.Tensor], tf.Tensor]
    input: tf.TensorSpec
    place: str


def tile_model(model: Any) -> TileModel:
    """A Keras model, or the SavedModel in a folder.

    A SavedModel is a program: TensorFlow runs what it says.

    Raises:
        ModelFormatError: something else, or a model of several inputs or outputs.
    """
    if isinstance(model, (str, os.PathLike)):
        return _of_folder(Path(model))
    if isinstance(model, keras.Model):
        return _of_keras(model)
    raise ModelFormatError(f"model: expected a keras.Model or the folder of a SavedModel, got {brief(model)}")


def _of_keras(model: keras.Model) -> TileModel:
    place = f"model {model.name}"
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if inputs is None or outputs is None:
        raise ModelFormatError(f"{place}: expected a functional or sequential model, whose input is known")
    _check_numbers(len(inputs), len(outputs), place)
    given = inputs[0]
    spec = tf.TensorSpec(given.shape, given.dtype)
    # `call`, for calling the model itself would insist on the height and width that it was made with
    return TileModel(lambda pixels: model.call(pixels, training=False), spec, place)


def _of_folder(folder: Path) -> TileModel:
    if not is_file(folder / SAVED_MODEL_FILE):
        raise ModelFormatError(f"{folder}: expected the folder of a SavedModel, with a {SAVED_MODEL_FILE}")
    try:
        loaded = tf.saved_model.load(folder, tags=[TAG])
    except Exception as error:  # TensorFlow raises errors of any type for a broken model
        raise ModelFormatError(f"{folder}: cannot be loaded as a SavedModel: {first_line(error)}") from error
    signature = loaded.signatures.get(SIGNATURE)
    if signature is None:
        known = ", ".join(sorted(loaded.signatures)) or "none"
        raise ModelFormatError(f"{folder}: expected a signature {SIGNATURE}, got {known}")
    named = signature.structured_input_signature[1]
    _check_numbers(len(named), len(signature.structured_outputs), str(folder))
    frozen = freeze(signature)
    (spec,) = named.values()
    (output,) = signature.structured_outputs
    graph = frozen.graph.as_graph_def()

    def call(pixels: tf.Tensor) -> tf.Tensor:
        # imported anew, so that shapes are those of these pixels and not of the ones that it was saved with
        source, result = frozen.inputs[0].name, frozen.structured_outputs[output].name
        return tf.graph_util.import_graph_def(graph, {source: pixels}, [result], name="model")[0]

    return TileModel(call, tf.TensorSpec(spec.shape, spec.dtype), str(folder))


def _check_numbers(inputs: int, outputs: int, place: str) -> None:
    if (inputs, outputs) != (1, 1):
        raise ModelFormatError(f"{place}: expected one input and one output, got {inputs} and {outputs}")
