"""What of a bundle's SavedModel is taken over: what its predictions need, each operation known and harmless.

What comes from a file is not trusted. TensorFlow's own loader makes objects by names that the file gives, initialises
tables and calls functions of the file; so it is not used. The protocol buffer is read as data, and of each signature
only what its outputs depend on is taken, under names of our own: operations on a positive list, constants of bounded
size, variables whose values are read as numbers. All else in the file stays there. `models.imported` makes functions
of it.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.framework import op_def_registry

from sensenet.errors import ModelFormatError
from sensenet.formats.smbundle.operations import LOOPS, OPERATIONS

VARIABLE, CONSTANT = "VarHandleOp", "Const"
MAX_CONSTANT_NUMBERS = 250_000_000
MAX_CALLED_NODES = 1_000_000
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
        graph: nodes, and functions under names that no other file's have.
        inputs: of each input its name, the node that stands for it, and what it takes.
        outputs: of each output its name, and the tensor that it is.
        constants: the arrays of the graph's own constants, by their nodes; better captured than copied.
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
        return any(node.op in LOOPS for node in _all_nodes(self.graph))


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
    _check_operations(graph)
    _check_constants(graph)
    _check_calls(graph)
    variables = _variables(graph, meta.object_graph_def)  # by the functions' names in the file
    _tidy(graph)
    _break_up_mish(graph)
    inputs = tuple(
        (name, _node_of(info.name), _spec(name, info)) for name, info in sorted(declared.inputs.items())
    )
    constants = {node.name: _array(node) for node in _of(graph, CONSTANT)}
    return PredictionGraph(graph, inputs, outputs, constants, variables)


def _needed(whole: graph_pb2.GraphDef, outputs: Iterable[str]) -> graph_pb2.GraphDef:
    """The nodes that `outputs` depend on, and the functions that these call; copies."""
    nodes = {node.name: node for node in whole.node}
    bodies = {body.signature.name: body for body in whole.library.function}
    graph = graph_pb2.GraphDef(versions=whole.versions)
    for name in _reachable(outputs, lambda name: map(_node_of, _found(nodes, name).input)):
        graph.node.append(nodes[name])
    called = {name for node in graph.node for name in _calls(node, bodies)}
    for name in _reachable(
        called,
        lambda name: (inner for node in _found(bodies, name).node_def for inner in _calls(node, bodies)),
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


def _calls(node: Any, bodies: Mapping[str, Any]) -> Iterator[str]:
    """The functions that a node calls, by its operation or its attributes."""
    if node.op in bodies:
        yield node.op
    for value in node.attr.values():
        if value.WhichOneof("value") == "func":
            yield value.func.name
        yield from (function.name for function in value.list.func)


def _all_nodes(graph: graph_pb2.GraphDef) -> Iterator[Any]:
    yield from graph.node
    for body in graph.library.function:
        yield from body.node_def


def _of(graph: graph_pb2.GraphDef, operation: str) -> list[Any]:
    return [node for node in graph.node if node.op == operation]


def needed_operations(meta: meta_graph_pb2.MetaGraphDef, signature: str) -> frozenset[str]:
    """The operations that the outputs of a signature depend on, whether or not they may be there.

    Raises:
        ModelFormatError: pieces that are missing.
    """
    outputs = [_node_of(info.name) for info in meta.signature_def[signature].outputs.values()]
    return _operations(_needed(meta.graph_def, outputs))


def _operations(graph: graph_pb2.GraphDef) -> frozenset[str]:
    own = {body.signature.name for body in graph.library.function}
    return frozenset(node.op for node in _all_nodes(graph)) - own


def _check_operations(graph: graph_pb2.GraphDef) -> None:
    for name in sorted(_operations(graph) - OPERATIONS):
        if op_def_registry.get(name) is None:
            raise ModelFormatError(
                f"saved_model.pb: needs the operation {name:.100}, which TensorFlow does not have; "
                "make the bundle from the model's JSON document instead"
            )
        raise ModelFormatError(f"saved_model.pb: the operation {name} has no place in a prediction")
    if any(op_def_registry.get(body.signature.name) is not None for body in graph.library.function):
        raise ModelFormatError("saved_model.pb: a function has the name of an operation")


def _check_constants(graph: graph_pb2.GraphDef) -> None:
    """Refuse constants that would take more memory than any model's, and those that are no finite numbers."""
    nodes = [node for node in _all_nodes(graph) if node.op == CONSTANT]
    sizes = [[one.size for one in node.attr["value"].tensor.tensor_shape.dim] for node in nodes]
    numbers = sum(map(math.prod, sizes))
    if numbers > MAX_CONSTANT_NUMBERS or any(size < 0 for shape in sizes for size in shape):
        raise ModelFormatError(
            f"saved_model.pb: expected constants of at most {MAX_CONSTANT_NUMBERS:,} numbers, got {numbers:,}"
        )
    for node in nodes:
        check_finite(_array(node), f"saved_model.pb: {node.name:.100}")


def check_finite(array: np.ndarray, place: str) -> None:
    """Refuse weights that are not all numbers; a single infinity may be a bound that computations compare with.

    Raises:
        ModelFormatError: NaN, or infinity, among them; names `place`.
    """
    if array.dtype.kind == "f" and (np.isnan(array) if array.size == 1 else ~np.isfinite(array)).any():
        raise ModelFormatError(f"{place}: expected finite numbers, got NaN or infinity")


def _array(node: Any) -> np.ndarray:
    try:
        return tf.make_ndarray(node.attr["value"].tensor)
    except (TypeError, ValueError) as error:
        raise ModelFormatError(f"saved_model.pb: {node.name:.100}: {error}") from error


def _check_calls(graph: graph_pb2.GraphDef) -> None:
    """Refuse functions that call themselves, and those that call each other so often that it would never end."""
    bodies = {body.signature.name: body for body in graph.library.function}
    sizes: dict[str, int] = {}
    waiting = list(bodies)
    opened = set()
    while waiting:
        name = waiting[-1]
        inner = [call for node in bodies[name].node_def for call in _calls(node, bodies)]
        if missing := [call for call in inner if call not in sizes]:
            if name in opened:
                raise ModelFormatError(f"saved_model.pb: the function {name:.100} calls itself")
            opened.add(name)
            waiting += missing
            continue
        waiting.pop()
        sizes[name] = len(bodies[name].node_def) + sum(sizes[call] for call in inner)
        if sizes[name] > MAX_CALLED_NODES:
            raise ModelFormatError(
                f"saved_model.pb: the function {name:.100} would run more than {MAX_CALLED_NODES:,} operations"
            )


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
    return {node.name: _found(bound, node.name) for node in _of(graph, VARIABLE)}


def _tidy(graph: graph_pb2.GraphDef) -> None:
    """Leave out where and how nodes wish to be run, and give functions names that no other file's have."""
    token = secrets.token_hex(8)
    names = {
        body.signature.name: f"bundled_{token}_{number}" for number, body in enumerate(graph.library.function)
    }
    for node in _all_nodes(graph):
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
