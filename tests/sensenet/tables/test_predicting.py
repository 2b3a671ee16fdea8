"""sensenet_predict, as people call it, and dates in rows by name."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import subprocess
import sys

import image_documents
import model_documents as documents
import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image

import sensenet
from sensenet.commands import predict
from sensenet.document.fields import parse_fields
from sensenet.errors import InputError, ModelFormatError
from sensenet.tables import source

MARCH = datetime.datetime(2024, 3, 1, 5)
MONTH = {"type": "numeric", "index": 3, "name": "when.month", "mean": 6.0, "stdev": 3.0}
MONTH |= {"column": "when", "part": "month", "day_first": True}
FIELDS = [*documents.FIELDS[:2], MONTH]
TABLE = "when,kind,size,note,id\n1/3/2024,a,1.5,x,7\n13/4/2024,z,,x,8\n,c,abc,x,9\n2024-05-01,b ,inf,x,10\n"
ROWS = [[1.5, "a", None, 3], [None, "z", None, 4], [None, "c", None, None], [None, "b", None, 5]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    (path / "classes.json").write_text(json.dumps(documents.classifier(preprocess=FIELDS)))
    (path / "numbers.json").write_text(json.dumps(documents.regression(preprocess=FIELDS)))
    (path / "table.csv").write_text(TABLE)
    return path


def run(*arguments):
    command = [sys.executable, "-m", "sensenet.commands.predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_table_is_predicted_by_the_names_of_its_columns(folder):
    finished = run(folder / "classes.json", folder / "table.csv", "--probabilities")
    assert finished.returncode == 0, finished.stderr
    header, *rows = csv.reader(io.StringIO(finished.stdout))
    assert header == ["prediction", "probability yes", "probability no", "probability maybe"]
    expected = sensenet.create_model(folder / "classes.json")(ROWS)
    np.testing.assert_array_equal(np.array([row[1:] for row in rows], np.float32), expected)
    assert [row[0] for row in rows] == [("yes", "no", "maybe")[i] for i in expected.argmax(axis=1)]
    warnings = finished.stderr.splitlines()
    assert warnings[0].endswith(
        '"size": values that the model does not know count as missing in 2 rows: "abc", "inf"'
    )
    assert warnings[1].endswith('"kind": values that the model does not know count as missing in 1 row: "z"')
    assert warnings[2].startswith("4 rows in")


@pytest.mark.parametrize("name", ["rows.parquet", "rows.jsonl", "rows.csv.gz"])
def test_the_form_of_the_table_changes_nothing(folder, tmp_path, capsys, name):
    frame = pl.read_csv(folder / "table.csv", infer_schema=False)
    if name.endswith("parquet"):
        frame.write_parquet(tmp_path / name)
    elif name.endswith("jsonl"):
        frame.write_ndjson(tmp_path / name)
    else:
        (tmp_path / name).write_bytes(gzip.compress(TABLE.encode()))
    output = tmp_path / "predictions.csv"
    assert predict.main([str(folder / "numbers.json"), str(tmp_path / name), "--output", str(output)]) == 0
    found = pl.read_csv(output)["prediction"].to_numpy()
    model = sensenet.create_model(folder / "numbers.json")
    np.testing.assert_allclose(found, model(ROWS)[:, 0], rtol=1e-6)


def test_a_missing_column_is_told_and_counts_as_missing(folder, tmp_path, capsys):
    (tmp_path / "t.csv").write_text("size\n1.5\n")
    assert predict.main([str(folder / "numbers.json"), str(tmp_path / "t.csv")]) == 0
    told = capsys.readouterr().err
    assert 'there is no column "kind"' in told
    assert 'there is no column "when"' in told


def test_without_header_columns_are_found_by_position(folder, tmp_path):
    (tmp_path / "t.csv").write_text("1.5,a,q,1/3/2024\n")
    output = tmp_path / "out.csv"
    arguments = [folder / "numbers.json", tmp_path / "t.csv", "--no-header", "--output", output]
    assert predict.main([str(argument) for argument in arguments]) == 0
    expected = sensenet.create_model(folder / "numbers.json")(ROWS[:1])
    np.testing.assert_allclose(pl.read_csv(output)["prediction"].to_numpy(), expected[:, 0], rtol=1e-6)


@pytest.mark.parametrize("row", ["1.5,a", "1.5,a,q,1/3/2024,yes,7"])
def test_positions_are_those_of_a_table_of_the_fields(folder, tmp_path, capsys, row):
    (tmp_path / "t.csv").write_text(row + "\n")
    assert predict.main([str(folder / "numbers.json"), str(tmp_path / "t.csv"), "--no-header"]) == 1
    assert "there have to be 4 columns, or 5 with the objective" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,y\n1,2\n", 'no column has the name of a field of the model; these are "size", "kind", "when"'),
        ("size,kind\n", "there are no rows"),
        ("size,kind\n1,a\n2\n", "line 3: expected 2 values"),
    ],
)
def test_a_table_that_cannot_be_predicted_is_one_line_and_leaves_no_file(
    folder, tmp_path, capsys, content, message
):
    (tmp_path / "t.csv").write_text(content)
    output = tmp_path / "out.csv"
    assert predict.main([str(folder / "classes.json"), str(tmp_path / "t.csv"), "--output", str(output)]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert message in line
    assert not output.exists()


def test_rows_are_predicted_a_batch_at_a_time(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "t.csv").write_text("size,kind,when\n" + "1.5,a,1/3/2024\n" * 1000)
    monkeypatch.setattr(source, "CELLS_PER_BATCH", 1)
    assert predict.main([str(folder / "classes.json"), str(tmp_path / "t.csv")]) == 0
    assert len(set(capsys.readouterr().out.splitlines()[1:])) == 1


@pytest.mark.parametrize(
    "when",
    ["1/3/2024", "2024-03-01", MARCH.date(), MARCH, np.datetime64("2024-03-01"), pd.Timestamp(MARCH)],
)
def test_rows_by_name_take_dates(folder, when):
    model = sensenet.create_model(folder / "classes.json")
    expected = model([1.5, "a", None, 3])
    row = {"size": 1.5, "kind": "a", "when": when}
    np.testing.assert_array_equal(model(row), expected)
    np.testing.assert_array_equal(model([row, row]), np.repeat(expected, 2, axis=0))
    np.testing.assert_array_equal(model(pd.DataFrame([row])), expected)
    np.testing.assert_array_equal(model([1.5, "a", None, when]), expected)


@pytest.mark.parametrize("when", [3, 3.0, np.int64(45000), "1709251200000"])
def test_a_number_in_a_column_of_dates_is_no_date(folder, when):
    model = sensenet.create_model(folder / "classes.json")
    row = {"size": 1.5, "kind": "a", "when": when}
    for points in (row, [row, row], pd.DataFrame([row])):
        with pytest.raises(InputError, match="expected a date, got"):
            model(points)
    by_name = {"size": 1.5, "kind": "a", "when.month": when}
    np.testing.assert_array_equal(model(by_name), model([1.5, "a", None, float(when)]))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_table_of_numbers_for_dates_is_told_and_counts_as_missing(folder, tmp_path, capsys, form):
    rows = {"csv": "when\n1709251200000\n45000\n", "jsonl": '{"when":1709251200000}\n{"when":45000}\n'}[form]
    (tmp_path / "t").write_text(rows)
    assert predict.main([str(folder / "numbers.json"), str(tmp_path / "t")]) == 0
    told = capsys.readouterr()
    assert len(set(told.out.splitlines()[1:])) == 1
    assert 'count as missing in 2 rows: "1709251200000", "45000"' in told.err


def test_a_column_of_dates_stands_before_one_that_is_called_as_their_part(folder):
    model = sensenet.create_model(folder / "classes.json")
    row = {"size": 1.5, "kind": "a", "when": "1/3/2024", "when.month": 11}
    expected = model([1.5, "a", None, 3])
    for points in (row, pd.DataFrame([row])):
        np.testing.assert_array_equal(model(points), expected)


def test_a_wrong_date_is_told_and_a_missing_one_is_the_mean(folder):
    model = sensenet.create_model(folder / "classes.json")
    with pytest.raises(
        InputError, match=r'row 1, field "when.month" \(index 3\): expected a date, got \'soon\''
    ):
        model([{"size": 1, "kind": "a", "when": None}, {"size": 1, "kind": "a", "when": "soon"}])
    missing = model({"size": 1, "kind": "a", "when": None})
    np.testing.assert_array_equal(missing, model([1, "a", None, MONTH["mean"]]))


def test_a_part_of_a_date_survives_documents_and_bundles(folder, tmp_path):
    model = sensenet.create_model(folder / "classes.json")
    assert parse_fields(FIELDS)[2].dump() == MONTH
    again = sensenet.create_model(model.save_bundle(tmp_path / "model"))
    row = {"size": 1.5, "kind": "a", "when": "1/3/2024"}
    np.testing.assert_allclose(again(row), model(row), atol=1e-6)


def test_an_image_that_is_not_there_is_missing_and_told(tmp_path, capsys):
    (tmp_path / "model.json").write_text(json.dumps(image_documents.only_image()))
    Image.fromarray(image_documents.picture(9, 7)).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text(f"front,n\na.png,1\ngone.png,2\n,3\n{'long' * 99}.png,4\n")
    assert predict.main([str(tmp_path / "model.json"), str(tmp_path / "t.csv"), "--probabilities"]) == 0
    told = capsys.readouterr()
    there, *others = told.out.splitlines()[1:]
    assert others == [others[0]] * 3 != [there] * 3
    assert "count as missing in 2 rows" in told.err
    assert '"gone.png"' in told.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"part": "century"}, "preprocess[0].part: expected one of year"),
        ({"column": 3}, "preprocess[0].column: expected the name"),
        ({"day_first": "yes"}, "preprocess[0].day_first: expected true or false"),
    ],
)
def test_a_wrong_part_is_told(change, message):
    with pytest.raises(ModelFormatError) as caught:
        parse_fields([MONTH | change])
    assert str(caught.value).startswith(message)
