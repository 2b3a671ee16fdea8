"""Where a deepnet's predictions come from: its document, or (in `bundled`) the functions of a bundle."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from typing_extensions import override

from sensenet.document.fields import NumericOutput, Output
from sensenet.document.model import ModelSpec
from sensenet.formats.smbundle.functions import SavedFunctions
from sensenet.formats.smbundle.serving import raw_function, rescaled
from sensenet.inputs import Points
from sensenet.models.keras_model import build_model, with_weights
from sensenet.models.predict.images import ImageFeatures, compile_features
from sensenet.models.predict.tables import compile_model, initialize_model, run
from sensenet.models.settings import Settings
from sensenet.preprocess.tabular import ColumnCodec, column_codecs


@dataclass(frozen=True, eq=False)
class Source(ABC):
    """What a deepnet stands on.

    Attributes:
        codecs: how the columns that it predicts from are made.
        images: the features of the image fields; None without such fields, or where it takes their pixels.
    """

    codecs: tuple[ColumnCodec, ...]
    images: ImageFeatures | None

    @property
    @abstractmethod
    def spec(self) -> ModelSpec:
        """The parsed document, with the arrays that the model has now.

        Raises:
            WeightsError: it has no layers.
        """

    @abstractmethod
    def predict(self, points: Points) -> np.ndarray:
        """(rows, outputs) float32: what the model answers, numbers denormalised unless its settings say otherwise.

        Raises:
            InputError: an image that cannot be read; names row and field.
        """

    @abstractmethod
    def raw_function(self) -> Any:
        """The concrete function of raw values: see `formats.smbundle.serving.raw_function`.

        Raises:
            ModelFormatError: the model came from a bundle that has only a finished one.
        """

    @abstractmethod
    def functions(self) -> SavedFunctions:
        """What a SavedModel of the model holds."""

    @abstractmethod
    def keras_model(self) -> keras.Model:
        """The Keras model of the preprocessed inputs; numbers come out standardised.

        Raises:
            WeightsError: it has no layers.
        """

    @abstractmethod
    def with_weights(self, path: str | os.PathLike[str]) -> Source:
        """The same with the weights of an HDF5 file.

        Raises:
            ModelFormatError: not a weight file.
            WeightsError: the weights of other layers, or it has no layers itself.
        """


@dataclass(frozen=True, eq=False)
class DocumentSource(Source):
    """A model's document.

    Attributes:
        document: its layers, all arrays.
        settings: of the model.
        compiled: the function of the preprocessed matrix.
    """

    document: ModelSpec
    settings: Settings
    compiled: Any

    @classmethod
    def of_model(cls, spec: ModelSpec, settings: Settings) -> DocumentSource:
        """The source of a parsed document; untrained layers are drawn.

        Raises:
            ModelFormatError: layers or forests that do not fit together; gives the place.
        """
        return cls._of_initialized(initialize_model(spec), settings)

    @classmethod
    def _of_initialized(cls, spec: ModelSpec, settings: Settings) -> DocumentSource:
        images = None
        if (network := spec.image_network) is not None and spec.has_images:
            images = ImageFeatures(network.metadata, settings, partial(compile_features, network))
        codecs = column_codecs(spec.preprocess, spec.image_features)
        return cls(codecs, images, spec, settings, compile_model(spec))

    @property
    @override
    def spec(self) -> ModelSpec:
        return self.document

    @override
    def predict(self, points: Points) -> np.ndarray:
        matrix = points.matrix if self.images is None else self.images.fill(points)
        return denormalized(run(self.compiled, matrix), self.document.output, self.settings)

    @override
    def raw_function(self) -> Any:
        return around(self, self.compiled, self.document.output, self.settings)

    @override
    def functions(self) -> SavedFunctions:
        features = None if self.images is None else self.images.function
        return SavedFunctions(self.raw_function(), self.compiled, features, None)

    @override
    def keras_model(self) -> keras.Model:
        return build_model(self.document).model

    @override
    def with_weights(self, path: str | os.PathLike[str]) -> DocumentSource:
        return self._of_initialized(with_weights(self.document, path), self.settings)


def denormalized(predicted: np.ndarray, output: Output, settings: Settings) -> np.ndarray:
    """What networks give as the model answers it: numbers denormalised unless the settings say otherwise.

    Args:
        predicted: (rows, outputs) float32; numbers as standardised as the networks learnt them.
        output: of the model.
        settings: of the model.
    """
    if not isinstance(output, NumericOutput) or settings.regression_normalize:
        return predicted
    return predicted * np.float32(output.stdev) + np.float32(output.mean)


def around(source: Source, predict: Any, output: Output, settings: Settings) -> Any:
    """The concrete function of raw values around `predict`, (rows, columns) -> (rows, outputs), of `source`."""
    pixels = None if source.images is None else rescaled(source.images.function, source.images.loader)
    return raw_function(output, source.codecs, predict, bool(settings.regression_normalize), pixels)
