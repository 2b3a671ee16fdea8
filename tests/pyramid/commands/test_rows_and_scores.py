"""What pyramid_evaluate reads and shows, and the metadata of pyramid_train --bigmlize."""

from __future__ import annotations

import numpy as np
import pytest

from pyramid.commands.labelled_rows import read_rows
from pyramid.commands.metadata import metadata
from pyramid.commands.scores import class_indices, confusion_report, metrics_report, numbers
from pyramid.errors import DataError, SettingsError
from pyramid.train.metrics import evaluate_numbers


@pytest.mark.parametrize(
    ("data", "class_index", "inputs", "labels", "are_images"),
    [
        ([{"file": "a.png", "label": "x"}], None, ("a.png",), ("x",), True),
        ([{"input": [1, 2], "label": 3}], None, ([1, 2],), (3,), False),
        ([{"input": "a.png", "label": 3, "weight": 2}], None, (["a.png"],), (3,), False),
        ([{"width": 1, "kind": "k", "label": 3}], None, ({"width": 1, "kind": "k"},), (3,), False),
        ([[1, 2, "x"], [3, None, "y"]], None, ([1, 2], [3, None]), ("x", "y"), False),
        ([[1, "x", 2]], 1, ([1, "x", 2],), ("x",), False),
    ],
)
def test_every_form_of_rows_is_understood(data, class_index, inputs, labels, are_images):
    rows = read_rows(data, class_index)
    assert (rows.inputs, rows.labels, rows.are_images) == (inputs, labels, are_images)


def test_a_config_gives_its_rows_and_its_folder():
    rows = read_rows({"image_root": "here", "training_data": [{"file": "a", "label": 1}], "batch_size": 3})
    assert (rows.inputs, rows.image_root) == (("a",), "here")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "an empty list"),
        (3, "got a int"),
        ({"rows": []}, "training_data"),
        ([{"file": "a", "boxes": [[1, 2, 1, 4, "x"]]}], r"row 0/boxes/0: found \[1, 2, 1, 4"),
        ([{"file": "a"}], 'row 0: "label" is missing'),
        ([{"file": "a", "label": 1}, [1, 2]], "as the first row is"),
        ([[1, None]], "is missing"),
        ([[]], "row 0: expected the truth"),
        ([3], "an object or a list"),
    ],
)
def test_rows_that_cannot_be_used_are_named(data, message):
    with pytest.raises(DataError, match=message):
        read_rows(data)


def test_labels_are_compared_as_text():
    assert class_indices(["b", "a"], ["a", "b"]).tolist() == [1, 0]
    assert class_indices([1, 0.0, True], ["0", "1", "true"]).tolist() == [1, 0, 2]


def test_labels_that_do_not_fit_the_model_are_named():
    with pytest.raises(DataError, match=r"1 of 2 labels are no class .* a, b:\nrow 1: c"):
        class_indices(["a", "c"], ["a", "b"])
    with pytest.raises(DataError, match="1 of 3 labels are no finite numbers"):
        numbers([1, "x", 2.5])


def test_errors_are_shown_as_positive_numbers():
    shown = metrics_report(evaluate_numbers(np.array([0.0, 1.0, 2.0]), np.array([0.5, 1.0, 2.0])))
    lines = dict(line.split() for line in shown.splitlines())
    assert float(lines["mean_absolute_error"]) == pytest.approx(0.5 / 3, rel=1e-4)
    assert lines["median_absolute_error"] == "0"
    assert float(lines["r_squared"]) == pytest.approx(0.875)


def test_the_confusion_matrix_has_the_truth_in_rows():
    shown = confusion_report(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), ["cat", "dog"])
    lines = [line.split() for line in shown.splitlines()]
    assert lines[1:3] == [["cat", "3", "0.6667", "1.0000"], ["dog", "1", "1.0000", "0.5000"]]
    assert lines[-2:] == [["cat", "2", "1"], ["dog", "0", "1"]]


def test_of_many_classes_the_largest_confusions_are_shown():
    values = [f"c{place}" for place in range(50)]
    truth = np.repeat(np.arange(50), 2)
    shown = confusion_report(truth, np.where(truth == 7, 9, truth), values)
    assert shown.splitlines()[-1].split() == ["c7", "2", "c9"]


def test_metadata_are_made_of_any_labels():
    rows = [{"file": "a.png", "label": "lonely"}]
    assert metadata({"training_data": rows}) == rows
    with pytest.raises(SettingsError, match="/training_data: missing"):
        metadata({})


def test_metadata_of_labels_and_of_boxes():
    rows = [{"file": "a.png", "label": "x", "weight": 2}, {"file": "b.png", "label": "x"}]
    assert metadata({"training_data": rows}) == [
        {"file": "a.png", "label": "x"},
        {"file": "b.png", "label": "x"},
    ]
    rows = [{"file": "a.png", "boxes": [[1, 2, 3, 4, "cat"]]}, {"file": "b.png", "boxes": []}]
    box = {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4, "label": "cat"}
    assert metadata({"training_data": rows}) == [
        {"file": "a.png", "boxes": [box]},
        {"file": "b.png", "boxes": []},
    ]
    assert metadata({"training_data": rows[1:]}) == rows[1:], "a set without any box"


@pytest.mark.parametrize(
    ("rows", "path"),
    [
        ([], "/training_data"),
        ([{"file": "a", "boxes": [[3, 2, 1, 4, "cat"]]}], "/training_data/0/boxes/0"),
        ([{"file": "a", "boxes": []}, {"file": "b", "label": "x"}], "/training_data/1/label"),
        ([{"file": "a", "boxes": [], "wieght": 1}], "/training_data/0/wieght"),
    ],
)
def test_metadata_of_wrong_rows_is_refused(rows, path):
    with pytest.raises(SettingsError) as caught:
        metadata({"training_data": rows})
    assert caught.value.violations[0].path == path
