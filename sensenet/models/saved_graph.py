"""What the graph of a bundle may hold: checked before it is loaded, and before it runs.

What comes from a file is not trusted: a graph can hold operations that read and write files. Every stateful operation
is refused but those that read the model's own variables.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from sensenet.errors import ModelFormatError

SAFE_STATEFUL = frozenset(
    {
        "DisableCopyOnRead",
        "PartitionedCall",
        "ReadVariableOp",
        "StatefulPartitionedCall",
        "VarHandleOp",
        "VariableV2",
    }
)
# operations that touch files although TensorFlow does not call them stateful
FORBIDDEN = re.compile(
    r"File|Debug|Dataset|Reader|Vocab|Checkpoint|LoadAndRemap|DecodeProto|EncodeProto|PyFunc"
)
# objects that are made by reading them; others (tables) run functions of the file when they are loaded
PASSIVE_OBJECTS = frozenset(
    {
        "asset",
        "bare_concrete_function",
        "captured_tensor",
        "constant",
        "function",
        "user_object",
        "variable",
    }
)


def prepare_saved_model(path: Path) -> None:
    """Refuse a file whose mere loading would run something of its own, or which this TensorFlow cannot know.

    The file is written anew where TensorFlow could not run its graph as it stands.

    Raises:
        ModelFormatError: says what stands against it.
    """
    saved = _parse(path)
    for graph in saved.meta_graphs:
        if not graph.object_graph_def.nodes:
            raise ModelFormatError("saved_model.pb: expected a SavedModel of TensorFlow 2")
        _refuse_active_objects(graph.object_graph_def)
        _refuse_unknown_operations(graph.graph_def)
    if _break_up_mish(saved):
        path.write_bytes(saved.SerializeToString())


def check_graph(graph: Any) -> None:
    """Refuse a graph with operations that a prediction has no need of.

    Raises:
        ModelFormatError: names the operation.
    """
    for name in sorted(_operations(graph)):
        definition = op_def_registry.get(name)
        stateful = definition is None or definition.is_stateful
        if FORBIDDEN.search(name) or (stateful and name not in SAFE_STATEFUL):
            raise ModelFormatError(f"saved_model.pb: the operation {name} has no place in a prediction")


def _parse(path: Path) -> saved_model_pb2.SavedModel:
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError moves between its versions
        raise ModelFormatError(f"saved_model.pb: cannot be read: {error}") from error
    return saved


def _break_up_mish(saved: saved_model_pb2.SavedModel) -> bool:
    """Put a relu, which changes nothing, between each softplus and the tanh of it; tell whether there were any.

    With oneDNN, TensorFlow fuses the textbook form of mish with the convolution before it into a kernel that it
    lacks ("Fusion is not implemented"); see `layers.activations.mish`.
    """
    changed = False
    functions = [body for graph in saved.meta_graphs for body in graph.graph_def.library.function]
    for function in functions:
        softplus = {node.name for node in function.node_def if node.op == "Softplus"}
        for tanh in [node for node in function.node_def if node.op == "Tanh"]:
            if tanh.input and tanh.input[0].split(":")[0] in softplus:
                relu = function.node_def.add(name=f"{tanh.name}/of_relu", op="Relu", input=[tanh.input[0]])
                relu.attr["T"].CopyFrom(tanh.attr["T"])
                tanh.input[0] = f"{relu.name}:activations:0"
                changed = True
    return changed


def _refuse_active_objects(objects: Any) -> None:
    for node in objects.nodes:
        active = node.WhichOneof("kind") not in PASSIVE_OBJECTS or node.registered_saver
        if active or node.saveable_objects:
            raise ModelFormatError("saved_model.pb: holds an object that would run code when it is loaded")


def _refuse_unknown_operations(graph: Any) -> None:
    for name in _operations(graph):
        if op_def_registry.get(name) is None:
            raise ModelFormatError(
                f"saved_model.pb: needs the operation {name}, which TensorFlow does not have; "
                "make the bundle from the model's JSON document instead"
            )


def _operations(graph: Any) -> set[str]:
    """The operations of a GraphDef and of its functions, which are none themselves."""
    functions = graph.library.function
    own = {function.signature.name for function in functions}
    names = {node.op for node in graph.node} | {node.op for body in functions for node in body.node_def}
    return names - own
