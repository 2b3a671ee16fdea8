"""A whole model as one functional Keras model: what weight files are written from and read into."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, NamedTuple

import keras
from typing_extensions import override

from sensenet.document.fields import ImageField
from sensenet.document.image_network import ImageMetadata, ImageNetworkSpec
from sensenet.document.model import ModelSpec
from sensenet.document.trees import Forest
from sensenet.forest import tree_features
from sensenet.formats.h5 import read_weights
from sensenet.layers.base import build_all, build_layers, trained_layers
from sensenet.models.predict.tables import initialize_model
from sensenet.preprocess.image import normalize
from sensenet.preprocess.tabular import column_codecs


class TreeFeatures(keras.layers.Layer):
    """The forests' features, before what they were made from: (rows, columns) -> (rows, features + columns)."""

    def __init__(self, forests: tuple[Forest, ...], **options: Any):
        """Keep `forests`; `options` are those of every Keras layer."""
        super().__init__(**options)
        self._forests = forests

    @override
    def call(self, inputs: Any) -> Any:
        return keras.ops.concatenate([tree_features(self._forests, inputs), inputs], axis=1)


class NormalizedPixels(keras.layers.Layer):
    """Pixels of 0 to 255 as an image network takes them: (n, height, width, 3) float32 -> the same shape."""

    def __init__(self, metadata: ImageMetadata, **options: Any):
        """Keep the loading method of `metadata`; `options` are those of every Keras layer."""
        super().__init__(**options)
        self._metadata = metadata

    @override
    def call(self, inputs: Any) -> Any:
        return normalize(inputs, self._metadata.loading_method, self._metadata.mean_image)


class KerasModel(NamedTuple):
    """A functional model, and its parts.

    Attributes:
        model: takes preprocessed inputs: the matrix without image columns, or the pixels of the images as
            (n, height, width, 3) ((n, image fields, height, width, 3) where there are several), or both in a list,
            pixels first; float32.
        image_parts: the Keras layers of each layer of the image network; of the first image field where there are
            several.
        parts: the Keras layers of each layer of each network.
    """

    model: keras.Model
    image_parts: tuple[Any, ...]
    parts: tuple[Any, ...]


def build_model(spec: ModelSpec) -> KerasModel:
    """Connect an (initialized) model's networks side by side; the output is their mean, as standardised as the input.

    The graph has the shape that the published package builds, for Keras orders layers by their depth, and weight
    files are matched by that order.
    """
    inputs, columns, image_parts = _connect_inputs(spec)
    with_trees = columns
    if spec.forests and any(network.uses_trees for network in spec.networks):
        with_trees = TreeFeatures(spec.forests)(columns)
    built = [
        build_layers(network.layers, with_trees if network.uses_trees else columns)
        for network in spec.networks
    ]
    output = built[0].output if len(built) == 1 else keras.layers.Average()([one.output for one in built])
    model = keras.Model(inputs[0] if len(inputs) == 1 else inputs, output)
    return KerasModel(model, image_parts, tuple(one.parts for one in built))


def build_detector(network: ImageNetworkSpec) -> KerasModel:
    """Connect a (initialized) detector: (n, height, width, 3) pixels -> the map of each branch."""
    pixels = keras.Input(network.input_shape, dtype="float32")
    built = build_all(network.layers, NormalizedPixels(network.metadata)(pixels))
    maps = [built[branch.input].output for branch in network.branches or ()]
    return KerasModel(keras.Model(pixels, maps), tuple(one.parts for one in built), ())


def with_weights(spec: ModelSpec, path: str | os.PathLike[str]) -> ModelSpec:
    """A model's document with the weights of an HDF5 file that we or tf-keras wrote, for a model of the same layers.

    Args:
        spec: its layers may be untrained.
        path: of the file.

    Raises:
        ModelFormatError: not such a file, or layers that do not fit together.
        WeightsError: its weights are not those of the model's layers.
    """
    if spec.image_network is not None and spec.image_network.branches is not None:
        return replace(spec, image_network=detector_with_weights(spec.image_network.initialize(), path))
    spec = initialize_model(spec)
    built = build_model(spec)
    read_weights(built.model, path)
    if spec.image_network is not None and spec.has_images:
        spec = replace(spec, image_network=_trained_images(spec.image_network, built))
    pairs = zip(spec.networks, built.parts, strict=True)
    networks = (replace(network, layers=trained_layers(network.layers, parts)) for network, parts in pairs)
    return replace(spec, networks=tuple(networks))


def detector_with_weights(network: ImageNetworkSpec, path: str | os.PathLike[str]) -> ImageNetworkSpec:
    """An (initialized) detector with the weights of an HDF5 file: see `with_weights`."""
    built = build_detector(network)
    read_weights(built.model, path)
    return _trained_images(network, built)


def _trained_images(network: ImageNetworkSpec, built: KerasModel) -> ImageNetworkSpec:
    """The image network with the weights that the Keras model holds now."""
    return replace(network, layers=trained_layers(network.layers, built.image_parts))


def _connect_inputs(spec: ModelSpec) -> tuple[list[Any], Any, tuple[Any, ...]]:
    """The model's inputs, the preprocessed columns, and the Keras layers of the image network."""
    network = spec.image_network
    if network is None or not spec.has_images:
        table = keras.Input((spec.input_size,), dtype="float32")
        return [table], table, ()
    n_images = sum(isinstance(field, ImageField) for field in spec.preprocess)
    several = (n_images,) if n_images > 1 else ()
    pixels = keras.Input((*several, *network.input_shape), dtype="float32")
    # one network a field, as in the published package, whose weight files hold it as often
    pictures = [pixels[:, i] for i in range(n_images)] if several else [pixels]
    built = [build_layers(network.layers, NormalizedPixels(network.metadata)(one)) for one in pictures]
    features = keras.layers.Concatenate()([one.output for one in built]) if several else built[0].output
    parts = built[0].parts
    n_table = spec.input_size - n_images * spec.image_features
    if not n_table:
        return [pixels], features, parts
    table = keras.Input((n_table,), dtype="float32")
    return [pixels, table], _in_order(spec, features, table), parts


def _in_order(spec: ModelSpec, features: Any, table: Any) -> Any:
    """The columns of all fields in the fields' order."""
    blocks, starts = [], {True: 0, False: 0}
    for codec in column_codecs(spec.preprocess, spec.image_features):
        is_image = isinstance(codec.field, ImageField)
        start = starts[is_image]
        blocks.append((features if is_image else table)[:, start : start + codec.width])
        starts[is_image] += codec.width
    return keras.layers.Concatenate()(blocks)
