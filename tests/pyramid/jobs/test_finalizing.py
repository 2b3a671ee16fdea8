"""Finalizing, from submodels that are fabricated: no training job runs here."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from fabricated import COLUMNS, FILES, FOREST, INPUTS, LEAF, fabricate_submodel, finalize, readout

from pyramid.errors import SettingsError, WorkspaceError
from pyramid.finalize.search import repeated_networks
from pyramid.workspace import Workspace, write_json
from sensenet import create_model
from sensenet.errors import WeightsError
from sensenet.formats.h5 import write_weights
from sensenet.formats.receipt import Receipt
from sensenet.layers import parse_layers
from sensenet.network import build_network
from sensenet.partial_files import remove_partial_files

POINTS = [["a", None, 4.0, 1.5], ["b", None, 9.0, -1.0], [None, None, 5.5, 0.1]]
RESULT_KEYS = {
    *("final_model_path", "short_model_path", "weight_path", "bundle_path", "tfjs_model_path"),
    *("tfjs_weight_paths", "final_model_size", "short_model_size", "weights_size", "bundle_size"),
    "export_report",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "out")


def encoded_points() -> np.ndarray:
    """POINTS as the columns that the networks take, trees not counted."""
    return np.array([[-0.5, 1, 0, 1.5], [2.0, 0, 1, -1.0], [0.25, 0, 0, 0.1]], np.float32)


def tree_features() -> np.ndarray:
    """What FOREST's two trees say of `encoded_points`, in their mean."""
    leaf, right = np.array(LEAF[0]), np.array([0.1, 0.9, 0.0])
    second_leaves = [leaf, right, leaf]  # only the second point goes right, and right again
    return np.array([(first + leaf) / 2 for first in second_leaves], np.float32)


def expected_predictions(model, uses_trees: bool, objective_type: str = "categorical") -> np.ndarray:
    inputs = encoded_points()
    if uses_trees:
        inputs = np.concatenate([tree_features(), inputs], axis=1)
    outputs = model(inputs, training=False).numpy()
    return outputs * 10 + 100 if objective_type == "numeric" else outputs


def assert_all_forms_predict(result: dict, expected: np.ndarray) -> None:
    """The document, the short document with the weights, and the bundle."""
    restored = create_model(result["short_model_path"])
    restored.load_weights(result["weight_path"])
    for model in (create_model(result["final_model_path"]), restored, create_model(result["bundle_path"])):
        np.testing.assert_allclose(model(POINTS), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("version", [None, "alpha", "beta"])
@pytest.mark.parametrize("uses_trees", [False, True])
@pytest.mark.parametrize("objective_type", ["categorical", "numeric"])
def test_a_trained_network_predicts_the_same_in_every_form(workspace, objective_type, uses_trees, version):
    model = fabricate_submodel(
        workspace, objective_type=objective_type, uses_trees=uses_trees, deepnet_version=version
    )
    result = finalize(workspace, objective_type)
    assert_all_forms_predict(result, expected_predictions(model, uses_trees, objective_type))
    document = json.loads(workspace.final_model.read_bytes())
    assert all(("type" in layer) == (version != "alpha") for layer in document["layers"])
    assert (document["trees"] is not None) == uses_trees


def test_the_result_names_the_files_and_their_sizes(workspace):
    fabricate_submodel(workspace)
    result = finalize(workspace)
    assert result.keys() == RESULT_KEYS
    assert json.loads(Path(result["tfjs_model_path"]).read_bytes())["format"] == "graph-model"
    assert all(Path(path).stat().st_size for path in result["tfjs_weight_paths"])
    for path, size in (
        ("final_model_path", "final_model_size"),
        ("short_model_path", "short_model_size"),
        ("weight_path", "weights_size"),
        ("bundle_path", "bundle_size"),
    ):
        assert Path(result[path]).stat().st_size == result[size] > 0
    assert {path.name for path in workspace.root.iterdir()} == {*FILES, "submodel_m1"}


def test_the_bundle_is_tried_by_tensorflow_and_a_receipt_given(workspace):
    fabricate_submodel(workspace, uses_trees=True)
    (receipt, *_) = finalize(workspace)["export_report"]
    assert (receipt["format"], receipt["path"]) == ("smbundle", str(workspace.final_bundle))
    assert receipt["consumer"] == "tensorflow in this process"
    assert receipt["points"] > 3
    assert receipt["largest_difference"] < 1e-5
    assert receipt["agrees"]


def test_an_export_that_cannot_be_tried_or_differs_is_a_warning(workspace, monkeypatch):
    fabricate_submodel(workspace)
    told = []
    differs = Receipt("smbundle", "bundle", "tensorflow", 24, 0.5, None, 0.1)
    monkeypatch.setattr("pyramid.finalize.exports.check_export", lambda *_: differs)
    result = finalize(workspace, report=lambda progress, **facts: told.append(facts["message"]))
    assert not result["export_report"][0]["agrees"]
    assert any("says something else than the model, as tensorflow runs it" in message for message in told)

    def fail(*_):
        raise WeightsError("it has run away")

    monkeypatch.setattr("pyramid.finalize.exports.check_export", fail)
    result = finalize(workspace, report=lambda progress, **facts: told.append(facts["message"]))
    assert any(message.endswith("cannot be tried: it has run away") for message in told)
    untried = {"consumer": None, "points": 0, "largest_difference": None, "agrees": None}
    assert [untried.items() <= receipt.items() for receipt in result["export_report"]] == [True, True]
    (bundle, javascript) = json.loads(workspace.final_model.read_bytes())["export_report"]
    assert (bundle["format"], javascript["format"]) == ("smbundle", "tfjs")
    assert bundle["consumer"] is bundle["agrees"] is None


def test_the_documents_say_what_came_of_trying_the_exports_but_for_clocks_and_paths(workspace):
    fabricate_submodel(workspace, uses_trees=True)
    receipts = finalize(workspace)["export_report"]
    lasting = ("format", "consumer", "largest_difference", "moved_boxes", "agrees")
    expected = [{key: receipt[key] for key in lasting} for receipt in receipts]
    for path in (workspace.final_model, workspace.short_model):
        assert json.loads(path.read_bytes())["export_report"] == expected
    assert expected[0]["agrees"]
    assert create_model(workspace.final_model)(POINTS).shape == (3, 3)


def test_an_export_for_which_no_time_was_left_is_told(workspace, monkeypatch):
    fabricate_submodel(workspace)
    told = []
    monkeypatch.setattr("pyramid.finalize.exports.CHECK_SECONDS", 0.0)
    result = finalize(workspace, report=lambda progress, **facts: told.append(facts["message"]))
    assert [receipt["agrees"] for receipt in result["export_report"]] == [None, None]
    assert sum(message.endswith("was not tried: no time was left") for message in told) == 2


def test_no_check_of_an_export_is_given_more_time_than_is_left(workspace, monkeypatch):
    fabricate_submodel(workspace)
    given = []

    def check(model, path, to_format, max_start_seconds, max_seconds):
        given.append((max_start_seconds, max_seconds))
        return Receipt(to_format, str(path), "tensorflow", 24, 0.0, None, 0.1)

    monkeypatch.setattr("pyramid.finalize.exports.check_export", check)
    monkeypatch.setattr("pyramid.finalize.exports.CHECK_SECONDS", 3.0)
    finalize(workspace)
    assert len(given) == 2
    assert 3.0 >= given[0][0] == given[0][1] > given[1][1]


def test_the_document_says_what_the_training_job_left(workspace):
    fabricate_submodel(workspace)
    finalize(workspace)
    document = json.loads(workspace.final_model.read_bytes())
    info = json.loads(workspace.submodel("m1").fit_info.read_bytes())
    kept = {"preprocess", "output_exposition", "class_index", "weight_index", "optypes", "training_options"}
    kept |= {"iterations", "elapsed_time", "validation_metrics", "evaluation_metrics", "importances"}
    assert document.keys() == kept | {"layers", "trees", "image_network", "export_report"}
    assert {key: document[key] for key in kept} == {key: info[key] for key in kept}
    assert "dropout" not in {layer["type"] for layer in document["layers"]}
    short = json.loads(workspace.short_model.read_bytes())
    assert short["layers"][0]["weights"] == "glorot_uniform"
    assert short["layers"][0]["number_of_nodes"] == 5
    assert short | {"layers": None} == document | {"layers": None}


def test_the_job_can_ask_for_the_legacy_form_itself(workspace):
    fabricate_submodel(workspace)
    finalize(workspace, deepnet_version="alpha")
    layers = json.loads(workspace.final_model.read_bytes())["layers"]
    assert all("type" not in layer for layer in layers)


def test_what_the_legacy_form_cannot_say_is_an_error_in_the_settings(workspace):
    layers = readout("categorical", 5)
    layers[4]["identity_path"] = [{**layers[0], "number_of_nodes": 5}]
    fabricate_submodel(workspace, layers=layers)
    write_weights(build_network(parse_layers(layers), COLUMNS).model, workspace.submodel("m1").weights)
    with pytest.raises(SettingsError, match=r"/deepnet_version.*identity_path"):
        finalize(workspace, deepnet_version="alpha")


@pytest.mark.parametrize("is_search", [False, True])
def test_the_same_submodels_give_the_same_bytes(workspace, is_search):
    fabricate_submodel(workspace, accuracy=0.7, uses_trees=True)
    fabricate_submodel(workspace, "m2", accuracy=0.8, nodes=3)
    names = ("final_model", "short_model")
    finalize(workspace, is_search=is_search)
    first = [getattr(workspace, name).read_bytes() for name in names]
    finalize(workspace, is_search=is_search)
    assert [getattr(workspace, name).read_bytes() for name in names] == first


def test_a_search_joins_its_best_networks(workspace):
    models = {
        "worst": fabricate_submodel(workspace, "worst", accuracy=0.2, nodes=4),
        "good": fabricate_submodel(workspace, "good", accuracy=0.6, nodes=6),
        "best": fabricate_submodel(workspace, "best", accuracy=0.9, nodes=8, uses_trees=True),
    }
    result = finalize(workspace, is_search=True, model_fraction=0.7)
    kept = [expected_predictions(models["best"], True), expected_predictions(models["good"], False)]
    assert_all_forms_predict(result, np.mean(kept, axis=0))
    document = json.loads(workspace.final_model.read_bytes())
    assert "layers" not in document
    assert [network["trees"] for network in document["networks"]] == [True, False]
    assert document["importances"] == pytest.approx([0.5, 0.07, 0.43])
    assert document["validation_metrics"] == {"accuracy": pytest.approx(0.75)}
    assert (document["iterations"], document["elapsed_time"]) == (18, 4.5)
    candidates = document["candidates"]
    assert [one["iterations"] for one in candidates] == [8, 6, 4]
    assert [one["relative_value"] for one in candidates] == pytest.approx([5 / 6, 3 / 6, 1 / 6])
    assert candidates[2] == {
        "relative_value": candidates[2]["relative_value"],
        "evaluation_metrics": {"accuracy": 0.2},
        "iterations": 4,
        "elapsed_time": 1.0,
        "configuration_parameters": {"number_of_layers": 4},
    }


def test_a_search_keeps_at_least_one_network_and_writes_trees_only_for_those_kept(workspace):
    fabricate_submodel(workspace, "m1", accuracy=0.1, uses_trees=True)
    fabricate_submodel(workspace, "m2", accuracy=0.9)
    finalize(workspace, is_search=True)
    document = json.loads(workspace.final_model.read_bytes())
    assert len(document["networks"]) == 1
    assert document["trees"] is None


def test_a_search_leaves_out_what_no_search_job_wrote(workspace):
    fabricate_submodel(workspace, "plain")
    fabricate_submodel(workspace, "m1", accuracy=0.5)
    finalize(workspace, is_search=True)
    assert len(json.loads(workspace.final_model.read_bytes())["candidates"]) == 1


def split_weights(workspace, job_id: str, **changes) -> list:
    """Make one of two fabricated networks of it: a submodel on two folds. Gives both Keras models."""
    submodel = workspace.submodel(job_id)
    models = [fabricate_submodel(workspace, job_id, **changes), None]
    info = json.loads(submodel.fit_info.read_bytes())
    models[1] = build_network(parse_layers(info["layers"]), COLUMNS).model
    models[1].set_weights([0.5 * array + 0.01 for array in models[0].get_weights()])
    for path, model in zip(submodel.weight_files(2), models, strict=True):
        write_weights(model, path)
    submodel.weights.unlink()
    write_json(submodel.fit_info, info | {"weight_sets": 2})
    return models


def test_the_networks_of_folds_are_joined(workspace):
    models = split_weights(workspace, "m1")
    result = finalize(workspace)
    assert_all_forms_predict(
        result, np.mean([expected_predictions(model, False) for model in models], axis=0)
    )


def test_submodels_count_the_same_however_many_networks_they_have(workspace):
    alone = fabricate_submodel(workspace, "m1", accuracy=0.7)
    pair = split_weights(workspace, "m2", accuracy=0.8, nodes=3)
    result = finalize(workspace, is_search=True, model_fraction=1.0)
    mean = np.mean([expected_predictions(model, False) for model in pair], axis=0)
    assert_all_forms_predict(result, (expected_predictions(alone, False) + mean) / 2)
    assert len(json.loads(workspace.final_model.read_bytes())["networks"]) == 4


def test_submodels_that_would_need_hundreds_of_networks_to_count_the_same_are_refused():
    assert len(repeated_networks([[{}] * 15, [{}] * 12], np.ones(2, int))) == 120
    with pytest.raises(WorkspaceError, match=r"have 16, 15, 13 networks.*would have 9360, of 256 at most"):
        repeated_networks([[{}] * 16, [{}] * 15, [{}] * 13], np.ones(3, int))


def test_one_of_several_weight_files_that_is_missing_is_named(workspace):
    split_weights(workspace, "m1")
    workspace.submodel("m1").weight_files(2)[1].unlink()
    with pytest.raises(WorkspaceError, match=r"model_weights_1.h5, which the training job m1 writes"):
        finalize(workspace)


@pytest.mark.parametrize("count", [0, 1.5, True, 10**9])
def test_a_fit_info_of_an_impossible_number_of_networks_is_refused(workspace, count):
    fabricate_submodel(workspace, weight_sets=count)
    with pytest.raises(WorkspaceError, match=r"weight_sets is .*expected an integer from 1 to 16"):
        finalize(workspace)


PIECES = {
    "fit info": ("submodel_m1/model_fit_info.json", "training"),
    "weights": ("submodel_m1/model_weights.h5", "training job m1"),
    "trees": ("trees.json", "dataset_caching"),
}


@pytest.mark.parametrize("damage", ["missing", "cut", "a list of nothing"])
@pytest.mark.parametrize("piece", sorted(PIECES))
def test_a_missing_or_broken_piece_is_named_with_the_job_that_writes_it(workspace, piece, damage):
    fabricate_submodel(workspace, uses_trees=True)
    name, job = PIECES[piece]
    path = workspace.root / name
    content = {"cut": path.read_bytes()[:40], "a list of nothing": b"[null]"}.get(damage)
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(WorkspaceError) as error:
        finalize(workspace)
    assert str(path) in str(error.value)
    assert job in str(error.value)
    assert not FILES & {path.name for path in workspace.root.iterdir()}


def test_a_fit_info_without_a_key_says_which(workspace):
    fabricate_submodel(workspace)
    path = workspace.submodel("m1").fit_info
    info = json.loads(path.read_bytes())
    del info["optypes"], info["layers"]
    write_json(path, info)
    with pytest.raises(WorkspaceError, match=r"m1.*the keys layers, optypes are missing"):
        finalize(workspace)


def test_weights_of_another_network_are_refused(workspace):
    fabricate_submodel(workspace)
    fabricate_submodel(workspace, "m2", nodes=7)
    workspace.submodel("m2").weights.replace(workspace.submodel("m1").weights)
    with pytest.raises(WorkspaceError, match=r"submodel_m1/model_weights.h5.*shapes"):
        finalize(workspace)


def test_trees_that_do_not_fit_the_network_are_refused(workspace):
    fabricate_submodel(workspace, uses_trees=True)
    write_json(workspace.trees, [FOREST, FOREST])
    with pytest.raises(WorkspaceError, match=r"does not fit together: layers\[0\]"):
        finalize(workspace)


def test_an_unknown_job_id_lists_those_that_are_there(workspace):
    fabricate_submodel(workspace, "other")
    with pytest.raises(WorkspaceError, match=r"training job m1 has left nothing .* submodel_other"):
        finalize(workspace)


def test_a_search_without_evaluated_submodels_is_an_error(workspace):
    fabricate_submodel(workspace)
    with pytest.raises(WorkspaceError, match=r"no submodel_\* directory with evaluations.json"):
        finalize(workspace, is_search=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preprocess": INPUTS[:1]}, "m2.*preprocess does not fit"),
        ({"importances": [1.0]}, "m2.*importances does not fit"),
        ({"evaluation_metrics": None}, "m2.*evaluation_metrics is None"),
    ],
)
def test_submodels_of_different_searches_are_refused(workspace, changes, message):
    fabricate_submodel(workspace, "m1", accuracy=0.9)
    fabricate_submodel(workspace, "m2", accuracy=0.8, **changes)
    with pytest.raises(WorkspaceError, match=message):
        finalize(workspace, is_search=True, model_fraction=1.0)


@pytest.mark.parametrize(
    "evaluations",
    [{"accuracy": 0.5}, [0.5], [{"accuracy": None}], [], 3],
    ids=["object", "numbers", "null", "empty", "number"],
)
def test_evaluations_that_cannot_be_ranked_are_an_error(workspace, evaluations):
    fabricate_submodel(workspace, accuracy=0.9)
    write_json(workspace.submodel("m1").evaluations, evaluations)
    with pytest.raises(WorkspaceError, match="cannot be ranked"):
        finalize(workspace, is_search=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("position", "place"), [(0, "/layers/0/offset"), (1, "/layers/1/beta"), (-1, "/layers/4/offset")]
)
def test_a_weight_that_is_not_finite_is_placed_in_the_document(workspace, bad, position, place):
    fabricate_submodel(workspace)
    with h5py.File(workspace.submodel("m1").weights, "r+") as file:
        groups = [file[name.decode()] for name in file.attrs["layer_names"]]
        layer = [group for group in groups if len(group.attrs["weight_names"])][position]
        layer[layer.attrs["weight_names"][1].decode()][0] = bad
    with pytest.raises(WorkspaceError, match=f"not finite at {place}:"):
        finalize(workspace)
    assert not FILES & {path.name for path in workspace.root.iterdir()}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"validation_metrics": {"accuracy": 0.5, "auc": None}}, "/validation_metrics/auc"),
        ({"importances": [0.5, None, 0.5]}, "/importances/1"),
    ],
)
def test_a_null_among_measured_numbers_counts_as_not_finite(workspace, changes, place):
    fabricate_submodel(workspace, **changes)
    with pytest.raises(WorkspaceError, match=f"not finite at {place}:"):
        finalize(workspace)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_that_cannot_be_written_is_named_and_nothing_partial_stays(workspace, name):
    fabricate_submodel(workspace)
    (workspace.root / name / "in the way").mkdir(parents=True)
    with pytest.raises(WorkspaceError, match=f"{name} cannot be written"):
        finalize(workspace)
    assert {path.name for path in workspace.root.iterdir()} <= {*FILES, "submodel_m1"}


def test_what_a_killed_process_was_writing_is_swept_up(tmp_path):
    mine, other = (tmp_path / f"sub/.bundle.{writer}.partial" for writer in ("here-7-a", "here-7-b"))
    for folder in (mine, other):
        folder.mkdir(parents=True)
        (folder / "file").write_text("half")
    (tmp_path / ".model.json.here-7-a.partial").write_text("half")
    remove_partial_files(tmp_path, "here-7-a")
    assert sorted(path.name for path in tmp_path.rglob("*")) == [other.name, "file", "sub"]
