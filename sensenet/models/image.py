"""Models of one image and nothing else."""

from __future__ import annotations

from typing import Any

from sensenet.document.fields import FieldInfo, ImageField
from sensenet.errors import ModelFormatError
from sensenet.inputs import encode_images
from sensenet.models.deepnet import Deepnet
from sensenet.models.detector import Detector
from sensenet.models.extractor import FeatureExtractor
from sensenet.models.wrappers import DocumentOrPath, create_model

__all__ = ["ImageModel", "image_model"]


class ImageModel:
    """A model of one image: call it with an image, or with a list of images.

    Attributes:
        model: what predicts.
    """

    def __init__(self, model: Deepnet | Detector | FeatureExtractor):
        """Keep a model of one image field.

        Raises:
            ModelFormatError: it has other fields.
        """
        fields = model._fields
        if len(fields) != 1 or not isinstance(fields[0], ImageField):
            raise ModelFormatError(
                f"preprocess: an image model has one image field and nothing else, this one has {len(fields)} fields"
            )
        self.model = model
        self._field = fields[0]

    @property
    def fields(self) -> tuple[FieldInfo, ...]:
        """Name, type, index and values of the input field."""
        return self.model.fields

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes; None for a regression, and for features."""
        return None if isinstance(self.model, FeatureExtractor) else self.model.classes

    @property
    def _preprocessors(self) -> list[dict[str, Any]]:
        """The input field as a document has it."""
        return [self._field.dump()]

    @property
    def _classes(self) -> list[str] | None:
        """`classes` as a list."""
        return None if self.classes is None else list(self.classes)

    def __call__(self, images: Any) -> Any:
        """Predict.

        Args:
            images: one image (a path, compressed bytes, an array, a PIL image), a list of images (of any sizes), or
                an array of four dimensions.

        Returns:
            (images, classes) probabilities, (images, 1) numbers or (images, features), float32; for a detector the
            tuple (boxes, scores, classes) of `sensenet.models.predict.box_arrays.BoxArrays`, and a list of such tuples
            for a list of images.

        Raises:
            InputError: an image that cannot be read; names it.
        """
        if isinstance(self.model, Detector):
            return self.model.arrays(images)
        if isinstance(self.model, FeatureExtractor):
            return self.model(images)
        index, values = self._field.index, encode_images(self._field, images).values
        return self.model([[None] * index + [image] for image in values])


def image_model(source: DocumentOrPath, settings: Any = None) -> ImageModel:
    """Make a model that takes images alone.

    Args:
        source: what `sensenet.create_model` takes: the document of a model with one image field.
        settings: see `sensenet.models.settings.RULES`.

    Raises:
        ModelFormatError: a document that cannot be read, or one with other fields; gives the place in it.
        SettingsError: an unknown setting, or a wrong value.
    """
    return ImageModel(create_model(source, settings))
