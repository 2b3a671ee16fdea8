"""Where a model's prediction comes from: its document, or the functions of a bundle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import keras
import numpy as np

from sensenet.document import ModelSpec
from sensenet.errors import ModelFormatError, WeightsError
from sensenet.export.h5 import read_weights
from sensenet.models.compiled import FittedModel, compile_model, fit_model, raw_function, run
from sensenet.models.keras_model import build_model, trained_networks
from sensenet.models.saved import SavedFunctions, apply, input_columns
from sensenet.preprocess.tabular import ColumnCodec


class Source(Protocol):
    """What a deepnet stands on.

    Attributes:
        takes_raw: whether `predict` takes one column a field (see `preprocess.tabular.raw_codecs`) and denormalises;
            else it takes the preprocessed matrix, and gives numbers as standardised as it took them.
    """

    @property
    def takes_raw(self) -> bool:
        """See the class."""

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """(rows, columns) float32 -> (rows, outputs) float32."""

    def functions(self, codecs: Sequence[ColumnCodec], normalized: bool) -> SavedFunctions:
        """What a SavedModel of the model holds; `normalized` leaves numeric outputs standardised."""

    def keras_model(self) -> keras.Model:
        """The Keras model of the preprocessed inputs."""

    def with_weights(self, path: str | os.PathLike[str]) -> Source:
        """The same with the weights of an HDF5 file."""


@dataclass(frozen=True, eq=False)
class DocumentSource:
    """A model's document.

    Attributes:
        fitted: its layers, all arrays.
        compiled: the concrete function of the preprocessed matrix.
        takes_raw: see `Source`.
    """

    fitted: FittedModel
    compiled: Any
    takes_raw: bool = False

    @classmethod
    def of_model(cls, spec: ModelSpec) -> DocumentSource:
        """Compile the prediction of `spec`; untrained layers are drawn.

        Raises:
            ModelFormatError: layers or forests that do not fit together; gives the place.
        """
        return cls._of_fitted(fit_model(spec))

    @classmethod
    def _of_fitted(cls, fitted: FittedModel) -> DocumentSource:
        return cls(fitted, compile_model(fitted))

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """See `Source`."""
        return run(self.compiled, inputs)

    def functions(self, codecs: Sequence[ColumnCodec], normalized: bool) -> SavedFunctions:
        """See `Source`."""
        return SavedFunctions(
            raw_function(self.fitted.spec, codecs, self.compiled, normalized), self.compiled, None
        )

    def keras_model(self) -> keras.Model:
        """See `Source`."""
        return build_model(self.fitted).model

    def with_weights(self, path: str | os.PathLike[str]) -> DocumentSource:
        """See `Source`."""
        built = build_model(self.fitted)
        read_weights(built.model, path)
        return self._of_fitted(FittedModel(self.fitted.spec, trained_networks(self.fitted, built)))


@dataclass(frozen=True, eq=False)
class BundleSource:
    """The finished functions of a bundle."""

    saved: SavedFunctions

    @property
    def takes_raw(self) -> bool:
        """See `Source`: bundles of the published package have no other function."""
        return self.saved.preprocessed is None

    def check(self, columns: int) -> None:
        """Refuse a function that does not take `columns` columns.

        Raises:
            ModelFormatError: it takes other inputs.
        """
        if (taken := input_columns(self._function)) != columns:
            raise ModelFormatError(
                f"saved_model.pb: expected a function of {columns} columns, got one of {taken}"
            )

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """See `Source`."""
        return run(partial(apply, self._function), inputs)

    def functions(self, codecs: Sequence[ColumnCodec], normalized: bool) -> SavedFunctions:
        """See `Source`."""
        return self.saved

    def keras_model(self) -> keras.Model:
        """See `Source`."""
        raise WeightsError(
            "a model that was read from a bundle has no layers; make it from its JSON document"
        )

    def with_weights(self, path: str | os.PathLike[str]) -> BundleSource:
        """See `Source`."""
        raise WeightsError(
            "a model that was read from a bundle has no layers; make it from its JSON document"
        )

    @property
    def _function(self) -> Any:
        return self.saved.raw if self.saved.preprocessed is None else self.saved.preprocessed
