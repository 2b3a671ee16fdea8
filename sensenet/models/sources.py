"""Where a model's prediction comes from: its document, or (in `bundle_sources`) the functions of a bundle."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import keras
import numpy as np

from sensenet.document.model import ModelSpec, dump_model
from sensenet.formats.h5 import read_weights
from sensenet.formats.smbundle.functions import SavedFunctions
from sensenet.formats.smbundle.serving import raw_function, rescaled
from sensenet.inputs import Points
from sensenet.models.keras_model import build_model, trained_model
from sensenet.models.predict.images import ImageFeatures, compile_features
from sensenet.models.predict.tables import FittedModel, compile_model, fit_model, run
from sensenet.models.settings import Settings
from sensenet.preprocess.tabular import ColumnCodec, column_codecs


class Source(Protocol):
    """What a deepnet stands on.

    Attributes:
        takes_raw: whether it predicts from raw values (see `models.serving`) and denormalises; else from the
            preprocessed matrix, and gives numbers as standardised as it took them.
        codecs: how its columns are made.
        images: the features of the image fields; None without such fields, or where it takes raw values.
    """

    @property
    def takes_raw(self) -> bool:
        """See the class."""

    @property
    def codecs(self) -> tuple[ColumnCodec, ...]:
        """See the class."""

    @property
    def images(self) -> ImageFeatures | None:
        """See the class."""

    @property
    def spec(self) -> ModelSpec:
        """The parsed document."""

    def predict(self, points: Points) -> np.ndarray:
        """(rows, outputs) float32."""

    def functions(self, normalized: bool) -> SavedFunctions:
        """What a SavedModel of the model holds; `normalized` leaves numeric outputs standardised."""

    def keras_model(self) -> keras.Model:
        """The Keras model of the preprocessed inputs."""

    def with_weights(self, path: str | os.PathLike[str]) -> Source:
        """The same with the weights of an HDF5 file."""


class DocumentSource:
    """A model's document.

    Attributes:
        fitted: its layers, all arrays.
        codecs, images, takes_raw: see `Source`.
    """

    takes_raw = False

    def __init__(self, fitted: FittedModel, settings: Settings):
        """Compile the prediction from the preprocessed matrix.

        Raises:
            ModelFormatError: forests that do not fit; gives the place.
        """
        spec = fitted.spec
        self.fitted = fitted
        self.codecs = column_codecs(spec.preprocess, spec.image_features)
        self.images: ImageFeatures | None = None
        if (network := spec.image_network) is not None and spec.has_images:
            self.images = ImageFeatures(network.metadata, settings, partial(compile_features, network))
        self._settings = settings
        self.compiled = compile_model(fitted)

    @classmethod
    def of_model(cls, spec: ModelSpec, settings: Settings) -> DocumentSource:
        """The source of a parsed document; untrained layers are drawn.

        Raises:
            ModelFormatError: layers or forests that do not fit together; gives the place.
        """
        return cls(fit_model(spec), settings)

    @property
    def spec(self) -> ModelSpec:
        """See `Source`."""
        return self.fitted.spec

    def document(self) -> dict[str, Any]:
        """The model's document with the arrays that it has now."""
        pairs = zip(self.spec.networks, self.fitted.networks, strict=True)
        networks = tuple(replace(network, layers=layers) for network, layers in pairs)
        return dump_model(replace(self.spec, networks=networks))

    def predict(self, points: Points) -> np.ndarray:
        """See `Source`."""
        matrix = points.matrix if self.images is None else self.images.fill(points)
        return run(self.compiled, matrix)

    def functions(self, normalized: bool) -> SavedFunctions:
        """See `Source`."""
        pixels = None if self.images is None else rescaled(self.images.function, self.images.loader)
        raw = raw_function(self.fitted.spec, self.codecs, self.compiled, normalized, pixels)
        features = None if self.images is None else self.images.function
        return SavedFunctions(raw, self.compiled, features, None)

    def keras_model(self) -> keras.Model:
        """See `Source`."""
        return build_model(self.fitted).model

    def with_weights(self, path: str | os.PathLike[str]) -> DocumentSource:
        """See `Source`."""
        built = build_model(self.fitted)
        read_weights(built.model, path)
        return DocumentSource(trained_model(self.fitted, built), self._settings)
