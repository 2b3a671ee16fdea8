"""Tables are understood as people would, and their rows are those that jobs take."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pyramid.errors import DataError
from pyramid.fields import Fields
from pyramid.frames import TableChoices, held_out_rows, prepare, save_rows, scan
from pyramid.images.root import image_confinement
from pyramid.settings.validate import violations
from pyramid.tables.ser import read_ser
from sensenet.errors import InputError
from sensenet.preprocess.image_files import read_named_file

N = 60
ANSWER = ["no", "yes"] * (N // 2)
NUMBERS = [0.5 + i % 37 for i in range(N)]


def table(**columns):
    return pl.DataFrame({"x": NUMBERS, **columns, "y": ANSWER})


def rows_of(prepared, path):
    prepared.write_ser(path)
    return read_ser(path, Fields.parse(prepared.info_list, prepared.has_weights).all, prepared.n_rows)


def kinds(prepared):
    return {column.name: column.kind for column in prepared.columns}


COLUMNS = {
    "numeric": (NUMBERS, "numeric"),
    "numbers as text": ([str(value) for value in NUMBERS], "numeric"),
    "numbers and a word": ([*map(str, NUMBERS[1:]), "unknown"], "numeric"),
    "many integers": ([i % 30 for i in range(N)], "numeric"),
    "few integers": ([i % 3 for i in range(N)], "categorical"),
    "few integers as text": ([f"{i % 3}.0" for i in range(N)], "categorical"),
    "codes with zeros": ([f"{i % 30:04}" for i in range(N)], "categorical"),
    "truth": ([i % 2 == 0 for i in range(N)], "categorical"),
    "texts": (["ab"[i % 2] for i in range(N)], "categorical"),
    "categories": (pl.Series(["ab"[i % 2] for i in range(N)], dtype=pl.Categorical), "categorical"),
    "one value or none": (["a", None] * (N // 2), "categorical"),
    "dates": ([f"2024-03-{1 + i % 28}" for i in range(N)], "date"),
    "date type": ([datetime.date(2024, 3, 1 + i % 28) for i in range(N)], "date"),
    "times": ([datetime.datetime(2024, 3, 1, i % 24) for i in range(N)], "date"),
    "durations": ([datetime.timedelta(hours=i % 50) for i in range(N)], "numeric"),
    "constant": (["a"] * N, ""),
    "constant number": ([7] * N, ""),
    "constant date": (["2024-03-01"] * N, ""),
    "nothing": ([None] * N, ""),
    "words for nothing": (["NA", "?"] * (N // 2), ""),
    "row numbers": (list(range(100, 100 + N)), ""),
    "ids": ([f"id-{i}" for i in range(N)], ""),
    "free text": (
        [f"these are some words that nobody has written before, number {i % 40}" for i in range(N)],
        "",
    ),
    "lists": ([[1, 2]] * N, ""),
    "infinite": ([np.inf, 1e300] * (N // 2), ""),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_a_column_is_what_people_take_it_for(case):
    values, kind = COLUMNS[case]
    prepared = prepare(table(column=values), "y")
    assert kinds(prepared)["column"] == kind
    assert ("column" in prepared.left_out) == (not kind)
    if not kind:
        assert any(warning.startswith('"column" is left out: ') for warning in prepared.warnings)
    json.dumps([column.dump() for column in prepared.columns])


@pytest.mark.parametrize(
    ("texts", "part", "first"),
    [
        (["1/2/2023", "13/2/2023"], "day_first", 1.0),
        (["1/2/2023", "2/13/2023"], None, 2.0),
    ],
)
def test_the_whole_column_tells_whether_the_day_stands_first(tmp_path, texts, part, first):
    prepared = prepare(table(when=texts * (N // 2)), "y")
    days = next(i for i, info in enumerate(prepared.info_list) if info["name"] == "when.day")
    assert ("day_first" in prepared.info_list[days]) == (part is not None)
    assert rows_of(prepared, tmp_path / "r.ser").numbers[0, days] == first


def test_dates_give_the_parts_that_differ(tmp_path):
    when = [datetime.datetime(2024, 3, 1 + i % 28, i % 24, 30) for i in range(N)]
    prepared = prepare(table(when=when), "y")
    parts = [info for info in prepared.info_list if "part" in info]
    assert [info["part"] for info in parts] == ["day", "weekday", "hour", "timestamp"]
    assert {info["column"] for info in parts} == {"when"}
    numbers = rows_of(prepared, tmp_path / "r.ser").numbers
    assert numbers[1, 1:5].tolist() == [2, 6, 1.5, when[1].replace(tzinfo=datetime.UTC).timestamp()]


def test_jobs_take_the_fields(tmp_path):
    prepared = prepare(table(when=[f"{1 + i % 28}/3/2024" for i in range(N)], kind=["a", "b"] * 30), "y")
    job = {"job_type": "dataset_caching", "job_id": "a", "objective_type": "categorical", "seed": 0}
    job |= {
        "output_directory": "out",
        "cache_file": "r.ser",
        "cache_rows": N,
        "max_data_size": 1,
        "parallelism": 1,
    }
    job |= {"tree_embedding": False, "is_search": False, "info_list": prepared.info_list}
    assert violations(job) == []
    assert [field.dump() for field in Fields.parse(prepared.info_list).inputs] == prepared.info_list[:-1]
    job["info_list"] = [{**info, "column": "when"} for info in prepared.info_list]
    assert {violation.path for violation in violations(job)} == {
        "/info_list/0",
        "/info_list/4",
        "/info_list/5",
    }


def test_numbers_categories_and_missing_values_become_rows(tmp_path):
    frame = pl.DataFrame(
        {"size": ["1.5", " 2", "?", "1e300"], "kind": ["a", "N/A", "b", "a "], "y": ["no", None, "yes", "no"]}
    )
    prepared = prepare(frame, "y", TableChoices(types={"size": "numeric"}))
    assert prepared.info_list[1] == {"index": 1, "name": "kind", "type": "categorical", "values": ["a", "b"]}
    np.testing.assert_array_equal(
        rows_of(prepared, tmp_path / "r.ser").numbers, [[1.5, 0, 0], [np.nan, 1, 1], [np.nan, 0, 0]]
    )
    assert prepared.row_numbers.tolist() == [0, 2, 3]
    assert prepared.rows_without_objective == 1
    assert any("too large for a float32" in warning for warning in prepared.warnings)


def test_more_than_512_categories_are_the_most_frequent(tmp_path):
    names = [f"c{i}" for i in range(600)] * 2 + ["c599", "c598"]
    frame = pl.DataFrame({"c": names, "y": ["a", "b"] * 601})
    prepared = prepare(frame, "y")
    values = prepared.info_list[0]["values"]
    assert len(values) == 512
    assert {"c599", "c598"} <= set(values)
    assert np.isnan(rows_of(prepared, tmp_path / "r.ser").numbers[:, 0]).sum() == 2 * 88
    assert any("the most frequent 512" in warning for warning in prepared.warnings)


@pytest.mark.parametrize(
    ("values", "task", "kind"),
    [
        (list(range(N)), None, "numeric"),
        ([i % 20 for i in range(N)], None, "categorical"),
        ([i % 21 for i in range(N)], None, "numeric"),
        ([i % 20 for i in range(N)], "regression", "numeric"),
        (list(range(N)), "classification", "categorical"),
        ([True, False] * (N // 2), None, "categorical"),
    ],
)
def test_the_objective_says_what_is_learnt(values, task, kind):
    prepared = prepare(pl.DataFrame({"x": NUMBERS, "y": values}), "y", TableChoices(task=task))
    assert prepared.info_list[-1]["type"] == kind


@pytest.mark.parametrize(
    ("frame", "choices", "message"),
    [
        (table(), {"types": {"x": "nummeric"}}, 'there is no type "nummeric"; did you mean "numeric"'),
        (table(), {"ignore": ("y",)}, "it can be neither ignored"),
        (table(), {"ignore": ("x",)}, "there is no column to predict"),
        (table(), {"task": "ranking"}, 'there is no task "ranking"'),
        (pl.DataFrame({"x": [1, 2], "y": ["a", "a"]}), {}, "one value only"),
        (pl.DataFrame({"x": [1, 2], "y": [None, "?"]}), {}, "has no value in any row"),
        (pl.DataFrame({"x": [], "y": []}), {}, "there are no rows"),
        (pl.DataFrame({"x": NUMBERS, "y": ["1", "a"] * 30}), {"task": "regression"}, "is 'a' in row 2"),
        (table(w=[1.0, None] * 30), {"weights": "w"}, "30 rows have none"),
        (table(w=[1.0, -1.0] * 30), {"weights": "w"}, "the numbers go from -1 to 1"),
    ],
)
def test_what_cannot_be_learnt_is_told(frame, choices, message):
    with pytest.raises(DataError) as caught:
        prepare(frame, "y", TableChoices(**choices))
    assert message in str(caught.value)


@pytest.mark.parametrize("choices", [{"ignore": ("z",)}, {"weights": "z"}, {"types": {"z": "numeric"}}])
def test_an_unknown_column_is_told_with_the_nearest(choices):
    with pytest.raises(InputError, match='there is no column "z"'):
        prepare(table(), "y", TableChoices(**choices))
    with pytest.raises(InputError, match='no column "answr"; did you mean "answer"'):
        prepare(table().rename({"y": "answer"}), "answr")


def test_the_weight_stands_before_the_objective(tmp_path):
    prepared = prepare(table(w=[1.0, 2.0] * 30), "y", TableChoices(weights="w"))
    assert [info["name"] for info in prepared.info_list] == ["x", "w", "y"]
    assert rows_of(prepared, tmp_path / "r.ser").numbers[:2, 1].tolist() == [1, 2]


def test_a_class_of_one_row_is_told():
    prepared = prepare(pl.DataFrame({"x": NUMBERS, "y": ["rare", *ANSWER[1:]]}), "y")
    assert any('a single row is of the class "rare"' in warning for warning in prepared.warnings)


def test_a_pandas_frame_is_as_good(tmp_path):
    frame = table(kind=["a", None] * 30, truth=[True, False] * 30)
    pandas = pd.DataFrame(frame.to_dict(as_series=False))
    pandas["kind"] = pandas["kind"].astype("category")
    one, other = prepare(frame, "y"), prepare(pandas, "y")
    assert one.info_list == other.info_list
    np.testing.assert_array_equal(
        rows_of(one, tmp_path / "a").numbers, rows_of(other, tmp_path / "b").numbers
    )


def test_memory_does_not_change_what_is_found(tmp_path, monkeypatch):
    frame = table(kind=[f"k{i % 7}" for i in range(N)])
    frame.write_csv(tmp_path / "t.csv")
    whole = prepare(frame, "y")
    monkeypatch.setattr("sensenet.tables.text.PIECE_BYTES", 50)
    monkeypatch.setattr(scan, "GATHERED_BYTES", 1)
    pieces = prepare(tmp_path / "t.csv", "y")
    assert pieces.info_list == whole.info_list
    assert [c.dump() for c in pieces.columns] == [c.dump() for c in whole.columns]
    np.testing.assert_array_equal(
        rows_of(pieces, tmp_path / "a").numbers, rows_of(whole, tmp_path / "b").numbers
    )


def test_statistics_are_of_all_rows_also_where_a_sample_has_few_of_them(monkeypatch):
    values = np.random.default_rng(0).normal(5, 2, 20_000)
    days = [datetime.date(2024, 1, 1 + i % 28) if i % 701 == 3 else None for i in range(20_000)]
    rare = [i * 0.5 if i % 5000 == 7 else None for i in range(20_000)]
    frame = pl.DataFrame({"x": values, "rare": rare, "when": days, "y": ["a", "b"] * 10_000})
    monkeypatch.setattr(scan, "SAMPLED_CELLS", 400)
    infos = {info["name"]: info for info in prepare(frame, "y").info_list}
    for name in ("x", "rare"):
        assert infos[name]["mean"] == pytest.approx(frame[name].mean(), rel=1e-11)
        assert infos[name]["stdev"] == pytest.approx(frame[name].std(ddof=0), rel=1e-11)
    assert infos["when.day"]["mean"] == pytest.approx(frame["when"].dt.day().mean(), rel=1e-11)


def test_a_table_that_changes_is_told(tmp_path):
    table().write_csv(tmp_path / "t.csv")
    prepared = prepare(tmp_path / "t.csv", "y")
    table().head(10).write_csv(tmp_path / "t.csv")
    with pytest.raises(DataError, match="has changed"):
        prepared.write_ser(tmp_path / "r.ser")
    assert not (tmp_path / "r.ser").exists()


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "in"
    (folder / "with a rather long name").mkdir(parents=True)
    names = [f"p{i}.png" for i in range(3)]
    long_names = [f"with a rather long name/picture number {i}.png" for i in range(3)]
    for i, name in enumerate([*names, *long_names]):
        Image.new("RGB", (4, 4), (i, i, i)).save(folder / name)
    return folder, names, long_names


def test_files_of_images_are_an_image_field(tmp_path, pictures):
    folder, names, _ = pictures
    table(file=names * 20).write_csv(folder / "t.csv")
    prepared = prepare(folder / "t.csv", "y")
    assert kinds(prepared)["file"] == "image"
    assert prepared.image_root == str(folder)
    assert rows_of(prepared, tmp_path / "r.ser").image_names(1)[:4] == [*names, names[0]]


def test_long_names_of_images_get_short_ones_below_the_output(tmp_path, pictures):
    folder, _, names = pictures
    frame = table(file=[*names * 19, *names[:2], "gone.png"])
    choices = TableChoices(image_root=folder, types={"file": "image"})
    with pytest.raises(DataError, match="need a folder for shorter ones"):
        prepare(frame, "y", choices)
    choices = TableChoices(image_root=folder, types={"file": "image"}, image_folder=tmp_path / "out")
    prepared = prepare(frame, "y", choices)
    found = rows_of(prepared, tmp_path / "r.ser").image_names(1)
    assert found[-1] == ""
    assert any("1 of its image files are not there" in warning for warning in prepared.warnings)

    class Root:
        image_root = prepared.image_root
        allow_outside_root = False

    for name, original in zip(found[:3], names, strict=True):
        content = read_named_file(prepared.image_root, name, image_confinement(Root()))
        assert content == (folder / original).read_bytes()


def test_a_test_share_is_stratified_and_not_learnt(tmp_path):
    frame = pl.DataFrame(
        {"x": np.arange(200.0) ** 2, "y": ["rare"] * 20 + ["common"] * 169 + ["lone"] + [None] * 10}
    )
    rows = held_out_rows(frame, "y", 0.2, seed=3)
    assert frame[rows]["y"].value_counts(sort=True).rows() == [("common", 33), ("rare", 5)]
    assert (
        rows.tolist()
        == held_out_rows(frame, "y", 0.2, seed=3).tolist()
        != held_out_rows(frame, "y", 0.2, seed=4).tolist()
    )
    prepared = prepare(frame, "y", TableChoices(rows_left_out=rows))
    assert (prepared.n_rows, prepared.rows_without_objective) == (152, 10)
    assert not set(prepared.row_numbers) & set(rows)
    rows_of(prepared, tmp_path / "r.ser")
    save_rows(frame, rows, tmp_path / "test.parquet")
    assert pl.read_parquet(tmp_path / "test.parquet").equals(frame[rows])


@pytest.mark.parametrize("share", [0.0, 1.0, 0.001])
def test_a_share_that_leaves_nothing_is_told(share):
    with pytest.raises(DataError, match="share"):
        held_out_rows(table(), "y", share, seed=0)


NUMBER = st.one_of(st.none(), st.floats(-1e30, 1e30), st.integers(-(10**6), 10**6).map(float))
KIND = st.one_of(
    st.none(), st.text(st.sampled_from('abé" ,;x'), min_size=1, max_size=3).filter(lambda t: t.strip())
)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(NUMBER, KIND, st.sampled_from("pq")), min_size=2, max_size=30))
def test_values_survive_the_way_to_rows(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("t")
    rows = [*rows, (1.5, "a", "p"), (2.5, "b", "q"), (None, "c", "q")]
    frame = pl.DataFrame(rows, schema={"n": pl.Float64, "k": pl.String, "y": pl.String}, orient="row")
    frame.write_csv(folder / "t.csv")
    prepared = prepare(folder / "t.csv", "y", TableChoices(types={"n": "numeric", "k": "categorical"}))
    numbers = rows_of(prepared, folder / "r.ser").numbers
    values, classes = prepared.info_list[1]["values"], prepared.info_list[2]["values"]
    found = [
        (None if np.isnan(n) else n, None if np.isnan(k) else values[int(k)], classes[int(y)])
        for n, k, y in numbers
    ]
    assert found == [(n, k and k.strip(), y) for n, k, y in rows]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([i % 50 for i in range(4000)], "numeric"),
        (list(range(4000)), ""),
        ([f"user {i % 50}" for i in range(4000)], "categorical"),
        ([f"user {i}" for i in range(4000)], ""),
    ],
)
def test_more_values_than_are_counted_are_told_apart_by_a_sample(monkeypatch, values, kind):
    monkeypatch.setattr(scan, "MAX_COUNTED", 60)
    monkeypatch.setattr(scan, "MIN_COUNTED", 20)
    prepared = prepare(
        pl.DataFrame({"x": values, "n": [i % 9 for i in range(4000)], "y": ["a", "b"] * 2000}), "y"
    )
    assert kinds(prepared)["x"] == kind
    assert prepared.columns[0].distinct is None
