"""The public functions: a document or a file becomes a model, a model becomes a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sensenet.document.fields import BoxOutput
from sensenet.document.file import read_document
from sensenet.document.image_network import ImageNetworkSpec, parse_image_network
from sensenet.document.model import ModelSpec, parse_model
from sensenet.document.parsing import shown
from sensenet.document.wording import hint
from sensenet.errors import ModelFormatError, SettingsError
from sensenet.files import open_regular
from sensenet.forks import check_fork
from sensenet.formats import FORMATS
from sensenet.formats.smbundle.container import MAGIC, unpack
from sensenet.formats.smbundle.functions import load_functions, load_settings
from sensenet.formats.tflite.predicting import tflite_predict
from sensenet.models.bundled_detector import detector_of_bundle
from sensenet.models.deepnet import (
    DEEPNET_TYPE,
    Deepnet,
    deepnet_of_bundle,
    deepnet_of_model,
    merged_settings,
    refuse_settings,
)
from sensenet.models.detector import DETECTOR_TYPE, Detector, detector_of_model
from sensenet.models.extractor import FeatureExtractor, extractor_of_model, pooled
from sensenet.models.settings import Settings
from sensenet.pretrained import NETWORKS, image_network, pretrained_layers

__all__ = ["convert", "create_image_feature_extractor", "create_model", "tflite_predict"]

DocumentOrPath = Mapping[str, Any] | str | os.PathLike[str]
Model = Deepnet | Detector | FeatureExtractor

PUBLISHED = tuple(name for name, network in NETWORKS.items() if network.version is not None)
NEED_LAYERS = ("extract_image_features", "load_pretrained_weights")
BUNDLE_TYPES: Mapping[str, Callable[..., Deepnet | Detector]] = MappingProxyType(
    {DEEPNET_TYPE: deepnet_of_bundle, DETECTOR_TYPE: detector_of_bundle}
)


def create_model(source: DocumentOrPath, settings: Mapping[str, Any] | None = None) -> Any:
    """Make a model that predicts.

    >>> model = create_model({
    ...     "preprocess": [{"type": "numeric", "index": 0, "mean": 1.0, "stdev": 2.0}],
    ...     "output_exposition": {"type": "numeric", "mean": 0.5, "stdev": 1.0},
    ...     "layers": [{"type": "dense", "weights": [[3.0]], "offset": [0.0], "activation_function": None}],
    ...     "trees": None,
    ... })
    >>> model([5.0]).tolist()
    [[6.5]]

    Args:
        source: a model document (or a BigML resource around one) as a dict, or the path of a `.json`, `.json.gz` or
            `.smbundle` file; files are told by what is in them, not by their names.
        settings: see `sensenet.models.settings.RULES`.

    Returns:
        A `Deepnet` (classification, regression), a `Detector` (boxes), or with `extract_image_features` a
        `FeatureExtractor`.

    Raises:
        ModelFormatError: a document or bundle that cannot be read; gives the place in it.
        SettingsError: an unknown setting, or a wrong value.
        WeightsError: `load_pretrained_weights` is true, and the weights cannot be had.
        ForkError: this process was forked from one that had used TensorFlow.
    """
    check_fork()
    checked = settings if isinstance(settings, Settings) else Settings(settings)
    if isinstance(source, Mapping):
        return _model_of_spec(parse_model(source), checked)
    with _named_errors(source) as path:
        if _is_bundle(path):
            return _model_of_bundle(path, checked)
        return _model_of_spec(parse_model(read_document(path)), checked)


def create_image_feature_extractor(
    source: Deepnet | Detector | DocumentOrPath, settings: Mapping[str, Any] | None = None
) -> FeatureExtractor:
    """Make what gives the features of images: the output of the network's last pooling, or flattening, layer.

    Args:
        source: the name of a pretrained network, such as "resnet18" (its weights are downloaded where they are not in
            the cache, unless the setting `load_pretrained_weights` is false), what `create_model` takes, or a model
            that was made of a document (its settings hold where `settings` say nothing else).
        settings: see `sensenet.models.settings.RULES`.

    Raises:
        ModelFormatError: a document that cannot be read, one without images, a detector, or a bundle.
        SettingsError: an unknown setting, a wrong value, or a name that is neither a network's nor a file's.
        WeightsError: pretrained weights that cannot be had, or a model that came from a bundle.
        ForkError: this process was forked from one that had used TensorFlow.
    """
    check_fork()
    checked = settings if isinstance(settings, Settings) else Settings(settings)
    if isinstance(source, str) and source in PUBLISHED:
        return FeatureExtractor(_named_network(source, checked), checked)
    if isinstance(source, Detector):
        raise ModelFormatError(
            "image_network: this model detects objects: it has no layer whose output is features"
        )
    if isinstance(source, Deepnet):
        return extractor_of_model(
            _with_pretrained(source.spec, checked), merged_settings(source.settings, checked)
        )
    if isinstance(source, Mapping):
        return extractor_of_model(_with_pretrained(parse_model(source), checked), checked)
    if isinstance(source, str) and not Path(source).exists():
        raise SettingsError(
            f"there is neither a published image network nor a file {shown(source)}{hint(source, PUBLISHED)}"
        )
    with _named_errors(source) as path:
        if _is_bundle(path):
            raise ModelFormatError("a bundle's layers cannot be taken apart; use the model's JSON document")
        return extractor_of_model(_with_pretrained(parse_model(read_document(path)), checked), checked)


def convert(
    model: Model | DocumentOrPath,
    settings: Mapping[str, Any] | None,
    output_path: str | os.PathLike[str],
    to_format: str,
    **options: Any,
) -> str:
    """Write a model in another format.

    Args:
        model: a model, or what `create_model` takes.
        settings: for making the model; None for one that is made already.
        output_path: the file, or directory, to write.
        to_format: one of `sensenet.formats.FORMATS`.
        options: of the format, such as `quantize="float16"` of tflite; None counts as not given.

    Returns:
        The path of what was written.

    Raises:
        SettingsError: an unknown format or option, settings for a model that is made already, a model that the
            format cannot say, or an output that is the model's own file.
        ModelFormatError: see `create_model`; also a bundle that only has a finished function.
        OSError: the file cannot be written.
    """
    given = check_options(to_format, options)
    check_output(model, output_path)
    return FORMATS[to_format].write(convertible(model, settings), output_path, **given)


def check_output(model: Model | DocumentOrPath, output_path: str | os.PathLike[str]) -> None:
    """Refuse to replace the file that a model is read from.

    Raises:
        SettingsError: the output is that file.
    """
    if not isinstance(model, (str, os.PathLike)):
        return
    try:
        is_same = Path(model).samefile(output_path)
    except (OSError, ValueError):  # what is not there, or is no path, is told when it is read or written
        return
    if is_same:
        raise SettingsError(f"output_path: {os.fspath(output_path)} is the model itself; name another file")


def check_options(to_format: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a format that are given.

    Raises:
        SettingsError: an unknown format, an unknown option, or a wrong value.
    """
    if to_format not in FORMATS:
        raise SettingsError(f"to_format: expected one of {', '.join(FORMATS)}, got {shown(to_format)}")
    known = FORMATS[to_format].options
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if name not in known:
            raise SettingsError(
                f"{name}: {to_format} has no such option; it has {', '.join(known) or 'none'}"
            )
        if known[name] and value not in known[name]:
            expectation = ", ".join(map(str, known[name]))
            raise SettingsError(f"{name}: expected one of {expectation}, got {shown(value)}")
    return given


def convertible(model: Model | DocumentOrPath, settings: Mapping[str, Any] | None) -> Deepnet | Detector:
    """The model that is to be converted: see `convert`."""
    if isinstance(model, Model):
        if settings:
            raise SettingsError("settings: a model that is made already cannot take other settings")
        made = model
    else:
        made = create_model(model, settings)
    if isinstance(made, FeatureExtractor):
        raise SettingsError(
            "extract_image_features: an extractor has no other format; convert the model itself"
        )
    return made


@contextmanager
def _named_errors(source: Any) -> Iterator[Path]:
    """The path that `source` is; what is wrong inside the file is said with its name.

    Raises:
        ModelFormatError: no path, or a file that cannot be read.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise ModelFormatError(f"model: expected a document (a dict) or a path, got {shown(source)}")
    path = Path(source)
    try:
        yield path
    except OSError as error:
        raise ModelFormatError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error


def _is_bundle(path: Path) -> bool:
    """Whether a file begins as a bundle does.

    Raises:
        ModelFormatError: a path with a null character.
        OSError: it cannot be opened, or is no regular file.
    """
    try:
        with open_regular(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except ValueError as error:
        raise ModelFormatError(f"cannot be read: {error}") from error


def _model_of_spec(spec: ModelSpec, settings: Settings) -> Model:
    spec = _with_pretrained(spec, settings)
    if settings.extract_image_features:
        return extractor_of_model(spec, settings)
    if isinstance(spec.output, BoxOutput):
        return detector_of_model(spec, settings)
    return deepnet_of_model(spec, settings)


def _model_of_bundle(path: Path, settings: Settings) -> Deepnet | Detector:
    refuse_settings(settings, [name for name in NEED_LAYERS if settings.get(name)])
    files = unpack(path)
    saved = load_settings(files)
    kind = saved.get("deepnet_type")
    if not isinstance(kind, str) or kind not in BUNDLE_TYPES:
        known = " or ".join(f'"{name}"' for name in BUNDLE_TYPES)
        raise ModelFormatError(f"deepnet_type: expected {known}, got {shown(kind)}")
    return BUNDLE_TYPES[kind](load_functions(files), saved, settings)


def _with_pretrained(spec: ModelSpec, settings: Settings) -> ModelSpec:
    """`spec` with the published weights in its image network where the settings ask for them.

    Raises:
        SettingsError: the image network has no published weights.
        WeightsError: they cannot be had.
    """
    if not settings.load_pretrained_weights:
        return spec
    network = spec.image_network
    name = None if network is None else network.metadata.base_image_network
    if network is None or name is None:
        raise SettingsError("load_pretrained_weights: this model has no image network with published weights")
    return replace(spec, image_network=replace(network, layers=pretrained_layers(name).image))


def _named_network(name: str, settings: Settings) -> ImageNetworkSpec:
    network = pooled(parse_image_network(image_network(name)))
    if settings.load_pretrained_weights is False:
        return network
    return replace(network, layers=pretrained_layers(name).image)
