"""What is said of layers without building them is what building them finds."""

from __future__ import annotations

import pytest
from layer_documents import IMAGE_EXAMPLES, TABLE_EXAMPLES

from sensenet.document.layer_facts import ACTIVATION_NAMES, IMAGE_LAYERS, INITIALIZER_NAMES, ROW_LAYERS
from sensenet.errors import ModelFormatError
from sensenet.layers import LAYERS, parse_layers
from sensenet.layers.activations import ACTIVATIONS
from sensenet.layers.initializers import INITIALIZERS


def test_the_names_are_those_of_the_registries():
    assert set(ACTIVATIONS) == ACTIVATION_NAMES
    assert set(INITIALIZERS) == INITIALIZER_NAMES
    assert {*ROW_LAYERS, *IMAGE_LAYERS} == set(LAYERS)
    assert not IMAGE_LAYERS & ROW_LAYERS.keys()


@pytest.mark.parametrize("kind", ROW_LAYERS)
def test_paths_and_inputs_are_those_of_the_codec(kind):
    assert ROW_LAYERS[kind].paths == LAYERS[kind].paths
    assert ROW_LAYERS[kind].takes_many == LAYERS[kind].takes_many


def examples(kind: str) -> list[dict]:
    lists = [raw for group in (TABLE_EXAMPLES, IMAGE_EXAMPLES) for raws in group.values() for raw in raws]
    return [layer for raw in lists for layer in raw if layer["type"] == kind]


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind, facts in ROW_LAYERS.items() for key in facts.required]
)
def test_a_key_that_is_required_is_missed_by_the_codec(kind, key):
    layer = examples(kind)[0]
    short = {name: value for name, value in layer.items() if name not in (key, "inputs")}
    with pytest.raises(ModelFormatError, match=f'"{key}" is missing'):
        parse_layers([short])
