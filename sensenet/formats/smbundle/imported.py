"""Functions made of the graphs of bundles (see `graph`): our own, with variables of our own."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2
from tensorflow.python.eager import context

from sensenet.errors import ModelFormatError
from sensenet.formats.smbundle.checks import check_finite, constant_array
from sensenet.formats.smbundle.graph import PredictionGraph

CHECKPOINT = "variables/variables"
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "VARIABLE_VALUE"


def constant_tensors(graphs: Iterable[PredictionGraph]) -> dict[str, tf.Tensor]:
    """The constants of the graphs of one file, by their nodes; each once, however many graphs share it.

    Raises:
        ModelFormatError: one that is no array, or holds numbers that are not finite.
    """
    nodes = {name: node for graph in graphs for name, node in graph.constants.items()}
    return {name: tf.constant(constant_array(node)) for name, node in nodes.items()}


def import_function(
    graph: PredictionGraph, constants: Mapping[str, tf.Tensor], variables: Mapping[int, tf.Variable]
) -> Any:
    """A concrete function that takes the inputs of a signature by their names and gives a dict of its outputs.

    Args:
        constants: see `constant_tensors`.
        variables: by the number of their object.

    Raises:
        ModelFormatError: TensorFlow cannot make a graph of it.
    """
    tensors = {name: constants[name] for name in graph.constants}
    tensors |= {name: variables[number].handle for name, number in graph.variables.items()}

    def call(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        function = tf.compat.v1.get_default_graph()
        given = {f"{name}:0": function.capture(tensor) for name, tensor in tensors.items()}
        given |= {f"{node}:0": inputs[name] for name, node, _ in graph.inputs}
        wanted = [tensor for _, tensor in graph.outputs]
        found = tf.graph_util.import_graph_def(graph.graph, given, wanted, name="")
        return dict(zip((name for name, _ in graph.outputs), found, strict=True))

    specs = {name: spec for name, _, spec in graph.inputs}
    try:
        function = tf.function(call, autograph=False).get_concrete_function(**specs)
        _register(graph.graph.library.function, function)
    except Exception as error:  # TensorFlow raises errors of any type for a broken graph
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelFormatError(f"saved_model.pb: cannot be loaded: {reason:.300}") from error
    return function


def read_variables(files: Mapping[str, bytes], objects: Any, numbers: set[int]) -> dict[int, tf.Variable]:
    """The variables of some objects, by the numbers of these.

    Args:
        files: of the bundle.
        objects: the object graph of its SavedModel.

    Raises:
        ModelFormatError: a variable is missing from the checkpoint, is no array of float32, or is not finite.
    """
    if not numbers:
        return {}
    # TensorFlow reads checkpoints from files only
    with tempfile.TemporaryDirectory(prefix="sensenet.") as folder:
        for name, content in files.items():
            if name.startswith(f"{CHECKPOINT}.") and name.count("/") == 1:
                (Path(folder) / Path(name).name).write_bytes(content)
        try:
            reader = tf.train.load_checkpoint(str(Path(folder) / Path(CHECKPOINT).name))
            keys = _keys(reader, objects)
            return {number: _variable(reader, keys[number], files) for number in sorted(numbers)}
        except ModelFormatError:
            raise
        except Exception as error:  # of any type, as above
            reason = (str(error).splitlines() or [type(error).__name__])[0].replace(folder, "variables")
            raise ModelFormatError(f"{CHECKPOINT}: cannot be read: {reason:.300}") from error


def _register(bodies: Iterable[Any], function: Any) -> None:
    """Make known the functions that `function` calls, for as long as it lives."""
    registry = context.context()
    for body in bodies:
        registry.add_function_def(body)
        weakref.finalize(function, registry.remove_function, body.signature.name).atexit = False


def _keys(reader: Any, objects: Any) -> dict[int, str]:
    """Of each object that is a variable its key in the checkpoint.

    SavedModel and checkpoint number the same objects in their own ways: they are the same by their names in the
    objects that hold them.
    """
    tracked = trackable_object_graph_pb2.TrackableObjectGraph()
    tracked.ParseFromString(reader.get_tensor(OBJECT_GRAPH))
    keys: dict[int, str] = {}
    seen, waiting = set(), [(0, 0)]
    while waiting:
        number, there = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        for attribute in tracked.nodes[there].attributes:
            if attribute.name == VALUE:
                keys[number] = attribute.checkpoint_key
        places = {child.local_name: child.node_id for child in tracked.nodes[there].children}
        children = objects.nodes[number].children
        waiting += [
            (child.node_id, places[child.local_name]) for child in children if child.local_name in places
        ]
    return keys


def _variable(reader: Any, key: str, files: Mapping[str, bytes]) -> tf.Variable:
    shape, dtype = reader.get_variable_to_shape_map()[key], reader.get_variable_to_dtype_map()[key]
    # the size that an index promises is taken before a byte is read
    if dtype != tf.float32 or np.prod(shape, dtype=object) * dtype.size > sum(map(len, files.values())):
        raise ModelFormatError(f"{CHECKPOINT}: {key:.100}: expected float32 numbers that are in the file")
    array = reader.get_tensor(key)
    check_finite(array, f"{CHECKPOINT}: {key:.100}")
    return tf.Variable(array, trainable=False)
