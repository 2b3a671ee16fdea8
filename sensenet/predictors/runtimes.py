"""Exported files, opened once and run often: functions of arrays by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import tensorflow as tf

from sensenet.errors import ModelFormatError, SettingsError, first_line
from sensenet.files import is_file, read_whole
from sensenet.formats.base import FACTS_FILE, Arrays
from sensenet.formats.consumers import is_importable
from sensenet.formats.onnx import FACTS_KEY
from sensenet.formats.savedmodel import DEFAULT_SIGNATURE, EXTRA_FACTS
from sensenet.formats.tflite.writing import read_facts


class Opened(NamedTuple):
    """A file that runs.

    Attributes:
        inputs: the names of what it takes, so far as it says.
        outputs: the names of what it gives.
        run: inputs by name -> outputs by name.
        facts: what the export says of its model; None where it was not written here.
    """

    inputs: frozenset[str]
    outputs: frozenset[str]
    run: Callable[[Arrays], dict[str, np.ndarray]]
    facts: Any


def open_savedmodel(folder: Path) -> Opened:
    """The signature `serving_default` of a SavedModel, which is a program that TensorFlow runs.

    Raises:
        ModelFormatError: it cannot be loaded, or has no such signature.
    """
    try:
        loaded = tf.saved_model.load(folder)
    except Exception as error:  # TensorFlow raises errors of any type for a broken model
        raise _broken(folder, error) from error
    if DEFAULT_SIGNATURE not in loaded.signatures:
        raise ModelFormatError(f"{folder}: expected a SavedModel with the signature {DEFAULT_SIGNATURE}")
    function = loaded.signatures[DEFAULT_SIGNATURE]
    named = function.structured_input_signature[1]

    def run(inputs: Arrays) -> dict[str, np.ndarray]:
        # the function does not keep alive what it computes with
        given = {name: tf.constant(array, named[name].dtype) for name, array in inputs.items()}
        return {
            name: tensor.numpy() for name, tensor in loaded.signatures[DEFAULT_SIGNATURE](**given).items()
        }

    return Opened(frozenset(named), frozenset(function.structured_outputs), run, _facts(folder / EXTRA_FACTS))


def open_graph(path: Path, inputs: Sequence[str], outputs: Sequence[str]) -> Opened:
    """A frozen graph, which is a program that TensorFlow runs.

    Args:
        path: of the file.
        inputs, outputs: the names of nodes; those that are not there are left out, without inputs all outputs.

    Raises:
        ModelFormatError: no graph, or one that cannot be loaded.
        OSError: it cannot be read.
    """
    definition = tf.compat.v1.GraphDef()
    try:
        definition.ParseFromString(read_whole(path))
        wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(definition, name=""), [])
        nodes = {node.name for node in definition.node}
        taken = [name for name in inputs if name in nodes]
        given = [name for name in outputs if name in nodes and taken]
        feeds, fetches = (
            [wrapped.graph.get_tensor_by_name(f"{name}:0") for name in each] for each in (taken, given)
        )
        function = wrapped.prune(feeds, fetches)
    except Exception as error:  # of any type, as above
        raise _broken(path, error) from error

    def run(arrays: Arrays) -> dict[str, np.ndarray]:
        found = function(
            *(tf.constant(arrays[name], feed.dtype) for name, feed in zip(taken, feeds, strict=True))
        )
        return {name: tensor.numpy() for name, tensor in zip(given, found, strict=True)}

    return Opened(frozenset(taken), frozenset(given), run, _facts(path.parent / FACTS_FILE))


def open_tflite(path: Path) -> Opened:
    """A TFLite file of ours, by `ai-edge-litert` where that is installed, else by TensorFlow.

    Raises:
        ModelFormatError: it was not written here, or is damaged.
        OSError: it cannot be read.
    """
    facts = read_facts(path)
    module = "ai_edge_litert.interpreter" if is_importable("ai_edge_litert") else "tensorflow.lite"
    try:
        predict = import_module(module).Interpreter(model_path=str(path)).get_signature_runner()
    except ValueError as error:
        raise _broken(path, error) from error

    def run(inputs: Arrays) -> dict[str, np.ndarray]:
        # what a call gives stands in memory of the interpreter, which the next call overwrites
        return {name: np.array(array) for name, array in predict(**inputs).items()}

    return Opened(frozenset(predict.get_input_details()), frozenset(predict.get_output_details()), run, facts)


def open_onnx(path: Path) -> Opened:
    """An ONNX file of ours, by `onnxruntime` on the processor.

    Raises:
        SettingsError: `onnxruntime` is not installed.
        ModelFormatError: it was not written here, or is damaged.
    """
    if not is_importable("onnxruntime"):
        raise SettingsError(f'{path}: needs onnxruntime; install it with: pip install "pyramid[onnx]"')
    runtime = import_module("onnxruntime")
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no type in common
        raise _broken(path, error) from error
    names = [output.name for output in session.get_outputs()]
    encoded = session.get_modelmeta().custom_metadata_map.get(FACTS_KEY)

    def run(inputs: Arrays) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    facts = None if encoded is None else _parsed(encoded.encode(), path)
    return Opened(frozenset(each.name for each in session.get_inputs()), frozenset(names), run, facts)


def _facts(path: Path) -> Any:
    return _parsed(read_whole(path), path) if is_file(path) else None


def _parsed(encoded: bytes, path: Path) -> Any:
    try:
        return orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        raise ModelFormatError(f"{path}: the facts of the model are no JSON: {error}") from error


def _broken(path: Path, error: Exception) -> ModelFormatError:
    return ModelFormatError(f"{path}: cannot be loaded: {first_line(error)}")
