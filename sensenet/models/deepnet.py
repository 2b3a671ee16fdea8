"""Deepnets over table fields: classification and regression."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sensenet.document import parse_model
from sensenet.errors import ModelFormatError, SettingsError
from sensenet.export.h5 import write_weights
from sensenet.fields import (
    CategoricalOutput,
    Field,
    NumericOutput,
    Output,
    n_columns,
    parse_fields,
    parse_output,
)
from sensenet.inputs import encode_points
from sensenet.models.bundle import SUFFIX, read_bundle, write_bundle
from sensenet.models.saved import load_functions, load_settings, save_functions
from sensenet.models.settings import RULES, Settings
from sensenet.models.sources import BundleSource, DocumentSource, Source
from sensenet.parsing import text_list
from sensenet.preprocess.tabular import column_codecs, raw_codecs

DEEPNET_TYPE = "Deepnet"


class Deepnet:
    """A model that predicts: call it with one point, or with many.

    Attributes:
        settings: what it was made with.
    """

    def __init__(self, fields: tuple[Field, ...], output: Output, settings: Settings, source: Source):
        """Join the input `fields`, the `output` and what predicts; `deepnet_of_document` is the usual way.

        Raises:
            ModelFormatError: a field is an image.
        """
        self.settings = settings
        self._fields = fields
        self._output = output
        self._source = source
        self._codecs = raw_codecs(fields) if source.takes_raw else column_codecs(fields)

    @property
    def _preprocessors(self) -> list[dict[str, Any]]:
        """The input fields as a document has them."""
        return [field.dump() for field in self._fields]

    @property
    def _classes(self) -> list[str] | None:
        """The names of the output's columns; None for a regression."""
        return list(self._output.values) if isinstance(self._output, CategoricalOutput) else None

    def __call__(self, points: Any) -> np.ndarray:
        """Predict.

        Args:
            points: one point or many, in any form of `sensenet.inputs.encode_points`.

        Returns:
            (points, classes) probabilities, or (points, 1) numbers; float32.

        Raises:
            InputError: names the row and the field.
        """
        predicted = self._source.predict(encode_points(self._codecs, points))
        if not isinstance(self._output, NumericOutput) or self._source.takes_raw:
            return predicted
        if self.settings.regression_normalize:
            return predicted
        return predicted * np.float32(self._output.stdev) + np.float32(self._output.mean)

    def save_bundle(
        self, path: str | os.PathLike[str], tfjs_path: str | os.PathLike[str] | None = None
    ) -> str:
        """Write the model as a bundle; ".smbundle" is added to `path` where it is missing.

        Returns:
            The path of the file.

        Raises:
            SettingsError: `tfjs_path` is given, which this version cannot write.
            OSError: the file cannot be written.
        """
        if tfjs_path is not None:
            raise SettingsError("tfjs_path: this version cannot write TensorFlow.js models; leave it out")
        name = os.fspath(path)
        final = Path(name if name.endswith(SUFFIX) else name + SUFFIX)
        # beside the bundle, so that the finished file can be renamed into its place
        with tempfile.TemporaryDirectory(dir=final.parent, prefix=f".{final.name}.") as folder:
            directory = Path(folder) / "bundle"
            normalized = bool(self.settings.regression_normalize)
            functions = self._source.functions(column_codecs(self._fields), normalized)
            save_functions(functions, self._saved(), directory)
            Path(write_bundle(directory)).replace(final)
        return str(final)

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
        self._source = self._source.with_weights(path)

    def keras_model(self) -> keras.Model:
        """A functional Keras model of the preprocessed inputs; numbers come out standardised.

        Raises:
            WeightsError: the model came from a bundle, which has no layers.
        """
        return self._source.keras_model()

    def _saved(self) -> dict[str, Any]:
        """The settings file of a bundle."""
        return {
            **self.settings,
            "deepnet_type": DEEPNET_TYPE,
            "_classes": self._classes,
            "_preprocessors": self._preprocessors,
            "_ncolumns": len(self._fields),
            "_nimages": 0,
            "_output_exposition": None if self._source.takes_raw else self._output.dump(),
        }


def deepnet_of_document(document: Any, settings: Settings) -> Deepnet:
    """The model of a parsed JSON document.

    Raises:
        ModelFormatError: gives the place in the document.
    """
    spec = parse_model(document)
    return Deepnet(spec.preprocess, spec.output, settings, DocumentSource.of_model(spec))


def deepnet_of_bundle(path: str | os.PathLike[str], settings: Settings) -> Deepnet:
    """The model of a bundle that we or the published package wrote.

    Raises:
        ModelFormatError: not a bundle, or one whose content breaks the format.
        SettingsError: a setting that the bundle's finished function cannot follow.
    """
    with tempfile.TemporaryDirectory(prefix="sensenet.") as folder:
        read_bundle(path, folder)
        saved = load_settings(folder)
        if saved.get("deepnet_type") != DEEPNET_TYPE:
            kind = saved.get("deepnet_type")
            raise ModelFormatError(f"deepnet_type: a bundle of type {kind!r} cannot be run by this version")
        fields = parse_fields(saved.get("_preprocessors"), "_preprocessors")
        source = BundleSource(load_functions(folder))
    if source.takes_raw and settings.regression_normalize:
        raise SettingsError("regression_normalize: the bundle's function denormalises its output itself")
    remembered = {name: value for name, value in saved.items() if name in RULES}
    merged = Settings({**remembered, **settings})
    columns = len(fields) if source.takes_raw else sum(n_columns(field) for field in fields)
    source.check(columns)
    return Deepnet(fields, _bundled_output(saved), merged, source)


def _bundled_output(saved: dict[str, Any]) -> Output:
    if saved.get("_output_exposition") is not None:
        return parse_output(saved["_output_exposition"], "_output_exposition")
    if saved.get("_classes") is not None:
        return CategoricalOutput(text_list(saved["_classes"], "_classes"))
    # the function denormalises: nothing is left to do to its output
    return NumericOutput(mean=0.0, stdev=1.0)
