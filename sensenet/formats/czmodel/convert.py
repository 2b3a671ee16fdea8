"""Models become CZModels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from sensenet.document.parsing import brief
from sensenet.errors import ModelFormatError, SettingsError
from sensenet.formats.czmodel.checks import (
    check_input,
    check_operations,
    check_output,
    check_probabilities,
)
from sensenet.formats.czmodel.container import write_czmodel
from sensenet.formats.czmodel.model_metadata import ModelMetadata, ModelSpec, PathLike
from sensenet.formats.czmodel.tile_model import TileModel, tile_model
from sensenet.formats.exported import freeze
from sensenet.formats.smbundle.functions import RAW_SIGNATURE, saved_model_files

INPUT, OUTPUT = "image", "probabilities"


def convert_from_model_spec(
    model_spec: ModelSpec,
    output_path: PathLike,
    output_name: str,
    spatial_dims: tuple[int, int] | None = None,
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
) -> str:
    """Write a model as a CZModel.

    Args:
        model_spec: the model and its metadata.
        output_path: the folder of the file; it is made where it is not there.
        output_name: of the file; ".czmodel" is added where it is missing.
        spatial_dims: height and width that the CZModel takes; None: those of the model's own input.
        preprocessing: layers that pixels go through before the model, in this order.

    Returns:
        The path of the file.

    Raises:
        ModelFormatError: a model that ZEN could not use; says which rule it breaks.
        SettingsError: a wrong value of the other arguments.
        OSError: the file cannot be written.
    """
    _check_name(output_name)
    model = tile_model(model_spec.model)
    layers = _checked_layers(preprocessing)
    tile = _of_size(model.input, _checked_dims(spatial_dims))
    if layers:
        model, tile = _with_layers(model, layers), _of_pixels(tile, model_spec.model_metadata)
    return write_model(Path(output_path) / output_name, model, tile, model_spec.model_metadata)


def convert_from_json_spec(
    model_spec_path: PathLike,
    output_path: PathLike,
    output_name: str,
    spatial_dims: tuple[int, int] | None = None,
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
) -> str:
    """Write an exported SavedModel as a CZModel.

    Args:
        model_spec_path: the JSON file with the metadata and the model's path: see `ModelSpec.from_json`.
        output_path, spatial_dims, preprocessing: see `convert_from_model_spec`.
        output_name: of the file, and of the model.

    Returns:
        The path of the file.

    Raises:
        ModelFormatError, SettingsError, OSError: see `convert_from_model_spec`.
    """
    spec = ModelSpec.from_json(model_spec_path, output_name)
    return convert_from_model_spec(spec, output_path, output_name, spatial_dims, preprocessing)


def write_model(
    path: str | os.PathLike[str], model: TileModel, tile: tf.TensorSpec, metadata: ModelMetadata
) -> str:
    """Check a model against all rules, and write it.

    Args:
        path: of the file.
        model: to be written.
        tile: what it shall take.
        metadata: of the model.

    Returns:
        The path of the file.

    Raises:
        ModelFormatError: says which rule the model breaks.
        OSError: the file cannot be written.
    """
    check_input(tile, metadata, model.place)
    function = _traced(model, tile)
    check_output(function.structured_outputs[OUTPUT].shape, tile.shape, metadata, model.place)
    frozen = freeze(function)
    check_operations(frozen, model.place)
    check_probabilities(lambda pixels: frozen(**{INPUT: pixels}), tile, metadata, model.place)
    content = frozen.graph.as_graph_def().SerializeToString(deterministic=True)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    files = saved_model_files(tf.Module(), {RAW_SIGNATURE: frozen})
    return write_czmodel(path, files, metadata, content)


def _of_size(tile: tf.TensorSpec, dims: tuple[int, int] | None) -> tf.TensorSpec:
    """A tile of another height and width."""
    if dims is None or tile.shape.rank != 4:
        return tile
    batch, *_, channels = tile.shape.as_list()
    return tf.TensorSpec((batch, *dims, channels), tile.dtype)


def _of_pixels(tile: tf.TensorSpec, metadata: ModelMetadata) -> tf.TensorSpec:
    """A tile of as many channels as the pixels have that go through layers before the model."""
    if len(metadata.channels) != 1 or tile.shape.rank != 4:
        return tile
    return tf.TensorSpec((*tile.shape.as_list()[:3], *metadata.channels), tile.dtype)


def _with_layers(model: TileModel, layers: Sequence[keras.layers.Layer]) -> TileModel:
    channels = model.input.shape[-1]

    def call(pixels: tf.Tensor) -> tf.Tensor:
        prepared = reduce(lambda tensor, layer: layer(tensor), layers, pixels)
        if prepared.shape[-1] != channels:
            raise ValueError(f"it takes {channels} channels, and is given {prepared.shape[-1]}")
        return model.call(prepared)

    return model._replace(call=call)


def _traced(model: TileModel, tile: tf.TensorSpec) -> Any:
    def classify(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: tf.identity(model.call(image))}

    signature = tf.TensorSpec(tile.shape, tile.dtype, name=INPUT)
    try:
        return tf.function(classify, input_signature=[signature], autograph=False).get_concrete_function()
    except Exception as error:  # layers raise errors of any type for a shape that they cannot take
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelFormatError(
            f"{model.place}: cannot take an input of the shape {tile.shape.as_list()}: {reason:.300}"
        ) from error


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or name in ("", "..") or Path(name).name != name:
        raise SettingsError(f"output_name: expected the name of a file, got {brief(name)}")


def _checked_dims(dims: Any) -> tuple[int, int] | None:
    if dims is None:
        return None
    is_pair = isinstance(dims, Sequence) and len(dims) == 2
    if not is_pair or not all(isinstance(side, int) and side > 0 for side in dims):
        raise SettingsError(f"spatial_dims: expected height and width in pixels, got {brief(dims)}")
    return tuple(dims)


def _checked_layers(preprocessing: Any) -> Sequence[keras.layers.Layer]:
    layers = preprocessing if isinstance(preprocessing, (list, tuple)) else [preprocessing]
    layers = [] if preprocessing is None else list(layers)
    for layer in layers:
        if not isinstance(layer, keras.layers.Layer):
            raise SettingsError(f"preprocessing: expected Keras layers, got {brief(layer)}")
    return layers
