"""The rules that ZEN has for a model."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import tensorflow as tf

from sensenet.errors import ModelFormatError
from sensenet.formats.czmodel.model_metadata import PIXEL_TYPES, ModelMetadata
from sensenet.formats.smbundle.checks import operations_of

OPERATIONS_FILE = "tensorflow_2_0_operations.txt"
MAX_BATCH = 1
TOLERANCE = 1e-3


@cache
def known_operations() -> frozenset[str]:
    """The operations that TensorFlow 2.0.0 has."""
    text = files("sensenet.formats.czmodel").joinpath(OPERATIONS_FILE).read_text(encoding="ascii")
    return frozenset(text.split())


def check_input(spec: tf.TensorSpec, metadata: ModelMetadata, place: str) -> None:
    """Refuse an input that is not one tile of the pixels that the metadata promise.

    Args:
        spec: of the input, (batch, height, width, channels).
        metadata: of the model.
        place: what to call the model in an error.

    Raises:
        ModelFormatError: says what is expected.
    """
    shape = _checked_rank(spec.shape, "input", place)
    if shape[0] not in (None, MAX_BATCH):
        raise ModelFormatError(f"{place}: expected an input with a batch of 1 or an open one, got {shape}")
    if None in shape[1:3]:
        raise ModelFormatError(
            f"{place}: expected an input of fixed height and width, got {shape}; spatial_dims gives them"
        )
    if metadata.channels and shape[3] not in metadata.channels:
        wanted = " or ".join(map(str, metadata.channels))
        raise ModelFormatError(
            f"{place}: expected an input of {wanted} channels, as pixel_type {metadata.pixel_type} and "
            f"color_handling {metadata.color_handling} say, got {shape}"
        )


def check_output(shape: tf.TensorShape, tile: tf.TensorShape, metadata: ModelMetadata, place: str) -> None:
    """Refuse an output that does not have a number for each class at each pixel of the tile.

    Raises:
        ModelFormatError: says what is expected.
    """
    given = _checked_rank(shape, "output", place)
    wanted = (tile[1], tile[2], len(metadata.classes))
    if not tf.TensorShape(given[1:]).is_compatible_with(wanted):
        raise ModelFormatError(
            f"{place}: expected an output of the shape {[given[0], *wanted]}: the input's height and width, and "
            f"{len(metadata.classes)} classes; got {given}"
        )


def check_operations(function: Any, place: str) -> None:
    """Refuse a (frozen) function with operations that TensorFlow 2.0.0 does not have.

    Raises:
        ModelFormatError: names them.
    """
    newer = sorted(operations_of(function.graph.as_graph_def()) - known_operations())
    if newer:
        raise ModelFormatError(
            f"{place}: expected operations that TensorFlow 2.0.0 has, got {', '.join(newer)}"
        )


def check_probabilities(function: Any, tile: tf.TensorSpec, metadata: ModelMetadata, place: str) -> None:
    """Run the function on a tile of random pixels, and refuse one that does not give probabilities.

    Args:
        function: takes one tensor by position, gives a dict of one.
        tile: the shape and type of its input.
        metadata: of the model.
        place: what to call the model in an error.

    Raises:
        ModelFormatError: it cannot be run, gives another shape, or other numbers.
    """
    largest = PIXEL_TYPES[metadata.pixel_type].largest
    pixels = np.random.default_rng(0).uniform(0, largest, (1, *tile.shape[1:]))
    try:
        (output,) = function(tf.cast(pixels, tile.dtype)).values()
    except tf.errors.OpError as error:
        raise ModelFormatError(f"{place}: cannot be run: {error.message:.300}") from error
    check_output(output.shape, tile.shape, metadata, place)
    numbers = output.numpy()
    low, high, sums = numbers.min(), numbers.max(), numbers.sum(axis=-1)
    # written so that NaN fails
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
        raise ModelFormatError(
            f"{place}: expected probabilities from 0 to 1, got numbers from {low:g} to {high:g}"
        )
    if not np.abs(sums - 1).max() <= TOLERANCE:
        raise ModelFormatError(
            f"{place}: expected the probabilities of a pixel's classes to sum up to 1, as those of a softmax do, "
            f"got sums from {sums.min():g} to {sums.max():g}"
        )


def _checked_rank(shape: tf.TensorShape, what: str, place: str) -> list[int | None]:
    if shape.rank != 4:
        given = "an unknown one" if shape.rank is None else shape.as_list()
        raise ModelFormatError(
            f"{place}: expected an {what} of the shape [batch, height, width, channels], got {given}"
        )
    return list(shape.as_list())
