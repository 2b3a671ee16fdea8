"""Smaller weights in a TFLite file: those of convolutions and dense layers, and nothing else.

TensorFlow's converter narrows whatever is constant: thresholds of trees, means of fields and pixel positions, too,
where the last bits decide. So it makes the file in float32, and here the layers' weights are exchanged in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

WEIGHTS_INPUT = 1
# int8: below it the scales cost as much as is saved
MIN_NUMBERS = 1024
MAX_INT8 = 127
LARGEST_FLOAT16 = float(np.finfo(np.float16).max)
# of a layer its weights' axis of outputs; dense layers have one scale, which every version of the runtime knows
OUTPUT_AXES: Mapping[int, int | None] = MappingProxyType(
    {
        schema.BuiltinOperator.CONV_2D: 0,
        schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3,
        schema.BuiltinOperator.FULLY_CONNECTED: None,
    }
)
# the first version of each operation that takes int8 weights with float32 activations
HYBRID_VERSIONS: Mapping[int, int] = MappingProxyType(
    {
        schema.BuiltinOperator.CONV_2D: 5,
        schema.BuiltinOperator.DEPTHWISE_CONV_2D: 6,
        schema.BuiltinOperator.FULLY_CONNECTED: 3,
    }
)


def narrowed(content: bytes, to: str) -> bytes:
    """A TFLite file with smaller weights.

    Args:
        content: the file, float32.
        to: a key of `NARROWINGS`.

    Returns:
        The file, with the same inputs and outputs.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for graph in model.subgraphs:
        weights = _weights(model, graph)
        NARROWINGS[to](model, graph, weights)
    _drop_unused(model)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _code(model: Any, operator: Any) -> Any:
    return model.operatorCodes[operator.opcodeIndex]


def _weights(model: Any, graph: Any) -> dict[int, Any]:
    """Of each tensor of float32 weights, which is used as such alone, the code of the operation that takes it."""
    found, elsewhere = {}, set()
    for operator in graph.operators:
        code = _code(model, operator)
        for place, tensor in enumerate(operator.inputs):
            if place == WEIGHTS_INPUT and code.builtinCode in OUTPUT_AXES:
                found[int(tensor)] = code
            else:
                elsewhere.add(int(tensor))
    return {
        tensor: code
        for tensor, code in found.items()
        if tensor not in elsewhere and _numbers(model, graph.tensors[tensor]) is not None
    }


def _numbers(model: Any, tensor: Any) -> np.ndarray | None:
    """The float32 constant that a tensor is; None for another one."""
    data = model.buffers[tensor.buffer].data
    if data is None or tensor.type != schema.TensorType.FLOAT32:
        return None
    return np.frombuffer(bytes(data), "<f4").reshape(tensor.shape)


def _halve(model: Any, graph: Any, weights: Mapping[int, Any]) -> None:
    """Weights in float16, each widened by an operation of its own, which runtimes fold into the layer.

    Those that float16 cannot hold stay as they are: they would be infinite.
    """
    widened = []
    for position in weights:
        wide = graph.tensors[position]
        numbers = _numbers(model, wide)
        if numbers is None or np.abs(numbers).max(initial=0.0) > LARGEST_FLOAT16:
            continue
        narrow = schema.TensorT()
        narrow.name, narrow.shape, narrow.type = (
            wide.name + b"_float16",
            wide.shape,
            schema.TensorType.FLOAT16,
        )
        narrow.buffer = _new_buffer(model, numbers.astype("<f2"))
        wide.buffer = 0
        graph.tensors.append(narrow)
        operator = schema.OperatorT()
        operator.opcodeIndex = _dequantize(model)
        operator.inputs, operator.outputs = [len(graph.tensors) - 1], [position]
        widened.append(operator)
    graph.operators = [*widened, *graph.operators]


def _dequantize(model: Any) -> int:
    """The position of the code of the operation that widens."""
    kind = schema.BuiltinOperator.DEQUANTIZE
    for position, code in enumerate(model.operatorCodes):
        if code.builtinCode == kind:
            return position
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    code.version = 3  # that of float16
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _quarter(model: Any, graph: Any, weights: Mapping[int, Any]) -> None:
    """Weights as 8-bit integers times a scale, symmetric; activations are narrowed while the layer computes."""
    for position, code in weights.items():
        tensor = graph.tensors[position]
        numbers = _numbers(model, tensor)
        if numbers is None or numbers.size < MIN_NUMBERS:
            continue
        axis = OUTPUT_AXES[code.builtinCode]
        others = None if axis is None else tuple(i for i in range(numbers.ndim) if i != axis)
        largest = np.abs(numbers).max(axis=others, keepdims=True)
        scale = np.where(largest > 0, largest / MAX_INT8, 1.0).astype(np.float32)
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = scale.ravel()
        tensor.quantization.zeroPoint = np.zeros(scale.size, np.int64)
        tensor.quantization.quantizedDimension = axis or 0
        tensor.type = schema.TensorType.INT8
        tensor.buffer = _new_buffer(model, np.rint(numbers / scale).astype(np.int8))
        code.version = max(code.version, HYBRID_VERSIONS[code.builtinCode])


def _new_buffer(model: Any, array: np.ndarray) -> int:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(array.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _drop_unused(model: Any) -> None:
    """Empty the buffers that no tensor needs any more."""
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or ()}
    for position, buffer in enumerate(model.buffers):
        if position not in used:
            buffer.data = None


NARROWINGS: Mapping[str, Callable[[Any, Any, Mapping[int, Any]], None]] = MappingProxyType(
    {"float16": _halve, "int8": _quarter}
)
"""What weights become -> how."""
