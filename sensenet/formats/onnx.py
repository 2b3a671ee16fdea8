"""ONNX files, by tf2onnx, which the extra `onnx` of the package installs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import orjson

from sensenet.errors import SettingsError, first_line
from sensenet.files import write_whole
from sensenet.formats.base import Consumer, Format, PathLike
from sensenet.formats.consumers import is_importable, run_onnxruntime
from sensenet.formats.exported import exported

OPSET = 18
FACTS_KEY = "sensenet_facts"
OPEN_SIZES = ("rows", "height", "width")
"""What the sizes are called that callers choose, in the order in which inputs have them."""


def write_onnx(model: Any, path: PathLike) -> str:
    """Write a model as an ONNX file of the tensors of `formats.exported.Exported`.

    Its `metadata_props` have the facts, as JSON, under `sensenet_facts`.

    Raises:
        SettingsError: tf2onnx is not installed, or lacks an operation that the model needs.
        ModelFormatError, OSError: see `exported`, `write_whole`.
    """
    if not is_importable("tf2onnx"):
        raise SettingsError('to_format: onnx needs tf2onnx; install it with: pip install "pyramid[onnx]"')
    made = exported(model)
    with _quiet():
        convert = import_module("tf2onnx.convert")
        try:
            converted, _ = convert.from_graph_def(
                made.function.graph.as_graph_def(),
                input_names=[f"{name}:0" for name in made.inputs],
                output_names=[f"{name}:0" for name in made.outputs],
                opset=OPSET,
                custom_op_handlers={"Erfc": (_convert_erfc, [])},
            )
        except Exception as error:  # its converters raise errors of any type
            raise SettingsError(
                f"to_format: tf2onnx cannot convert this model: {first_line(error)}"
            ) from error
    _refuse_unconverted(converted.graph)
    _rename(converted.graph, {f"{name}:0": name for name in (*made.inputs, *made.outputs)})
    _name_sizes(converted.graph)
    for key, value in ((FACTS_KEY, orjson.dumps(made.facts).decode()), ("type", made.facts["type"])):
        entry = converted.metadata_props.add()
        entry.key, entry.value = key, value
    write_whole(path, converted.SerializeToString())
    return str(path)


def _convert_erfc(context: Any, node: Any, name: str, _: Any) -> None:
    """1 - erf(x), for tf2onnx, which knows no Erfc; `context` is its graph."""
    one = context.make_const(f"{name}/one", np.array(1, np.float32))
    erf = context.make_node("Erf", list(node.input))
    node.type = "Sub"
    context.replace_inputs(node, [one.output[0], erf.output[0]])


def _refuse_unconverted(graph: Any) -> None:
    """Refuse a graph in which tf2onnx has left operations as they were, which it only logs.

    Raises:
        SettingsError: names them.
    """
    known = import_module("onnx.defs").has
    left = sorted({node.op_type for node in graph.node if not node.domain and not known(node.op_type)})
    if left:
        raise SettingsError(f"to_format: ONNX lacks operations that this model needs: {', '.join(left)}")


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Give tensors other names, wherever the graph names them."""
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def _name_sizes(graph: Any) -> None:
    """Sizes that are open by what they are, in place of counters of the converter."""
    for value in (*graph.input, *graph.output):
        names = iter(OPEN_SIZES)
        for size in value.type.tensor_type.shape.dim:
            if not size.HasField("dim_value"):
                size.dim_param = next(names)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from people what TensorFlow says of functions that only tf2onnx calls."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "tf2onnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


ONNX = Format(
    write_onnx,
    consumers=(Consumer("onnxruntime", 1.0, lambda: is_importable("onnxruntime"), run_onnxruntime),),
)
