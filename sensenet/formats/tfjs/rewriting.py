"""Nodes that TensorFlow.js lacks or misreads, by others that say the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2, types_pb2

NARROWED: Mapping[int, int] = MappingProxyType(
    {
        types_pb2.DT_INT64: types_pb2.DT_INT32,
        types_pb2.DT_DOUBLE: types_pb2.DT_FLOAT,
        types_pb2.DT_HALF: types_pb2.DT_FLOAT,
        types_pb2.DT_INT16: types_pb2.DT_INT32,
        types_pb2.DT_UINT8: types_pb2.DT_INT32,
        types_pb2.DT_INT8: types_pb2.DT_INT32,
    }
)
"""Types that TensorFlow.js has not -> what it computes in."""

Node: TypeAlias = node_def_pb2.NodeDef


def rewritten(graph: graph_pb2.GraphDef) -> graph_pb2.GraphDef:
    """`graph` in the operations and types of TensorFlow.js, without what only TensorFlow's runtime reads.

    Control inputs go: nothing in a prediction has side effects, and TensorFlow.js would wait for them.
    """
    result = graph_pb2.GraphDef(versions=graph.versions)
    constants = {node.name: node for node in graph.node if node.op == "Const"}
    for node in graph.node:
        for made in REWRITTEN.get(node.op, _as_it_is)(node, constants):
            result.node.append(_plain(made))
    return result


def _plain(node: Node) -> Node:
    """`node` without control inputs, device and private attributes, in types that TensorFlow.js has."""
    plain = Node(name=node.name, op=node.op, input=[name for name in node.input if not name.startswith("^")])
    for name, value in node.attr.items():
        if not name.startswith("_"):
            plain.attr[name].CopyFrom(value)
            if value.WhichOneof("value") == "type":
                plain.attr[name].type = NARROWED.get(value.type, value.type)
    return plain


def _as_it_is(node: Node, _: Mapping[str, Node]) -> Iterator[Node]:
    yield node


def _identity(node: Node, _: Mapping[str, Node]) -> Iterator[Node]:
    """EnsureShape, whose shape TensorFlow.js looks for in a second input."""
    yield _of_type(node, node.name, "Identity", node.input[0])


def _erfc(node: Node, _: Mapping[str, Node]) -> Iterator[Node]:
    """1 - erf(x)."""
    one, erf = f"{node.name}/one", f"{node.name}/erf"
    yield _one(one)
    yield _of_type(node, erf, "Erf", node.input[0])
    yield _of_type(node, node.name, "Sub", one, erf)


def _softsign(node: Node, _: Mapping[str, Node]) -> Iterator[Node]:
    """x / (1 + |x|)."""
    one, size, divisor = (f"{node.name}/{part}" for part in ("one", "size", "divisor"))
    yield _one(one)
    yield _of_type(node, size, "Abs", node.input[0])
    yield _of_type(node, divisor, "AddV2", one, size)
    yield _of_type(node, node.name, "RealDiv", node.input[0], divisor)


def _suppression(node: Node, constants: Mapping[str, Node]) -> Iterator[Node]:
    """TensorFlow.js drops boxes whose overlap is the threshold, too: it is given the float32 just above it."""
    threshold = f"{node.name}/overlap"
    given = tf.make_ndarray(constants[node.input[3].removesuffix(":0")].attr["value"].tensor)
    above = min(np.nextafter(np.float32(given), np.float32(2)), np.float32(1))
    yield _constant(threshold, above)
    moved = Node()
    moved.CopyFrom(node)
    moved.input[3] = threshold
    yield moved


REWRITTEN: Mapping[str, Callable[[Node, Mapping[str, Node]], Iterator[Node]]] = MappingProxyType(
    {
        "EnsureShape": _identity,
        "Erfc": _erfc,
        "NonMaxSuppressionV3": _suppression,
        "NonMaxSuppressionV4": _suppression,
        "Softsign": _softsign,
    }
)


def _of_type(like: Node, name: str, operation: str, *inputs: str) -> Node:
    """A node of the same type T as another one."""
    node = Node(name=name, op=operation, input=inputs)
    node.attr["T"].CopyFrom(like.attr["T"])
    return node


def _one(name: str) -> Node:
    return _constant(name, np.float32(1))


def _constant(name: str, value: Any) -> Node:
    node = Node(name=name, op="Const")
    node.attr["dtype"].type = types_pb2.DT_FLOAT
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.float32))
    return node
