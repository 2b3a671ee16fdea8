"""Training jobs on folds, through the job's own door: settings in, files and a result out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import sensenet
from pyramid.errors import DataError, SettingsError, TrainingError
from pyramid.jobs import training
from pyramid.jobs.finalizing import run as finalize
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.tables.cached_data import row_digests
from pyramid.tables.recipe import categorical_field, numeric_field, readout_layers
from pyramid.train.stacked.architecture import Weights
from pyramid.train.stacked.snapshots import weights_of
from pyramid.workspace import Workspace, read_array, read_json, write_array
from sensenet.formats.h5 import read_weights
from sensenet.layers import parse_layers
from sensenet.network import build_network

N_ROWS, FOLDS = 120, 3
ADAM = {"descent_algorithm": "adam", "learning_rate": 0.03, "batch_size": 32, "patience": 5}


def cached(directory, labels=None, n_rows=N_ROWS, numeric=False, weighted=False) -> dict:
    """The settings of a training job on rows that look as a caching job leaves them."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(n_rows, 3))
    target = inputs[:, 0] + 0.3 * inputs[:, 1]
    labels = (target > 0).astype(int) if labels is None else labels
    names = [f"c{label}" for label in range(max(2, labels.max() + 1))]
    objective = numeric_field(9, target) if numeric else categorical_field(9, names)
    answers = target[:, None] if numeric else np.eye(len(names))[labels]
    columns = [inputs, *([rng.uniform(0, 2, (n_rows, 1))] if weighted else []), answers]
    matrix = np.hstack(columns).astype(np.float32)
    workspace = Workspace.create(directory)
    for path in (workspace.full_dataset, workspace.evaluation_dataset, workspace.importance_dataset):
        write_array(path, matrix[:128] if path != workspace.full_dataset else matrix)
    field = {"type": "numeric", "mean": 0.0, "stdev": 1.0}
    return {
        "job_type": "search_submodel",
        "job_id": "one",
        "objective_type": objective["type"],
        "output_directory": str(directory),
        "cache_file": str(workspace.full_dataset),
        "info_list": [*({**field, "index": index} for index in range(3 + weighted)), objective],
        "instance_weights": weighted,
        "seed": 1,
        "is_search": True,
        "tree_embedding": False,
        "tree_inputs": 0,
        "layers": readout_layers([6], objective, dropout_rate=0.2),
        "loss_function": "mean_squared_error" if numeric else "crossentropy",
        "folds": FOLDS,
        **ADAM,
    }


def train(job: dict, report=ignore, **changes) -> tuple[dict, Workspace]:
    settings = BaseSettings(job | changes)
    workspace = Workspace.create(settings.output_directory)
    return training.run(settings, workspace, report), workspace


def fit_info(workspace: Workspace, job_id: str) -> dict:
    return read_json(workspace.submodel(job_id).fit_info, "training")


def networks(workspace: Workspace, job_id: str) -> list:
    """The Keras models that a job left."""
    info = fit_info(workspace, job_id)
    models = []
    for path in workspace.submodel(job_id).weight_files(info["weight_sets"]):
        models.append(build_network(parse_layers(info["layers"]), info["input_size"]).model)
        read_weights(models[-1], path)
    return models


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    """A job of two variants with folds of a caching job, its result and its workspace."""
    job = cached(tmp_path_factory.mktemp("variants"))
    folds = np.random.default_rng(5).permutation(N_ROWS) % FOLDS
    write_array(Workspace.create(job["output_directory"]).folds, folds.astype(np.int8))
    job["variants"] = [
        {"job_id": "v1", "seed": 3, "weight_decay": 0.01},
        {
            "job_id": "v2",
            "seed": 4,
            "learning_rate": 0.01,
            "dropout_rate": 0.4,
            "label_smoothing_factor": 0.1,
        },
    ]
    return job, folds, *train(job)


def test_each_variant_leaves_a_submodel_and_the_job_none(variants):
    _, _, result, workspace = variants
    assert result.keys() == {"job_id", "submodels", "iterations", "elapsed_time"}
    assert [one["job_id"] for one in result["submodels"]] == ["v1", "v2"]
    assert not workspace.submodel("one").root.exists()
    for one in result["submodels"]:
        info = fit_info(workspace, one["job_id"])
        assert {key: info[key] for key in one} == one
        assert (info["folds"], info["refit"], info["weight_sets"]) == (FOLDS, False, FOLDS)
        assert info["digests"].items() >= row_digests(workspace.full_dataset).items()
        assert info["digests"]["folds"] is not None
        assert len(info["kept_iterations"]) == len(info["digests"]["weights"]) == FOLDS
        assert sum(info["importances"]) == pytest.approx(1)
        assert info["importances"][0] > 0.5 > info["importances"][1] > info["importances"][2]
        assert all(0 < spread < 0.3 for spread in info["importances_spread"])
        assert one["validation_metrics"] == one["evaluation_metrics"]
        assert one["validation_metrics"]["accuracy"] > 0.8
        assert len(read_json(workspace.submodel(one["job_id"]).evaluations, "search_submodel")) == 128
    second = fit_info(workspace, "v2")
    assert second["configuration_parameters"]["learning_rate"] == 0.01
    assert [layer["rate"] for layer in second["layers"] if layer["type"] == "dropout"] == [0.4]


def test_a_row_is_predicted_by_the_network_that_did_not_see_it(variants):
    _, folds, _, workspace = variants
    inputs = read_array(workspace.full_dataset, "caching")[:, :3]
    for job_id in ("v1", "v2"):
        answers = read_array(workspace.submodel(job_id).out_of_fold, "training")
        assert answers.dtype == np.float32
        for fold, model in enumerate(networks(workspace, job_id)):
            expected = model(inputs[folds == fold], training=False)
            np.testing.assert_allclose(answers[folds == fold], expected, atol=1e-5)


def test_a_variant_is_what_a_job_of_its_own_leaves_bit_for_bit_each_time(variants):
    job, _, result, workspace = variants
    # the rate of dropout is part of the layers where a job comes alone
    alone = {key: value for key, value in job.items() if key != "variants"}
    first, workspace = train(alone | job["variants"][0] | {"job_id": "alone"})
    files = workspace.submodel("alone").weight_files(FOLDS)
    contents = [path.read_bytes() for path in files]
    other = result["submodels"][0]
    for name, value in first["validation_metrics"].items():
        assert value == pytest.approx(other["validation_metrics"][name], abs=0.02)
    train(alone | job["variants"][0] | {"job_id": "alone"})
    assert [path.read_bytes() for path in files] == contents


@pytest.mark.parametrize("is_search", [False, True])
def test_finalizing_gives_the_mean_of_the_networks(variants, is_search):
    job, _, _, workspace = variants
    final = {key: job[key] for key in ("objective_type", "output_directory", "info_list")}
    final |= {"job_type": "finalize_output", "job_id": "v2", "is_search": is_search, "model_fraction": 1.0}
    finalize(BaseSettings(final), workspace, ignore)
    document = json.loads(workspace.final_model.read_bytes())
    names = ["v2"] if not is_search else [one.job_id for one in workspace.submodels()]
    models = [model for name in names for model in networks(workspace, name)]
    assert len(document["networks"]) == len(models) == FOLDS * len(names)
    inputs = read_array(workspace.full_dataset, "caching")[:, :3]
    expected = np.mean([model(inputs, training=False) for model in models], axis=0)
    np.testing.assert_allclose(sensenet.create_model(document)(inputs), expected, atol=1e-5)


def test_refitting_keeps_one_network_that_learnt_from_all_rows(tmp_path):
    job = cached(tmp_path, numeric=True, weighted=True)
    options = {"mixup_alpha": 0.2, "learning_rate_schedule": "cosine", "max_iterations": 200}
    result, workspace = train(job, refit=True, job_type="standard_training", weight_decay=0.001, **options)
    info = fit_info(workspace, "one")
    submodel = workspace.submodel("one")
    assert (info["folds"], info["refit"], info["weight_sets"]) == (FOLDS, True, 1)
    assert info["importances_spread"] is None
    assert submodel.weights.exists()
    assert not submodel.evaluations.exists()
    assert result["evaluation_metrics"] is result["configuration_parameters"] is None
    matrix = read_array(workspace.full_dataset, "caching")
    answers = read_array(submodel.out_of_fold, "training")
    assert answers.shape == (N_ROWS, 1)
    truth = matrix[:, -1]
    r_squared = 1 - np.mean((answers[:, 0] - truth) ** 2) / truth.var()
    assert result["validation_metrics"]["r_squared"] == pytest.approx(r_squared, abs=1e-4)
    assert r_squared > 0.7
    (model,) = networks(workspace, "one")
    refitted = model(matrix[:, :3], training=False).numpy()[:, 0]
    assert np.corrcoef(refitted, truth)[0, 1] > 0.9
    assert not np.allclose(refitted, answers[:, 0], atol=1e-3)


def test_a_refitted_network_that_is_not_finite_gives_way_to_those_of_the_folds(tmp_path, monkeypatch):
    def with_last_broken(state) -> Weights:
        parameters, statistics = weights_of(state).parameters.copy(), weights_of(state).statistics
        parameters[-1] = np.nan
        return Weights(parameters, statistics)

    monkeypatch.setattr("pyramid.train.stacked.fit.weights_of", with_last_broken)
    told = []
    _, workspace = train(
        cached(tmp_path), lambda _, **facts: told.append(facts.get("message")), refit=True, max_iterations=8
    )
    assert any(
        "the network of one that learns from all rows is not finite" in message for message in told if message
    )
    info = fit_info(workspace, "one")
    assert (info["refit"], info["weight_sets"]) == (False, FOLDS)
    assert len(networks(workspace, "one")) == FOLDS


@pytest.mark.parametrize(
    ("variants", "place"), [([], "/folds"), ([{"job_id": "a"}, {"job_id": "b"}], "/variants")]
)
def test_networks_that_memory_has_no_room_for_are_refused(tmp_path, monkeypatch, variants, place):
    monkeypatch.setattr("pyramid.train.stacked.training.memory_bytes", lambda: 5000.0)
    count = max(1, len(variants))
    with pytest.raises(SettingsError, match=f"{place}: found {count} submodels of 3 networks.*train fewer"):
        train(cached(tmp_path), **({"variants": variants} if variants else {}))


def test_labels_that_mean_nothing_are_not_predicted_however_well_they_are_memorised(tmp_path):
    labels = np.random.default_rng(3).integers(0, 2, 300)
    job = cached(tmp_path, labels=labels, n_rows=300)
    job["layers"] = readout_layers([64], job["info_list"][-1], batch_normalization=False)
    _, workspace = train(job, learning_rate=0.05, patience=40, max_iterations=1500, folds=4)
    answers = read_array(workspace.submodel("one").out_of_fold, "training")
    assert roc_auc_score(labels, answers[:, 1]) == pytest.approx(0.5, abs=0.1)


PASS_THROUGH = [
    {
        "type": "dense",
        "weights": [[1.0, -1.0], [0.0, 0.0], [0.0, 0.0]],
        "offset": [0.0, 0.0],
        "activation_function": "softmax",
    }
]


@pytest.mark.parametrize("refit", [False, True])
def test_networks_with_weights_of_their_own_need_no_iteration(tmp_path, refit):
    job = cached(tmp_path)
    result, workspace = train(job, layers=PASS_THROUGH, max_iterations=0, refit=refit)
    assert result["iterations"] == 0
    inputs = read_array(workspace.full_dataset, "caching")[:, :3]
    expected = np.exp(inputs[:, :1] * [1, -1])
    answers = read_array(workspace.submodel("one").out_of_fold, "training")
    np.testing.assert_allclose(answers, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)
    assert len(networks(workspace, "one")) == (1 if refit else FOLDS)


@pytest.mark.parametrize(("n_rows", "n_folds"), [(20, 3), (5, 8), (2, 2)])
def test_few_rows_and_classes_with_fewer_rows_than_folds_are_learnt(tmp_path, n_rows, n_folds):
    labels = np.arange(n_rows) % 2
    labels[-1] = 2  # the only one
    _, workspace = train(cached(tmp_path, labels=labels, n_rows=n_rows), folds=n_folds, max_iterations=12)
    answers = read_array(workspace.submodel("one").out_of_fold, "training")
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)


def test_training_again_without_folds_takes_everything_of_them_away(tmp_path):
    job = cached(tmp_path)
    train(job, max_iterations=0)
    _, workspace = train({key: value for key, value in job.items() if key != "folds"}, max_iterations=0)
    names = {path.name for path in workspace.submodel("one").root.iterdir()}
    assert names == {"model_weights.h5", "model_fit_info.json", "evaluations.json"}


def test_folds_of_another_number_are_refused_with_both_numbers(tmp_path):
    job = cached(tmp_path)
    write_array(Workspace(tmp_path).folds, (np.arange(N_ROWS) % 5).astype(np.int8))
    with pytest.raises(SettingsError, match=r"/folds: found 3, but .*folds\.npy has 5 folds"):
        train(job)
    write_array(Workspace(tmp_path).folds, np.zeros(7, np.int8))
    with pytest.raises(DataError, match=r"folds\.npy: expected the fold of each of the 120 rows"):
        train(job)


def test_folds_of_other_rows_than_those_of_the_cache_file_are_refused(tmp_path):
    job = cached(tmp_path)
    workspace = Workspace(tmp_path)
    subset = workspace.data_subset(0)
    write_array(subset, read_array(workspace.full_dataset, "caching"))
    train(job, cache_file=str(subset), max_iterations=0)
    write_array(workspace.folds, (np.arange(N_ROWS) % FOLDS).astype(np.int8))
    with pytest.raises(SettingsError, match=r"/cache_file: found .*data_subset_0\.npy, but .*folds\.npy has"):
        train(job, cache_file=str(subset), max_iterations=0)
    link = tmp_path / "link.npy"
    link.symlink_to(workspace.full_dataset)
    train(job, cache_file=str(link), max_iterations=0)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"layers": [{"type": "flatten"}, *PASS_THROUGH]}, SettingsError, "/layers/0/type.*flatten.*dense"),
        (
            {"layers": [{"type": "dense", "number_of_nodes": 5, "weights": "zeros"}]},
            SettingsError,
            "/layers/0.*5",
        ),
        ({"folds": None, "refit": True}, SettingsError, "/folds: missing; refit needs it"),
        ({"folds": None, "variants": [{"job_id": "a"}]}, SettingsError, "/folds: missing; variants needs it"),
        (
            {"variants": [{"job_id": "a"}], "job_type": "standard_training"},
            SettingsError,
            "/variants.*search_submodel",
        ),
        (
            {"variants": [{"job_id": "a"}, {"job_id": "a"}]},
            SettingsError,
            '/variants/1/job_id: found "a" a second time',
        ),
        (
            {"layers": PASS_THROUGH, "variants": [{"job_id": "a", "dropout_rate": 0.5}]},
            SettingsError,
            "/variants/0/dropout_rate.*no dropout",
        ),
        ({"cheat_on_validation": True}, SettingsError, "/cheat_on_validation"),
        ({"learning_rate_schedule": "cosine"}, SettingsError, "/max_iterations: missing.*cosine"),
    ],
)
def test_what_cannot_be_trained_is_a_clear_error(tmp_path, changes, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        train(cached(tmp_path), **changes)


def test_a_training_that_never_is_finite_is_an_error(tmp_path):
    job = cached(tmp_path, numeric=True)
    layers = [{"type": "dense", "number_of_nodes": 1, "weights": [[3e38], [3e38], [3e38]]}]
    with pytest.raises(TrainingError, match="never reached a finite loss"):
        train(job, layers=layers, descent_algorithm="sgd", max_iterations=8)
