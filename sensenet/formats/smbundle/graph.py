"""What of a bundle's SavedModel is taken over: what its predictions need, each operation known and harmless.

What comes from a file is not trusted. TensorFlow's own loader makes objects by names that the file gives, initialises
tables and calls functions of the file; so it is not used. The protocol buffer is read as data, and of each signature
only what its outputs depend on is taken, under names of our own: operations on a positive list, constants of bounded
size, variables whose values are read as numbers. All else in the file stays there. `models.imported` makes functions
of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from sensenet.errors import ModelFormatError
from sensenet.formats.smbundle.checks import (
    CONSTANT,
    all_nodes,
    calls,
    check_calls,
    check_operations,
    check_sizes,
    constant_array,
)
from sensenet.formats.smbundle.operations import LOOPS

VARIABLE = "VarHandleOp"
# how a graph is run; whatever else begins with an underscore is left behind
KEPT_ATTRIBUTES = frozenset(
    {"_construction_context", "_input_shapes", "_lower_using_switch_merge", "_num_original_outputs"}
)
# by these TensorFlow may run another function than the one that is named
IMPLEMENTATION = "api_"
# objects that hold nothing to be run; tables and the like are others
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


@dataclass(frozen=True)
class PredictionGraph:
    """What one signature needs.

    Attributes:
        graph: nodes but for its own constants, and functions under names that no other file's have.
        inputs: of each input its name, the node that stands for it, and what it takes.
        outputs: of each output its name, and the tensor that it is.
        constants: the graph's own constants, nodes by their names: several signatures share them.
        variables: the objects that hold the graph's variables, by their nodes.
    """

    graph: graph_pb2.GraphDef
    inputs: tuple[tuple[str, str, tf.TensorSpec], ...]
    outputs: tuple[tuple[str, str], ...]
    constants: Mapping[str, Any]
    variables: Mapping[str, int]

    @property
    def has_loops(self) -> bool:
        """Whether it might go on for ever."""
        return any(node.op in LOOPS for node in all_nodes(self.graph))


def parse_saved_model(content: bytes) -> meta_graph_pb2.MetaGraphDef:
    """The graph in a `saved_model.pb`, as data.

    Raises:
        ModelFormatError: not such a file, or one with objects or functions that would run something of their own.
    """
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError moves between its versions
        raise ModelFormatError(f"saved_model.pb: cannot be read: {error}") from error
    if len(saved.meta_graphs) != 1 or not saved.meta_graphs[0].object_graph_def.nodes:
        raise ModelFormatError("saved_model.pb: expected one graph, in a SavedModel of TensorFlow 2")
    meta = saved.meta_graphs[0]
    for node in meta.object_graph_def.nodes:
        if node.WhichOneof("kind") not in PASSIVE_OBJECTS or node.registered_saver or node.saveable_objects:
            raise ModelFormatError("saved_model.pb: holds an object that would run code when it is loaded")
    for body in meta.graph_def.library.function:
        if stranger := next((name for name in body.attr if name.startswith(IMPLEMENTATION)), None):
            raise ModelFormatError(
                f"saved_model.pb: the attribute {stranger} has no place in a prediction: another function may be "
                "run in the place of one with it"
            )
    return meta


def prediction_graph(meta: meta_graph_pb2.MetaGraphDef, signature: str) -> PredictionGraph:
    """What the signature of that name needs.

    Raises:
        ModelFormatError: operations, constants or calls that have no place in a prediction, or missing pieces.
    """
    declared = meta.signature_def[signature]
    outputs = tuple((name, info.name) for name, info in sorted(declared.outputs.items()))
    graph = _needed(meta.graph_def, [_node_of(tensor) for _, tensor in outputs])
    check_operations(graph)
    check_sizes(graph)
    check_calls(graph)
    variables = _variables(graph, meta.object_graph_def)  # by the functions' names in the file
    _tidy(graph)
    _break_up_mish(graph)
    inputs = tuple(
        (name, _node_of(info.name), _spec(name, info)) for name, info in sorted(declared.inputs.items())
    )
    return PredictionGraph(graph, inputs, outputs, _without_constants(graph), variables)


def _needed(whole: graph_pb2.GraphDef, outputs: Iterable[str]) -> graph_pb2.GraphDef:
    """The nodes that `outputs` depend on, and the functions that these call; copies."""
    nodes = {node.name: node for node in whole.node}
    bodies = {body.signature.name: body for body in whole.library.function}
    graph = graph_pb2.GraphDef(versions=whole.versions)
    for name in _reachable(outputs, lambda name: map(_node_of, _found(nodes, name).input)):
        graph.node.append(nodes[name])
    called = {name for node in graph.node for name in calls(node, bodies)}
    for name in _reachable(
        called,
        lambda name: (inner for node in _found(bodies, name).node_def for inner in calls(node, bodies)),
    ):
        graph.library.function.append(bodies[name])
    return graph


def _reachable(starts: Iterable[str], following: Any) -> Iterator[str]:
    """Every name once that can be come to from `starts`."""
    waiting, seen = list(starts), set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(following(name))
            yield name


def _found(things: Mapping[str, Any], name: str) -> Any:
    if name not in things:
        raise ModelFormatError(f"saved_model.pb: {name:.100} is missing")
    return things[name]


def _node_of(tensor: str) -> str:
    """The node that an input names: "node:1", "^node", or in a function "node:output:1"."""
    return tensor.removeprefix("^").split(":")[0]


def _without_constants(graph: graph_pb2.GraphDef) -> dict[str, Any]:
    """Take the graph's own constants out of it: they are captured, not copied; those of functions stay, checked."""
    constants = {node.name: node for node in graph.node if node.op == CONSTANT}
    for place in reversed(range(len(graph.node))):
        if graph.node[place].name in constants:
            del graph.node[place]
    for body in graph.library.function:
        for node in body.node_def:
            if node.op == CONSTANT:
                constant_array(node)
    return constants


def _variables(graph: graph_pb2.GraphDef, objects: Any) -> dict[str, int]:
    """Of each variable's node the number of its object.

    The object graph knows what each function was bound to, in the order of the last inputs of the node that calls it.
    """
    bound: dict[str, int] = {}
    for node in graph.node:
        for function in (value.func.name for value in node.attr.values()):
            if function in objects.concrete_functions:
                numbers = objects.concrete_functions[function].bound_inputs
                data = [name for name in node.input if not name.startswith("^")]
                pairs = zip(reversed(data), reversed(numbers), strict=False)
                bound |= {_node_of(name): number for name, number in pairs}
    return {node.name: _found(bound, node.name) for node in graph.node if node.op == VARIABLE}


def _tidy(graph: graph_pb2.GraphDef) -> None:
    """Leave out where and how nodes wish to be run, and give functions names that no other file's have."""
    token = secrets.token_hex(8)
    names = {
        body.signature.name: f"bundled_{token}_{number}" for number, body in enumerate(graph.library.function)
    }
    for node in all_nodes(graph):
        node.device = ""
        node.op = names.get(node.op, node.op)
        _leave_out(node.attr)
        for value in node.attr.values():
            for function in [value.func] if value.WhichOneof("value") == "func" else value.list.func:
                function.name = names[function.name]
    for body in graph.library.function:
        body.signature.name = names[body.signature.name]
        _leave_out(body.attr)


def _leave_out(attributes: Any) -> None:
    for name in [name for name in attributes if name.startswith("_") and name not in KEPT_ATTRIBUTES]:
        del attributes[name]


def _break_up_mish(graph: graph_pb2.GraphDef) -> None:
    """Put a relu, which changes nothing, between each softplus and the tanh of it.

    With oneDNN, TensorFlow fuses the textbook form of mish with the convolution before it into a kernel that it
    lacks ("Fusion is not implemented"); see `layers.activations.mish`.
    """
    for body in graph.library.function:
        softplus = {node.name for node in body.node_def if node.op == "Softplus"}
        for tanh in [node for node in body.node_def if node.op == "Tanh"]:
            if tanh.input and _node_of(tanh.input[0]) in softplus:
                relu = body.node_def.add(name=f"{tanh.name}/of_relu", op="Relu", input=[tanh.input[0]])
                relu.attr["T"].CopyFrom(tanh.attr["T"])
                tanh.input[0] = f"{relu.name}:activations:0"


def _spec(name: str, info: Any) -> tf.TensorSpec:
    try:
        return tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype), name=name)
    except (TypeError, ValueError) as error:
        raise ModelFormatError(f"saved_model.pb: the input {name:.100}: {error}") from error
