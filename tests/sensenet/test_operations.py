"""The positive list of operations: what our bundles need is on it, and what is on it does no harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import image_documents as images
import layer_documents as layers
import model_documents as documents
import pytest
from tensorflow.python.framework import op_def_registry

import sensenet
from sensenet.formats.smbundle.checks import operations_of
from sensenet.formats.smbundle.container import unpack
from sensenet.formats.smbundle.graph import parse_saved_model, prediction_graph
from sensenet.formats.smbundle.operations import OPERATIONS, OURS
from sensenet.layers.activations import ACTIVATIONS

# TensorFlow calls these stateful: for what they call, for the order of reading, or for their own random state
STATEFUL = {"If", "RandomUniform", "ReadVariableOp", "StatefulPartitionedCall", "VarHandleOp", "While"}
FLATTENING = ("flatten", "global_average_pool_2d", "global_max_pool_2d")
IMAGE_SETTINGS: list[dict[str, Any]] = [
    {},
    {"color_space": "bgra", "rescale_type": "pad"},
    {"color_space": "rgba", "rescale_type": "warp"},
    {"rescale_type": "crop"},
]


def of_a_table(examples: list[dict[str, Any]]) -> dict[str, Any]:
    """A regression of four numbers with these layers before its last one."""
    fields = [{"type": "numeric", "index": i, "mean": 0.0, "stdev": 1.0} for i in range(layers.COLUMNS)]
    last = layers.untrained(1)
    return documents.regression(preprocess=fields, layers=[*examples, last], trees=None)


def of_an_image(examples: list[dict[str, Any]]) -> dict[str, Any]:
    """A classifier whose image network has these layers on four channels."""
    height, width, channels = layers.IMAGE
    metadata = {**images.features()["metadata"], "input_image_shape": [width, height, 3], "outputs": None}
    flat = [] if examples[-1]["type"] in FLATTENING else [{"type": "flatten"}]
    network = {"layers": [layers.convolution(3, channels), *examples, *flat], "metadata": metadata}
    return images.classifier(image_network=network, layers=[layers.untrained(2, "softmax")])


def models() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(name, document, settings) of a model of every kind."""
    for kind, examples in layers.TABLE_EXAMPLES.items():
        for number, example in enumerate(examples):
            inputs = [layers.dense(layers.COLUMNS, layers.COLUMNS), *example]
            yield f"{kind} {number} on a table", of_a_table(inputs), {}
    for kind, examples in layers.IMAGE_EXAMPLES.items():
        for number, example in enumerate(examples):
            yield f"{kind} {number} on an image", of_an_image(example), {}
    for name in ACTIVATIONS:
        hidden = documents.dense(documents.COLUMNS, 4, name)
        last = layers.untrained(1)
        yield f"activation {name}", documents.regression(layers=[hidden, last]), {}
    yield "a classifier", documents.classifier(), {}
    yield "a search", documents.search(), {}
    yield "numbers as standardised", documents.regression(), {"regression_normalize": True}
    for settings in IMAGE_SETTINGS:
        for name, document in {"an image": images.classifier(), "boxes": images.detector()}.items():
            yield f"{name} with {settings}", document, settings
        yield f"two images with {settings}", images.mixed("size front kind back"), settings
    yield "boxes of any class", images.detector(), {"class_agnostic_nms": True}


@pytest.mark.slow
def test_our_operations_are_those_that_bundles_of_every_kind_use(tmp_path: Path) -> None:
    used: set[str] = set()
    for number, (name, document, settings) in enumerate(models()):
        path = sensenet.create_model(document, settings).save_bundle(tmp_path / str(number))
        sensenet.create_model(path)
        meta = parse_saved_model(unpack(path)["saved_model.pb"])
        found = set().union(
            *(
                operations_of(prediction_graph(meta, signature).graph)
                for signature in meta.signature_def
                if "init" not in signature
            )
        )
        assert found <= OURS, name
        used |= found
    assert used == OURS


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_that_is_allowed_is_known_and_keeps_nothing(name: str) -> None:
    definition = op_def_registry.get(name)
    assert definition is not None
    assert not definition.is_stateful or name in STATEFUL
