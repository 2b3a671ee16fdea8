"""Training jobs on cached rows, through the job's own door: settings in, files and a result out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

import sensenet
from pyramid.errors import DataError, SettingsError, TrainingError, WorkspaceError
from pyramid.jobs import training
from pyramid.jobs.dataset_caching import run as cache
from pyramid.jobs.finalizing import run as finalize
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.submodels.fit_info import CONFIGURATION_KEYS
from pyramid.tables.recipe import categorical_field, numeric_field, readout_layers, tabular_jobs
from pyramid.train.losses import LOSSES
from pyramid.train.optimizers import OPTIMIZERS
from pyramid.workspace import Workspace, read_json
from sensenet.formats.h5 import stored_weights
from sensenet.formats.smbundle.container import read_bundle

N_ROWS = 200
NUMERIC_LOSSES = ("mean_squared_error", "huber", "mean_percentage_error")


def make_rows(numeric: bool, weighted: bool = False) -> tuple[np.ndarray, list[dict]]:
    """Rows whose first field decides nearly everything, the second (a category) a little, the third nothing."""
    rng = np.random.default_rng(0)
    first, noise = rng.normal(5, 2, N_ROWS), rng.normal(0, 1, N_ROWS)
    color = rng.integers(0, 3, N_ROWS)
    target = 3 * (first - 5) + color
    objective = numeric_field(9, target)
    if not numeric:
        target = np.digitize(target, [-2, 4])
        objective = categorical_field(9, ["low", "middle", "high"])
    fields = [numeric_field(2, first), categorical_field(0, ["r", "g", "b"]), numeric_field(3, noise)]
    columns = [first, color, noise]
    if weighted:
        columns.append(rng.uniform(0, 2, N_ROWS))
        fields.append({"index": 5, "type": "numeric", "mean": 1.0, "stdev": 0.5})
    return np.column_stack([*columns, target]).astype(float), [*fields, objective]


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    """Training settings for cached rows: (numeric, weighted) -> dict."""
    made: dict[tuple[bool, bool], dict] = {}

    def get(numeric: bool = False, weighted: bool = False) -> dict:
        if (numeric, weighted) not in made:
            rows, info_list = make_rows(numeric, weighted)
            caching, job, _ = tabular_jobs(
                tmp_path_factory.mktemp("cached"), rows, info_list, seed=1, instance_weights=weighted
            )
            result = cache(BaseSettings(caching), Workspace.create(caching["output_directory"]), ignore)
            layers = readout_layers([8], info_list[-1])
            made[numeric, weighted] = job | {"tree_inputs": result["tree_inputs"], "layers": layers}
        return made[numeric, weighted]

    return get


def train(job: dict, report=ignore, **changes) -> tuple[dict, Workspace]:
    settings = BaseSettings(job | changes)
    workspace = Workspace.create(settings.output_directory)
    return training.run(settings, workspace, report), workspace


def test_a_class_with_a_single_row_is_told(tmp_path):
    info_list = [numeric_field(0, np.arange(100.0)), categorical_field(1, ["a", "b", "rare"])]
    rows = np.column_stack([np.arange(100.0), np.arange(100) % 2]).astype(float)
    rows[7] = [1000, 2]
    caching, job, _ = tabular_jobs(tmp_path, rows, info_list, seed=0)
    caching["tree_embedding"] = job["tree_embedding"] = False
    cache(BaseSettings(caching), Workspace.create(caching["output_directory"]), ignore)
    lines: list[str] = []
    train(job, lambda progress, message="", **facts: lines.append(message), max_iterations=2)
    warnings = [line for line in lines if line.startswith("warning")]
    assert warnings == [
        'warning: a single row is of "rare": such a class is learnt, but never held out to check with'
    ]


def weights(workspace: Workspace, job_id: str) -> list[bytes]:
    stored = stored_weights(workspace.submodel(job_id).weights)
    return [array.tobytes() for _, arrays in stored for array in arrays]


@pytest.fixture(scope="module")
def plain_weights(cached):
    _, workspace = train(cached(), job_id="plain", learning_rate=0.02)
    return weights(workspace, "plain")


@pytest.mark.parametrize("numeric", [False, True])
def test_a_job_learns_and_leaves_weights_and_fit_info(cached, numeric):
    result, workspace = train(cached(numeric), job_id="learns")
    metrics = result["validation_metrics"]
    assert metrics["r_squared"] > 0.8 if numeric else metrics["accuracy"] > 0.8
    assert result["iterations"] > 0
    assert result["evaluation_metrics"] is result["configuration_parameters"] is None
    info = read_json(workspace.submodel("learns").fit_info, "standard_training")
    assert info["importances"][0] > 0.5 > info["importances"][1]
    assert sum(info["importances"]) == pytest.approx(1)
    assert info["class_index"] == 9
    assert info["weight_index"] is None
    assert info["optypes"][:4] == ["categorical", None, "numeric", "numeric"]
    assert [field["index"] for field in info["preprocess"]] == [2, 0, 3]
    assert {key: info[key] for key in result} == result
    assert workspace.submodel("learns").weights.stat().st_size > 1000


def test_a_search_submodel_is_measured_on_samples_of_the_evaluation_set(cached):
    result, workspace = train(cached(), job_id="attempt", job_type="search_submodel", topology="dense")
    samples = read_json(workspace.submodel("attempt").evaluations, "search_submodel")
    assert len(samples) == 128
    assert all(sample.keys() == result["evaluation_metrics"].keys() for sample in samples)
    mean = np.mean([sample["accuracy"] for sample in samples])
    assert mean == pytest.approx(result["evaluation_metrics"]["accuracy"], abs=0.05)
    assert set(result["configuration_parameters"]) == set(CONFIGURATION_KEYS)
    assert result["configuration_parameters"]["topology"] == "dense"


@pytest.mark.parametrize("algorithm", sorted(OPTIMIZERS))
def test_every_descent_algorithm_learns(cached, algorithm):
    rate = {"adadelta": 10.0, "sgd": 0.3, "ftrl": 1.0, "adagrad": 0.1}.get(algorithm, 0.02)
    result, _ = train(cached(), job_id=algorithm, descent_algorithm=algorithm, learning_rate=rate)
    assert result["validation_metrics"]["accuracy"] > 0.75


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_function_is_learnt_with(cached, loss):
    numeric = loss in NUMERIC_LOSSES
    result, _ = train(cached(numeric), job_id=loss, loss_function=loss, learning_rate=0.02)
    metrics = result["validation_metrics"]
    assert metrics["spearman_r"] > 0.8 if numeric else metrics["accuracy"] > 0.75


@pytest.mark.parametrize(
    "options",
    [
        {"balance_objective": True},
        {"mixup_alpha": 0.3},
        {"label_smoothing_factor": 0.2},
        {"class_weights": [["low", 5.0], ["high", 1.0]]},
        {"learning_rate_warmup_iterations": 50},
        {"learning_rate_schedule": "cosine", "max_iterations": 200, "weight_decay": 0.01},
        {"cheat_on_validation": True},
        {"holdout_rate": 0.5, "holdout_set_size": 20},
        {"tree_embedding": False},
        {"balance_objective": True, "mixup_alpha": 1.0, "label_smoothing_factor": 0.1},
    ],
    ids="+".join,
)
def test_every_option_is_learnt_with_and_repeats_bit_for_bit(cached, plain_weights, options):
    result, workspace = train(cached(), job_id="option", learning_rate=0.02, **options)
    first = weights(workspace, "option")
    assert result["validation_metrics"]["accuracy"] > 0.75
    train(cached(), job_id="option", learning_rate=0.02, **options)
    assert weights(workspace, "option") == first
    assert plain_weights != first


def test_another_seed_gives_other_weights(cached):
    _, workspace = train(cached(), job_id="seed-1")
    train(cached(), job_id="seed-2", seed=2)
    assert weights(workspace, "seed-1") != weights(workspace, "seed-2")


def test_instance_weights_weigh(cached):
    result, workspace = train(cached(weighted=True), job_id="weighted")
    info = read_json(workspace.submodel("weighted").fit_info, "standard_training")
    assert info["weight_index"] == 5
    assert len(info["importances"]) == 3
    assert result["validation_metrics"]["accuracy"] > 0.75


def test_max_iterations_and_progress_lines(cached):
    lines = []
    result, _ = train(
        cached(),
        job_id="short",
        max_iterations=7,
        report=lambda progress, **facts: lines.append({"progress": progress} | facts),
    )
    assert result["iterations"] == 7
    shares = [line["progress"] for line in lines]
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1
    training_lines = [line for line in lines if "iterations" in line]
    assert {"likelihood", "accuracy", "checks", "seconds_per_iteration", "time_elapsed"} <= training_lines[
        0
    ].keys()


LEGACY = {"weights": "glorot_uniform", "offset": "zeros", "residuals": False}
LEGACY_LAYERS = [
    LEGACY | {"number_of_nodes": 6, "activation_function": "tanh", "seed": 1},
    LEGACY
    | {
        "number_of_nodes": 16,
        "scale": "ones",
        "mean": "zeros",
        "stdev": "ones",
        "activation_function": "relu",
    }
    | {"residuals": True},
    LEGACY | {"number_of_nodes": 3, "activation_function": "softmax"},
]


@pytest.mark.parametrize("version", [None, "alpha"])
def test_layers_of_the_legacy_form_are_trained_and_finalized_in_either_form(cached, version):
    job = cached() | {"job_id": f"legacy-{version}", "layers": LEGACY_LAYERS, "deepnet_version": version}
    result, workspace = train(job, learning_rate=0.02)
    assert result["validation_metrics"]["accuracy"] > 0.75
    finalize(BaseSettings(job | {"job_type": "finalize_output"}), workspace, ignore)
    document = json.loads(workspace.final_model.read_bytes())
    assert all(("type" in layer) == (version is None) for layer in document["layers"])
    rows, info_list = make_rows(numeric=False)
    colors = [info_list[1]["values"][int(color)] for color in rows[:, 1]]
    # columns 2, 0 and 3 of the points are the fields
    points = [
        [color, None, first, noise]
        for color, first, noise in zip(colors, rows[:, 0], rows[:, 2], strict=True)
    ]
    predictions = sensenet.create_model(str(workspace.final_model))(points)
    assert (predictions.argmax(1) == rows[:, -1]).mean() > 0.8


def test_a_bundle_serves_the_numbers_of_the_model_where_values_stand_on_thresholds(tmp_path):
    rng = np.random.default_rng(2)
    x = rng.integers(0, 30, (150, 3)) / 10  # coarse decimals, as people measure
    rows = np.column_stack([x, x[:, 0] + x[:, 1] > 2.9]).astype(float)
    info_list = [
        *(numeric_field(i, column) for i, column in enumerate(x.T)),
        categorical_field(3, ["no", "yes"]),
    ]
    caching, job, finalizing = tabular_jobs(tmp_path, rows, info_list, patience=4)
    workspace = Workspace.create(tmp_path)
    cached = cache(BaseSettings(caching), workspace, ignore)
    train(job | {"tree_inputs": cached["tree_inputs"]})
    finalize(BaseSettings(finalizing), workspace, ignore)
    model = sensenet.create_model(str(workspace.final_model))
    folder = read_bundle(workspace.final_bundle, tmp_path / "saved")
    served = tf.saved_model.load(folder).signatures["serving_default"](tf.constant(x, tf.float32))
    np.testing.assert_allclose(next(iter(served.values())), model(x), atol=1e-6)
    np.testing.assert_allclose(model(x.astype(np.float32)), model(x.tolist()), atol=1e-6)


def test_one_input_field_has_all_the_importance(tmp_path):
    x = np.linspace(0, 1, 100)
    info_list = [numeric_field(0, x), numeric_field(1, 2 * x)]
    caching, job, _ = tabular_jobs(tmp_path, np.column_stack([x, 2 * x]), info_list, tree_embedding=False)
    cache(BaseSettings(caching), Workspace.create(tmp_path), ignore)
    _, workspace = train(job)
    assert read_json(workspace.submodel("model").fit_info, "standard_training")["importances"] == [1.0]


def test_an_enormous_learning_rate_is_an_error_or_a_finite_model(cached):
    try:
        result, _ = train(cached(True), job_id="wild", learning_rate=1e30, descent_algorithm="sgd")
    except TrainingError as error:
        assert "learning_rate" in str(error)
    else:
        assert all(np.isfinite(list(result["validation_metrics"].values())))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"cache_file": "nowhere.npy"}, WorkspaceError, "nowhere.npy.*dataset_caching"),
        ({"tree_inputs": 1}, DataError, "expected .* columns .*1 tree features"),
        (
            {"layers": [{"type": "dense", "number_of_nodes": 5, "weights": "zeros"}]},
            SettingsError,
            "/layers/0.*5.*3",
        ),
        ({"layers": [{"type": "dense", "weights": "zeros"}]}, SettingsError, "/layers.*number_of_nodes"),
    ],
)
def test_what_cannot_be_trained_is_a_clear_error(cached, changes, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        train(cached(), job_id="bad", **changes)


def test_a_row_of_no_class_or_of_two_is_refused_with_its_number(cached, tmp_path):
    job = cached()
    rows = np.load(job["cache_file"])
    for number, classes in ((7, 0.0), (90, 1.0)):
        broken = rows.copy()
        broken[number, -3:] = classes
        np.save(tmp_path / "broken.npy", broken)
        with pytest.raises(
            DataError, match=rf"broken.npy: row {number}: expected 1 in the column of its class"
        ):
            train(job, cache_file=str(tmp_path / "broken.npy"))


def test_nothing_partial_is_left_behind(cached):
    _, workspace = train(cached(), job_id="clean")
    assert not list(workspace.root.rglob("*.partial"))
    assert json.loads(workspace.submodel("clean").fit_info.read_bytes())
