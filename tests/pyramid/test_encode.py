from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyramid.errors import DataError
from pyramid.fields import Fields
from pyramid.tables.encode import Encoding, Layout
from sensenet.document.fields import parse_fields
from sensenet.preprocess.tabular import column_codecs, encode_columns, encode_numbers, encode_row


def numeric(mean=0.0, stdev=1.0):
    return {"index": 0, "type": "numeric", "mean": mean, "stdev": stdev}


def categorical(n_values):
    return {"index": 0, "type": "categorical", "values": [f"v{i}" for i in range(n_values)]}


def encode_plainly(rows, info_list, instance_weights):
    """The matrix, number by number."""
    matrix = []
    for row in rows:
        encoded = []
        for i, (value, field) in enumerate(zip(row, info_list, strict=True)):
            if instance_weights and i == len(info_list) - 2:
                encoded.append(value)
            elif field["type"] == "numeric" and i < len(info_list) - 1:
                mean, stdev = np.float32(field["mean"]), np.float32(field["stdev"] or 1.0)
                encoded.append(0.0 if np.isnan(value) else (np.float32(value) - mean) / stdev)
            elif field["type"] == "numeric":
                encoded.append((value - field["mean"]) / (field["stdev"] or 1.0))
            else:
                encoded.extend(float(value == code) for code in range(len(field["values"])))
        matrix.append(encoded)
    return np.array(matrix, np.float32)


numbers = st.one_of(st.floats(-1e6, 1e6), st.just(np.nan))
scales = st.tuples(st.floats(-10, 10), st.sampled_from([0.0, 0.5, 3.0]))


@st.composite
def tables(draw):
    inputs = draw(
        st.lists(
            st.one_of(scales.map(lambda s: numeric(*s)), st.integers(1, 12).map(categorical)), max_size=6
        )
    )
    instance_weights = draw(st.booleans())
    objective = draw(st.one_of(st.just(numeric(2.0, 4.0)), st.integers(1, 12).map(categorical)))
    n_rows = draw(st.integers(1, 12))
    columns = []
    for field in inputs:
        codes = st.one_of(st.integers(-2, 14).map(float), st.sampled_from([np.nan, 0.5]))
        values = numbers if field["type"] == "numeric" else codes
        columns.append(draw(st.lists(values, min_size=n_rows, max_size=n_rows)))
    if instance_weights:
        columns.append(draw(st.lists(st.floats(0, 100), min_size=n_rows, max_size=n_rows)))
    is_numeric = objective["type"] == "numeric"
    labels = st.floats(-1e6, 1e6) if is_numeric else st.integers(0, len(objective["values"]) - 1).map(float)
    columns.append(draw(st.lists(labels, min_size=n_rows, max_size=n_rows)))
    info_list = [*inputs, *([numeric()] if instance_weights else []), objective]
    return np.array(columns).T, info_list, instance_weights


@given(tables())
def test_rows_are_encoded_as_number_by_number(table):
    rows, info_list, instance_weights = table
    encoded = Encoding.of(Fields.parse(info_list, instance_weights)).encode(rows)
    np.testing.assert_array_equal(encoded, encode_plainly(rows, info_list, instance_weights))


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=30),
    st.floats(-10, 10),
    st.floats(0.01, 100),
)
def test_training_and_prediction_standardise_to_the_same_bits(values, mean, stdev):
    """Trees split between values, often exactly on one: a last bit decides which way a row goes."""
    column = np.array(values)[:, None]
    info_list = [numeric(mean, stdev), numeric()]
    trained_on = Encoding.of(Fields.parse(info_list)).encode(np.column_stack([column, column]))[:, :1]
    codecs = column_codecs(parse_fields(info_list[:1]))
    np.testing.assert_array_equal(encode_numbers(codecs, column), trained_on)
    np.testing.assert_array_equal(encode_columns(codecs, [values], len(values)), trained_on)
    np.testing.assert_array_equal(encode_row(codecs, values[:1]), trained_on[:1])


def test_the_layout_says_where_everything_stands():
    info_list = [numeric(), categorical(3), numeric(), numeric(), categorical(2)]
    layout = Layout.of(Fields.parse(info_list, instance_weights=True), tree_inputs=4)
    assert layout.inputs == slice(4, 9)
    assert layout.input_size == 5
    assert layout.fields == ((0, slice(0, 1)), (1, slice(1, 4)), (2, slice(4, 5)))
    assert layout.weight == 9
    assert layout.objective == slice(10, 12)
    assert (layout.n_outputs, layout.row_columns) == (2, 12)
    encoding = Encoding.of(Fields.parse(info_list, instance_weights=True), tree_inputs=4)
    assert encoding.columns(1) == slice(5, 8)
    assert not encoding.encode(np.array([[1.0, 2, 3, 4, 1]]))[:, :4].any()


def test_infinite_inputs_are_missing():
    encoding = Encoding.of(Fields.parse([numeric(), numeric(0, 1e-300), numeric()]))
    np.testing.assert_array_equal(encoding.encode(np.array([[np.inf, 1e300, 1.0]])), [[0, 0, 1]])


@pytest.mark.parametrize(
    ("objective", "value", "message"),
    [
        (categorical(3), np.nan, "row 7.*nan.*0 to 2"),
        (categorical(3), 3.0, "row 7.*3.0.*0 to 2"),
        (categorical(3), -1.0, "row 7.*-1.0.*0 to 2"),
        (categorical(3), 0.5, "row 7.*0.5.*0 to 2"),
        (numeric(), np.nan, "row 7.*nan.*finite"),
        (numeric(), np.inf, "row 7.*inf.*finite"),
    ],
)
def test_a_missing_objective_is_refused_with_its_row(objective, value, message):
    rows = np.zeros((5, 2))
    rows[2, 1] = value
    with pytest.raises(DataError, match=message):
        Encoding.of(Fields.parse([numeric(), objective])).encode(rows, first_row=5)


@pytest.mark.parametrize("weight", [np.nan, np.inf, -0.5])
def test_an_unusable_weight_is_refused_with_its_row(weight):
    rows = np.ones((5000, 3))
    rows[4999, 1] = weight
    with pytest.raises(DataError, match="row 4999: the weight"):
        Encoding.of(Fields.parse([numeric(), numeric(), numeric()], instance_weights=True)).encode(rows)


@pytest.mark.parametrize(
    ("info_list", "message"),
    [
        ([{"index": 0, "type": "image"}, categorical(2)], "as many columns as its image network"),
        ([{"index": 1, "type": "text"}, numeric()], "unknown type 'text'"),
        ([], "objective"),
    ],
)
def test_fields_that_are_not_cached_as_columns_are_refused(info_list, message):
    with pytest.raises(DataError, match=message):
        Layout.of(Fields.parse(info_list))


IMAGE = {"index": 3, "type": "image"}


def test_images_share_what_the_other_fields_leave_of_a_width():
    fields = Fields.parse([IMAGE, numeric(), IMAGE, numeric(), categorical(3)], instance_weights=True)
    layout = Layout.of_width(fields, tree_inputs=6, row_columns=6 + 5 + 1 + 5 + 1 + 3)
    assert layout == Layout.of(fields, 6, image_features=5)
    assert [columns for _, columns in layout.fields] == [slice(0, 5), slice(5, 6), slice(6, 11)]


@pytest.mark.parametrize("row_columns", [0, 4, 7])
def test_a_width_that_images_cannot_share_is_refused(row_columns):
    fields = Fields.parse([IMAGE, numeric(), IMAGE, categorical(3)])
    with pytest.raises(
        DataError, match=f"expected 4 columns and .* 2 image fields .* got {row_columns} columns"
    ):
        Layout.of_width(fields, 0, row_columns)
