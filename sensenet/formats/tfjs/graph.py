"""A concrete function as the graph that TensorFlow.js runs: without variables, simplified, in its types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.grappler import tf_optimizer

from sensenet.errors import SettingsError
from sensenet.formats.tfjs.operations import check_operations
from sensenet.formats.tfjs.rewriting import NARROWED, rewritten

PASSES = ("function", "debug_stripper", "pruning", "constfold", "arithmetic", "dependency", "pruning")
LOOPS = ("StatelessWhile", "While")


class Tensor(NamedTuple):
    """An input or output of a graph.

    Attributes:
        node: the name of the node that is or gives it.
        dtype: number of its type, see TensorFlow's `types.proto`.
        shape: None where a size is not known beforehand.
    """

    node: str
    dtype: int
    shape: tuple[int | None, ...]


class Graph(NamedTuple):
    """A graph, and what callers know its ends by; `outputs` in the order of their names."""

    definition: graph_pb2.GraphDef
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


def make_graph(function: Any) -> Graph:
    """The graph of a concrete function.

    Args:
        function: takes named float32 tensors, gives a dict of tensors.

    Raises:
        SettingsError: it needs operations that TensorFlow.js lacks; names them.
    """
    frozen = convert_variables_to_constants_v2(function)
    _refuse_grouped_convolutions(frozen.graph)
    definition = frozen.graph.as_graph_def()
    for node in definition.node:
        if node.op in LOOPS:  # into plain operations: a function would have constants of its own
            node.attr["_lower_using_switch_merge"].b = True
    inputs = {tensor.op.name: _tensor(tensor.op.name, tensor) for tensor in frozen.inputs}
    outputs = {}
    for name, tensor in zip(sorted(function.structured_outputs), frozen.outputs, strict=True):
        # of its own: TensorFlow.js takes two names of one node for one output
        node = definition.node.add(name=f"outputs/{name}", op="Identity", input=[tensor.name])
        node.attr["T"].type = tensor.dtype.as_datatype_enum
        outputs[name] = _tensor(node.name, tensor)
    final = rewritten(_simplified(definition, [one.node for one in (*inputs.values(), *outputs.values())]))
    check_operations(node.op for node in final.node)
    return Graph(final, inputs, outputs)


def _simplified(definition: graph_pb2.GraphDef, kept: Sequence[str]) -> graph_pb2.GraphDef:
    """`definition` after TensorFlow's own passes, cut down to the nodes `kept` and what they need."""
    meta = meta_graph_pb2.MetaGraphDef(graph_def=definition)
    meta.collection_def["train_op"].node_list.value.extend(kept)
    config = config_pb2.ConfigProto()
    options = config.graph_options.rewrite_options
    options.optimizers.extend(PASSES)
    options.min_graph_nodes = -1  # small graphs, too
    return tf_optimizer.OptimizeGraph(config, meta)


def _tensor(node: str, tensor: tf.Tensor) -> Tensor:
    dtype = tensor.dtype.as_datatype_enum
    return Tensor(node, NARROWED.get(dtype, dtype), tuple(tensor.shape))


def _refuse_grouped_convolutions(graph: Any) -> None:
    """Refuse what TensorFlow.js would compute as something else.

    Raises:
        SettingsError: a convolution's kernel takes fewer channels than its input has.
    """
    for operation in graph.get_operations():
        if operation.type == "Conv2D":
            image, kernel = operation.inputs
            if image.shape[-1] != kernel.shape[2]:
                raise SettingsError(
                    f"to_format: TensorFlow.js has no grouped convolution: {operation.name} takes "
                    f"{kernel.shape[2]} channels at a time of {image.shape[-1]}"
                )
