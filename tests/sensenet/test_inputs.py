from __future__ import annotations

from decimal import Decimal
from typing import Any

import model_documents as documents
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensenet.document.fields import parse_fields
from sensenet.errors import InputError
from sensenet.inputs import encode_points
from sensenet.preprocess.tabular import column_codecs, raw_codecs

FIELDS = parse_fields(documents.FIELDS)
CODECS = column_codecs(FIELDS)
NUMERIC = column_codecs(
    parse_fields([{"type": "numeric", "index": i, "mean": float(i), "stdev": i / 2} for i in (0, 2, 1)])
)


def matrix_of(codecs: Any, points: Any) -> np.ndarray:
    return encode_points(codecs, points).matrix


class Frame:
    """What pandas and polars frames have in common."""

    def __init__(self, columns: dict[Any, list[Any]]):
        self._columns = columns
        self.columns = list(columns)

    def __getitem__(self, name: Any) -> Any:
        return np.array(self._columns[name], dtype=object)

    def __len__(self) -> int:
        return len(self._columns[self.columns[0]])


NAMED = {"type": "numeric", "mean": 0.0, "stdev": 1.0}


class NAType:
    """What pandas puts where a value is missing."""


def as_dicts(points: list[list[Any]]) -> list[dict[Any, Any]]:
    return [{"size": p[0], "kind": p[1], 3: p[3], "else": 1} for p in points]


def as_frame(points: list[list[Any]]) -> Frame:
    return Frame(
        dict(
            zip(
                ["kind", "3", "x", "size"],
                zip(*[[p[1], p[3], 0, p[0]] for p in points], strict=True),
                strict=True,
            )
        )
    )


@pytest.mark.parametrize(
    "form",
    [
        lambda points: points,
        tuple,
        lambda points: [tuple(p) for p in points],
        lambda points: [np.array(p, dtype=object) for p in points],
        lambda points: np.array([p[:4] for p in points], dtype=object),
        as_dicts,
        lambda points: [{str(k) if k == 3 else k: v for k, v in p.items()} for p in as_dicts(points)],
        as_frame,
    ],
)
def test_every_form_of_many_points_gives_the_same_matrix(form: Any) -> None:
    np.testing.assert_array_equal(matrix_of(CODECS, form(documents.POINTS)), documents.MATRIX)


@pytest.mark.parametrize(
    "form",
    [
        lambda point: point,
        lambda point: [point],
        tuple,
        lambda point: np.array(point, dtype=object),
        lambda point: as_dicts([point])[0],
        lambda point: as_dicts([point]),
        lambda point: as_frame([point]),
    ],
)
def test_every_form_of_one_point_gives_the_same_row(form: Any) -> None:
    for point, row in zip(documents.POINTS, documents.MATRIX, strict=True):
        np.testing.assert_array_equal(matrix_of(CODECS, form(point)), [row])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8, bool])
def test_arrays_of_numbers_are_standardised_as_lists_are(dtype: Any) -> None:
    points = np.array([[1, 0, 1, 9], [0, 1, 1, 9]], dtype)
    rows = [[float(v) for v in row] for row in points]
    np.testing.assert_array_equal(matrix_of(NUMERIC, points), matrix_of(NUMERIC, rows))
    np.testing.assert_array_equal(matrix_of(NUMERIC, points[0]), matrix_of(NUMERIC, rows[0]))


def test_nan_in_an_array_is_the_mean_and_the_array_is_left_alone() -> None:
    points = np.array([[np.nan, 3.0, np.nan]])
    np.testing.assert_array_equal(matrix_of(NUMERIC, points), [[0.0, 0.0, 4.0]])
    assert np.isnan(points).sum() == 2


def test_whole_numbers_in_an_array_of_floats_are_categories() -> None:
    codecs = column_codecs(parse_fields([{"type": "categorical", "index": 0, "values": ["1", "2.5", "7"]}]))
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_array_equal(matrix_of(codecs, np.array([[1.0], [2.5], [np.nan]])), expected)


def category_codecs(*values: Any) -> Any:
    return column_codecs(parse_fields([{"type": "categorical", "index": 0, "values": list(values)}]))


def test_categories_are_compared_as_text() -> None:
    codecs = category_codecs("1", "True", "None")
    points = [[1], ["1"], [True], [1.5], [None], ["None"], [""]]
    expected = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]]
    np.testing.assert_array_equal(matrix_of(codecs, points), expected)
    for point, row in zip(points, expected, strict=True):
        np.testing.assert_array_equal(matrix_of(codecs, point), [row])


@pytest.mark.parametrize("one", [1, 1.0, np.float32(1), np.int64(1), np.uint8(1), Decimal("1.00"), "1"])
@pytest.mark.parametrize(
    "form",
    [
        lambda value: [value],
        lambda value: [[value], [None]],
        lambda value: np.array([value]),
        lambda value: [np.array([value])],
        lambda value: np.array([[value], [None]], dtype=object),
        lambda value: {0: value},
        lambda value: [{0: value}, {0: None}],
        lambda value: Frame({0: [value, None]}),
    ],
)
def test_a_whole_number_is_the_category_of_the_same_integer(form: Any, one: Any) -> None:
    assert matrix_of(category_codecs("0", "1"), form(one))[0].tolist() == [0, 1]
    assert matrix_of(raw_codecs([codec.field for codec in category_codecs("0", "1")]), form(one))[0] == 1


@pytest.mark.parametrize(("value", "category"), [(-0.0, "0"), (1e20, "100000000000000000000"), (2.5, "2.5")])
def test_a_number_is_the_category_of_its_shortest_text(value: float, category: str) -> None:
    assert matrix_of(category_codecs("x", category), [value]).tolist() == [[0, 1]]


@pytest.mark.parametrize("value", [np.float32("nan"), float("inf"), 1.5, Decimal("NaN"), 2**70])
def test_other_numbers_are_no_category(value: Any) -> None:
    assert matrix_of(category_codecs("1", "nan"), [value]).tolist() == [[0, 0]]


def test_a_number_may_be_the_category_of_its_text_where_no_integer_is_one() -> None:
    assert matrix_of(category_codecs("1.0", "2"), [[1.0], [2.0]]).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("names", [(False, True), ("false", "true"), ("False", "True")])
@pytest.mark.parametrize("truth", [True, np.True_])
def test_truth_values_are_the_categories_of_their_text(names: Any, truth: Any) -> None:
    codecs = category_codecs(*names)
    assert matrix_of(codecs, [truth]).tolist() == [[0, 1]]
    assert matrix_of(codecs, np.array([truth])).tolist() == [[0, 1]]


def test_a_frame_with_names_is_read_by_name_whatever_else_it_has() -> None:
    codecs = column_codecs(
        parse_fields([{**NAMED, "index": i, "name": name} for i, name in enumerate(("a", "b"))])
    )
    frame = Frame({"extra": [7.0], "b": [2.0], "0": [9.0], "a": [1.0]})
    assert matrix_of(codecs, frame).tolist() == [[1, 2]]


@pytest.mark.parametrize("labels", [(0, 1, 2), ("0", "1", "2"), (2, 1, 0), (0, 2)])
@pytest.mark.parametrize("names", [{}, {"name": "x"}])
def test_a_frame_without_names_is_read_by_index(labels: Any, names: dict[str, str]) -> None:
    codecs = column_codecs(parse_fields([{**NAMED, "index": 2, **names}]))
    assert matrix_of(codecs, Frame({label: [float(label)] for label in labels})).tolist() == [[2]]


@pytest.mark.parametrize(
    ("names", "columns", "message"),
    [
        (("a", "b"), ("b", "c"), "field \"a\" (index 0) is missing, the frame's columns are 'b', 'c'"),
        (("a", "b"), ("0", "b"), "field \"a\" (index 0) is missing, the frame's columns are '0', 'b'"),
        (
            (None, None),
            ("a", "b"),
            "field 0 is missing, the frame's columns are 'a', 'b'; the model's document",
        ),
        ((None, None), (0,), "field 1 is missing, the frame's columns are 0; "),
        (("a",), (), 'field "a" (index 0) is missing, the frame\'s columns are none'),
    ],
)
def test_a_frame_that_lacks_a_column_is_refused(names: Any, columns: Any, message: str) -> None:
    fields = [{**NAMED, "index": i, "name": name} for i, name in enumerate(names)]
    with pytest.raises(InputError) as caught:
        matrix_of(column_codecs(parse_fields(fields)), Frame({column: [1.0] for column in columns}))
    assert str(caught.value).startswith(message)


def test_a_frame_with_two_columns_of_one_name_is_refused() -> None:
    frame = Frame({"a": [1.0]})
    frame.columns = ["a", "a"]
    with pytest.raises(InputError, match="the frame has 2 columns 'a'"):
        matrix_of(column_codecs(parse_fields([{**NAMED, "index": 0, "name": "a"}])), frame)


@pytest.mark.parametrize("missing", [None, float("nan"), NAType(), "nan"])
def test_a_missing_number_is_the_mean_or_the_zero_value(missing: Any) -> None:
    for points in ([[missing, "a", 0, missing]], [[missing, "a", 0, missing], [1.0, "a", 0, 1.0]]):
        np.testing.assert_array_equal(matrix_of(CODECS, points)[0], [0, 1, 0, 0, 0])


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (
            [[1.0, "a", 0, 1.0], ["x", "a", 0, 1.0]],
            "row 1, field \"size\" (index 0): expected a finite number, got 'x'",
        ),
        ([1.0, "a", 0, [2]], "row 0, field 3: expected a finite number, got [2]"),
        ([[1.0, "a", 0, [2.0]]] * 2, "row 0, field 3: expected a finite number, got [2.0]"),
        ([1e400, "a", 0, 1.0], 'row 0, field "size" (index 0): expected a finite number, got inf'),
        ([[1e300, "a", 0, 1.0]], 'row 0, field "size" (index 0): expected a number that is finite when'),
        ([1.0, "a", 0], "row 0: field 3 is missing, the row has 3 values"),
        ([[1.0, "a", 0, 1.0], [1.0]], 'row 1: field "kind" (index 1) is missing, the row has 1 values'),
        (np.zeros((2, 2)), "row 0: field 3 is missing, the rows have 2 values"),
        (np.zeros((2, 2, 2)), "expected an array of one or two dimensions, got 3"),
        ({"size": 1.0, "kind": "a"}, "row 0: field 3 is missing"),
        ([[1.0, "a", 0, 1.0], 3], "row 1: expected a list or dict as in row 0, got 3"),
        ([np.zeros((2, 4)), np.zeros((2, 4))], "row 0: expected one dimension, got 2"),
        (5.1, "expected one point (a list or dict)"),
        ("a,b", "expected one point (a list or dict)"),
        (
            Frame({"size": [1.0], "kind": ["a"]}),
            "field 3 is missing, the frame's columns are 'size', 'kind'; the model",
        ),
    ],
)
def test_what_cannot_be_understood_says_row_and_field(points: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        matrix_of(CODECS, points)
    assert str(caught.value).startswith(message)


def test_no_points_are_no_rows() -> None:
    assert matrix_of(CODECS, []).shape == (0, documents.COLUMNS)
    assert matrix_of(CODECS, np.zeros((0, 4))).shape == (0, documents.COLUMNS)


def test_raw_columns_keep_numbers_and_give_positions_of_categories() -> None:
    expected = [[1.5, 0, 2], [-3, 2, 1], [0.25, 1, 1.5], [1, 0, 2], [4, -1, 1], [2.5, -1, 2]]
    np.testing.assert_array_equal(matrix_of(raw_codecs(FIELDS), documents.POINTS), expected)


values = st.one_of(
    st.none(),
    st.floats(-1e6, 1e6),
    st.integers(-1000, 1000),
    st.booleans(),
    st.sampled_from(["a", "b", "c", "", "1", "2.5"]),
)
number = st.one_of(st.none(), st.floats(-1e6, 1e6), st.integers(-1000, 1000), st.sampled_from(["1", " 2.5 "]))


@given(st.lists(st.tuples(number, values, values, number), min_size=2, max_size=8))
def test_rows_one_by_one_and_all_at_once_give_the_same(points: list[Any]) -> None:
    together = matrix_of(CODECS, points)
    np.testing.assert_array_equal(np.concatenate([matrix_of(CODECS, point) for point in points]), together)
    np.testing.assert_array_equal(matrix_of(CODECS, np.array(points, dtype=object)), together)
