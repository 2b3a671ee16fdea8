"""What stands between the images of a call and the columns that a model's networks take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from sensenet.document.image_network import ImageMetadata, ImageNetworkSpec
from sensenet.errors import InputError, ModelFormatError
from sensenet.formats.smbundle.functions import input_shape
from sensenet.formats.smbundle.serving import IMAGE_INPUT
from sensenet.inputs import Points
from sensenet.layers.base import forward_layers
from sensenet.layers.folding import fold_normalization, on_device
from sensenet.models.settings import Settings
from sensenet.preprocess.image import normalize
from sensenet.preprocess.image_files import Confinement
from sensenet.preprocess.reading import ImageLoader, ImageReading, read_image

CHUNK_IMAGES = 32
OPAQUE = 255
DEFAULT_RESCALE_TYPE = "warp"


def image_reading(
    settings: Settings, exif_rotation: bool = False, confinement: Confinement | None = None
) -> ImageReading:
    """How the images of a call are read."""
    return ImageReading(
        path_prefix=settings.image_path_prefix or "",
        input_image_format=settings.input_image_format,
        color_space=(settings.color_space or "rgb").lower(),
        exif_rotation=exif_rotation,
        confinement=confinement,
    )


def image_loader(
    metadata: ImageMetadata, settings: Settings, rescale_type: str, confinement: Confinement | None = None
) -> ImageLoader:
    """What makes the pixels that an image network takes."""
    reading = image_reading(settings, metadata.exif_rotation, confinement)
    return ImageLoader(metadata.width, metadata.height, rescale_type, reading)


def compile_features(network: ImageNetworkSpec) -> Any:
    """The concrete function (n, height, width, 3) float32 RGB of 0 to 255 -> (n, features) float32.

    Normalisations are folded into the layers before them. The weights are captured, not copied into the graph:
    the first call is five times as fast.
    """
    layers = on_device(fold_normalization(network.layers))
    metadata = network.metadata

    def features(pixels: tf.Tensor) -> tf.Tensor:
        normalized = normalize(pixels, metadata.loading_method, metadata.mean_image)
        return forward_layers(layers, normalized)

    signature = tf.TensorSpec((None, *network.input_shape), tf.float32, name="pixels")
    return tf.function(features, input_signature=[signature], autograph=False).get_concrete_function()


class ImageFeatures:
    """The features of images, read and computed in pieces.

    Attributes:
        metadata: of the image network.
        loader: what reads and rescales the images.
    """

    def __init__(
        self,
        metadata: ImageMetadata,
        settings: Settings,
        make_function: Callable[[], Any],
        confinement: Confinement | None = None,
    ):
        """Keep how to make the function of pixels: it is made when the first image comes.

        Args:
            metadata: of the image network.
            settings: of the model.
            make_function: the function (n, height, width, 3) float32 -> (n, features).
            confinement: where files have to lie; None: anywhere.
        """
        self.metadata = metadata
        rescale_type = settings.rescale_type or metadata.rescale_type or DEFAULT_RESCALE_TYPE
        self.loader = image_loader(metadata, settings, rescale_type, confinement)
        self._make_function = make_function

    @cached_property
    def function(self) -> Any:
        """The function (n, height, width, 3) -> (n, features)."""
        return self._make_function()

    def __call__(self, images: Sequence[Any], noun: str = "image", rest: str = "") -> np.ndarray:
        """The features of `images`.

        Args:
            images: in any form of `preprocess.reading`.
            noun, rest: an error calls the image at position i "noun i" + rest.

        Returns:
            (images, features) float32.

        Raises:
            InputError: an image that cannot be read; names it.
        """
        pieces = []
        for start in range(0, len(images), CHUNK_IMAGES):
            loaded = self.loader.load(images[start : start + CHUNK_IMAGES], numbered(noun, start, rest))
            pieces.append(self.function(loaded.pixels).numpy())
        if not pieces:
            return np.zeros((0, int(self.metadata.outputs or 0)), np.float32)  # type: ignore[arg-type]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def fill(self, points: Points) -> np.ndarray:
        """The matrix of `points` with the features of its images in their fields' columns.

        Raises:
            InputError: an image that cannot be read; names row and field.
        """
        for codec, values in points.images:
            features = self(values, "row", f", {codec.field}")
            points.matrix[:, codec.start : codec.start + codec.width] = features
        return points.matrix


def numbered(noun: str, start: int = 0, rest: str = "") -> Callable[[int], str]:
    """What errors call the images of a call, of which the first has the number `start`."""
    return lambda position: f"{noun} {start + position}{rest}"


@dataclass(frozen=True)
class RawImages:
    """The pixels that a function of raw values takes (see `models.serving`), as their files have them.

    Attributes:
        reading: how images are read.
        channels: that the function takes; a missing alpha is opaque.
        several: whether it takes an axis of image fields.
    """

    reading: ImageReading
    channels: int
    several: bool

    def pixels(self, points: Points, row: int) -> np.ndarray:
        """(1, h, w, channels) float32, or (1, image fields, h, w, channels).

        Raises:
            InputError: an image that cannot be read, or images of a row that differ in size.
        """
        images = [self._read(values[row], f"row {row}, {codec.field}") for codec, values in points.images]
        if len({image.shape for image in images}) > 1:
            sizes = ", ".join(f"{image.shape[1]}x{image.shape[0]}" for image in images)
            raise InputError(
                f"row {row}: this bundle takes the images of a row in one size only, got {sizes}; "
                "make the model from its JSON document instead"
            )
        return np.stack(images)[None] if self.several else images[0][None]

    def one(self, image: Any, place: str) -> np.ndarray:
        """(1, h, w, channels) float32.

        Raises:
            InputError: an image that cannot be read; names `place`.
        """
        return self._read(image, place)[None]

    def _read(self, value: Any, place: str) -> np.ndarray:
        image = np.asarray(read_image(value, self.reading, place), np.float32)
        missing = self.channels - image.shape[-1]
        return np.pad(image, ((0, 0), (0, 0), (0, missing)), constant_values=OPAQUE) if missing > 0 else image


def raw_images(function: Any, n_images: int, settings: Settings) -> RawImages:
    """What makes the pixels of a bundle's function of raw values.

    Raises:
        ModelFormatError: it does not take `n_images` images.
    """
    shape = input_shape(function, IMAGE_INPUT)
    if len(shape) != (4 if n_images == 1 else 5) or shape[-1] not in (3, 4):
        raise ModelFormatError(f"saved_model.pb: expected a function of images, got one of {shape}")
    return RawImages(image_reading(settings), shape[-1], several=n_images > 1)
