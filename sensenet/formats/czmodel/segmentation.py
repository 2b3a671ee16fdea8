"""An image classifier as a classifier of pixels: its readout at every place of the feature map.

Behind a global average pooling, a linear readout gives the mean of what it gives at each place of the map (class
activation maps, arXiv 1512.04150). So the readout is applied to the places themselves, its logits are brought to the
size of the image, and a softmax makes probabilities of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from sensenet.document.fields import CategoricalOutput, ImageField
from sensenet.document.image_network import ImageNetworkSpec, layer_shapes
from sensenet.document.model import ModelSpec
from sensenet.errors import ModelFormatError, SettingsError
from sensenet.formats.czmodel.container import SUFFIX
from sensenet.formats.czmodel.convert import write_model
from sensenet.formats.czmodel.model_metadata import ModelMetadata
from sensenet.formats.czmodel.tile_model import TileModel
from sensenet.layers.base import NETWORK_INPUT, Layers, LayerSpec, forward_layers, walk
from sensenet.layers.folding import fold_normalization
from sensenet.layers.pooling import GlobalAveragePool2D
from sensenet.models.predict.tables import counted_networks
from sensenet.preprocess.image import normalize

PIXEL_TYPE, COLOR_HANDLING = "Bgr24", "SplitRgb"
SOFTMAX = "softmax"


def write_segmentation(
    model: Any,
    path: str | os.PathLike[str],
    spatial_dims: tuple[int, int] | None = None,
    border_size: int | None = None,
) -> str:
    """Write an image classifier as a CZModel that classifies pixels.

    Args:
        model: a `sensenet.models.deepnet.Deepnet` that was made of a document, see `check_classifier`.
        path: of the file, whose name is the model's; ".czmodel" is added where it is missing.
        spatial_dims: height and width of a tile; None: those of the image network.
        border_size: pixels around a tile whose classes are not to be relied on; None: one cell of the feature map.

    Returns:
        The path of the file.

    Raises:
        SettingsError: another kind of model, or one of other layers; says why it cannot be done.
        WeightsError: the model came from a bundle, which has no layers.
        ModelFormatError: layers that cannot take tiles of that size.
        OSError: the file cannot be written.
    """
    pool = check_classifier(model)
    spec = model.spec
    network = _of_size(spec.image_network, spatial_dims)
    height, width = network.input_shape[:2]
    rows, columns, _ = _map_shape(network, pool)
    if rows * columns == 1:
        raise _refused("its feature map has a single place, which says nothing of single pixels")
    cell = max(-(-height // rows), -(-width // columns))
    file = Path(path)
    metadata = ModelMetadata.from_params(
        name=file.stem if file.suffix.lower() == SUFFIX else file.name,
        color_handling=COLOR_HANDLING,
        pixel_type=PIXEL_TYPE,
        classes=spec.output.values,
        border_size=cell if border_size is None else border_size,
    )
    tile = tf.TensorSpec((None, height, width, 3), tf.float32)
    pixels = TileModel(pixel_classifier(replace(spec, image_network=network), pool), tile, metadata.name)
    return write_model(path, pixels, tile, metadata)


def check_classifier(model: Any) -> int:
    """The position of the pooling in the image network of a model that can classify pixels.

    Raises:
        SettingsError: says why it cannot.
        WeightsError: the model came from a bundle, which has no layers.
    """
    kind = model.facts()["type"]
    if kind != "classification":
        raise _refused(f"this is a model of {kind}")
    spec: ModelSpec = model.spec
    if (
        len(spec.preprocess) != 1
        or not isinstance(spec.preprocess[0], ImageField)
        or spec.image_network is None
    ):
        raise _refused(
            f"its input has to be one image and nothing else, this model has {len(spec.preprocess)} fields"
        )
    for network in spec.networks:
        if network.uses_trees:
            raise _refused("its trees have thresholds for whole images")
        if _split(network.layers)[1] != SOFTMAX:
            raise _refused("its readout has to end with a softmax")
    return _pooling(spec.image_network)


def pixel_classifier(spec: ModelSpec, pool: int) -> Any:
    """(n, height, width, 3) float32 BGR of 0 to 255 -> (n, height, width, classes) probabilities, as a function.

    Args:
        spec: an initialized model whose image network has the size of a tile.
        pool: see `check_classifier`.
    """
    network = spec.image_network
    assert network is not None and isinstance(spec.output, CategoricalOutput), "it was checked"
    height, width, n_classes = *network.input_shape[:2], spec.output.size
    rows, columns, channels = _map_shape(network, pool)
    layers = fold_normalization(network.layers)

    def step(position: int, layer: LayerSpec, tensors: list[tf.Tensor]) -> tf.Tensor:
        # every place of the map becomes a row, as if it were the only one of an image
        return tf.reshape(tensors[0], (-1, channels)) if position == pool else layer.forward(tensors)

    def probabilities(readout: Layers, features: tf.Tensor) -> tf.Tensor:
        logits = forward_layers(_split(readout)[0], features)
        at_places = tf.reshape(logits, (-1, rows, columns, n_classes))
        return tf.nn.softmax(tf.image.resize(at_places, (height, width)))

    def call(pixels: tf.Tensor) -> tf.Tensor:
        metadata = network.metadata
        normalized = normalize(pixels[..., ::-1], metadata.loading_method, metadata.mean_image)
        features = walk(layers, normalized, step)
        counted = counted_networks(spec.networks)
        summed = [probabilities(one.layers, features) * times for one, times in counted]
        return tf.add_n(summed) / len(spec.networks)

    return call


def _split(layers: Layers) -> tuple[Layers, str | None]:
    """A readout without its last non-linear function, and that function's name."""
    last, activation = layers[-1].split_activation()
    return (*layers[:-1], last), activation


def _pooling(network: ImageNetworkSpec) -> int:
    shapes = layer_shapes(network.layers, network.input_shape)
    flat = [position for position, shape in enumerate(shapes) if len(shape) == 1]
    pool = next((i for i in flat if all(j in flat for j in range(i, len(shapes)))), None)
    if pool is None or not isinstance(network.layers[pool], GlobalAveragePool2D):
        kind = "no layer" if pool is None else network.layers[pool].type_name
        raise _refused(
            f"its image network has to end with {GlobalAveragePool2D.type_name}, perhaps with layers of features "
            f"behind it; in this one {kind} turns the feature map into features"
        )
    if any(source < pool for layer in network.layers[pool + 1 :] for source in layer.inputs):
        raise _refused("layers behind its pooling have other inputs, too")
    return pool


def _map_shape(network: ImageNetworkSpec, pool: int) -> Sequence[int]:
    """Rows, columns and channels of the feature map."""
    (source,) = network.layers[pool].inputs
    if source == NETWORK_INPUT:
        return network.input_shape
    return layer_shapes(network.layers, network.input_shape)[source]


def _of_size(network: ImageNetworkSpec, dims: tuple[int, int] | None) -> ImageNetworkSpec:
    """The image network for tiles of another height and width.

    Raises:
        ModelFormatError: layers, or a mean image, that have the size of the network's own input.
    """
    if dims is None:
        return network
    mean = network.metadata.mean_image
    if mean is not None and mean.ndim > 1 and mean.shape[:2] != tuple(dims):
        raise ModelFormatError(
            "mean_image: it has the size of the network's own input; leave out spatial_dims"
        )
    resized = replace(network, metadata=replace(network.metadata, height=dims[0], width=dims[1]))
    return resized.initialize()


def _refused(reason: str) -> SettingsError:
    return SettingsError(f"to_format: czmodel takes classifiers of images only: {reason}")
