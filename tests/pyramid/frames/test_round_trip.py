"""What a model learns of a table is what it sees in the same table, in whatever form it comes again."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyramid.errors import DataError
from pyramid.fields import Fields
from pyramid.frames import TableChoices, prepare
from pyramid.tables.ser import read_ser
from sensenet.document.fields import parse_fields
from sensenet.preprocess.tabular import Codes, column_codecs
from sensenet.tables.model_columns import Oddities, field_values, match_columns
from sensenet.tables.source import open_table
from sensenet.tables.values import plain_types

FORMS = ("csv", "semicolons", "jsonl", "parquet", "frame", "pandas")
WORDS = st.text(st.sampled_from('aé" ,;x0.'), min_size=1, max_size=3)
SPELLED = (
    "None",
    "NA",
    "none",
    "yes",
    "YES",
    "1",
    "1.0",
    "+1",
    "007",
    "7",
    "True",
    "true",
    "1,5",
    "2.50",
    "$3",
)
COLUMNS = {
    "numbers": st.floats(-1e30, 1e30) | st.sampled_from([1e39, 0.1, -0.0, 1e20]),
    "few": st.sampled_from([0.0, 1.0, 2.0]),
    "whole": st.integers(0, 3) | st.just(2**53 - 1),
    "truth": st.booleans(),
    "words": WORDS | st.sampled_from(SPELLED),
    "spelled": st.sampled_from(["1", "1.0", "+2", "2.00", "0.5", "0.50"]),
    "day": st.dates(datetime.date(1970, 1, 1)),
    "written": st.sampled_from(["1/2/2024", "3/2/24 5:06 PM", "2024-02-03", "unknown", "2024"]),
}


def stored(frame, form, folder):
    path = folder / f"t.{form}"
    match form:
        case "csv":
            frame.write_csv(path)
        case "semicolons":
            frame.write_csv(path, separator=";")
        case "jsonl":
            frame.write_ndjson(path)
        case "parquet":
            frame.write_parquet(path)
        case "frame":
            return frame
        case "pandas":
            return pd.DataFrame(frame.to_dict(as_series=False))
    return path


def learnt(prepared, folder):
    prepared.write_ser(folder / "r.ser")
    return read_ser(folder / "r.ser", Fields.parse(prepared.info_list).all, prepared.n_rows).numbers[:, :-1]


def seen_again(prepared, source):
    codecs = column_codecs(parse_fields(prepared.info_list[:-1]))
    table = open_table(source)
    found = match_columns(codecs, table)
    frame = plain_types(pl.concat(table.batches()))
    columns = []
    for codec, name in zip(codecs, found.columns, strict=True):
        values = field_values(codec, frame[name], Oddities())
        columns.append(
            np.where(values.codes < 0, np.nan, values.codes) if isinstance(values, Codes) else values
        )
    return np.array(columns, np.float64).T


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_rows_are_the_same_for_training_and_prediction(tmp_path_factory, data):
    kinds = data.draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=3))
    n_rows = data.draw(st.integers(2, 30))
    columns = {
        f"{kind} {i}": data.draw(st.lists(st.none() | COLUMNS[kind], min_size=n_rows, max_size=n_rows))
        for i, kind in enumerate(kinds)
    }
    frame = pl.DataFrame({**columns, "y": [i % 2 for i in range(n_rows)]})
    types = {
        name: data.draw(st.sampled_from(["categorical", "numeric"]))
        for name, kind in zip(columns, kinds, strict=True)
        if kind in ("few", "whole", "numbers") and data.draw(st.booleans())
    }
    form, other = data.draw(st.sampled_from(FORMS)), data.draw(st.sampled_from(FORMS))
    folder = tmp_path_factory.mktemp("t")
    try:
        prepared = prepare(stored(frame, form, folder), "y", TableChoices(types=types))
    except DataError:  # every column is left out
        return
    rows = learnt(prepared, folder)
    np.testing.assert_array_equal(rows, seen_again(prepared, stored(frame, form, folder)))
    if not any(kind in ("words", "written", "spelled") for kind in kinds):
        np.testing.assert_array_equal(rows, seen_again(prepared, stored(frame, other, folder)))


@pytest.mark.parametrize("other", FORMS)
@pytest.mark.parametrize("form", FORMS)
def test_numbers_and_truth_are_the_same_categories_in_every_form(tmp_path, form, other):
    frame = pl.DataFrame(
        {"number": [0.0, 1.0, None] * 10, "truth": [True, None, False] * 10, "y": ["a", "b"] * 15}
    )
    prepared = prepare(stored(frame, form, tmp_path), "y")
    assert [info["values"] for info in prepared.info_list[:2]] == [["0", "1"], ["false", "true"]]
    np.testing.assert_array_equal(
        learnt(prepared, tmp_path), seen_again(prepared, stored(frame, other, tmp_path))
    )


@pytest.mark.parametrize(
    ("written", "again", "expected"),
    [
        (["True", "False"], ["true", "FALSE"], [1, 0]),
        (["True", "False"], [True, False], [1, 0]),
        (["1.0", "2.0"], [1, 2], [0, 1]),
        (["1", "2"], ["1.0", "+2"], [0, 1]),
        (["007", "7"], ["007", "7.0"], [0, 1]),
        (["none", "some"], ["none", "None"], [0, np.nan]),
        (["yes", "no"], ["yes", "YES"], [1, np.nan]),
        (["na", "x"], ["NA", "na"], [np.nan, 0]),
    ],
)
def test_a_category_is_found_as_it_is_written_or_as_the_same_value(tmp_path, written, again, expected):
    prepared = prepare(pl.DataFrame({"c": written * 10, "y": ["a", "b"] * 10}), "y")
    assert seen_again(prepared, pl.DataFrame({"c": again}))[:, 0].tolist() == pytest.approx(
        expected, nan_ok=True
    )


PANDAS = {
    "integers": (pd.array([1, None, 3], dtype="Int64"), [1, None, 3]),
    "floats": (pd.array([1.5, None, 3], dtype="Float64"), [1.5, None, 3.0]),
    "truth": (pd.array([True, None, False], dtype="boolean"), [True, None, False]),
    "half": (np.array([1, 2, 3], np.float16), [1.0, 2.0, 3.0]),
    "zone": (
        pd.date_range("2024-01-01", periods=3, tz="Europe/Berlin"),
        [datetime.datetime(2024, 1, 1 + i) for i in range(3)],
    ),
    "periods": (pd.period_range("2024-01", periods=3, freq="M"), ["2024-01", "2024-02", "2024-03"]),
    "mixed": ([pd.Timestamp("2024-01-01"), None, "x"], ["2024-01-01 00:00:00", None, "x"]),
    "lists": ([[1], 2, None], ["[1]", "2", None]),
}


@pytest.mark.parametrize("case", PANDAS)
def test_any_pandas_column_is_read(case):
    given_values, expected = PANDAS[case]
    (frame,) = open_table(pd.DataFrame({"c": given_values})).batches()
    assert frame["c"].to_list() == expected
