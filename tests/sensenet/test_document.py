from __future__ import annotations

import copy
import json
import math
from typing import Any

import model_documents as documents
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sensenet
from sensenet.document.model import dump_model, dumps, parse_model, shorten
from sensenet.errors import ModelFormatError, SensenetError

DOCUMENTS = [documents.classifier(), documents.regression(), documents.search()]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_survives_parsing_and_dumping(document: dict[str, Any]) -> None:
    once = json.loads(dumps(dump_model(parse_model(document))))
    assert json.loads(dumps(dump_model(parse_model(once)))) == once
    for key in ("preprocess", "trees"):
        assert once[key] == document[key]
    first = (document.get("networks") or [document])[0]["layers"][0]
    np.testing.assert_array_equal(
        np.array((once.get("networks") or [once])[0]["layers"][0]["weights"], np.float32),
        np.array(first["weights"], np.float32),
    )


def test_other_keys_are_kept() -> None:
    document = documents.classifier(importances=[0.5, 0.5, 0.0], training_options={"seed": 3})
    assert dump_model(parse_model(document))["importances"] == [0.5, 0.5, 0.0]
    assert parse_model(document).raw["training_options"] == {"seed": 3}


@pytest.mark.parametrize(
    "output",
    [
        {"type": "numeric", "name": "price", "mean": 1.0, "stdev": 2.0},
        {"type": "categorical", "name": "answer", "values": ["a", "b"]},
        {"type": "bounding_box", "name": "objects", "values": ["a"]},
        {"type": "categorical", "values": ["a"]},
    ],
)
def test_fields_and_outputs_keep_their_names(output: dict[str, Any]) -> None:
    once = dump_model(parse_model(documents.classifier(output_exposition=output)))
    assert once["output_exposition"] == output
    assert once["preprocess"] == documents.FIELDS


def test_truth_values_as_names_of_classes_are_the_texts_of_json() -> None:
    output = {"type": "categorical", "values": [True, False, 1, 2.5, "x"]}
    document = documents.classifier(output_exposition=output)
    assert parse_model(document).output.values == ("true", "false", "1", "2.5", "x")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_short_document_has_sizes_in_place_of_numbers_and_keeps_its_trees(document: dict[str, Any]) -> None:
    short = shorten(document)
    assert short["trees"] == document["trees"]
    layers = (short.get("networks") or [short])[0]["layers"]
    assert layers[0]["weights"] == "glorot_uniform"
    assert layers[0]["number_of_nodes"] == 4
    assert sensenet.create_model(short)(documents.POINTS).shape[0] == len(documents.POINTS)
    assert shorten(short) == short


def test_dumps_writes_the_shortest_text_of_each_float32() -> None:
    assert dumps({"a": np.array([[0.1, 2.0]], np.float32), "b": None}) == b'{"a":[[0.1,2.0]],"b":null}'


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1.0, {"b": math.nan}]}, r"a\[1\].b: expected a finite number, got nan"),
        ({"a": {"w": np.array([1.0, math.inf])}}, "a.w: expected finite numbers"),
        ({"a": object()}, "cannot be written as JSON"),
    ],
)
def test_dumps_refuses_what_json_cannot_say(value: Any, place: str) -> None:
    with pytest.raises(ModelFormatError, match=place):
        dumps(value)


def test_a_document_without_end_is_not_followed_forever() -> None:
    endless: dict[str, Any] = {}
    endless["model"] = endless
    with pytest.raises(ModelFormatError, match="expected a network"):
        parse_model(endless)


junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "weights", "layers", "index", "inputs", "x"]), inner, max_size=3
        ),
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of a document, arrays' numbers left out."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], (dict, list)) and len(path) < 6:
        for position, inner in enumerate(value):
            found += places(inner, (*path, position))
    return found


PLACES = [(document, path) for document in DOCUMENTS for path in places(document)]


@given(place=st.sampled_from(PLACES), value=junk, drop=st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_damage_to_a_document_is_our_error_or_harmless(place: Any, value: Any, drop: bool) -> None:
    document, path = place
    damaged = copy.deepcopy(document)
    parent = damaged
    for step in path[:-1]:
        parent = parent[step]
    if drop:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    try:
        model = sensenet.create_model(damaged)
        assert len(model(documents.POINTS)) == len(documents.POINTS)
    except SensenetError as error:
        assert str(error)


@given(junk)
@settings(max_examples=100, deadline=None)
def test_anything_else_is_our_error(value: Any) -> None:
    with pytest.raises(SensenetError):
        sensenet.create_model(value)
