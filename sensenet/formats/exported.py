"""One frozen function of a model, which every export is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from sensenet.formats.facts import tensor_facts

PLACEHOLDER = "Placeholder"
SCOPE = "model"
GRADIENT = "_gradient_op_type"


class Exportable(Protocol):
    """A model that can be exported: `sensenet.models.deepnet.Deepnet` or `sensenet.models.detector.Detector`."""

    def raw_function(self) -> Any:
        """The concrete function of raw values: named inputs, a dict of outputs."""

    def facts(self) -> dict[str, Any]:
        """What `sensenet.formats.facts.model_facts` says of the model."""


@dataclass(frozen=True, eq=False)
class Exported:
    """A model as one function whose graph stands alone.

    The inputs, of which a model has one or both:

    - `numeric_inputs`, (rows, fields) float32, one column a field: a number, NaN where it is missing; a category as
      its position among the field's values, any other number for an unknown one; the column of an image field is not
      looked at;
    - `image_pixel_inputs`, (rows, h, w, channels) float32 of 0 to 255, or (rows, image fields, h, w, channels) where
      there are several, of any height and width, in the colour order of the facts.

    The outputs: `output`, (rows, classes) probabilities or (rows, 1) numbers; of a detector all its boxes, nothing
    suppressed: `boxes` (rows, boxes, 4) float32, x1, y1, x2, y2 in whole pixels of the image, `scores` (rows, boxes)
    float32, `classes` (rows, boxes) int32.

    Attributes:
        function: a concrete function that takes the inputs by name and gives a dict of the outputs. Its graph has no
            variables, no captures, no calls and (but for forests deeper than 48) no loops; each input is a
            `Placeholder` of its name, each output an `Identity` of its name.
        facts: all that a consumer has to know, JSON: see docs/exports.md.
    """

    function: Any
    facts: Mapping[str, Any]

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs, in the order of the function's tensors."""
        return [tensor["name"] for tensor in self.facts["inputs"]]

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs, in the order of the function's tensors."""
        return [tensor["name"] for tensor in self.facts["outputs"]]


def exported(model: Exportable) -> Exported:
    """The frozen function of a model.

    Raises:
        ModelFormatError: the model came from a bundle of the published package, which holds a finished function.
    """
    function = freeze(model.raw_function())
    inputs = list(function.structured_input_signature[1].values())
    outputs = [
        tf.TensorSpec(tensor.shape, tensor.dtype, name=name)
        for name, tensor in sorted(function.structured_outputs.items())
    ]
    facts = {**model.facts(), "inputs": tensor_facts(inputs), "outputs": tensor_facts(outputs)}
    return Exported(function, facts)


def freeze(function: Any) -> Any:
    """A concrete function with constants for all that it captures, and without calls.

    Args:
        function: a concrete function of named tensors that gives a dict of tensors.

    Returns:
        A concrete function of the same names.
    """
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    positional, named = function.structured_input_signature
    specs = {spec.name: spec for spec in [*positional, *named.values()]}
    graph = frozen.graph.as_graph_def()
    # the inputs come from the function around it, and would stand there as dead nodes
    for place in reversed(range(len(graph.node))):
        if graph.node[place].op == PLACEHOLDER:
            del graph.node[place]
    for node in graph.node:
        # a prediction needs none, and TFLite's converter drops all names where it cannot save the gradients
        node.attr.pop(GRADIENT, None)
    names = sorted(function.structured_outputs)

    def call(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        given = {tensor.name: inputs[name] for name, tensor in zip(specs, frozen.inputs, strict=True)}
        wanted = [tensor.name for tensor in frozen.outputs]
        found = tf.graph_util.import_graph_def(graph, given, wanted, name=SCOPE)
        return {name: tf.identity(tensor, name=name) for name, tensor in zip(names, found, strict=True)}

    return tf.function(call, autograph=False).get_concrete_function(**specs)
