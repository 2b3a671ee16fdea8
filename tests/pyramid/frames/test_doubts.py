"""What columns may be taken for by mistake: it is refused, or told with the value and the row."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from pyramid.errors import DataError
from pyramid.frames import TableChoices, prepare, scan
from sensenet.document.fields import parse_fields
from sensenet.errors import InputError
from sensenet.preprocess.tabular import column_codecs
from sensenet.tables.model_columns import match_columns
from sensenet.tables.source import Reading, open_table

N = 100
ANSWER = ["no", "yes"] * (N // 2)
NUMBERS = [0.5 + i * 37 % 91 for i in range(N)]


def understood(column, **choices):
    frame = pl.DataFrame({"x": NUMBERS, "c": column, "y": ANSWER})
    return prepare(frame, "y", TableChoices(**choices))


def kind_of(prepared):
    return next(column.kind for column in prepared.columns if column.name == "c")


def told_of(prepared):
    return "\n".join(warning for warning in prepared.warnings if '"c"' in warning)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([f"${i * 7 % 91}.50" for i in range(N)], "$0.50"),
        ([f"{1 + i % 5},{100 + i * 7 % 900:03}" for i in range(N)], "1,100"),
        ([f"{i * 13 % 57}%" for i in range(N)], "0%"),
        ([f"{1 + i % 9} {100 + i:03},5" for i in range(N)], "1 100,5"),
        ([f"{1 + i % 9}\u00a0{100 + i:03}" for i in range(N)], "1\u00a0100"),
        ([f"{i * 7 % 91} €" for i in range(N)], "0 €"),
        ([f"{1 + i % 5}.{100 + i:03},50" for i in range(N)], "1.100,50"),
    ],
)
def test_numbers_that_only_people_read_are_told(values, shown):
    prepared = understood(values)
    assert kind_of(prepared) in ("", "categorical")
    assert f'look like numbers, which "{shown}" in row 1 is not written as' in told_of(prepared)


@pytest.mark.parametrize("values", [["ab"[i % 2] for i in range(N)], [f"{i % 30:03}" for i in range(N)]])
def test_what_is_no_number_is_not_told_to_be_one(values):
    assert told_of(understood(values)) == ""


def dates(form):
    return [form.format(day=1 + i % 12, month=1 + i * 7 % 12) for i in range(N)]


def test_one_value_that_is_no_date_is_missing_and_told():
    prepared = understood(["2024-01-01", "unknown", *dates("2024-{month}-{day}")[2:]])
    assert kind_of(prepared) == "date"
    assert "not written as dates counts as missing in 1 row" in told_of(prepared)
    assert 'the first is "unknown", in row 2' in told_of(prepared)
    assert next(column.missing for column in prepared.columns if column.name == "c") == 1


def test_many_values_that_are_no_dates_make_categories():
    assert kind_of(understood([*["soon", "later"] * 10, *dates("2024-1-{day}")[20:]])) == "categorical"


def test_dates_of_either_order_are_told_with_the_order_that_is_taken():
    prepared = understood(dates("{day}/{month}/2024"))
    assert 'the month is taken to stand first, as in "2/8/2024" in row 2' in told_of(prepared)
    infos = {info["name"]: info for info in prepared.info_list}
    assert "day_first" not in infos["c.month"]


@pytest.mark.parametrize(
    ("kind", "day_first"), [("date:day_first", True), ("date:month_first", None), ("date", None)]
)
def test_people_choose_the_order(kind, day_first):
    prepared = understood(dates("{day}/{month}/2024"), types={"c": kind})
    infos = {info["name"]: info for info in prepared.info_list}
    assert infos["c.day"].get("day_first") is day_first
    assert (told_of(prepared) == "") == (kind != "date")


@pytest.mark.parametrize("form", ["{day}.{month}.2024", "2024-{month}-{day}"])
def test_dates_of_one_order_are_not_told(form):
    assert told_of(understood(dates(form))) == ""


def test_the_order_is_that_of_all_rows(monkeypatch):
    monkeypatch.setattr(scan, "GATHERED_BYTES", 1)
    monkeypatch.setattr("sensenet.tables.source.CELLS_PER_BATCH", 1)
    texts = ["1/2/2023"] * 300 + ["13/2/2023"] * 300
    frame = pl.DataFrame({"c": texts, "y": ["a", "b"] * 300})
    infos = {info["name"]: info for info in prepare(frame, "y").info_list}
    assert infos["c.day"]["day_first"] is True


def test_different_offsets_are_told():
    prepared = understood(
        [f"2024-01-{1 + i % 28:02}T10:00:00{('+00:00', '+05:00')[i % 2]}" for i in range(N)]
    )
    assert "different offsets (+00:00, +05:00)" in told_of(prepared)
    assert told_of(understood([f"2024-01-{1 + i % 28:02}T10:00:00+05:00" for i in range(N)])) == ""


def test_seconds_are_a_part_of_the_hour_and_near_times_no_number_of_their_own():
    prepared = understood([f"2024-01-01 10:00:{i % 60:02}" for i in range(N)])
    (info,) = [info for info in prepared.info_list if "part" in info]
    assert info["part"] == "hour"
    assert info["mean"] == pytest.approx(10 + np.mean([i % 60 for i in range(N)]) / 3600)


def test_numbers_by_choice_are_told_where_words_are_lost():
    prepared = understood(["few", "many", *map(str, range(2, N))], types={"c": "numeric"})
    assert "not written as numbers counts as missing in 2 rows" in told_of(prepared)
    assert 'the first is "few", in row 1' in told_of(prepared)
    assert next(column.missing for column in prepared.columns if column.name == "c") == 2


def test_parts_of_dates_have_names_of_their_own():
    frame = pl.DataFrame({"c": dates("2024-{month}-{day}"), "c.month": NUMBERS, "y": ANSWER})
    names = [info["name"] for info in prepare(frame, "y").info_list]
    assert len(set(names)) == len(names)
    assert {"c.month", "c.month_2"} <= set(names)


def objective(values, **choices):
    return prepare(pl.DataFrame({"x": NUMBERS, "y": values}), "y", TableChoices(**choices))


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["1.5", "unknown", *[str(i * 1.5) for i in range(2, N)]], "'unknown' in row 2"),
        ([f"{100 + i},{i * 7 % 999:03}" for i in range(N)], "'100,000' in row 1"),
        ([f"{i}%" for i in range(N)], "'0%' in row 1"),
    ],
)
def test_an_objective_of_almost_numbers_is_refused(values, shown):
    with pytest.raises(DataError) as caught:
        objective(values)
    assert shown in str(caught.value)
    assert "choose the task" in str(caught.value)
    prepared = objective(values, task="classification")
    assert any("have a single row: is it" in warning for warning in prepared.warnings)


def test_an_infinite_objective_counts_for_nothing():
    values = [*map(float, range(N - 2)), np.inf, -np.inf]
    column = [None, *NUMBERS[1:-1], None]
    prepared = prepare(pl.DataFrame({"x": column, "y": values}), "y")
    assert (prepared.n_rows, prepared.rows_without_objective) == (N - 2, 2)
    assert [column.missing for column in prepared.columns] == [1, 0]
    assert prepared.columns[-1].mean == np.mean(values[:-2])


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"types": {"y": "numeric"}}, "choose the task, classification or regression"),
        ({"types": {"c": "categorical"}, "weights": "c"}, '"c" is the weight, so it is numeric'),
        ({"ignore": ("c",), "weights": "c"}, '"c" is the weight, so it cannot be ignored'),
        ({"types": {"c": "date:dayfirst"}}, 'did you mean "date:day_first"'),
    ],
)
def test_choices_that_contradict_each_other_are_refused(choices, message):
    with pytest.raises(DataError) as caught:
        understood(NUMBERS, **choices)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "1 row has none, the first wrong one is None in row 3"),
        (-1.0, "the first wrong one is -1.0 in row 3"),
    ],
)
def test_a_wrong_weight_is_told_with_its_row(wrong, message):
    with pytest.raises(DataError) as caught:
        understood([1.0, 1.0, wrong, *[1.0] * (N - 3)], weights="c")
    assert message in str(caught.value)


def test_a_thousand_classes_are_counted_in_a_wide_table(monkeypatch):
    monkeypatch.setattr(scan, "MAX_COUNTED", 1)
    monkeypatch.setattr(scan, "GATHERED_BYTES", 1)
    monkeypatch.setattr("sensenet.tables.source.CELLS_PER_BATCH", 1)
    frame = pl.DataFrame({"x": [i * 0.37 for i in range(4000)], "y": [f"c{i % 1000}" for i in range(4000)]})
    assert len(prepare(frame, "y").info_list[-1]["values"]) == 1000


@pytest.mark.parametrize(
    ("values", "kind", "mean"),
    [
        (["2,5", "3", "1,25"], "numeric", 2.25),
        (["1,234", "0,5", "3"], "numeric", 1.578),
        (["0,234", "0,500"], "numeric", 0.367),
        (["1,234", "2,500"], "categorical", None),
        (["1,2", "a", "3,4"], "categorical", None),
        (["1,2", "2.5"], "categorical", None),
        (["1,2,3", "2,5"], "categorical", None),
    ],
)
def test_commas_are_decimal_points_where_the_whole_column_says_so(tmp_path, values, kind, mean):
    column = (values * N)[:60]
    rows = "".join(f"{i * 7 % 30};{value};{'ab'[i % 2]}\n" for i, value in enumerate(column))
    (tmp_path / "t.csv").write_text("n;c;y\n" + rows)
    choices = TableChoices(types={"c": "numeric"} if kind == "numeric" else {})
    prepared = prepare(tmp_path / "t.csv", "y", choices)
    assert kind_of(prepared) == kind
    info = prepared.info_list[1]
    if kind == "numeric":
        assert info["mean"] == pytest.approx(mean)
    else:
        assert info["values"] == sorted(set(values))
    assert ("between thousands" in told_of(prepared)) == (values == ["1,234", "2,500"])


def test_without_header_a_model_finds_its_columns_among_others(tmp_path):
    rows = "".join(f"{1000 + i},{20 + i * 7 % 50},{i * 37 % 91}.5,{'ab'[i % 2]}\n" for i in range(N))
    (tmp_path / "t.csv").write_text(rows)
    reading = Reading(has_header=False)
    prepared = prepare(tmp_path / "t.csv", "column_4", TableChoices(reading=reading))
    assert set(prepared.left_out) == {"column_1"}
    codecs = column_codecs(parse_fields(prepared.info_list[:-1]))
    found = match_columns(codecs, open_table(tmp_path / "t.csv", reading), by_position=True)
    assert found.columns == ("column_2", "column_3")
    (tmp_path / "u.csv").write_text("a,b,c,d\n" + rows)
    with pytest.raises(InputError, match="no column has the name of a field"):
        match_columns(codecs, open_table(tmp_path / "u.csv"))


@pytest.mark.parametrize(
    "values", [[2.0**60, 2.0**60 + 256] * (N // 2), [None, 2.0**60] * (N // 2), [0.0, 5e-324] * 50]
)
def test_numbers_too_near_for_many_bins_have_a_histogram(values):
    prepared = understood(values, types={"c": "numeric"})
    summary = next(column for column in prepared.columns if column.name == "c")
    assert sum(summary.counts) == N - summary.missing
    assert (np.diff(summary.edges) > 0).all()
