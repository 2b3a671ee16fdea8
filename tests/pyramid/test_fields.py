from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pyramid.errors import DataError, SettingsError
from pyramid.fields import OBJECTIVES, Fields, has_images, objective_entry, parse_objective
from pyramid.fields.objective import Objective
from pyramid.train.losses import LOSSES, make_loss

NUMBER = {"index": 0, "type": "numeric", "mean": 1, "stdev": 0}
COLOUR = {"index": 2, "type": "categorical", "values": ["red", "green"]}
PICTURE = {"index": 3, "name": "photo", "type": "image"}
WEIGHT = {"index": 7, "type": "numeric", "mean": 1, "stdev": 1}

EXERCISES: dict[str, dict[str, Any]] = {
    "numeric": {
        "field": {"index": 5, "name": "price", "type": "numeric", "mean": 10.0, "stdev": 2.0},
        "outputs": 1,
        "raw": np.linspace(4, 16, 40),
        "broken": [np.nan, np.inf],
        "label": 14.0,  # of people
        "row_label": 2.0,  # of a job's row
        "no_labels": ["14", None, True, float("nan"), 1e39],
        "prediction": ([12.5], 12.5),
    },
    "categorical": {
        "field": {"index": 5, "name": "pet", "type": "categorical", "values": [f"c{i}" for i in range(10)]},
        "outputs": 10,
        "raw": np.arange(40) % 10.0,
        "broken": [np.nan, np.inf, -1.0, 10.0, 0.5],
        "label": "c3",
        "row_label": "c3",
        "no_labels": [None, True, 10, 1.0],
        "prediction": (np.eye(10)[3], "c3"),
    },
}


@pytest.fixture(params=sorted(EXERCISES))
def case(request: pytest.FixtureRequest) -> SimpleNamespace:
    exercise = EXERCISES[request.param]
    return SimpleNamespace(**exercise, objective=parse_objective(exercise["field"]))


def test_labels_survive_their_way_through_targets(case: SimpleNamespace) -> None:
    objective = case.objective
    labels = objective.labels(case.raw)
    targets = objective.targets(labels)
    assert targets.dtype == np.float32
    assert targets.shape == (40, objective.n_outputs) == (40, case.outputs)
    np.testing.assert_allclose(objective.truth(targets), labels, rtol=1e-6)
    assert len(np.unique(objective.strata(labels))) == 10
    assert objective.class_of(labels).dtype == np.int64
    assert len(set(objective.class_of(labels))) == max(1, len(objective.classes))


def test_what_is_true_is_told_in_the_units_of_people(case: SimpleNamespace) -> None:
    objective = case.objective
    label = objective.read_label(objective.standardised(case.label))
    assert label == objective.read_label(case.row_label)
    assert objective.in_units(np.array([label])) == [case.label]
    prediction, said = case.prediction
    assert objective.said(np.asarray(prediction)) == said


def test_a_raw_number_that_is_no_label_is_refused_with_its_row(case: SimpleNamespace) -> None:
    for broken in case.broken:
        raw = case.raw.copy()
        raw[2] = broken
        with pytest.raises(DataError, match=f"row 7: the objective is {broken}, expected"):
            case.objective.labels(raw, first_row=5)


def test_a_label_of_json_that_is_none_is_told(case: SimpleNamespace) -> None:
    assert not any(case.objective.is_row_label(label) for label in case.no_labels)
    assert all(case.objective.is_row_label(label) for label in case.objective.labels(case.raw).tolist())


def test_a_class_that_there_is_not_is_refused() -> None:
    objective = parse_objective(EXERCISES["categorical"]["field"])
    with pytest.raises(
        DataError, match='"label": found "new", which is not among the values of the objective'
    ):
        objective.read_label("new")


def test_an_objective_is_made_of_labels(case: SimpleNamespace) -> None:
    labels = case.objective.in_units(case.objective.labels(case.raw))
    assert all(case.objective.is_label(label) for label in labels)
    made = type(case.objective).of_labels(labels, 5)
    assert (made.n_outputs, made.classes) == (case.objective.n_outputs, case.objective.classes)
    assert parse_objective(made.dump()) == made


def test_right_outputs_have_the_best_metrics_and_no_errors(case: SimpleNamespace) -> None:
    objective = case.objective
    targets = objective.targets(objective.labels(case.raw))
    truth = objective.truth(targets)
    right, wrong = objective.evaluate(truth, targets), objective.evaluate(truth, targets[::-1])
    assert set(objective.headline) <= right.keys()
    assert all(right[name] > wrong[name] for name in objective.headline)
    compared = objective.compare(truth, targets)
    np.testing.assert_array_equal(compared.truth, compared.predictions)
    assert objective.compare(truth, targets[::-1]).errors.sum() > compared.errors.sum()


def test_smoothing_keeps_the_mass_of_targets(case: SimpleNamespace) -> None:
    targets = case.objective.targets(case.objective.labels(case.raw))
    smooth = case.objective.smoothed(targets, 0.2)
    np.testing.assert_allclose(smooth.sum(axis=1), targets.sum(axis=1), rtol=1e-5)
    assert (smooth < targets).any() == case.objective.has_classes


def test_documents_tell_the_objective_and_its_name(case: SimpleNamespace) -> None:
    objective, field = case.objective, case.field
    assert objective.dump() == field
    told = {key: value for key, value in field.items() if key != "index"}
    assert objective.dump_output() == told
    assert objective.difference_from(told) is None
    others = [EXERCISES[kind]["field"] for kind in EXERCISES if kind != objective.kind]
    assert all(objective.difference_from(other) for other in [*others, {"type": "bounding_box"}])


def test_its_losses_can_be_made(case: SimpleNamespace) -> None:
    for name in case.objective.losses:
        assert callable(make_loss(name, case.objective))


def test_every_loss_belongs_to_one_kind_of_objective() -> None:
    assert sorted(name for kind in OBJECTIVES.values() for name in kind.losses) == sorted(LOSSES)


def test_an_info_list_is_inputs_weight_and_objective() -> None:
    fields = Fields.parse([NUMBER, PICTURE, WEIGHT, COLOUR], instance_weights=True)
    assert [field.kind for field in fields.inputs] == ["numeric", "image"]
    assert (fields.weight.index, fields.objective.index, fields.images) == (7, 2, (1,))
    assert [field.index for field in fields.all] == [0, 3, 7, 2]
    kinds = ["numeric", None, "categorical", "image", None, None, None, "numeric"]
    assert fields.optypes() == kinds
    unweighted = Fields.parse([NUMBER, PICTURE, WEIGHT, COLOUR])
    assert (unweighted.weight, len(unweighted.inputs)) == (None, 3)


def test_documents_tell_inputs_as_they_were_given() -> None:
    fields = Fields.parse([NUMBER, PICTURE, COLOUR, NUMBER])
    assert [field.dump() for field in fields.inputs] == [NUMBER, PICTURE, COLOUR]
    assert [list(field.dump()) for field in fields.inputs] == [
        ["type", "index", "mean", "stdev"],
        ["type", "index", "name"],
        ["type", "index", "values"],
    ]
    assert has_images([PICTURE])
    assert not has_images([NUMBER, COLOUR])


@pytest.mark.parametrize(("given", "weights"), [([], False), ([COLOUR], True)])
def test_a_list_without_what_has_to_be_there_is_refused(given: list[Any], weights: bool) -> None:
    with pytest.raises(DataError, match="the objective"):
        Fields.parse(given, weights)


def test_an_objective_that_is_not_trained_is_refused() -> None:
    with pytest.raises(SettingsError, match="found image, which this build does not train") as caught:
        Fields.parse([PICTURE, PICTURE])
    assert [violation.path for violation in caught.value.violations] == ["/objective_type"]


@pytest.mark.parametrize("given", [None, [], [1], "text", {}])
def test_what_is_no_info_list_has_no_objective(given: Any) -> None:
    assert objective_entry(given) is None


def test_equal_numbers_are_not_divided_by_nothing() -> None:
    objective: Objective = parse_objective(NUMBER)
    np.testing.assert_array_equal(objective.labels(np.array([1.0, 3.0])), [0.0, 2.0])
