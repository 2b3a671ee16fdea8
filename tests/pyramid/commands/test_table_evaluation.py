"""The truth of a table beside what a model says of it."""

from __future__ import annotations

import json

import model_documents as documents
import numpy as np
import polars as pl
import pytest

import sensenet
from pyramid.errors import DataError
from pyramid.tables.evaluation import evaluate_table
from sensenet.tables import source
from sensenet.tables.source import open_table

ROWS = {"size": [1.5, 2.5, None, 0.5], "kind": ["a", "b", "c", "a"]}


def evaluated(make, folder, truth, **exposition):
    document = make()
    document["output_exposition"] |= {"name": "y", **exposition}
    document["preprocess"] = documents.FIELDS[:2]
    document |= {"layers": [documents.dense(4, 3 if make is documents.classifier else 1)], "trees": None}
    (folder / "model.json").write_text(json.dumps(document))
    model = sensenet.create_model(folder / "model.json")
    frame = pl.DataFrame({**ROWS, "y": truth}, strict=False)
    return evaluate_table(model, open_table(frame), None), model(frame.select("size", "kind"))


@pytest.mark.parametrize(
    ("values", "truth"),
    [
        (("0", "1", "2"), [1.0, 0.0, None, 2.0]),
        (("0.0", "1.0", "2.0"), [1, 0, None, 2]),
        (("0", "1", "2"), ["1.0", "0", "?", "2"]),
        (("false", "true", "2"), ["True", "FALSE", "NA", "2"]),
        (("False", "True", "2"), [True, False, None, None]),
    ],
)
def test_the_truth_is_a_class_however_it_is_written(tmp_path, monkeypatch, values, truth):
    monkeypatch.setattr(source, "CELLS_PER_BATCH", 1)
    found, outputs = evaluated(documents.classifier, tmp_path, truth, values=list(values))
    known = [value not in (None, "?", "NA") for value in truth]
    assert found.truth.tolist() == [1, 0, 2][: sum(known)]
    assert found.rows_without_truth == 4 - sum(known)
    np.testing.assert_allclose(found.outputs, outputs[known], rtol=1e-6)


def test_numbers_are_the_truth_of_a_regression(tmp_path):
    found, outputs = evaluated(documents.regression, tmp_path, [1.5, None, 2.5, 3.5])
    assert found.truth.tolist() == [1.5, 2.5, 3.5]
    np.testing.assert_allclose(found.outputs, outputs[[0, 2, 3]], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "truth", "message"),
    [
        (documents.classifier, ["yes", None, "never", "ever"], "row 3: \"y\" is 'never'"),
        (documents.regression, ["1", "2", "three", "4"], "row 3: \"y\" is 'three'"),
    ],
)
def test_a_truth_that_the_model_does_not_predict_is_told_with_its_row(tmp_path, make, truth, message):
    with pytest.raises(DataError) as caught:
        evaluated(make, tmp_path, truth)
    assert message in str(caught.value)


def test_without_any_truth_there_is_nothing_to_evaluate(tmp_path):
    with pytest.raises(DataError, match='no row with a value of "y"'):
        evaluated(documents.regression, tmp_path, [None, "?", "NA", None])
