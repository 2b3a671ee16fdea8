"""A model as a TensorFlow SavedModel with our settings beside it: what a bundle holds."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import tensorflow as tf
from tensorflow.python.eager import cancellation

from sensenet.errors import ModelFormatError
from sensenet.files import write_whole
from sensenet.formats.smbundle.container import SUFFIX, pack
from sensenet.formats.smbundle.graph import parse_saved_model, prediction_graph
from sensenet.formats.smbundle.imported import constant_tensors, import_function, read_variables
from sensenet.formats.smbundle.keras_metadata import METADATA_FILE, encoded_metadata, keras_api

SAVED_MODEL = "saved_model.pb"
SETTINGS_FILE = "assets/settings.json"
RAW_SIGNATURE = "serving_default"
PREPROCESSED_SIGNATURE = "preprocessed"
FEATURES_SIGNATURE = "features"
MAX_LOOP_SECONDS = 60.0


class SavedFunctions(NamedTuple):
    """The concrete functions of a SavedModel.

    Attributes:
        raw: takes raw values (see `models.serving`); gives denormalised outputs, or boxes.
        preprocessed: takes the preprocessed matrix; None in bundles of the published package.
        features: takes the pixels of an image network's size, gives features, or all boxes of a detector; None
            without image fields, and in bundles of the published package.
        tracked: keeps alive what the functions use.
        raw_outputs: names of what `raw` gives, in their order; None where that is one tensor.
        has_loops: whether `raw`, which came from a file, might go on for ever.
    """

    raw: Any
    preprocessed: Any | None
    features: Any | None
    tracked: Any
    raw_outputs: Sequence[str] | None = None
    has_loops: bool = False


def save_bundle(functions: SavedFunctions, settings: dict[str, Any], path: str | os.PathLike[str]) -> str:
    """Write a bundle; ".smbundle" is added to `path` where it is missing.

    Returns:
        The path of the file.

    Raises:
        OSError: the file cannot be written.
    """
    name = os.fspath(path)
    final = name if name.endswith(SUFFIX) else name + SUFFIX
    write_whole(final, pack({**saved_files(functions), SETTINGS_FILE: orjson.dumps(settings)}))
    return final


def saved_files(functions: SavedFunctions) -> dict[str, bytes]:
    """The files of a SavedModel of the functions, by their paths in it; a model for Keras 2, too."""
    module = tf.Module()
    module.tracked = functions.tracked
    module.keras_api = keras_api(functions.raw, functions.raw_outputs)
    optional = {PREPROCESSED_SIGNATURE: functions.preprocessed, FEATURES_SIGNATURE: functions.features}
    signatures = {RAW_SIGNATURE: functions.raw}
    signatures |= {name: function for name, function in optional.items() if function is not None}
    return {**saved_model_files(module, signatures), METADATA_FILE: encoded_metadata()}


def saved_model_files(module: tf.Module, signatures: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a SavedModel, by their paths in it.

    They are made in memory: what TensorFlow says of a full disk names no file of ours.

    Args:
        module: its root object.
        signatures: concrete functions by their names.
    """
    # a prediction needs no gradients: without this, those of some activations are saved as functions of their own
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    folder = f"ram://{secrets.token_hex(16)}"
    try:
        tf.saved_model.save(module, folder, signatures=dict(signatures), options=options)
        return _files_below(folder)
    finally:
        tf.io.gfile.rmtree(folder)


def _files_below(folder: str) -> dict[str, bytes]:
    files = {}
    for directory, _, names in tf.io.gfile.walk(folder):
        for name in names:
            path = f"{directory.rstrip('/')}/{name}"
            with tf.io.gfile.GFile(path, "rb") as file:
                files[path.removeprefix(f"{folder}/")] = file.read()
    return files


def apply(function: Any, inputs: Any) -> tf.Tensor:
    """The only output of a concrete function of a bundle, for its only input."""
    (name,) = function.structured_input_signature[1]
    return only_output(function(**{name: inputs}))


def only_output(outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The only one of a function's outputs."""
    (output,) = outputs.values()
    return output


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


def load_settings(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The wrapper's settings among the files of a bundle.

    Raises:
        ModelFormatError: missing, or not a JSON object.
    """
    try:
        settings = orjson.loads(files.get(SETTINGS_FILE, b""))
    except orjson.JSONDecodeError as error:
        raise ModelFormatError(f"{SETTINGS_FILE}: cannot be read: {error}") from error
    if not isinstance(settings, dict):
        raise ModelFormatError(f"{SETTINGS_FILE}: expected an object")
    return settings


def load_functions(files: Mapping[str, bytes]) -> SavedFunctions:
    """The functions of a SavedModel that we or the published package wrote.

    Args:
        files: of the bundle, by their paths in it.

    Raises:
        ModelFormatError: broken, made for another reader, or with something that a prediction has no need of.
    """
    meta = parse_saved_model(files.get(SAVED_MODEL, b""))
    if RAW_SIGNATURE not in meta.signature_def:
        raise ModelFormatError(f'{SAVED_MODEL}: expected a signature "{RAW_SIGNATURE}"')
    names = (RAW_SIGNATURE, PREPROCESSED_SIGNATURE, FEATURES_SIGNATURE)
    graphs = {name: prediction_graph(meta, name) for name in names if name in meta.signature_def}
    numbers = {number for graph in graphs.values() for number in graph.variables.values()}
    variables = read_variables(files, meta.object_graph_def, numbers)
    constants = constant_tensors(graphs.values())
    functions = {name: import_function(graph, constants, variables) for name, graph in graphs.items()}
    raw, preprocessed, features = map(functions.get, names)
    if any(graph.has_loops for name, graph in graphs.items() if name != RAW_SIGNATURE):
        raise ModelFormatError(f"{SAVED_MODEL}: expected loops in {RAW_SIGNATURE} only")
    has_loops = graphs[RAW_SIGNATURE].has_loops
    return SavedFunctions(raw, preprocessed, features, tuple(variables.values()), has_loops=has_loops)


def call_raw(saved: SavedFunctions, **inputs: Any) -> Any:
    """Call the function of raw values; one that has loops is given up after `MAX_LOOP_SECONDS`.

    Raises:
        ModelFormatError: it has not come to its end by then.
    """
    if not saved.has_loops:
        return saved.raw(**inputs)
    manager = cancellation.CancellationManager()
    timer = threading.Timer(MAX_LOOP_SECONDS, manager.start_cancel)
    timer.start()
    try:
        return manager.get_cancelable_function(saved.raw)(**inputs)
    except tf.errors.CancelledError as error:
        raise ModelFormatError(
            f"{SAVED_MODEL}: the prediction of one row has not ended within {MAX_LOOP_SECONDS:g} s"
        ) from error
    finally:
        timer.cancel()
