"""Image fields beside others: cached as features, trained on, finalized, and predicted from the final document."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_jobs import dense, image_job, tiny_model, write_image
from weight_files import random_arrays, write_file

import sensenet
from pyramid.errors import DataError, SettingsError, WorkspaceError
from pyramid.jobs import dataset_caching, finalizing, image_training, training
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.tables.ser import write_ser
from pyramid.workspace import Workspace
from sensenet.document.model import dumps
from sensenet.errors import WeightsError
from sensenet.forest import parse_forests, tree_features
from sensenet.pretrained import weights_url

FEATURES = 16
VALUES = ["no", "yes"]
IMAGE = {"index": 0, "type": "image"}
NUMBER = {"index": 1, "type": "numeric", "mean": 0.1, "stdev": 0.9}
COLOUR = {"index": 2, "type": "categorical", "values": ["red", "blue", "green"]}
SECOND = {"index": 3, "type": "image"}
CLASS = {"index": 4, "type": "categorical", "values": VALUES}
AMOUNT = {"index": 4, "type": "numeric", "mean": 5.0, "stdev": 2.0}
N_IMAGES = 40


class Case:
    """A directory with pictures and an initial model, rows about them, and the three jobs."""

    def __init__(self, root: Path):
        self.root = root
        self.rng = np.random.default_rng(3)
        for number in range(N_IMAGES):
            # dark and bright ones, of different sizes
            shade = 60 + 130 * (number % 2)
            noise = self.rng.uniform(-50, 50, (12 + number % 5, 14 + number % 7, 3))
            write_image(root / f"{number}.png", shade + noise)
        self.initial = root / "initial.json"
        self.initial.write_bytes(dumps(tiny_model(VALUES)))
        self.workspace = Workspace.create(root / "out")

    def rows(self, count: int, info_list: list[dict], label: Any = None) -> list[list[Any]]:
        """Each second image of each twentieth row is missing."""
        made = []
        for number in range(count):
            point = {
                0: f"{self.rng.integers(N_IMAGES)}.png",
                1: float(self.rng.normal(0.1, 0.9)),
                2: int(self.rng.integers(3)),
                3: "" if number % 20 == 0 else f"{self.rng.integers(N_IMAGES)}.png",
            }
            bright = int(point[0].split(".")[0]) % 2
            point[4] = label(bright, point[1]) if label else int(bright)
            made.append([point[field["index"]] for field in info_list])
        return made

    def job(self, job_type: str, info_list: list[dict], **changes: Any) -> dict[str, Any]:
        outputs = len(info_list[-1].get("values", [0]))
        return {
            "job_type": job_type,
            "job_id": "readout",
            "objective_type": info_list[-1]["type"],
            "output_directory": str(self.workspace.root),
            "info_list": info_list,
            "seed": 4,
            "is_search": False,
            "tree_embedding": False,
            "max_data_size": 10**9,
            "parallelism": 1,
            "image_root": str(self.root),
            "base_image_network": "initial_model_0",
            "image_training_type": "use_pretrained",
            "initial_model": str(self.initial),
            "rescale_type": "warp",
            "layers": [dense(16, "relu"), dense(outputs, "softmax" if outputs > 1 else None)],
            "batch_size": 64,
            "descent_algorithm": "adam",
            "learning_rate": 0.02,
            "loss_function": "crossentropy" if outputs > 1 else "mean_squared_error",
            "max_iterations": 300,
        } | changes

    def cache(
        self, rows: list[list[Any]], info_list: list[dict], report: Any = ignore, **changes: Any
    ) -> dict:
        path = self.root / "rows.ser"
        write_ser(path, rows, info_list)
        files = {"cache_file": str(path), "cache_rows": len(rows)}
        job = self.job("dataset_caching", info_list, **files, **changes)
        return dataset_caching.run(BaseSettings(job), self.workspace, report)

    def train(self, info_list: list[dict], cached: dict, **changes: Any) -> dict:
        files = {"cache_file": cached["datasets"][0], "tree_inputs": cached["tree_inputs"]}
        job = self.job("standard_training", info_list, **files) | changes
        return training.run(BaseSettings(job), self.workspace, ignore)

    def finalize(self, info_list: list[dict], **changes: Any) -> dict:
        job = self.job("finalize_output", info_list, **changes)
        return finalizing.run(BaseSettings(job), self.workspace, ignore)

    def matrix(self) -> np.ndarray:
        return np.load(self.workspace.full_dataset, allow_pickle=False)

    def document(self) -> dict[str, Any]:
        return json.loads(self.workspace.final_model.read_bytes())

    def features(self, names: list[str], rescale_type: str = "warp") -> np.ndarray:
        """What the public feature extractor says of the initial model's network."""
        settings = {"image_path_prefix": str(self.root), "rescale_type": rescale_type}
        extract = sensenet.create_image_feature_extractor(str(self.initial), settings)
        return extract([name or None for name in names])


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


MIXED = [SECOND, NUMBER, IMAGE, COLOUR, CLASS]


def by_hand(case: Case, rows: list[list[Any]], document: dict[str, Any]) -> np.ndarray:
    """Features, standardised numbers and one-hot colours through the tree features and the two dense layers."""
    second, number, first, colour, _ = zip(*rows, strict=True)
    one_hot = np.eye(3)[list(colour)]
    standardised = (np.array(number)[:, None] - NUMBER["mean"]) / NUMBER["stdev"]
    inputs = [case.features(list(second)), standardised, case.features(list(first)), one_hot]
    hidden = np.concatenate(inputs, axis=1).astype(np.float32)
    if document["trees"]:
        forests = parse_forests(document["trees"])
        hidden = np.concatenate([tree_features(forests, hidden), hidden], axis=1)
    for layer in document["layers"]:
        hidden = hidden @ np.array(layer["weights"]) + np.array(layer["offset"])
        if layer["activation_function"] == "relu":
            hidden = np.maximum(hidden, 0)
    exponents = np.exp(hidden - hidden.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def points_of(case: Case, rows: list[list[Any]]) -> list[list[Any]]:
    def path(name: str) -> str | None:
        return str(case.root / name) if name else None

    return [[path(row[2]), row[1], COLOUR["values"][row[3]], path(row[0])] for row in rows]


@pytest.mark.parametrize("rescale_type", ["warp", "pad", "crop"])
@pytest.mark.parametrize("max_data_size", [1, 10**9])
def test_image_columns_are_the_features_that_models_predict_from(case, rescale_type, max_data_size):
    rows = case.rows(60, MIXED)
    cached = case.cache(rows, MIXED, rescale_type=rescale_type, max_data_size=max_data_size)
    assert cached["full_data_shape"] == [60, FEATURES + 1 + FEATURES + 3 + 2]
    matrix = case.matrix()  # every row, also where subsets are made
    for position, columns in ((0, slice(0, 16)), (2, slice(17, 33))):
        expected = case.features([row[position] for row in rows], rescale_type)
        np.testing.assert_allclose(matrix[:, columns], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tree_embedding", [False, True])
def test_a_final_model_predicts_features_and_readout_in_every_form(case, tree_embedding):
    rows = case.rows(300, MIXED)
    cached = case.cache(rows, MIXED, tree_embedding=tree_embedding)
    assert (cached["tree_inputs"] > 0) == tree_embedding
    case.train(MIXED, cached, tree_embedding=tree_embedding)
    result = case.finalize(MIXED)
    document = case.document()
    assert document["image_network"]["metadata"]["outputs"] == FEATURES
    assert len(document["importances"]) == 4
    assert sum(document["importances"]) == pytest.approx(1)
    assert max(document["importances"]) == document["importances"][2]
    restored = sensenet.create_model(result["short_model_path"])
    restored.load_weights(result["weight_path"])
    model = sensenet.create_model(result["final_model_path"])
    expected = by_hand(case, rows, document)
    for form in (model, restored, sensenet.create_model(result["bundle_path"])):
        np.testing.assert_allclose(form(points_of(case, rows)), expected, rtol=1e-4, atol=1e-5)
    truth = [row[-1] for row in rows]
    assert (model(points_of(case, rows)).argmax(axis=1) == truth).mean() > 0.95


def test_a_label_that_needs_both_fields_is_learnt_from_both_and_from_neither_alone(case):
    accuracy = {}
    for fields in ([IMAGE, NUMBER], [IMAGE], [NUMBER]):
        info_list = [*fields, CLASS]
        rows = case.rows(900, [IMAGE, NUMBER, CLASS], lambda bright, number: int(bright == (number > 0.1)))
        kept = [[*(row[field["index"]] for field in fields), row[-1]] for row in rows]
        cached = case.cache(kept[:600], info_list)
        case.train(info_list, cached)
        case.finalize(info_list)
        model = sensenet.create_model(case.document(), {"image_path_prefix": str(case.root)})
        predicted = model([row[:2] for row in rows[600:]]).argmax(axis=1)
        accuracy[len(fields), fields[0]["type"]] = (predicted == [row[-1] for row in rows[600:]]).mean()
    assert accuracy[2, "image"] >= 0.95
    assert accuracy[1, "image"] <= 0.75
    assert accuracy[1, "numeric"] <= 0.75


def names_of(row: list[Any], info_list: list[dict]) -> Any:
    names = [value or None for value, field in zip(row, info_list, strict=True) if field["type"] == "image"]
    return names[0] if len(names) == 1 else names


RETURNED = {"return_holdout_images": True}


@pytest.mark.parametrize("fields", [[IMAGE, NUMBER], [SECOND, NUMBER, IMAGE], [IMAGE]])
@pytest.mark.parametrize("max_data_size", [1_000, 10**9])
def test_holdout_images_beside_other_fields_come_with_truth_and_prediction(case, fields, max_data_size):
    info_list = [*fields, CLASS]
    rows = case.rows(200, info_list)
    cached = case.cache(rows, info_list, **RETURNED, max_data_size=max_data_size)
    matrix = cached["datasets"][-1]  # a subset where there are any
    trained_rows = len(np.load(matrix, allow_pickle=False))
    case.train(info_list, cached, **RETURNED, cache_file=matrix, max_iterations=20)
    case.finalize(info_list, **RETURNED)
    model = sensenet.create_model(case.document(), {"image_path_prefix": str(case.root)})
    by_index = {field["index"]: position for position, field in enumerate(info_list)}
    points = [[row[by_index[i]] or None if i in by_index else None for i in range(4)] for row in rows]
    said = [VALUES[answer] for answer in model(points).argmax(axis=1)]
    possible = [[names_of(row, info_list), VALUES[row[-1]], one] for row, one in zip(rows, said, strict=True)]
    held_out = case.document()["holdout_image_predictions"]
    assert len(held_out) == (trained_rows if trained_rows <= 32 else pytest.approx(0.2 * trained_rows, abs=1))
    assert all(one in possible for one in held_out)


def test_numbers_of_holdout_images_are_in_their_own_units(case):
    info_list = [IMAGE, NUMBER, AMOUNT]
    rows = case.rows(400, info_list, lambda bright, number: 5.0 + 3 * bright + number)
    case.train(info_list, case.cache(rows, info_list, **RETURNED), **RETURNED)
    case.finalize(info_list)
    _, truth, predicted = zip(*case.document()["holdout_image_predictions"], strict=True)
    assert {round(number, 4) for number in truth} <= {round(row[-1], 4) for row in rows}
    assert np.mean((np.array(predicted) - truth) ** 2) < 0.1 * np.var(truth)


def test_holdout_images_of_a_search_are_those_of_its_best_submodel(case):
    info_list = [IMAGE, NUMBER, CLASS]
    cached = case.cache(case.rows(200, info_list), info_list, is_search=True, **RETURNED)
    for job_id, iterations in (("a", 2), ("b", 300)):
        job = {"job_type": "search_submodel", "job_id": job_id, "tree_embedding": False, "seed": iterations}
        case.train(info_list, cached, **job, **RETURNED, max_iterations=iterations)
    case.finalize(info_list, is_search=True, model_fraction=1.0)
    best = json.loads(case.workspace.submodel("b").fit_info.read_bytes())["holdout_images"]
    assert case.document()["holdout_image_predictions"] == best
    case.finalize(info_list, is_search=True, model_fraction=1.0, return_holdout_images=False)
    assert "holdout_image_predictions" not in case.document()


def test_holdout_images_that_caching_was_not_asked_for_are_missed_with_a_warning(case):
    info_list = [IMAGE, NUMBER, CLASS]
    rows = case.rows(60, info_list)
    case.cache(rows, info_list, **RETURNED)
    assert case.workspace.image_files.exists()
    cached = case.cache(rows, info_list)
    assert not case.workspace.image_files.exists()
    lines: list[str] = []

    def report(_progress: float, message: str = "", **facts: Any) -> None:
        lines.append(message)

    files = {"cache_file": cached["datasets"][0], "tree_inputs": 0, "max_iterations": 2}
    training.run(
        BaseSettings(case.job("standard_training", info_list, **files, **RETURNED)), case.workspace, report
    )
    assert any(line.startswith("warning: holdout images are not returned: ") for line in lines)
    finalizing.run(BaseSettings(case.job("finalize_output", info_list, **RETURNED)), case.workspace, report)
    assert "warning: there are no holdout images: the training was not asked for them" in lines


def test_a_number_is_predicted_from_an_image_and_a_number(case):
    info_list = [IMAGE, NUMBER, AMOUNT]
    rows = case.rows(400, info_list, lambda bright, number: 5.0 + 3 * bright + number)
    case.train(info_list, case.cache(rows, info_list))
    case.finalize(info_list)
    predicted = sensenet.create_model(case.document(), {"image_path_prefix": str(case.root)})(
        [row[:2] for row in rows]
    )
    truth = np.array([row[-1] for row in rows])
    assert np.mean((predicted[:, 0] - truth) ** 2) < 0.1 * truth.var()


def test_a_search_over_image_fields_keeps_the_image_network(case):
    info_list = [IMAGE, NUMBER, CLASS]
    rows = case.rows(200, info_list)
    cached = case.cache(rows, info_list, is_search=True)
    for job_id, trees in (("a", True), ("b", False)):
        job = {"job_type": "search_submodel", "job_id": job_id, "tree_embedding": trees}
        case.train(info_list, cached, **job)
    case.finalize(info_list, is_search=True, model_fraction=1.0)
    document = case.document()
    assert len(document["networks"]) == 2
    model = sensenet.create_model(document, {"image_path_prefix": str(case.root)})
    assert (model([row[:2] for row in rows]).argmax(axis=1) == [row[-1] for row in rows]).mean() > 0.9


def image_training_job(case: Case, **changes: Any) -> dict[str, Any]:
    labels = [number % 2 for number in range(N_IMAGES)]
    start = {"base_image_network": "initial_model_0", "initial_model": str(case.initial)}
    job = image_job(case.root, labels, **start, info_list=[IMAGE, CLASS], max_iterations=40)
    job |= {"layers": [dense(8, "relu"), dense(2, "softmax")], "image_training_type": "fine_tune"}
    return job | {"output_directory": str(case.workspace.root)} | changes


def run_image_job(case: Case, **changes: Any) -> dict[str, Any]:
    settings = BaseSettings(image_training_job(case, **changes))
    return image_training.run(settings, case.workspace, ignore)


TUNED = {"image_training_type": "fine_tune"}


def test_the_features_are_those_of_the_image_job_that_has_run(case):
    trained = run_image_job(case, rescale_type="pad")
    case.finalize([IMAGE, CLASS], job_id=trained["job_id"])
    settings = {"image_path_prefix": str(case.root)}
    extract = sensenet.create_image_feature_extractor(case.document(), settings)
    rows = case.rows(60, MIXED)
    case.cache(rows, MIXED, **TUNED, rescale_type="crop")  # the network says how it was trained
    matrix = case.matrix()
    np.testing.assert_allclose(matrix[:, 17:33], extract([row[2] for row in rows]), rtol=1e-5, atol=1e-6)
    assert np.abs(matrix[:, 17:33] - case.features([row[2] for row in rows])).max() > 1e-3


def test_an_image_alone_is_predicted_by_the_image_jobs_own_readout(case):
    info_list = [IMAGE, CLASS]
    trained = run_image_job(case, return_holdout_images=True)
    rows = case.rows(100, info_list)
    case.train(info_list, case.cache(rows, info_list, **TUNED))
    by_its_id = case.finalize(info_list, job_id=trained["job_id"])
    document = case.document()
    assert document["trees"] is None
    assert document["importances"] == [1.0]
    assert document["validation_metrics"] == trained["validation_metrics"]
    model = sensenet.create_model(document, {"image_path_prefix": str(case.root)})
    for form in (by_its_id["bundle_path"], by_its_id["final_model_path"]):
        other = sensenet.create_model(form, {"image_path_prefix": str(case.root)})
        names = [[row[0]] for row in rows]
        np.testing.assert_allclose(other(names), model(names), rtol=1e-4, atol=1e-5)
    held_out = document["holdout_image_predictions"]
    assert len(held_out) >= 2
    for file, truth, prediction in held_out:
        assert truth == VALUES[int(file.split(".")[0]) % 2]
        assert prediction == VALUES[int(model([[file]]).argmax())]


def test_an_image_alone_is_predicted_by_the_readout_that_the_job_id_names(case):
    info_list = [IMAGE, CLASS]
    trained = run_image_job(case)
    cached = case.cache(case.rows(200, info_list), info_list, **TUNED)
    layers = [dense(5, "relu"), dense(2, "softmax")]
    readout = case.train(info_list, cached, layers=layers)
    assert readout["validation_metrics"] != trained["validation_metrics"]
    case.finalize(info_list, **TUNED)
    document = case.document()
    assert [len(layer["offset"]) for layer in document["layers"]] == [5, 2]
    assert document["validation_metrics"] == readout["validation_metrics"]
    own = case.workspace.submodel(trained["job_id"]).fit_info
    assert document["image_network"]["metadata"] == json.loads(own.read_bytes())["image_network"]["metadata"]


def test_an_image_alone_without_the_job_that_the_job_id_names_is_an_error(case):
    run_image_job(case)
    with pytest.raises(WorkspaceError, match="submodel_readout does not exist"):
        case.finalize([IMAGE, CLASS], **TUNED)


def test_an_image_alone_with_trees_is_predicted_by_the_readout(case):
    info_list = [IMAGE, CLASS]
    run_image_job(case)
    cached = case.cache(case.rows(200, info_list), info_list, **TUNED, tree_embedding=True)
    case.train(info_list, cached, tree_embedding=True)
    case.finalize(info_list, **TUNED, tree_embedding=True)
    assert case.document()["trees"]
    assert "holdout_image_predictions" not in case.document()


def test_a_holdout_image_that_has_gone_is_named(case):
    trained = run_image_job(case, return_holdout_images=True)
    for number in range(N_IMAGES):
        (case.root / f"{number}.png").unlink()
    with pytest.raises(DataError, match=r"holdout images cannot be read[^\n]*\n.*\d+\.png"):
        case.finalize([IMAGE, CLASS], job_id=trained["job_id"])
    assert not case.workspace.final_model.exists()


def test_holdout_images_may_have_absolute_names(case):
    rows = [{"file": str(case.root / f"{number}.png"), "label": number % 2} for number in range(N_IMAGES)]
    trained = run_image_job(case, image_training_data=rows, return_holdout_images=True)
    case.finalize([IMAGE, CLASS], job_id=trained["job_id"])
    assert {Path(file).parent for file, *_ in case.document()["holdout_image_predictions"]} == {case.root}


def test_where_no_image_can_be_read_nothing_is_cached(case):
    rows = case.rows(30, [IMAGE, NUMBER, CLASS])
    for row in rows:
        row[0] = f"no{row[0]}"
    with pytest.raises(DataError, match="images cannot be read"):
        case.cache(rows, [IMAGE, NUMBER, CLASS], skip_invalid_images=True)


def test_files_that_cannot_be_read_are_all_counted_and_twenty_named(case):
    info_list = [IMAGE, NUMBER, CLASS]
    rows = case.rows(30, info_list)
    (case.root / "text.png").write_text("no image")
    for number, row in enumerate(rows[:25]):
        row[0] = "text.png" if number == 0 else f"gone{number:02}.png"
    messages: list[str] = []
    with pytest.raises(DataError) as caught:
        case.cache(rows, info_list, lambda progress, **facts: messages.append(facts.get("message", "")))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("25 of ")
    assert len(lines) == 22
    assert lines[-1] == "... and 5 more"
    assert "gone01.png: No such file" in lines[1]
    assert not any(message.startswith("features of") for message in messages)
    assert not case.workspace.full_dataset.exists()


def test_files_that_cannot_be_read_may_count_as_missing(case):
    rows = case.rows(30, MIXED)
    rows[3][0] = "gone.png"
    rows[20][0] = ""
    messages: list[str] = []
    report = lambda progress, **facts: messages.append(facts.get("message", ""))  # noqa: E731
    case.cache(rows, MIXED, report, skip_invalid_images=True)
    np.testing.assert_array_equal(case.matrix()[3, :FEATURES], case.matrix()[20, :FEATURES])
    assert any(message.startswith("warning: 1 of ") and "gone.png" in message for message in messages)


def test_progress_never_falls(case):
    seen: list[float] = []
    case.cache(case.rows(200, MIXED), MIXED, lambda progress, **_: seen.append(progress), tree_embedding=True)
    assert seen == sorted(seen)
    assert 0 <= seen[0] <= seen[-1] <= 1


@pytest.mark.parametrize("missing", ["base_image_network", "image_training_type"])
def test_caching_images_needs_the_name_of_their_network(case, missing):
    info_list = [IMAGE, NUMBER, CLASS]
    path = case.root / "rows.ser"
    write_ser(path, case.rows(30, info_list), info_list)
    job = case.job("dataset_caching", info_list, cache_file=str(path), cache_rows=30)
    del job[missing]
    with pytest.raises(SettingsError, match=f"/{missing}: missing"):
        dataset_caching.run(BaseSettings(job), case.workspace, ignore)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (TUNED, WorkspaceError, "submodel_initial_model_0_fine_tune.*image_training job"),
        (
            {"initial_model": "nowhere.json"},
            WorkspaceError,
            "nowhere.json, the initial_model, cannot be read",
        ),
        ({"initial_model": None}, SettingsError, "/initial_model: missing"),
        ({"base_image_network": "simple", "initial_model": None}, SettingsError, "/base_image_network"),
    ],
)
def test_a_network_that_is_not_there_is_an_error(case, changes, error, message):
    info_list = [IMAGE, NUMBER, CLASS]
    changes = dict(changes)
    job = case.job("dataset_caching", info_list, cache_file=str(case.root / "rows.ser"), cache_rows=30)
    write_ser(case.root / "rows.ser", case.rows(30, info_list), info_list)
    job = {key: value for key, value in (job | changes).items() if value is not None}
    with pytest.raises(error, match=message):
        dataset_caching.run(BaseSettings(job), case.workspace, ignore)


def test_a_network_that_changed_after_caching_is_not_put_under_its_readout(case):
    info_list = [IMAGE, NUMBER, CLASS]
    case.train(info_list, case.cache(case.rows(60, info_list), info_list))
    other = tiny_model(VALUES)
    other["image_network"]["layers"][0] |= {"kernel": "glorot_normal"}
    case.initial.write_bytes(dumps(other))
    with pytest.raises(WorkspaceError, match="trained again since"):
        case.finalize(info_list)


def test_finalizing_without_the_record_of_caching_names_the_job(case):
    info_list = [IMAGE, NUMBER, CLASS]
    case.train(info_list, case.cache(case.rows(60, info_list), info_list))
    case.workspace.image_features.unlink()
    with pytest.raises(WorkspaceError, match=r"image_features\.json, which a dataset_caching job writes"):
        case.finalize(info_list)


def test_features_that_were_cached_again_in_another_way_want_a_new_training(case):
    info_list = [IMAGE, NUMBER, CLASS]
    rows = case.rows(60, info_list)
    case.train(info_list, case.cache(rows, info_list))
    case.cache(rows, info_list, rescale_type="pad")  # the same weights, other features
    with pytest.raises(WorkspaceError, match=r"image_features\.json.* run the training job readout again"):
        case.finalize(info_list)
    case.cache(rows, info_list)
    case.finalize(info_list)


def test_an_image_job_whose_pieces_do_not_fit_is_used_by_nobody(case):
    info_list = [IMAGE, NUMBER, CLASS]
    trained = run_image_job(case, max_iterations=4)
    submodel = case.workspace.submodel(trained["job_id"])
    kept = submodel.weights.read_bytes()
    run_image_job(case, max_iterations=4, seed=9)
    submodel.weights.write_bytes(kept)
    message = r"model_weights\.h5 does not belong to .*fine_tune/model_fit_info\.json.*run the training job .* again"
    with pytest.raises(WorkspaceError, match=message):
        case.finalize([IMAGE, CLASS], job_id=trained["job_id"])
    with pytest.raises(WorkspaceError, match=message):
        case.cache(case.rows(30, info_list), info_list, **TUNED)


def test_an_image_job_whose_directory_is_removed_does_not_say_that_it_is_done(case):
    def report(_progress: float, message: str = "", **facts: Any) -> None:
        if message == "writing the report":
            shutil.rmtree(case.workspace.root)

    settings = BaseSettings(image_training_job(case, max_iterations=4))
    with pytest.raises(WorkspaceError, match=r"model_weights\.h5, which this job has written, is gone"):
        image_training.run(settings, case.workspace, report)


def test_caching_without_images_takes_the_record_away(case):
    case.cache(case.rows(60, MIXED), MIXED)
    assert case.workspace.image_features.exists()
    case.cache(case.rows(60, [NUMBER, CLASS]), [NUMBER, CLASS])
    assert not case.workspace.image_features.exists()


def test_a_matrix_of_another_width_is_refused_by_the_training(case):
    info_list = [IMAGE, NUMBER, SECOND, CLASS]
    cached = case.cache(case.rows(60, info_list), info_list)
    with pytest.raises(DataError, match=r"full_dataset\.npy: expected .* 2 image fields"):
        case.train(info_list, cached, tree_inputs=1)


def test_a_published_network_gives_features_by_its_name(case, tmp_path, monkeypatch):
    monkeypatch.setenv("BIGML_SENSENET_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("BIGML_SENSENET_WEIGHTS_URL", (tmp_path / "server").as_uri())
    info_list = [IMAGE, NUMBER, CLASS]
    named = {"base_image_network": "mobilenet", "input_image_shape": [32, 32, 3]}
    path = case.root / "rows.ser"
    rows = case.rows(40, info_list)
    write_ser(path, rows, info_list)
    files = {"cache_file": str(path), "cache_rows": 40}
    job = case.job("dataset_caching", info_list, **files, **named)
    del job["initial_model"]
    with pytest.raises(WeightsError):
        dataset_caching.run(BaseSettings(job), case.workspace, ignore)
    (tmp_path / "server").mkdir()
    write_file(
        tmp_path / "server" / weights_url("mobilenet").rsplit("/", 1)[-1], random_arrays("mobilenet", 1)
    )
    cached = dataset_caching.run(BaseSettings(job), case.workspace, ignore)
    case.train(info_list, cached, max_iterations=20)
    case.finalize(info_list)
    document = case.document()
    assert document["image_network"]["metadata"]["base_image_network"] == "mobilenet"
    settings = {"image_path_prefix": str(case.root)}
    extract = sensenet.create_image_feature_extractor(document, settings)
    expected = extract([row[0] for row in rows])
    np.testing.assert_allclose(case.matrix()[:, :1024], expected, rtol=1e-4, atol=1e-5)
