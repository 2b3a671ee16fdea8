"""Greedy selection while finalizing, from submodels that are fabricated: no training job runs here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fabricated import FILES, fabricate_submodel, finalize

from pyramid.errors import WorkspaceError
from pyramid.finalize import greedy
from pyramid.storage.digests import digest, layers_digest
from pyramid.storage.files import dumps
from pyramid.tables.cached_data import row_digests
from pyramid.train.metrics import evaluate_classes
from pyramid.workspace import Workspace, read_array, read_json, write_array
from sensenet import create_model
from sensenet.formats.h5 import write_weights
from sensenet.layers import parse_layers
from sensenet.network import build_network

N_ROWS, N_CLASSES, N_FOLDS = 300, 3, 5
POINTS = [["a", None, 4.0, 1.5], ["b", None, 9.0, -1.0], [None, None, 5.5, 0.1]]
ENCODED = np.array([[-0.5, 1, 0, 1.5], [2.0, 0, 1, -1.0], [0.25, 0, 0, 0.1]], np.float32)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "out")


def write_rows(workspace: Workspace, truth: np.ndarray, folds: np.ndarray | None = None) -> None:
    """A full matrix of one input and the objective: classes where `truth` is of integers, else numbers."""
    is_class = truth.dtype.kind == "i"
    objective = np.eye(N_CLASSES, dtype=np.float32)[truth] if is_class else truth[:, None].astype(np.float32)
    write_array(
        workspace.full_dataset, np.concatenate([np.zeros((len(truth), 1), np.float32), objective], axis=1)
    )
    if folds is not None:
        write_array(workspace.folds, folds.astype(np.int8))


def classes(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, N_CLASSES, N_ROWS)


def knowing(truth: np.ndarray, knowledge: float, seed: int) -> np.ndarray:
    """(rows, classes) float32: probabilities that know so much of the truth, and noise of their own."""
    scores = (
        np.random.default_rng(seed).normal(size=(len(truth), N_CLASSES))
        + knowledge * np.eye(N_CLASSES)[truth]
    )
    odds = np.exp(scores)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def candidate(workspace: Workspace, job_id: str, out_of_fold: np.ndarray, nodes: int = 5, **changes):
    """A search submodel with out-of-fold predictions; gives the Keras model of its weights."""
    model = fabricate_submodel(workspace, job_id, accuracy=0.5, nodes=nodes, **changes)
    write_array(workspace.submodel(job_id).out_of_fold, out_of_fold)
    return model


def select(workspace: Workspace, objective_type: str = "categorical", **changes) -> dict:
    return finalize(workspace, objective_type, is_search=True, selection="greedy", **changes)


def documents(workspace: Workspace) -> tuple[dict, dict]:
    return read_json(workspace.final_model, "job"), read_json(workspace.selection, "job")


def two_good_ones(workspace: Workspace) -> np.ndarray:
    """Two candidates that complete each other, and one that knows nothing; gives the truth."""
    truth = classes()
    write_rows(workspace, truth, np.arange(N_ROWS) % N_FOLDS)
    candidate(workspace, "good", knowing(truth, 2.0, 1), nodes=4)
    candidate(workspace, "other", knowing(truth, 1.9, 2), nodes=6)
    candidate(workspace, "bad", knowing(truth, 0.0, 3), nodes=8)
    return truth


def test_what_completes_each_other_is_joined_and_the_rest_stands_among_the_candidates(workspace):
    two_good_ones(workspace)
    select(workspace)
    document, selection = documents(workspace)
    assert document["selection"] == selection
    assert selection["weights"].keys() == {"good", "other"}
    assert sum(selection["weights"].values()) == pytest.approx(1)
    assert sum(selection["entries"].values()) == len(selection["order"]) == len(document["networks"]) <= 16
    told = {one["job_id"]: one for one in document["candidates"]}
    assert told.keys() == {"good", "other", "bad"}
    assert {job_id: one["weight"] for job_id, one in told.items()} == selection["weights"] | {"bad": 0.0}
    assert told["good"]["evaluation_metrics"] == {"accuracy": 0.5}
    losses = [one["loss"] for one in document["candidates"]]
    assert losses == sorted(losses) == [one["loss"] for one in selection["candidates"]]
    assert (document["iterations"], document["elapsed_time"]) == (18, 4.5)


def test_losses_are_those_of_the_means_that_were_selected(workspace):
    truth = two_good_ones(workspace)
    select(workspace)
    _, selection = documents(workspace)
    outputs = {
        job_id: read_array(workspace.submodel(job_id).out_of_fold, "job") for job_id in selection["weights"]
    }
    mean = sum(selection["weights"][job_id] * outputs[job_id] for job_id in outputs)
    log_loss = -np.log(mean[np.arange(N_ROWS), truth]).mean()
    assert selection["selected"] == pytest.approx(log_loss, rel=1e-5)
    assert selection["best_single"] == pytest.approx(
        min(-np.log(one[np.arange(N_ROWS), truth]).mean() for one in outputs.values()), rel=1e-5
    )
    assert selection["selected"] < selection["best_single"]


def test_the_honest_prediction_of_a_fold_is_that_of_what_the_other_folds_select(workspace):
    """In fold 2 the candidate that is bad elsewhere knows the truth: who had seen that would take it there."""
    truth, inside = two_good_ones(workspace), np.arange(N_ROWS) % N_FOLDS == 2
    path = workspace.submodel("bad").out_of_fold
    bad = read_array(path, "job").copy()
    bad[inside] = knowing(truth, 9.0, 3)[inside]
    write_array(path, bad)
    select(workspace)
    honest = read_array(workspace.final_out_of_fold, "job")
    others = [
        read_array(workspace.submodel(job_id).out_of_fold, "job")[inside] for job_id in ("good", "other")
    ]
    weights, residual, *_ = np.linalg.lstsq(
        np.stack([one.ravel() for one in [*others, bad[inside]]], axis=1), honest[inside].ravel(), rcond=None
    )
    assert residual == pytest.approx(0, abs=1e-6)
    assert weights[:2].sum() == pytest.approx(1, abs=1e-4)
    assert weights[2] == pytest.approx(0, abs=1e-4)
    assert documents(workspace)[1]["metrics"] == pytest.approx(evaluate_classes(truth, honest))


def test_every_form_of_a_model_with_repeated_networks_predicts_the_weighted_mean(workspace):
    truth = classes()
    write_rows(workspace, truth)
    models = {
        "good": candidate(workspace, "good", knowing(truth, 2.3, 1), nodes=4),
        "other": candidate(workspace, "other", knowing(truth, 1.9, 2), nodes=6),
    }
    result = select(workspace)
    document, selection = documents(workspace)
    weights = selection["weights"]
    assert weights["good"] > weights["other"] > 0
    expected = sum(weights[name] * model(ENCODED, training=False).numpy() for name, model in models.items())
    restored = create_model(result["short_model_path"])
    restored.load_weights(result["weight_path"])
    for model in (create_model(document), restored, create_model(result["bundle_path"])):
        np.testing.assert_allclose(model(POINTS), expected, atol=1e-6)


def test_a_candidate_of_several_networks_counts_as_one(workspace):
    truth = classes()
    write_rows(workspace, truth)
    first = candidate(workspace, "folds", knowing(truth, 2.0, 1), nodes=4, weight_sets=2)
    submodel = workspace.submodel("folds")
    second = build_network(parse_layers(read_json(submodel.fit_info, "job")["layers"]), 4, seed=1).model
    for model, path in zip((first, second), submodel.weight_files(2), strict=True):
        write_weights(model, path)
    single = candidate(workspace, "single", knowing(truth, 2.0, 2), nodes=6)
    select(workspace)
    document, selection = documents(workspace)
    weights, entries = selection["weights"], selection["entries"]
    assert entries["folds"] % 2 == 0
    assert entries["folds"] / len(document["networks"]) == pytest.approx(weights["folds"])
    outputs = [model(ENCODED, training=False).numpy() for model in (first, second, single)]
    expected = weights["folds"] * np.mean(outputs[:2], axis=0) + weights["single"] * outputs[2]
    np.testing.assert_allclose(create_model(document)(POINTS), expected, atol=1e-6)


def test_importances_are_the_mean_over_the_networks_with_their_spread(workspace):
    two_good_ones(workspace)
    select(workspace)
    document, selection = documents(workspace)
    shares = [selection["weights"][job_id] for job_id in ("good", "other")]
    each = np.array([[0.5, 0.04, 0.46], [0.5, 0.06, 0.44]])
    mean = np.average(each, axis=0, weights=shares)
    np.testing.assert_allclose(document["importances"], mean)
    spread = np.sqrt(np.average(np.square(each - mean), axis=0, weights=shares))
    np.testing.assert_allclose(document["importances_spread"], spread, atol=1e-9)


def test_numbers_are_selected_by_their_squared_error(workspace):
    truth = np.random.default_rng(0).normal(size=N_ROWS)
    write_rows(workspace, truth)
    for seed, job_id in enumerate(("a", "b")):
        noise = np.random.default_rng(seed + 1).normal(0, 0.5, N_ROWS)
        candidate(workspace, job_id, (truth + noise)[:, None].astype(np.float32), objective_type="numeric")
    select(workspace, "numeric")
    document, selection = documents(workspace)
    assert selection["loss"] == "squared_error"
    assert selection["selected"] == pytest.approx(0.125, rel=0.2)  # half of that of each
    assert document["validation_metrics"]["mean_squared_error"] == pytest.approx(
        -selection["honest"], rel=1e-5
    )


def test_the_same_submodels_give_the_same_files(workspace):
    two_good_ones(workspace)
    contents = []
    for _ in range(2):
        select(workspace)
        contents.append([path.read_bytes() for path in (workspace.final_model, workspace.final_out_of_fold)])
    assert contents[0] == contents[1]


def test_no_more_networks_are_taken_than_there_may_be(workspace):
    truth = classes()
    write_rows(workspace, truth)
    for number in range(6):
        candidate(workspace, f"m{number}", knowing(truth, 2.0, number))
    select(workspace, max_networks=3)
    assert 1 < len(documents(workspace)[0]["networks"]) <= 3


def test_a_document_that_would_be_too_large_has_fewer_networks_and_a_warning(workspace, monkeypatch):
    two_good_ones(workspace)
    select(workspace)
    document, _ = documents(workspace)
    two = len(json.dumps(document["networks"][0])) * 2
    assert len(document["networks"]) > 2
    monkeypatch.setattr(greedy, "MAX_DOCUMENT_BYTES", two)
    told = []
    select(workspace, report=lambda _, **facts: told.append(facts["message"]))
    assert len(documents(workspace)[0]["networks"]) <= 2
    assert any("of the 16 networks that max_networks allows" in message for message in told)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.unlink(), "is not there"),
        (lambda path: write_array(path, np.zeros((N_ROWS - 1, 3), np.float32)), r"is of shape \[299, 3\]"),
        (lambda path: write_array(path, np.full((N_ROWS, 3), np.nan, np.float32)), "not finite"),
    ],
    ids=["missing", "of other rows", "not finite"],
)
def test_a_submodel_whose_predictions_cannot_be_used_is_left_out_with_a_warning(workspace, spoil, reason):
    two_good_ones(workspace)
    spoil(workspace.submodel("good").out_of_fold)
    told = []
    select(workspace, report=lambda _, **facts: told.append(facts["message"]))
    assert [
        message for message in told if "submodel_good/out_of_fold.npy" in message and "left out" in message
    ]
    assert "good" not in documents(workspace)[1]["weights"]


@pytest.mark.parametrize(
    ("said", "other"),
    [
        ({}, None),
        ({"rows": "0" * 64}, "rows"),
        ({"folds": None}, "folds"),
    ],
)
def test_predictions_of_other_rows_or_folds_are_left_out_with_a_warning(workspace, said, other):
    two_good_ones(workspace)
    submodel = workspace.submodel("good")
    info = read_json(submodel.fit_info, "job")
    digests = {"weights": digest(submodel.weights.read_bytes()), "layers": layers_digest(info["layers"])}
    digests |= row_digests(workspace.full_dataset) | said
    submodel.fit_info.write_bytes(dumps({**info, "digests": digests}))
    told = []
    select(workspace, report=lambda _, **facts: told.append(facts["message"]))
    warnings = [message for message in told if "left out" in message]
    assert len(warnings) == (other is not None) == ("good" not in documents(workspace)[1]["weights"])
    assert all(f"submodel_good/out_of_fold.npy is of other {other} than" in message for message in warnings)


def test_a_search_without_any_such_predictions_is_an_error(workspace):
    write_rows(workspace, classes())
    fabricate_submodel(workspace, accuracy=0.5)
    with pytest.raises(WorkspaceError, match=r"needs a submodel_.* with an out_of_fold.npy"):
        select(workspace)
    assert not FILES & {path.name for path in workspace.root.iterdir()}


def test_folds_of_other_rows_are_an_error(workspace):
    two_good_ones(workspace)
    write_array(workspace.folds, np.zeros(7, np.int8))
    with pytest.raises(WorkspaceError, match=r"folds.npy: expected a whole number for each of 300 rows"):
        select(workspace)


def test_candidates_of_more_networks_than_there_may_be_are_an_error_that_says_what_to_do(workspace):
    truth = classes()
    write_rows(workspace, truth)
    candidate(workspace, "folds", knowing(truth, 2.0, 1), weight_sets=5)
    with pytest.raises(WorkspaceError, match=r"mean of more than 4 networks.*refit"):
        select(workspace, max_networks=4)


def test_finalizing_by_rank_takes_away_what_an_earlier_selection_said(workspace):
    two_good_ones(workspace)
    select(workspace)
    finalize(workspace, is_search=True)
    assert not workspace.selection.exists() and not workspace.final_out_of_fold.exists()
