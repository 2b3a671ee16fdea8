"""Documents from anywhere: whatever is in them, a model or one of our errors comes out, and soon."""

from __future__ import annotations

import copy
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import image_documents as images
import model_documents as documents
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sensenet
from sensenet.errors import ModelFormatError, SensenetError

MAX_SECONDS = 20
SIZE = documents.COLUMNS + documents.TREE_OUTPUTS
LEGACY_LAYER = {
    "weights": documents.numbers(3, SIZE),
    "offset": documents.numbers(3),
    "scale": documents.numbers(3, seed=1),
    "mean": documents.numbers(3, seed=2),
    "stdev": [0.5, 1.0, 1.5],
    "activation_function": "relu",
    "residuals": False,
}
LEGACY_RESIDUAL = {**LEGACY_LAYER, "weights": documents.numbers(3, 3), "residuals": True}

DOCUMENTS = {
    "classifier": documents.classifier(),
    "regression": {"object": {"deepnet": {"network": documents.regression()}}},
    "search": documents.search(),
    "legacy": documents.classifier(
        layers=[LEGACY_LAYER, LEGACY_LAYER | {"weights": documents.numbers(3, 3)}, LEGACY_RESIDUAL],
        trees=documents.FOREST,
    ),
    "untrained": documents.regression(
        layers=[
            {"type": "dense", "weights": "glorot_uniform", "number_of_nodes": 4, "seed": 1},
            {"type": "dropout", "rate": 0.5},
            {"type": "dense", "weights": "zeros", "number_of_nodes": 1},
        ]
    ),
    "images": images.classifier(),
    "detector": images.detector(),
}
POINTS = {"images": [[image, "a"] for image in images.IMAGES], "detector": images.IMAGES}

NESTED: Any = 1
for _ in range(200):
    NESTED = [NESTED]

VALUES = st.sampled_from(
    [
        *(
            None,
            True,
            False,
            0,
            1,
            -1,
            3,
            0.5,
            -0.0,
            2**31,
            2**63,
            10**400,
            1e39,
            1e308,
            float("nan"),
            float("inf"),
        ),
        *("", "0.5", "zeros", "relu", "softmax", "dense", "image", "dense_residual_block", "\ud800", "\0"),
        *([], [[]], [0], [1.0, 2.0], [None], [[1.0], [1.0, 2.0]], [True, 1.0], ["a"], [{}], NESTED),
        *({}, {"type": "dense"}, {"type": "numeric", "index": 0}, {"type": "dropout", "rate": 0.5}),
    ]
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a document."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


@st.composite
def mutated(draw: Any) -> tuple[Any, Any]:
    """A document with one to three changes, and the points for it."""
    name = draw(st.sampled_from(list(DOCUMENTS)))
    document = copy.deepcopy(DOCUMENTS[name])
    for _ in range(draw(st.integers(1, 3))):
        everywhere = list(places(document))
        named = [place for place in everywhere if isinstance(place[0], dict)]
        if not named:
            break
        # most places are numbers in arrays, of which one is like the other
        anywhere = st.one_of(st.sampled_from(named), st.sampled_from(named), st.sampled_from(everywhere))
        container, key = draw(anywhere)
        kind = draw(st.sampled_from(["replace", "replace", "delete", "swap", "repeat"]))
        if kind == "replace":
            container[key] = copy.deepcopy(draw(VALUES))
        elif kind == "delete":
            del container[key]
        elif kind == "repeat" and isinstance(container, list):
            container.insert(key, copy.deepcopy(container[key]))
        else:
            other, other_key = draw(anywhere)
            container[key], other[other_key] = copy.deepcopy(other[other_key]), copy.deepcopy(container[key])
    return document, POINTS.get(name, documents.POINTS)


def make_and_predict(source: Any, points: Any = documents.POINTS) -> None:
    """Succeed, or fail with our errors, in bounded time."""
    start = time.monotonic()
    try:
        sensenet.create_model(source)(points)
    except SensenetError as error:
        assert len(str(error)) < 1000
    assert time.monotonic() - start < MAX_SECONDS


@given(mutated())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_changed_documents_give_a_model_or_our_error(case: tuple[Any, Any]) -> None:
    make_and_predict(*case)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_unchanged_documents_are_good(name: str) -> None:
    points = POINTS.get(name, documents.POINTS)
    assert len(sensenet.create_model(DOCUMENTS[name])(points)) == len(points)


ENCODED = json.dumps(documents.classifier(trees=documents.FOREST, layers=[documents.dense(SIZE, 3)])).encode()
COMPRESSED = gzip.compress(ENCODED)


@given(share=st.floats(0, 1, exclude_max=True), compressed=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cut_files_are_our_errors(tmp_path: Path, share: float, compressed: bool) -> None:
    whole = COMPRESSED if compressed else ENCODED
    path = tmp_path / "cut.json"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelFormatError, match=r"cut\.json: (not|expected)"):
        sensenet.create_model(path)


@given(share=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), compressed=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_give_a_model_or_our_error(
    tmp_path: Path, share: float, byte: int, compressed: bool
) -> None:
    content = bytearray(COMPRESSED if compressed else ENCODED)
    content[int(share * len(content))] = byte
    path = tmp_path / "damaged.json"
    path.write_bytes(content)
    make_and_predict(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b"null", "expected an object"),
        (b"[]", "expected an object"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b'{"layers": [{"weights": [[NaN]]}]}', r"not valid JSON: .*line 1 column 27"),
        (b'{"layers": [{"weights": [[-Infinity]]}]}', r"not valid JSON: .*line 1 column 2"),
        (b"[" * 10**6, "not valid JSON"),
        (b'{"model":' * 10**5 + b"1" + b"}" * 10**5, "not valid JSON"),
        (b'{"model":' * 100 + b"1" + b"}" * 100, "expected a network"),
        (b'{"layers": ' + b"[" * 900 + b"]" * 900 + b"}", r"layers\[0\]: expected an object"),
        (b'{"networks": [], "preprocess": []}', "expected at least one network"),
    ],
    ids=range(11),
)
def test_odd_files_are_told(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=message):
        sensenet.create_model(path)


def test_a_compressed_bomb_is_not_unfolded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.json.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    with pytest.raises(ModelFormatError, match="expected a document of at most"):
        sensenet.create_model(path)


def test_an_image_network_of_absurd_size_is_told() -> None:
    network = images.features()
    network["metadata"]["input_image_shape"] = [16_000, 16_000, 3]
    with pytest.raises(ModelFormatError, match="input_image_shape: images of 16000 x 16000 pixels are too"):
        sensenet.create_model(images.classifier(image_network=network))


def untrained(nodes: Any) -> dict[str, Any]:
    return {"type": "dense", "weights": "zeros", "number_of_nodes": nodes}


def search_of(n: int) -> dict[str, Any]:
    network = {"layers": [documents.dense(documents.COLUMNS, 1)], "trees": False}
    return {**documents.regression(), "layers": None, "networks": [network] * n}


# what would take all memory or an endless time if it were believed
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": [untrained(10**9)]}, r"layers\[0\].number_of_nodes: expected an integer in"),
        ({"layers": [untrained(10**6), untrained(10**6)]}, r"layers\[1\].*too many"),
        ({"layers": [untrained(2**70)]}, r"layers\[0\].number_of_nodes: expected an integer in"),
        ({"layers": [{"type": "dropout", "rate": 0}] * 20_000}, "layers: expected at most"),
        ({"layers": [documents.dense(5, 1) | {"inputs": [5]}]}, None),
        (
            {"layers": [documents.dense(5, 1), documents.dense(1, 1) | {"inputs": [1]}]},
            r"layers\[1\].inputs\[0\]: expected an integer in \[0, 0\]",
        ),
        (
            {"layers": [documents.dense(5, 1), documents.dense(1, 1) | {"inputs": [-1]}]},
            r"layers\[1\].inputs\[0\]: expected an integer in \[0, 0\]",
        ),
        (
            {"layers": [documents.dense(5, 1) | {"offset": [float("nan")]}]},
            r"layers\[0\].offset: expected finite",
        ),
        ({"layers": [documents.dense(5, 1) | {"offset": [True]}]}, r"layers\[0\].offset: expected numbers"),
        (
            {"layers": [documents.dense(5, 2) | {"offset": [True, 0.5]}, documents.dense(2, 1)]},
            r"layers\[0\].offset: expected numbers in 1 dimension, got truth values",
        ),
        ({"layers": [documents.dense(5, 1) | {"offset": NESTED}]}, r"layers\[0\].offset: expected numbers"),
        (
            {"layers": [documents.dense(5, 1) | {"offset": [10**400]}]},
            r"layers\[0\].offset: expected numbers",
        ),
        (
            {"output_exposition": {"type": "numeric", "mean": 10**400, "stdev": 1.0}},
            "output_exposition.mean: expected a number",
        ),
        ({"trees": [[[0, 2**40], [[[1.0], None]]]]}, r"trees\[0\]"),
        ({"trees": [[[0, 5], [[0, 0.5, [[1.0] * 10, None], [[1.0], None]]]]]}, r"trees\[0\]\[1\]\[0\]"),
    ],
    ids=range(15),
)
def test_great_and_odd_numbers_are_told(changes: dict[str, Any], message: str | None) -> None:
    document = documents.regression(**changes)
    start = time.monotonic()
    if message is None:
        sensenet.create_model(document)
    else:
        with pytest.raises(ModelFormatError, match=message):
            sensenet.create_model(document)
    assert time.monotonic() - start < MAX_SECONDS


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([images.convolution(3, 4) | {"kernel": "zeros", "number_of_filters": 10**9}], "number_of_filters"),
        (
            [
                images.convolution(3, 4)
                | {"kernel": "zeros", "number_of_filters": 1, "kernel_dimensions": [10**9, 3]}
            ],
            "kernel_dimensions",
        ),
        ([images.convolution(3, 4, strides=[0, 1])], r"strides\[0\]"),
        ([images.convolution(3, 4, strides=[1, 10**9])], r"strides\[1\]"),
        ([{"type": "padding_2d", "padding": [[10**9, 0], [0, 0]]}], r"padding\[0\]\[0\]"),
        ([{"type": "upsampling_2d", "size": [10**9, 1], "method": "nearest"}], r"size\[0\]"),
        ([{"type": "upsampling_2d", "size": [900, 900], "method": "nearest"}] * 5, "is too large"),
        (
            [
                {"type": "concatenate"},
                *[{"type": "concatenate", "inputs": [k] * 900} for k in range(20)],
            ],
            "is too large",
        ),
        ([{"type": "split_channels", "number_of_splits": 0, "group_index": 0}], "number_of_splits"),
        (
            [{"type": "max_pool_2d", "pool_size": [99, 1], "strides": [1, 1], "padding": "valid"}],
            "pool_size",
        ),
    ],
    ids=range(10),
)
def test_great_layers_of_images_are_told(layers: list[Any], message: str) -> None:
    network = images.features()
    network["layers"] = [*layers, {"type": "global_average_pool_2d"}]
    network["metadata"]["outputs"] = None
    start = time.monotonic()
    with pytest.raises(ModelFormatError, match=rf"image_network\.layers.*{message}"):
        sensenet.create_model(images.classifier(image_network=network))
    assert time.monotonic() - start < MAX_SECONDS


def test_a_structure_that_contains_itself_is_refused() -> None:
    numbers: list[Any] = [1.0]
    numbers.append(numbers)
    twice: list[Any] = []
    twice += [twice, twice]
    tree: list[Any] = [0, 0.5]
    tree += [tree, tree]
    network: dict[str, Any] = {}
    network["model"] = network
    layer = documents.dense(5, 1)
    for document in (
        network,
        documents.regression(layers=[layer | {"offset": numbers}]),
        documents.regression(layers=[layer | {"offset": twice}]),
        documents.regression(trees=[[[0, 5], [tree]]]),
    ):
        with pytest.raises(ModelFormatError):
            sensenet.create_model(document)


def test_the_document_handed_in_is_left_as_it_is() -> None:
    document = documents.classifier()
    document["layers"][0]["weights"] = np.array(document["layers"][0]["weights"], np.float32)
    before = copy.deepcopy(document)
    sensenet.create_model(document)(documents.POINTS)
    assert str(document) == str(before)
