"""The files of a TensorFlow.js graph model: `model.json`, and the weights in shards of 4 MB.

The layout is that of tfjs-converter (its `src/executor/graph_model.ts`): `modelTopology` is the graph without the
values of its constants, `weightsManifest` says which lie where in the shards, end to end, and `signature` what inputs
and outputs are called. `userDefinedMetadata.structuredOutputKeys` lets `predict` give outputs by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow.core.framework import graph_pb2, tensor_pb2, types_pb2

from sensenet.errors import SettingsError
from sensenet.formats.tfjs.graph import Graph, Tensor, make_graph
from sensenet.formats.tfjs.rewriting import NARROWED

MODEL_FILE = "model.json"
MODEL_BEGINNING = b'{"format":"graph-model"'
SHARD_BYTES = 4 << 20
INT32 = np.iinfo(np.int32)


def model_files(function: Any, facts: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a model, by name; `model.json` is the last.

    Args:
        function: a concrete function of named float32 tensors that gives a dict of tensors.
        facts: what a reader has to know of the model, JSON; `userDefinedMetadata.sensenet` holds it.

    Raises:
        SettingsError: it needs operations that TensorFlow.js lacks; names them.
    """
    graph = make_graph(function)
    entries, blob = _taken_weights(graph.definition)
    n_shards = max(1, -(-len(blob) // SHARD_BYTES))
    shards = {
        f"group1-shard{i + 1}of{n_shards}.bin": blob[i * SHARD_BYTES : (i + 1) * SHARD_BYTES]
        for i in range(n_shards)
    }
    document = _document(graph, facts, [{"paths": list(shards), "weights": entries}])
    return {**shards, MODEL_FILE: orjson.dumps(document)}


def _document(graph: Graph, facts: Mapping[str, Any], manifest: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "format": "graph-model",
        "generatedBy": tf.__version__,
        "convertedBy": "sensenet",
        "signature": {"inputs": _named(graph.inputs), "outputs": _named(graph.outputs)},
        "userDefinedMetadata": {"structuredOutputKeys": list(graph.outputs), "sensenet": dict(facts)},
        "modelTopology": MessageToDict(graph.definition),
        "weightsManifest": manifest,
    }


def _named(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {name: _described(tensor) for name, tensor in tensors.items()}


def _described(tensor: Tensor) -> dict[str, Any]:
    # sizes are texts, as everywhere in the JSON of protocol buffers
    sizes = [{"size": str(-1 if size is None else size)} for size in tensor.shape]
    return {
        "name": f"{tensor.node}:0",
        "dtype": types_pb2.DataType.Name(tensor.dtype),
        "tensorShape": {"dim": sizes},
    }


def _taken_weights(definition: graph_pb2.GraphDef) -> tuple[list[dict[str, Any]], bytes]:
    """The manifest's entries of all constants and their bytes, which leave the graph.

    Raises:
        SettingsError: a constant of a type that TensorFlow.js has not.
    """
    entries: list[dict[str, Any]] = []
    pieces: list[bytes] = []
    for node in definition.node:
        if node.op == "Const":
            value = node.attr["value"].tensor
            array = _narrowed(node.name, tf.make_ndarray(value))
            entries.append({"name": node.name, "shape": list(array.shape), "dtype": array.dtype.name})
            pieces.append(array.tobytes())
            dtype = NARROWED.get(value.dtype, value.dtype)
            value.CopyFrom(tensor_pb2.TensorProto(dtype=dtype, tensor_shape=value.tensor_shape))
    return entries, b"".join(pieces)


def _narrowed(name: str, array: np.ndarray) -> np.ndarray:
    """`array` as float32, int32 or bool; integers that int32 cannot hold, such as the end of a slice, are its ends."""
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.dtype.kind in "iu":
        return np.clip(array, INT32.min, INT32.max).astype(np.int32)
    if array.dtype.kind != "b":
        raise SettingsError(f"to_format: TensorFlow.js takes numbers only: {name} is of {array.dtype}")
    return array


def shard_names(document: Mapping[str, Any]) -> Sequence[str]:
    """The files that a `model.json` names."""
    return [path for group in document["weightsManifest"] for path in group["paths"]]
