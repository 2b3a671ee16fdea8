"""Deepnets for classification and regression, over table fields and images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from sensenet.document.fields import (
    BoxOutput,
    CategoricalOutput,
    Field,
    FieldInfo,
    ImageField,
    NumericOutput,
    Output,
    field_infos,
    parse_fields,
    parse_output,
)
from sensenet.document.image_network import parse_metadata
from sensenet.document.model import ModelSpec, dump_model, parse_model
from sensenet.document.parsing import text_list
from sensenet.errors import ModelFormatError, SettingsError
from sensenet.forks import check_fork
from sensenet.formats.facts import model_facts
from sensenet.formats.h5 import write_weights
from sensenet.formats.smbundle.functions import SavedFunctions, save_bundle
from sensenet.formats.tfjs.writing import write_tfjs
from sensenet.inputs import Points, encode_points
from sensenet.models.bundled import bundle_source
from sensenet.models.copies import bundle_bytes, model_of_bundle, remade
from sensenet.models.settings import RULES, Settings
from sensenet.models.sources import DocumentSource, Source
from sensenet.preprocess.tabular import ColumnCodec

DEEPNET_TYPE = "Deepnet"
FINISHED_SETTINGS = ("regression_normalize", "rescale_type", "color_space")
"""What a function of raw values, as in bundles of the published package, has settled."""


class Deepnet:
    """A model that predicts: call it with one point, or with many.

    Attributes:
        settings: what it was made with.
    """

    def __init__(self, fields: tuple[Field, ...], output: Output, settings: Settings, source: Source):
        """Join the input `fields`, the `output` and what predicts; `deepnet_of_model` is the usual way."""
        self.settings = settings
        self._fields = fields
        self._output = output
        self._source = source

    @property
    def spec(self) -> ModelSpec:
        """The model's document, parsed; its layers hold the arrays that they have now.

        Raises:
            WeightsError: the model came from a bundle, which has no layers.
        """
        return self._source.spec

    @property
    def fields(self) -> tuple[FieldInfo, ...]:
        """Name, type, index and values of each input field."""
        return field_infos(self._fields)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the columns of a prediction; None for a regression."""
        return self._output.values if isinstance(self._output, CategoricalOutput) else None

    @property
    def output(self) -> Output:
        """What a prediction is: its name, and its classes or its statistics."""
        return self._output

    @property
    def _preprocessors(self) -> list[dict[str, Any]]:
        """The input fields as a document has them."""
        return [field.dump() for field in self._fields]

    @property
    def _classes(self) -> list[str] | None:
        """`classes` as a list."""
        return None if self.classes is None else list(self.classes)

    def __call__(self, points: Any) -> np.ndarray:
        """Predict.

        Args:
            points: one point or many, in any form of `sensenet.inputs.encode_points`.

        Returns:
            (points, classes) probabilities, or (points, 1) numbers; float32.

        Raises:
            InputError: names the row and the field.
            ForkError: see `sensenet.forks`.
        """
        return self.predict(encode_points(self.codecs, points))

    @property
    def codecs(self) -> tuple[ColumnCodec, ...]:
        """How each input field becomes its columns."""
        return self._source.codecs

    def predict(self, points: Points) -> np.ndarray:
        """What a call gives, of points that are encoded already (with `codecs`)."""
        check_fork()
        return self._source.predict(points)

    def save_bundle(
        self, path: str | os.PathLike[str], tfjs_path: str | os.PathLike[str] | None = None
    ) -> str:
        """Write the model as a bundle; ".smbundle" is added to `path` where it is missing.

        Args:
            path: of the bundle.
            tfjs_path: a directory to write the model to for TensorFlow.js, too; None: it is not.

        Returns:
            The path of the file.

        Raises:
            SettingsError, ModelFormatError: see `save_tfjs`.
            OSError: a file cannot be written.
        """
        check_fork()
        if tfjs_path is not None:
            self.save_tfjs(tfjs_path)
        return save_bundle(self._source.functions(), self._saved(), path)

    def save_tfjs(self, directory: str | os.PathLike[str]) -> None:
        """Write the model for TensorFlow.js: a directory of `model.json` and weights.

        Raises:
            SettingsError, ModelFormatError, OSError: see `sensenet.formats.tfjs.writing.write_tfjs`.
        """
        write_tfjs(self, directory)

    def raw_function(self) -> Any:
        """The concrete function of raw values that exports are made of: see `formats.smbundle.serving.raw_function`.

        Raises:
            ModelFormatError: the model came from a bundle of the published package, which has only a finished one.
        """
        check_fork()
        return self._source.raw_function()

    def facts(self) -> dict[str, Any]:
        """What a consumer of an exported model needs to know of it."""
        images = self._source.images
        loader = None if images is None else images.loader
        return model_facts(
            self._fields, self._output, loader, normalized=bool(self.settings.regression_normalize)
        )

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write the weights in Keras' legacy HDF5 layout.

        Raises:
            WeightsError: the model came from a bundle, which has no layers.
            OSError: the file cannot be written.
        """
        write_weights(self.keras_model(), path)

    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Take the weights of an HDF5 file that we or tf-keras wrote, for a model of the same layers.

        Raises:
            ModelFormatError: not such a file.
            WeightsError: its weights are not those of this model's layers, or the model came from a bundle.
        """
        check_fork()
        self._source = self._source.with_weights(path)

    def keras_model(self) -> keras.Model:
        """A functional Keras model of the preprocessed inputs; numbers come out standardised.

        Raises:
            WeightsError: the model came from a bundle, which has no layers.
        """
        check_fork()
        return self._source.keras_model()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are made anew: of the document as it is now, or of a bundle."""
        if isinstance(self._source, DocumentSource):
            return remade, (_deepnet_of_document, dump_model(self._source.document), self.settings)
        return remade, (model_of_bundle, bundle_bytes(self))

    def _saved(self) -> dict[str, Any]:
        """The settings file of a bundle."""
        images = self._source.images
        return {
            **self.settings,
            "deepnet_type": DEEPNET_TYPE,
            "_classes": self._classes,
            "_preprocessors": self._preprocessors,
            "_ncolumns": len(self._fields),
            "_nimages": sum(isinstance(field, ImageField) for field in self._fields),
            "_output_exposition": self._output.dump(),
            "_image_metadata": None if images is None else images.metadata.dump_for_bundle(),
        }


def deepnet_of_model(spec: ModelSpec, settings: Settings) -> Deepnet:
    """The model of a parsed document.

    Raises:
        ModelFormatError: gives the place in the document.
        ForkError: see `sensenet.forks`.
    """
    check_fork()
    return Deepnet(spec.preprocess, spec.output, settings, DocumentSource.of_model(spec, settings))


def _deepnet_of_document(document: dict[str, Any], settings: Settings) -> Deepnet:
    return deepnet_of_model(parse_model(document), settings)


def deepnet_of_bundle(functions: SavedFunctions, saved: dict[str, Any], settings: Settings) -> Deepnet:
    """The model of an unpacked bundle that we or the published package wrote.

    Args:
        functions: of its SavedModel.
        saved: its settings file.
        settings: what to make the model with.

    Raises:
        ModelFormatError: content that breaks the format.
        SettingsError: a setting that the bundle's finished function cannot follow.
    """
    fields = parse_fields(saved.get("_preprocessors"), "_preprocessors")
    merged = merged_settings(saved, settings)
    raw = saved.get("_image_metadata")
    metadata = None if raw is None else parse_metadata(raw, "_image_metadata")
    output = _bundled_output(saved)
    source = bundle_source(functions, fields, output, metadata, merged)
    if functions.preprocessed is None:
        refuse_settings(settings, FINISHED_SETTINGS)
    return Deepnet(fields, output, merged, source)


def merged_settings(saved: Mapping[str, Any], settings: Settings) -> Settings:
    """The settings that a bundle remembers, and over them those given now."""
    return Settings({**{name: value for name, value in saved.items() if name in RULES}, **settings})


def refuse_settings(settings: Settings, names: Sequence[str]) -> None:
    """Refuse settings that a bundle's finished function cannot follow.

    Raises:
        SettingsError: names the first of them.
    """
    for name in names:
        if name in settings:
            raise SettingsError(
                f"{name}: this bundle's function was finished without it; make the model from its JSON document"
            )


def _bundled_output(saved: dict[str, Any]) -> CategoricalOutput | NumericOutput:
    if saved.get("_output_exposition") is not None:
        output = parse_output(saved["_output_exposition"], "_output_exposition")
        if isinstance(output, BoxOutput):
            raise ModelFormatError('_output_exposition: "bounding_box" is not the output of a "Deepnet"')
        return output
    if saved.get("_classes") is not None:
        return CategoricalOutput(text_list(saved["_classes"], "_classes"))
    # the function denormalises: nothing is left to do to its output
    return NumericOutput(mean=0.0, stdev=1.0)
