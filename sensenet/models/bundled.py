"""What a deepnet that was read from a bundle stands on: our functions, or that of the published package."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf
from typing_extensions import override

from sensenet.document.fields import CategoricalOutput, Field, ImageField, NumericOutput
from sensenet.document.image_network import ImageMetadata
from sensenet.errors import ModelFormatError, WeightsError
from sensenet.formats.smbundle.functions import (
    SavedFunctions,
    apply,
    call_raw,
    input_shape,
    only_output,
    output_shape,
)
from sensenet.formats.smbundle.serving import IMAGE_INPUT, NUMERIC_INPUT
from sensenet.inputs import Points
from sensenet.models.predict.images import ImageFeatures, RawImages, raw_images
from sensenet.models.predict.tables import run
from sensenet.models.settings import Settings
from sensenet.models.sources import Source, around, denormalized
from sensenet.preprocess.tabular import column_codecs, raw_codecs, total_columns


@dataclass(frozen=True, eq=False)
class _FunctionSource(Source):
    """Finished functions, behind which there are no layers.

    Attributes:
        saved: the functions.
    """

    saved: SavedFunctions

    @property
    @override
    def spec(self) -> NoReturn:
        raise no_layers()

    @override
    def functions(self) -> SavedFunctions:
        return self.saved

    @override
    def keras_model(self) -> NoReturn:
        raise no_layers()

    @override
    def with_weights(self, path: str | os.PathLike[str]) -> NoReturn:
        raise no_layers()


@dataclass(frozen=True, eq=False)
class BundleSource(_FunctionSource):
    """Functions that a bundle of ours holds: of the preprocessed matrix, and of pixels.

    Attributes:
        output, settings: of the model.
    """

    output: NumericOutput | CategoricalOutput
    settings: Settings

    @override
    def predict(self, points: Points) -> np.ndarray:
        matrix = points.matrix if self.images is None else self.images.fill(points)
        predicted = run(partial(apply, self.saved.preprocessed), matrix)
        return denormalized(predicted, self.output, self.settings)

    @override
    def raw_function(self) -> Any:
        return around(self, partial(apply, self.saved.preprocessed), self.output, self.settings)


@dataclass(frozen=True, eq=False)
class RawBundleSource(_FunctionSource):
    """The only function of a bundle of the published package: of raw values, to denormalised numbers.

    Attributes:
        raw_images: what makes its pixels; None without image fields.
    """

    raw_images: RawImages | None

    @override
    def raw_function(self) -> NoReturn:
        raise only_finished()

    @override
    def predict(self, points: Points) -> np.ndarray:
        # with images row by row, for the function takes images of one size only
        if self.raw_images is None:
            return run(lambda matrix: self._call(**{NUMERIC_INPUT: matrix}), points.matrix)
        has_table = any(not isinstance(codec.field, ImageField) for codec in self.codecs)
        rows = []
        for row in range(len(points.matrix)):
            inputs = {IMAGE_INPUT: self.raw_images.pixels(points, row)}
            if has_table:
                inputs[NUMERIC_INPUT] = points.matrix[row : row + 1]
            rows.append(self._call(**inputs).numpy())
        if not rows:
            return np.zeros((0, output_shape(self.saved.raw)[-1] or 1), np.float32)
        return np.concatenate(rows)

    def _call(self, **inputs: Any) -> tf.Tensor:
        return only_output(call_raw(self.saved, **inputs))


def bundle_source(
    saved: SavedFunctions,
    fields: Sequence[Field],
    output: NumericOutput | CategoricalOutput,
    metadata: ImageMetadata | None,
    settings: Settings,
) -> BundleSource | RawBundleSource:
    """The source of a bundle's functions.

    Args:
        saved: the functions.
        fields, output: of the model.
        metadata: of its image network; None without image fields, or in bundles of the published package.
        settings: of the model.

    Raises:
        ModelFormatError: functions that do not take the columns of `fields`, or do not give those of `output`.
    """
    n_images = sum(isinstance(field, ImageField) for field in fields)
    if saved.preprocessed is None:
        if n_images < len(fields):
            _check_columns(saved.raw, NUMERIC_INPUT, len(fields))
        images = raw_images(saved.raw, n_images, settings) if n_images else None
        _check_width(saved.raw, output.size)
        return RawBundleSource(raw_codecs(fields), None, saved, images)
    features, n_features = None, 0
    if n_images:
        if metadata is None or saved.features is None or not isinstance(metadata.outputs, int):
            raise ModelFormatError("saved_model.pb: expected a function of pixels for the image fields")
        _check_features(saved.features, metadata)
        features = ImageFeatures(metadata, settings, lambda: partial(apply, saved.features))
        n_features = metadata.outputs
    codecs = column_codecs(fields, n_features)
    _check_columns(saved.preprocessed, None, total_columns(codecs))
    _check_width(saved.preprocessed, output.size)
    return BundleSource(codecs, features, saved, output, settings)


def _check_width(function: Any, outputs: int) -> None:
    if (width := output_shape(function)[-1]) not in (None, outputs):
        raise ModelFormatError(f"saved_model.pb: expected a function of {outputs} outputs, got {width}")


def _check_features(function: Any, metadata: ImageMetadata) -> None:
    expected = (None, metadata.height, metadata.width, 3), (None, metadata.outputs)
    given = input_shape(function), output_shape(function)
    if given != expected:
        raise ModelFormatError(
            f"saved_model.pb: expected a function of pixels from the shape {expected[0]} to {expected[1]}, "
            f"as _image_metadata says, got one from {given[0]} to {given[1]}"
        )


def _check_columns(function: Any, name: str | None, columns: int) -> None:
    shape = input_shape(function, name)
    if len(shape) != 2 or shape[1] != columns:
        raise ModelFormatError(
            f"saved_model.pb: expected a function of {columns} columns, got one of the shape {shape}"
        )


def no_layers() -> WeightsError:
    """The error of what needs the layers of a model that came from a bundle."""
    return WeightsError("a model that was read from a bundle has no layers; make it from its JSON document")


def only_finished() -> ModelFormatError:
    """The error of what needs more than the finished function of a bundle of the published package."""
    return ModelFormatError(
        "this bundle holds one finished function, which no other format can take; convert the model's JSON document"
    )
