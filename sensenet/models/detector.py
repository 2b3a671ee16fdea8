"""Detectors: an image becomes boxes in its own pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from sensenet.detection import as_dicts
from sensenet.document.fields import BoxOutput, Field, FieldInfo, ImageField, field_infos
from sensenet.document.image_network import ImageNetworkSpec
from sensenet.document.model import ModelSpec, parse_model
from sensenet.errors import ModelFormatError
from sensenet.forks import check_fork
from sensenet.formats.facts import model_facts
from sensenet.formats.h5 import write_weights
from sensenet.formats.smbundle.functions import save_bundle
from sensenet.formats.tfjs.writing import write_tfjs
from sensenet.inputs import encode_images
from sensenet.models.bundled import no_layers, only_finished
from sensenet.models.copies import bundle_bytes, model_of_bundle, remade
from sensenet.models.keras_model import build_detector, detector_with_weights
from sensenet.models.predict.box_arrays import BoxArrays, PaddedBoxArrays, box_arrays
from sensenet.models.predict.boxes import BoxFinder, Finder, compile_boxes
from sensenet.models.settings import Settings

DETECTOR_TYPE = "ObjectDetector"


class Detector:
    """A model that finds objects: call it with an image, or with several.

    Attributes:
        settings: what it was made with.
    """

    def __init__(
        self,
        field: ImageField,
        output: BoxOutput,
        settings: Settings,
        finder: Finder,
        network: ImageNetworkSpec | None = None,
    ):
        """Join the image field, the classes, what finds boxes, and the (initialized) network if there is a document."""
        self.settings = settings
        self._field = field
        self._output = output
        self._finder = finder
        self._network = network

    @property
    def _fields(self) -> tuple[Field, ...]:
        return (self._field,)

    @property
    def fields(self) -> tuple[FieldInfo, ...]:
        """Name, type, index and values of the input field."""
        return field_infos(self._fields)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what can be found."""
        return self._output.values

    @property
    def exif_rotation(self) -> bool:
        """Whether boxes are in pixels of images that are turned as their EXIF orientation says."""
        return isinstance(self._finder, BoxFinder) and self._finder.metadata.exif_rotation

    @property
    def _preprocessors(self) -> list[dict[str, Any]]:
        """The input field as a document has it."""
        return [self._field.dump()]

    @property
    def _classes(self) -> list[str]:
        """`classes` as a list."""
        return list(self.classes)

    def __call__(self, images: Any) -> Any:
        """Find objects.

        Args:
            images: one image (a path, compressed bytes, an array, a PIL image, or a row of one), several of them in a
                list (of any sizes), rows, or an array of four dimensions.

        Returns:
            `[{"box": [x1, y1, x2, y2], "label", "score"}, ...]`, best first, in pixels of the image; a list of such
            lists for several images. With the settings `output_unfiltered_boxes` or `pad_bounding_box_output` what
            `arrays` gives.

        Raises:
            InputError: an image that cannot be read; names it.
            ForkError: see `sensenet.forks`.
        """
        check_fork()
        if self.settings.output_unfiltered_boxes or self.settings.pad_bounding_box_output:
            return self.arrays(images)
        values, several = encode_images(self._field, images)
        found = [as_dicts(boxes, self._output.values) for boxes in self._finder.find(values)]
        return found if several else found[0]

    def arrays(self, images: Any) -> Any:
        """Find objects, as arrays.

        Args:
            images: see `__call__`.

        Returns:
            `BoxArrays`; a list of them for several images. With `pad_bounding_box_output`, `PaddedBoxArrays`; with
            `output_unfiltered_boxes`, all boxes in the order: branches, rows, columns, anchors.

        Raises:
            InputError: an image that cannot be read; names it.
            ForkError: see `sensenet.forks`.
        """
        check_fork()
        values, several = encode_images(self._field, images)
        found = self._arrays(values)
        return found if several else found[0]

    def _arrays(self, values: Sequence[Any]) -> list[Any]:
        finder = self._finder
        if isinstance(finder, BoxFinder) and self.settings.output_unfiltered_boxes:
            return [box_arrays(boxes) for boxes in finder.find_all(values)]
        if isinstance(finder, BoxFinder) and self.settings.pad_bounding_box_output:
            return [PaddedBoxArrays(*box_arrays(boxes), valid) for boxes, valid in finder.find_padded(values)]
        return [box_arrays(boxes) for boxes in finder.find(values)]

    def kept_boxes(self, images: Sequence[Any]) -> list[BoxArrays]:
        """Of each of several images the boxes that the rule of the settings keeps, whatever form they ask for."""
        check_fork()
        return [box_arrays(boxes) for boxes in self._finder.find(images)]

    def all_boxes(self, images: Sequence[Any]) -> list[BoxArrays]:
        """Of each of several images all boxes, in the order: branches, rows, columns, anchors.

        Raises:
            ModelFormatError: see `raw_function`.
        """
        check_fork()
        return [box_arrays(boxes) for boxes in self._box_finder().find_all(images)]

    def unrounded_corners(self, images: Sequence[Any]) -> list[np.ndarray]:
        """Of each of several images the corners that `all_boxes` rounds: (boxes, 4) float32.

        Raises:
            ModelFormatError: see `raw_function`.
        """
        check_fork()
        return self._box_finder().unrounded_corners(images)

    def save_bundle(
        self, path: str | os.PathLike[str], tfjs_path: str | os.PathLike[str] | None = None
    ) -> str:
        """Write the detector as a bundle; ".smbundle" is added to `path` where it is missing.

        Args:
            path: of the bundle.
            tfjs_path: a directory to write the detector to for TensorFlow.js, too; None: it is not.

        Returns:
            The path of the file.

        Raises:
            SettingsError, ModelFormatError: see `save_tfjs`.
            OSError: a file cannot be written.
        """
        check_fork()
        if tfjs_path is not None:
            self.save_tfjs(tfjs_path)
        saved = {**self.settings, "deepnet_type": DETECTOR_TYPE, "_unfiltered": None}
        saved |= {"_classes": self._classes, "_preprocessors": self._preprocessors}
        if isinstance(self._finder, BoxFinder):
            saved["_image_metadata"] = self._finder.metadata.dump_for_bundle()
        return save_bundle(self._finder.functions(), saved, path)

    def raw_function(self) -> Any:
        """The concrete function that exports are made of: see `formats.smbundle.serving.all_boxes_function`.

        Raises:
            ModelFormatError: the detector came from a bundle of the published package, which has only a finished one.
        """
        check_fork()
        return self._box_finder().raw_function()

    def facts(self) -> dict[str, Any]:
        """What a consumer of an exported detector needs to know of it.

        Raises:
            ModelFormatError: see `raw_function`.
        """
        finder = self._box_finder()
        return model_facts(self._fields, self._output, finder.loader, finder.rule)

    def _box_finder(self) -> BoxFinder:
        if not isinstance(self._finder, BoxFinder):
            raise only_finished()
        return self._finder

    def save_tfjs(self, directory: str | os.PathLike[str]) -> None:
        """Write the detector for TensorFlow.js: a directory of `model.json` and weights.

        Raises:
            SettingsError, ModelFormatError, OSError: see `sensenet.formats.tfjs.writing.write_tfjs`.
        """
        write_tfjs(self, directory)

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write the weights in Keras' legacy HDF5 layout.

        Raises:
            WeightsError: the detector came from a bundle, which has no layers.
            OSError: the file cannot be written.
        """
        write_weights(self.keras_model(), path)

    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Take the weights of an HDF5 file that we or tf-keras wrote, for a detector of the same layers.

        Raises:
            ModelFormatError: not such a file.
            WeightsError: its weights are not those of this detector's layers, or the detector came from a bundle.
        """
        check_fork()
        self._network = detector_with_weights(self._layers(), path)
        self._finder = _finder(self._network, self.settings)

    def keras_model(self) -> keras.Model:
        """A functional Keras model from rescaled pixels, (n, height, width, 3) float32 RGB, to the branches' maps.

        Raises:
            WeightsError: the detector came from a bundle, which has no layers.
        """
        check_fork()
        return build_detector(self._layers()).model

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are made anew: of the document as it is now, or of a bundle."""
        if self._network is None:
            return remade, (model_of_bundle, bundle_bytes(self))
        document = {
            "preprocess": self._preprocessors,
            "output_exposition": self._output.dump(),
            "image_network": self._network.dump(),
            "layers": None,
        }
        return remade, (_detector_of_document, document, self.settings)

    def _layers(self) -> ImageNetworkSpec:
        if self._network is None:
            raise no_layers()
        return self._network


def _finder(network: ImageNetworkSpec, settings: Settings) -> BoxFinder:
    return BoxFinder(network.metadata, settings, partial(compile_boxes, network))


def detector_of_model(spec: ModelSpec, settings: Settings) -> Detector:
    """The detector of a parsed document; untrained layers are drawn.

    Raises:
        ModelFormatError: gives the place in the document.
        ForkError: see `sensenet.forks`.
    """
    check_fork()
    if (
        spec.image_network is None
        or spec.image_network.branches is None
        or not isinstance(spec.output, BoxOutput)
    ):
        raise ModelFormatError(
            'image_network: a "bounding_box" output and branches in metadata.outputs need each other'
        )
    field = only_image_field(spec.preprocess, "preprocess")
    network = spec.image_network.initialize()
    network.check_branches(len(spec.output.values))
    return Detector(field, spec.output, settings, _finder(network, settings), network)


def _detector_of_document(document: dict[str, Any], settings: Settings) -> Detector:
    return detector_of_model(parse_model(document), settings)


def only_image_field(fields: Sequence[Field], path: str) -> ImageField:
    """The field of a detector, which stands at `path` of its document or bundle.

    Raises:
        ModelFormatError: there is another one, or there are several.
    """
    if len(fields) != 1 or not isinstance(fields[0], ImageField):
        raise ModelFormatError(f"{path}: expected one image field, as for every detector")
    return fields[0]
