"""A model as a TensorFlow SavedModel with our settings beside it: what a bundle holds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import tensorflow as tf

from sensenet.errors import ModelFormatError
from sensenet.models.bundle import SUFFIX, write_bundle
from sensenet.models.keras_metadata import keras_api, write_metadata
from sensenet.models.saved_graph import check_graph, prepare_saved_model

SETTINGS_FILE = "assets/settings.json"
RAW_SIGNATURE = "serving_default"
PREPROCESSED_SIGNATURE = "preprocessed"
FEATURES_SIGNATURE = "features"


class SavedFunctions(NamedTuple):
    """The concrete functions of a SavedModel.

    Attributes:
        raw: takes raw values (see `models.serving`); gives denormalised outputs, or boxes.
        preprocessed: takes the preprocessed matrix; None in bundles of the published package.
        features: takes the pixels of an image network's size, gives features, or all boxes of a detector; None
            without image fields, and in bundles of the published package.
        tracked: keeps alive what the functions use.
        raw_outputs: names of what `raw` gives, in their order; None where that is one tensor.
    """

    raw: Any
    preprocessed: Any | None
    features: Any | None
    tracked: Any
    raw_outputs: Sequence[str] | None = None


def save_bundle(functions: SavedFunctions, settings: dict[str, Any], path: str | os.PathLike[str]) -> str:
    """Write a bundle; ".smbundle" is added to `path` where it is missing.

    Returns:
        The path of the file.

    Raises:
        OSError: the file cannot be written.
    """
    name = os.fspath(path)
    final = Path(name if name.endswith(SUFFIX) else name + SUFFIX)
    # beside the bundle, so that the finished file can be renamed into its place
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=f".{final.name}.") as folder:
        directory = Path(folder) / "bundle"
        save_functions(functions, settings, directory)
        Path(write_bundle(directory)).replace(final)
    return str(final)


def save_functions(
    functions: SavedFunctions, settings: dict[str, Any], directory: str | os.PathLike[str]
) -> None:
    """Write a SavedModel and the wrapper's settings.

    Raises:
        OSError: the folder cannot be written.
    """
    module = tf.Module()
    module.tracked = functions.tracked
    module.keras_api = keras_api(functions.raw, functions.raw_outputs)
    optional = {PREPROCESSED_SIGNATURE: functions.preprocessed, FEATURES_SIGNATURE: functions.features}
    signatures = {RAW_SIGNATURE: functions.raw}
    signatures |= {name: function for name, function in optional.items() if function is not None}
    # a prediction needs no gradients: without this, those of some activations are saved as functions of their own
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, os.fspath(directory), signatures=signatures, options=options)
    write_metadata(Path(directory))
    path = Path(directory) / SETTINGS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(settings))


def apply(function: Any, *inputs: Any, **named_inputs: Any) -> tf.Tensor:
    """The only output of a concrete function, or loaded signature: one positional input, or several by name."""
    if inputs and not function.structured_input_signature[0]:
        named_inputs, inputs = dict(zip(function.structured_input_signature[1], inputs, strict=True)), ()
    result = function(*inputs, **named_inputs)
    return next(iter(result.values())) if isinstance(result, Mapping) else result


def input_shape(function: Any, name: str | None = None) -> tuple[int | None, ...]:
    """The shape that a concrete function, or loaded signature, takes as its input `name`, or as its only one.

    Raises:
        ModelFormatError: it has no such input, or one that is not float32 of a known rank.
    """
    positional, named = function.structured_input_signature
    specs = {spec.name: spec for spec in [*positional, *named.values()]}
    if name is None and len(specs) == 1:
        name = next(iter(specs))
    spec = specs.get(name)
    if spec is None or spec.dtype != tf.float32 or spec.shape.rank is None:
        raise ModelFormatError(
            f"saved_model.pb: expected {name or 'one input'} of float32, got {list(specs.values())}"
        )
    return tuple(spec.shape)


def output_shape(function: Any) -> tuple[int | None, ...]:
    """The shape of the only output, float32 of two dimensions, of a loaded signature.

    Raises:
        ModelFormatError: it gives something else.
    """
    given = list(function.structured_outputs.values())
    if len(given) != 1 or given[0].dtype != tf.float32 or given[0].shape.rank != 2:
        raise ModelFormatError(f"saved_model.pb: expected a function that gives float32 rows, got {given}")
    return tuple(given[0].shape)


def check_outputs(
    function: Any, shape: tuple[int | None, ...], outputs: Mapping[str, tuple[int, Any]]
) -> None:
    """Refuse a loaded signature that does not take one float32 tensor of `shape` and give `outputs`.

    Args:
        function: the signature.
        shape: of its only input.
        outputs: of each output its rank and type.

    Raises:
        ModelFormatError: says what it takes, or gives.
    """
    if (taken := input_shape(function)) != shape:
        raise ModelFormatError(
            f"saved_model.pb: expected a function of the shape {shape}, got one of {taken}"
        )
    given = {name: (spec.shape.rank, spec.dtype) for name, spec in function.structured_outputs.items()}
    if given != outputs:
        raise ModelFormatError(f"saved_model.pb: expected a function that gives {outputs}, got {given}")


def load_settings(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """The wrapper's settings beside a SavedModel.

    Raises:
        ModelFormatError: missing, or not a JSON object.
    """
    path = Path(directory) / SETTINGS_FILE
    try:
        settings = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ModelFormatError(f"{SETTINGS_FILE}: cannot be read: {error}") from error
    if not isinstance(settings, dict):
        raise ModelFormatError(f"{SETTINGS_FILE}: expected an object")
    return settings


def load_functions(directory: str | os.PathLike[str]) -> SavedFunctions:
    """Load a SavedModel that we or the published package wrote; its file is changed where it must be to run.

    Raises:
        ModelFormatError: broken, made for another reader, or with operations that a prediction has no need of.
    """
    prepare_saved_model(Path(directory) / "saved_model.pb")
    try:
        loaded = tf.saved_model.load(os.fspath(directory))
    except Exception as error:  # TensorFlow raises errors of any type for a broken file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelFormatError(f"saved_model.pb: cannot be loaded: {reason:.300}") from error
    signatures = getattr(loaded, "signatures", {})
    if RAW_SIGNATURE not in signatures:
        raise ModelFormatError(f'saved_model.pb: expected a signature "{RAW_SIGNATURE}"')
    found = [signatures.get(name) for name in (RAW_SIGNATURE, PREPROCESSED_SIGNATURE, FEATURES_SIGNATURE)]
    for function in found:
        if function is not None:
            check_graph(function.graph.as_graph_def())
    raw, preprocessed, features = found
    return SavedFunctions(raw, preprocessed, features, loaded)
