from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pyramid.errors import DataError
from pyramid.fields import parse_columns
from pyramid.tables.ser import read_ser, write_ser

NUMERIC = {"index": 0, "type": "numeric", "mean": 0.0, "stdev": 1.0}
CATEGORICAL = {"index": 1, "type": "categorical", "values": ["a", "b"]}
IMAGE = {"index": 2, "type": "image"}


@given(rows=arrays(np.float64, st.tuples(st.integers(1, 20), st.just(3))))
def test_numbers_come_back_bit_for_bit(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "numbers.ser"
    write_ser(path, rows, [NUMERIC] * 3)
    np.testing.assert_array_equal(read_ser(path, parse_columns([NUMERIC] * 3), len(rows)).numbers, rows)


names = st.text(st.characters(codec="utf-8", exclude_characters="\0")).filter(lambda s: len(s.encode()) <= 31)


@given(rows=st.lists(st.tuples(st.floats(allow_nan=False), names, st.sampled_from([0, 1, None])), min_size=1))
def test_image_names_come_back_beside_numbers(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "images.ser"
    info_list = [NUMERIC, IMAGE, CATEGORICAL]
    write_ser(path, rows, info_list)
    read = read_ser(path, parse_columns(info_list), len(rows))
    assert read.image_fields == (1,)
    assert read.image_names(1) == [name for _, name, _ in rows]
    np.testing.assert_array_equal(read.column(0), [number for number, _, _ in rows])
    expected = [np.nan if code is None else code for _, _, code in rows]
    np.testing.assert_array_equal(read.column(2), expected)
    with pytest.raises(DataError, match="field 1 holds image names"):
        _ = read.numbers


@given(rows=st.lists(st.tuples(names, st.floats(allow_nan=False), names), min_size=1))
def test_images_become_positions_among_their_distinct_names(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "positions.ser"
    info_list = [IMAGE, NUMERIC, IMAGE]
    write_ser(path, rows, info_list)
    numbers, distinct = read_ser(path, parse_columns(info_list), None).with_image_positions()
    assert distinct == sorted({name for row in rows for name in (row[0], row[2])})
    for row, (first, number, second) in zip(numbers, rows, strict=True):
        assert (distinct[int(row[0])], row[1], distinct[int(row[2])]) == (first, number, second)


def test_the_bytes_are_those_of_the_format(tmp_path):
    write_ser(tmp_path / "a.ser", [[1.5, "dog.png"], [None, ""]], [NUMERIC, IMAGE])
    expected = (
        b"D"
        + struct.pack("<d", 1.5)
        + b"\x07dog.png"
        + bytes(24)
        + struct.pack("<d", float("nan"))
        + bytes(32)
    )
    assert (tmp_path / "a.ser").read_bytes() == expected


@pytest.mark.parametrize(
    ("content", "cache_rows", "message"),
    [
        (b"", 1, "68.*found nothing"),
        (b"E" + bytes(16), 1, "68.*69"),
        (b"D" + bytes(15), 1, "15 bytes.*16 bytes"),
        (b"D" + bytes(40), 2, "40 bytes.*16 bytes"),
        (b"D" + bytes(32), 3, "3 rows, found 2"),
        (b"D", None, "at least one row, found 0"),
    ],
)
def test_a_broken_file_is_refused_with_both_numbers(tmp_path, content, cache_rows, message):
    path = tmp_path / "broken.ser"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_ser(path, parse_columns([NUMERIC, CATEGORICAL]), cache_rows)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["missing.ser", "."])
def test_a_file_that_cannot_be_opened_is_named(tmp_path, name):
    with pytest.raises(DataError, match="cannot be read"):
        read_ser(tmp_path / name, parse_columns([NUMERIC]), 1)


@pytest.mark.parametrize(
    ("rows", "info_list", "message"),
    [
        ([[1.0, 2.0], [1.0]], [NUMERIC, NUMERIC], "row 1 has 1 fields, expected 2"),
        (np.zeros((2, 3)), [NUMERIC, NUMERIC], r"\(2, 3\)"),
        ([[0.0, "ä" * 16]], [NUMERIC, IMAGE], "row 0.*32 bytes, at most 31"),
        ([[0.0]], [{"type": "bounding_box", "values": []}], "bounding_box"),
    ],
)
def test_rows_that_do_not_fit_are_not_written(tmp_path, rows, info_list, message):
    with pytest.raises(DataError, match=message):
        write_ser(tmp_path / "a.ser", rows, info_list)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "message"), [(b"\x20" + b"a" * 31, "claims 32"), (b"\x01\xff", "not UTF-8")]
)
def test_a_broken_image_name_is_refused_with_its_row(tmp_path, name, message):
    path = tmp_path / "a.ser"
    path.write_bytes(b"D" + bytes(32) + name.ljust(32, b"\0"))
    with pytest.raises(DataError, match=f"row 1.*{message}"):
        read_ser(path, parse_columns([IMAGE]), 2).image_names(0)


def test_pages_that_were_let_go_are_read_again(tmp_path):
    rows = np.arange(20_000.0).reshape(-1, 2)
    write_ser(tmp_path / "a.ser", rows, [NUMERIC] * 2)
    read = read_ser(tmp_path / "a.ser", parse_columns([NUMERIC] * 2), len(rows))
    assert read.numbers.sum() == rows.sum()
    read.forget_pages()
    np.testing.assert_array_equal(read.numbers, rows)
