"""The features of an image network's last pooling layer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sensenet.document.fields import Field, FieldInfo, ImageField, field_infos, parse_fields
from sensenet.document.image_network import ImageNetworkSpec, parse_image_network
from sensenet.document.model import ModelSpec
from sensenet.errors import ModelFormatError
from sensenet.forks import check_fork
from sensenet.inputs import encode_images
from sensenet.layers.base import LayerSpec
from sensenet.layers.pooling import GlobalAveragePool2D, GlobalMaxPool2D
from sensenet.layers.shape import Flatten
from sensenet.models.copies import remade
from sensenet.models.predict.images import ImageFeatures, compile_features
from sensenet.models.settings import Settings

POOLING: tuple[type[LayerSpec], ...] = (GlobalAveragePool2D, GlobalMaxPool2D, Flatten)
FIRST = ImageField(index=0)


class FeatureExtractor:
    """Gives the features of images: call it with an image, or with a list of images.

    Attributes:
        settings: what it was made with.
    """

    def __init__(self, network: ImageNetworkSpec, settings: Settings, field: ImageField = FIRST):
        """Cut an image network behind its last pooling, or flattening, layer.

        Args:
            network: its parameters may be untrained: they are drawn.
            settings: see `sensenet.models.settings.RULES`.
            field: where the image is in rows.

        Raises:
            ModelFormatError: a detector, or a network that has no such layer.
            ForkError: see `sensenet.forks`.
        """
        self.settings = settings
        self._field = field
        check_fork()
        self._network = pooled(network).initialize()
        self._images = ImageFeatures(
            self._network.metadata, settings, partial(compile_features, self._network)
        )

    @property
    def _fields(self) -> tuple[Field, ...]:
        return (self._field,)

    @property
    def fields(self) -> tuple[FieldInfo, ...]:
        """Name, type, index and values of the input field."""
        return field_infos(self._fields)

    @property
    def n_features(self) -> int:
        """How many numbers an image gives."""
        outputs = self._images.metadata.outputs
        assert isinstance(outputs, int), "the network was initialized"
        return outputs

    def __call__(self, images: Any) -> np.ndarray:
        """The features of images.

        Args:
            images: one image (a path, compressed bytes, an array, a PIL image), a list of images (never one row), an
                array of four dimensions, or points in any form that a model takes: of rows the first image field.

        Returns:
            (images, features) float32.

        Raises:
            InputError: an image that cannot be read; names it.
            ForkError: see `sensenet.forks`.
        """
        check_fork()
        values = encode_images(self._field, images).values
        return self._images(values)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are made anew, of the network."""
        return remade, (_extractor_of_document, self._network.dump(), self._field.dump(), self.settings)


def _extractor_of_document(
    network: dict[str, Any], field: dict[str, Any], settings: Settings
) -> FeatureExtractor:
    (parsed,) = parse_fields([field])
    assert isinstance(parsed, ImageField), "it was one"
    return FeatureExtractor(parse_image_network(network), settings, parsed)


def pooled(network: ImageNetworkSpec, path: str = "image_network") -> ImageNetworkSpec:
    """`network` up to its last pooling, or flattening, layer.

    Raises:
        ModelFormatError: a detector, or a network that has no such layer.
    """
    name = network.metadata.base_image_network or "this network"
    if network.branches is not None:
        raise ModelFormatError(f"{path}: {name} detects objects: it has no layer whose output is features")
    positions = [i for i, layer in enumerate(network.layers) if isinstance(layer, POOLING)]
    if not positions:
        kinds = ", ".join(kind.type_name for kind in POOLING)
        raise ModelFormatError(f"{path}: {name} has no layer whose output is features: none of {kinds}")
    layers = network.layers[: positions[-1] + 1]
    return replace(network, layers=layers, metadata=replace(network.metadata, outputs=None))


def extractor_of_model(spec: ModelSpec, settings: Settings) -> FeatureExtractor:
    """The extractor of a document's image network.

    Raises:
        ModelFormatError: a document without images, a detector, or layers that do not fit together.
    """
    if spec.image_network is None:
        raise ModelFormatError("image_network: this model has no images, so it has no image features")
    field = next((field for field in spec.preprocess if isinstance(field, ImageField)), FIRST)
    return FeatureExtractor(spec.image_network, settings, field)
