"""Files of documents: their long arrays are numbers at once, and say the same as any JSON reader."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from sensenet.document.file import LONG_BYTES, loads, read_document
from sensenet.errors import ModelFormatError

LONG = np.random.default_rng(0).normal(size=(8, LONG_BYTES // 80)).tolist()
SHORT = [[1.0, 2.0]]


def as_lists(document: Any) -> Any:
    if isinstance(document, np.ndarray):
        return document.tolist()
    if isinstance(document, dict):
        return {key: as_lists(value) for key, value in document.items()}
    return [as_lists(value) for value in document] if isinstance(document, list) else document


def narrowed(document: Any) -> Any:
    """The same with the long arrays below names that end in weights in float32."""
    if isinstance(document, dict):
        return {
            key: np.array(value, np.float32).tolist()
            if key.endswith("weights") and value == LONG
            else narrowed(value)
            for key, value in document.items()
        }
    return [narrowed(value) for value in document] if isinstance(document, list) else document


DOCUMENTS = {
    "alone": {"weights": LONG},
    "last": {"layers": [{"type": "dense", "offset": [0.5], "weights": LONG}], "trees": None},
    "first": {"weights": LONG, "offset": None, "next": {"a": [], "gamma": SHORT}},
    "several": {"layers": [{"weights": LONG, "bias": SHORT}, {"weights": LONG, "x": {"weights": LONG}}]},
    "in blocks": {"layers": [{"path": [{"path": [{"weights": LONG}]}]}]},
    "named otherwise": {"importances": LONG, "weights": SHORT},
    "in texts": {'a "weights': LONG, "b": '"weights": [[1, 2], {}', "weights": LONG, "c\\": "\\", "d": "}]"},
    "no dict": [1, 2, 3],
}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_says_the_same_with_long_arrays(name: str, indent: int | None) -> None:
    read = loads(json.dumps(DOCUMENTS[name], indent=indent).encode())
    assert as_lists(read) == narrowed(DOCUMENTS[name])


def test_long_arrays_are_float32_at_once() -> None:
    read = loads(json.dumps(DOCUMENTS["several"]).encode())
    arrays = [read["layers"][0]["weights"], read["layers"][1]["weights"], read["layers"][1]["x"]["weights"]]
    assert all(each.dtype == np.float32 and each.flags.c_contiguous for each in arrays)
    assert read["layers"][0]["bias"] == SHORT


@pytest.mark.parametrize(
    "odd",
    [
        [*LONG, LONG],
        [*LONG, []],
        [*LONG, None],
        [*LONG[:-1], [*LONG[-1][:-1], None]],
        [*LONG[:-1], [*LONG[-1][:-1], True]],
        [*LONG[:-1], [*LONG[-1][:-1], "1"]],
        [*LONG, {"weights": 1}],
        [*LONG, {"a": "weights", "b": [LONG]}],
        [[]] * LONG_BYTES,
    ],
    ids=lambda odd: None,
)
def test_what_is_no_array_of_numbers_is_left_for_its_reader(odd: Any) -> None:
    document = {"layers": [{"weights": odd, "offset": [1]}, {"offset": 1}]}
    assert loads(json.dumps(document).encode()) == document


def test_a_document_of_lists_in_lists_stays_as_it_is() -> None:
    assert loads(json.dumps([[[{"weights": LONG}]]]).encode()) == [[[{"weights": LONG}]]]


def twice(first: Any, second: Any) -> bytes:
    return f'{{"weights": {json.dumps(first)}, "weights": {json.dumps(second)}}}'.encode()


def test_of_two_equal_names_the_last_counts() -> None:
    text = twice(SHORT, LONG)
    assert as_lists(loads(text)) == {"weights": np.array(LONG, np.float32).tolist()}
    text = twice(LONG, SHORT)
    assert loads(text) == {"weights": SHORT}
    text = twice(LONG, LONG)
    assert loads(text) == {"weights": LONG}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("]]}", "]}"),
        ("]]}", "]]"),
        ("], [", "] ["),
        (", ", ", NaN, "),
        (", ", ",, "),
        ("]]}", "]]]}"),
        ('":', '"'),
    ],
)
def test_an_error_is_told_with_its_place(good: str, bad: str) -> None:
    text = json.dumps({"weights": LONG}).replace(good, bad, 1).encode()
    with pytest.raises(orjson.JSONDecodeError) as wanted:
        orjson.loads(text)
    with pytest.raises(ModelFormatError) as caught:
        loads(text)
    assert str(caught.value) == f"not valid JSON: {wanted.value}"


@pytest.mark.parametrize("compressed", [False, True])
def test_files_are_told_by_their_content(tmp_path: Path, compressed: bool) -> None:
    encoded = json.dumps(DOCUMENTS["last"]).encode()
    (tmp_path / "x").write_bytes(gzip.compress(encoded) if compressed else encoded)
    assert as_lists(read_document(tmp_path / "x")) == narrowed(DOCUMENTS["last"])


# --- small files that ask for much -------------------------------------------------------------------------------


def bomb(unit: bytes, size_bytes: int, key: bytes) -> bytes:
    return b'{"%s": [' % key + unit * (size_bytes // len(unit)) + b"0]}"


@pytest.mark.parametrize("unit", [b"[],", b"{},", b'{"a":1},', b"[[],[]],", b'"ab",'])
@pytest.mark.parametrize("key", [b"layers", b"weights"])
def test_many_small_values_are_refused_in_a_small_compressed_file(
    tmp_path: Path, unit: bytes, key: bytes
) -> None:
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(bomb(unit, 40_000_000 if unit == b'"ab",' else 30_000_000, key), 1))
    with pytest.raises(ModelFormatError, match=r"memory, expected at most|document of at most"):
        read_document(path)


def test_a_compressed_file_may_become_twenty_times_as_large_and_a_small_one_more(tmp_path: Path) -> None:
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(bomb(b" ", 40_000_000, b"layers")))
    with pytest.raises(ModelFormatError, match="document of at most"):
        read_document(path)
    path.write_bytes(gzip.compress(bomb(b" ", 20_000_000, b"layers")))
    assert read_document(path) == {"layers": [0]}


def test_many_small_values_are_refused_in_a_plain_file_too(tmp_path: Path) -> None:
    path = tmp_path / "bomb.json"
    path.write_bytes(bomb(b"[],", 30_000_000, b"layers"))
    with pytest.raises(
        ModelFormatError, match=r"lists, objects and values would take about \d+ MB of memory"
    ):
        read_document(path)


def tree(depth: int, rng: np.random.Generator) -> list[Any]:
    if not depth:
        return [[int(rng.integers(2)), 1], None]
    return [int(rng.integers(10)), int(rng.integers(2)), tree(depth - 1, rng), tree(depth - 1, rng)]


def test_the_densest_forest_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    document = {"trees": [[[0, 10], [tree(10, rng) for _ in range(700)]]]}
    path = tmp_path / "forest.json"
    path.write_bytes(gzip.compress(orjson.dumps(document), 9))
    assert read_document(path) == document


def test_paths_that_are_no_paths_to_files_are_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(OSError, match="it is a FIFO, expected a regular file"):
        read_document(tmp_path / "pipe.json")
    with pytest.raises(ModelFormatError, match="null"):
        read_document(Path("a\0b.json"))
