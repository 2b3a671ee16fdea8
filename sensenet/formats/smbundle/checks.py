"""What a graph of a bundle may hold: operations on the positive list, constants of bounded size, calls that end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.python.framework import op_def_registry

from sensenet.errors import ModelFormatError
from sensenet.formats.smbundle.operations import OPERATIONS

CONSTANT = "Const"
MAX_CONSTANT_NUMBERS = 250_000_000
MAX_CALLED_NODES = 1_000_000


def calls(node: Any, bodies: Mapping[str, Any]) -> Iterator[str]:
    """The functions that a node calls, by its operation or its attributes."""
    if node.op in bodies:
        yield node.op
    for value in node.attr.values():
        if value.WhichOneof("value") == "func":
            yield value.func.name
        yield from (function.name for function in value.list.func)


def all_nodes(graph: graph_pb2.GraphDef) -> Iterator[Any]:
    """Those of a graph and of its functions."""
    yield from graph.node
    for body in graph.library.function:
        yield from body.node_def


def operations_of(graph: graph_pb2.GraphDef) -> frozenset[str]:
    """Those of a graph and of its functions, which are none themselves."""
    own = {body.signature.name for body in graph.library.function}
    return frozenset(node.op for node in all_nodes(graph)) - own


def check_operations(graph: graph_pb2.GraphDef) -> None:
    """Refuse operations that are not on the positive list, and functions that pass for one.

    Raises:
        ModelFormatError: names the operation.
    """
    for name in sorted(operations_of(graph) - OPERATIONS):
        if op_def_registry.get(name) is None:
            raise ModelFormatError(
                f"saved_model.pb: needs the operation {name:.100}, which TensorFlow does not have; "
                "make the bundle from the model's JSON document instead"
            )
        raise ModelFormatError(f"saved_model.pb: the operation {name} has no place in a prediction")
    if any(op_def_registry.get(body.signature.name) is not None for body in graph.library.function):
        raise ModelFormatError("saved_model.pb: a function has the name of an operation")


def check_sizes(graph: graph_pb2.GraphDef) -> None:
    """Refuse constants that would take more memory than any model's.

    Raises:
        ModelFormatError: says how large they are.
    """
    nodes = [node for node in all_nodes(graph) if node.op == CONSTANT]
    sizes = [[one.size for one in node.attr["value"].tensor.tensor_shape.dim] for node in nodes]
    numbers = sum(map(math.prod, sizes))
    if numbers > MAX_CONSTANT_NUMBERS or any(size < 0 for shape in sizes for size in shape):
        raise ModelFormatError(
            f"saved_model.pb: expected constants of at most {MAX_CONSTANT_NUMBERS:,} numbers, got {numbers:,}"
        )


def check_finite(array: np.ndarray, place: str) -> None:
    """Refuse weights that are not all numbers; a single infinity may be a bound that computations compare with.

    Raises:
        ModelFormatError: NaN, or infinity, among them; names `place`.
    """
    if array.dtype.kind == "f" and (np.isnan(array) if array.size == 1 else ~np.isfinite(array)).any():
        raise ModelFormatError(f"{place}: expected finite numbers, got NaN or infinity")


def constant_array(node: Any) -> np.ndarray:
    """The array of a constant's node.

    Raises:
        ModelFormatError: it holds none, or numbers that are not finite.
    """
    try:
        array = tf.make_ndarray(node.attr["value"].tensor)
    except (TypeError, ValueError) as error:
        raise ModelFormatError(f"saved_model.pb: {node.name:.100}: {error}") from error
    check_finite(array, f"saved_model.pb: {node.name:.100}")
    return array


def check_calls(graph: graph_pb2.GraphDef) -> None:
    """Refuse functions that call themselves, and those that call each other so often that it would never end.

    Raises:
        ModelFormatError: names the function.
    """
    bodies = {body.signature.name: body for body in graph.library.function}
    sizes: dict[str, int] = {}
    waiting = list(bodies)
    opened = set()
    while waiting:
        name = waiting[-1]
        inner = [call for node in bodies[name].node_def for call in calls(node, bodies)]
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
