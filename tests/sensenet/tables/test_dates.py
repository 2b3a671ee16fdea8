"""Dates as people write them, and what models take of them."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensenet.document.fields import DATE_PARTS
from sensenet.tables.dates import PARTS, date_numbers, offsets, written_dates

MARCH = datetime.datetime(2024, 3, 1)


def date_of(text, day_first=False):
    return written_dates(pl.Series([text], dtype=pl.String), day_first)[0]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-03-01", MARCH),
        ("2024-3-1", MARCH),
        ("2024/03/01", MARCH),
        ("2024.03.01", MARCH),
        ("3/1/2024", MARCH),
        ("3-1-24", MARCH),
        ("2024-03-01 12:30", MARCH.replace(hour=12, minute=30)),
        ("2024-03-01T12:30:15", MARCH.replace(hour=12, minute=30, second=15)),
        ("2024-03-01T12:30:15Z", MARCH.replace(hour=12, minute=30, second=15)),
        ("2024-03-01 12:30:15.25+02:00", MARCH.replace(hour=12, minute=30, second=15, microsecond=250_000)),
        ("3/1/2024 2:30 PM", MARCH.replace(hour=14, minute=30)),
        ("3/1/2024 12:00 am", MARCH),
        ("12/31/69", datetime.datetime(1969, 12, 31)),
        ("12/31/68", datetime.datetime(2068, 12, 31)),
        ("2024-02-29", datetime.datetime(2024, 2, 29)),
        *[
            (wrong, None)
            for wrong in ("2023-02-29", "13/1/2024", "2024-03-01 24:30", "3/1/2024 13:00 PM", "x", "20240301")
        ],
    ],
)
def test_dates_are_read_as_they_are_written(text, time):
    assert date_of(text) == time


@pytest.mark.parametrize("day_first", [False, True])
@pytest.mark.parametrize("texts", [["1.3.2024"], ["1.3.24 00:00"], ["3/1/2024", None, "01.03.2024"]])
def test_between_dots_the_day_stands_first(texts, day_first):
    assert written_dates(pl.Series(texts), day_first)[-1] == MARCH


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["2024-03-01", "01-03-2024"], set()),
        (["2024-03-01T10:00:00+05:00", "2024-03-01 10:00Z", None], {"+05:00", "Z"}),
        (["1/3/2024 2:30 PM", "1/3/2024 2:30 PM -0500", "1/3/2024"], {"", "-0500"}),
    ],
)
def test_offsets_are_what_stands_behind_times(texts, found):
    assert offsets(pl.Series(texts)) == found


def test_the_day_may_stand_first():
    assert date_of("1/3/2024", day_first=True) == MARCH
    assert date_of("13/1/2024", day_first=True) == datetime.datetime(2024, 1, 13)
    assert date_of("2024-03-01", day_first=True) == MARCH


@given(st.lists(st.datetimes(datetime.datetime(1000, 1, 1), datetime.datetime(2999, 1, 1)), min_size=1))
def test_a_form_that_changes_within_a_column_is_followed(times):
    forms = ("%Y-%m-%d %H:%M:%S.%f", "%d/%m/%Y %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f")
    texts = [
        time.strftime(forms[i % 3]).replace(f"/{time.year} ", f"/{time.year:04} ")
        for i, time in enumerate(times)
    ]
    assert written_dates(pl.Series(texts), day_first=True).to_list() == times


def test_parts_are_numbers():
    values = ["2024-03-01 18:30:36", None, datetime.date(2024, 3, 3), np.datetime64("1970-01-02"), "no date"]
    found = {part: date_numbers(values, part, False) for part in PARTS}
    np.testing.assert_array_equal(found["year"], [2024, np.nan, 2024, 1970, np.nan])
    np.testing.assert_array_equal(found["month"], [3, np.nan, 3, 1, np.nan])
    np.testing.assert_array_equal(found["day"], [1, np.nan, 3, 2, np.nan])
    np.testing.assert_array_equal(found["weekday"], [5, np.nan, 7, 5, np.nan])
    np.testing.assert_allclose(found["hour"], [18.51, np.nan, 0, 0, np.nan])
    assert found["timestamp"][3] == 86400


def test_documents_know_all_parts():
    assert tuple(PARTS) == DATE_PARTS
