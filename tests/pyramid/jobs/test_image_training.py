"""Image training jobs through the job's own door: settings in, files and a result out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_jobs import SIDE, convolution, dense, image_job, tiny_model, write_digits, write_image
from PIL import Image
from weight_files import random_arrays, write_file

from pyramid.errors import DataError, SettingsError, WorkspaceError
from pyramid.images.augment import parse_augmentations
from pyramid.images.store import ImageStore
from pyramid.jobs import image_training
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.submodels.image_model import image_document
from pyramid.tables.ser import write_ser
from pyramid.train.image_loop import augmenter, batch_maker
from pyramid.train.sampling import make_sampler
from pyramid.workspace import Workspace, read_json
from sensenet.document.model import dumps
from sensenet.errors import WeightsError
from sensenet.formats.h5 import stored_weights
from sensenet.models.image import image_model
from sensenet.pretrained import weights_url

N_IMAGES, N_TRAINED = 700, 500
VALUES = list("0123456789")


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> tuple[Path, np.ndarray]:
    directory = tmp_path_factory.mktemp("digits")
    return directory, write_digits(directory, N_IMAGES)


@pytest.fixture(scope="module")
def initial(tmp_path_factory) -> Path:
    """The document of a small untrained model, its arrays drawn by whoever reads it."""
    path = tmp_path_factory.mktemp("initial") / "model.json"
    path.write_bytes(dumps(tiny_model(VALUES)))
    return path


@pytest.fixture
def tiny(digits, initial, tmp_path):
    """Makes quick jobs on 80 digits: a small network, few iterations."""
    directory, labels = digits

    def make(**changes: Any) -> dict[str, Any]:
        start = {"base_image_network": "initial_model_0", "initial_model": str(initial)}
        where = {"output_directory": str(tmp_path / "out"), "max_iterations": 12}
        return image_job(directory, labels[:80], **start, **where) | changes

    return make


def train(job: dict[str, Any], report=ignore) -> tuple[dict[str, Any], Any]:
    settings = BaseSettings(job)
    workspace = Workspace.create(settings.output_directory)
    result = image_training.run(settings, workspace, report)
    return result, workspace.submodel(settings.job_id)


def weights(submodel: Any) -> list[bytes]:
    return [array.tobytes() for _, arrays in stored_weights(submodel.weights) for array in arrays]


def told(job: dict[str, Any]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    train(job, lambda progress, **facts: lines.append({"progress": progress} | facts))
    return lines


def messages(job: dict[str, Any]) -> str:
    return "\n".join(line.get("message", "") for line in told(job))


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory) -> tuple[dict[str, Any], Any]:
    """`simple` on 500 digits."""
    directory, labels = digits
    out = str(tmp_path_factory.mktemp("trained"))
    return train(
        image_job(
            directory,
            labels[:N_TRAINED],
            output_directory=out,
            learning_rate=0.003,
            max_iterations=600,
            return_holdout_images=True,
        )
    )


def test_digits_are_learnt_and_images_never_seen_are_told_apart(digits, trained):
    directory, labels = digits
    result, submodel = trained
    assert result["job_id"] == "simple_randomly_initialize"
    assert result["validation_metrics"]["accuracy"] > 0.9
    predict = image_model(image_document(submodel))
    predictions = predict([str(directory / f"{number}.png") for number in range(N_TRAINED, N_IMAGES)])
    assert (predictions.argmax(1) == labels[N_TRAINED:]).mean() >= 0.9


def test_the_fit_info_says_what_the_networks_are(trained):
    result, submodel = trained
    info = read_json(submodel.fit_info, "image_training")
    assert {key: info[key] for key in result} == result
    assert info["image_network"]["metadata"] == {
        "base_image_network": "simple",
        "input_image_shape": [SIDE, SIDE, 3],
        "loading_method": "centering",
        "mean_image": None,
        "outputs": 128,
        "version": None,
        "rescale_type": "crop",
    }
    assert [layer["type"] for layer in info["layers"]] == ["dense", "dense"]
    assert info["preprocess"] == [{"type": "image", "index": 0}]
    assert (info["importances"], info["skipped_images"], info["input_size"]) == ([1.0], [], 128)
    assert len(info["holdout_images"]) == pytest.approx(0.2 * N_TRAINED, abs=5)
    file, truth = info["holdout_images"][0]
    assert file.endswith(".png")
    assert truth in VALUES


def test_fine_tuning_from_an_initial_model_keeps_what_it_knew(digits, trained, tmp_path):
    directory, labels = digits
    result, submodel = trained
    model = tmp_path / "final_model.json"
    model.write_bytes(dumps(image_document(submodel)))
    job = image_job(
        directory,
        labels[:N_TRAINED],
        base_image_network="initial_model_0",
        initial_model=str(model),
        image_training_type="fine_tune",
        output_directory=str(tmp_path),
        max_iterations=60,
        patience=1,
        learning_rate=0.001,
    )
    tuned, tuned_submodel = train(job)
    assert tuned["validation_metrics"]["accuracy"] >= result["validation_metrics"]["accuracy"] - 0.01
    info = read_json(tuned_submodel.fit_info, "image_training")
    assert info["initial_network_metadata"]["base_image_network"] == "simple"
    assert info["base_image_network"] == "initial_model_0"


def test_numbers_are_learnt(digits, tmp_path):
    directory, _ = digits
    ink = np.array([np.asarray(Image.open(directory / f"{i}.png")).mean() / 255 for i in range(400)])
    standardised = (ink - ink.mean()) / ink.std()
    job = image_job(
        directory,
        [],
        objective_type="numeric",
        info_list=[
            {"index": 0, "type": "image"},
            {"index": 1, "type": "numeric", "mean": ink.mean(), "stdev": ink.std()},
        ],
        layers=[dense(16, "relu"), dense(1, "linear")],
        loss_function="mean_squared_error",
        image_training_data=[
            {"file": f"{i}.png", "label": number} for i, number in enumerate(standardised[:300])
        ],
        output_directory=str(tmp_path),
        max_iterations=400,
        return_holdout_images=True,
    )
    result, submodel = train(job)
    assert result["validation_metrics"]["r_squared"] > 0.8
    predictions = image_model(image_document(submodel))(
        [str(directory / f"{i}.png") for i in range(300, 400)]
    )
    assert np.corrcoef(predictions[:, 0], ink[300:])[0, 1] > 0.9
    assert abs(predictions.mean() - ink[300:].mean()) < 0.05
    file, truth = read_json(submodel.fit_info, "image_training")["holdout_images"][0]
    assert truth == pytest.approx(ink[int(file.removesuffix(".png"))])


@pytest.mark.parametrize("augmentations", [[], ["horizontal_flip"]])
def test_pretrained_weights_are_used_and_none_of_them_is_changed(
    digits, tmp_path, monkeypatch, augmentations
):
    directory, labels = digits
    arrays = random_arrays("mobilenet", seed=5)
    cache = tmp_path / "cache"
    cache.mkdir()
    write_file(cache / weights_url("mobilenet").rsplit("/", 1)[1], arrays)
    monkeypatch.setenv("BIGML_SENSENET_CACHE_PATH", str(cache))
    job = image_job(
        directory,
        labels[:40],
        base_image_network="mobilenet",
        image_training_type="use_pretrained",
        input_image_shape=[32, 32, 3],
        max_iterations=8,
        output_directory=str(tmp_path / "out"),
        image_augmentations=augmentations,
    )
    result, submodel = train(job)
    assert result["iterations"] == 8
    stored = [array for _, layer in stored_weights(submodel.weights) for array in layer]
    given = [array for layer in arrays[:-1] for array in layer]  # without the readout
    assert len(stored) == len(given) + 4
    assert all(np.array_equal(one, other) for one, other in zip(stored, given, strict=False))


@pytest.mark.parametrize("training_type", ["randomly_initialize", "fine_tune", "use_pretrained"])
@pytest.mark.parametrize("augmentations", [[], ["horizontal_flip"]])
def test_the_same_seed_gives_the_same_weights_from_memory_and_from_disk(tiny, training_type, augmentations):
    job = tiny(
        image_training_type=training_type,
        image_augmentations=augmentations,
        rescale_type="pad",
        input_image_shape=[20, SIDE, 3],
        patience=1,
    )
    outcomes = []
    for changes in ({}, {"max_data_size": 0}, {"seed": 2}):
        _, submodel = train(job | changes)
        outcomes.append(weights(submodel))
    assert outcomes[0] == outcomes[1] != outcomes[2]


@pytest.mark.parametrize(
    "options",
    [
        {"balance_objective": True},
        {"class_weights": [["3", 5.0], ["4", 1.0]]},
        {"label_smoothing_factor": 0.2},
        {"learning_rate_warmup_iterations": 6},
        {"image_augmentations": ["horizontal_flip"]},
        {"cheat_on_validation": True},
        {"loss_function": "kl_divergence"},
        {"descent_algorithm": "momentum"},
    ],
    ids="+".join,
)
def test_every_option_changes_the_training(tiny, options):
    _, submodel = train(tiny())
    plain = weights(submodel)
    _, submodel = train(tiny(**options))
    if options != {"loss_function": "kl_divergence"}:  # which has the gradient of cross-entropy
        assert weights(submodel) != plain


def test_instance_weights_weigh(tiny, digits):
    rows = [
        {"file": f"{number}.png", "label": int(label), "weight": float(number % 2)}
        for number, label in enumerate(digits[1][:80])
    ]
    info_list = tiny()["info_list"]
    weight = {"index": 2, "type": "numeric", "mean": 0.5, "stdev": 0.5}
    _, submodel = train(
        tiny(image_training_data=rows, instance_weights=True, info_list=[info_list[0], weight, info_list[1]])
    )
    assert read_json(submodel.fit_info, "image_training")["weight_index"] == 2
    del rows[7]["weight"]
    with pytest.raises(DataError, match='row 7: "weight": missing; a row needs it'):
        train(tiny(image_training_data=rows))


def test_rows_come_from_a_json_or_a_ser_file_all_the_same(tiny, digits, tmp_path):
    job = tiny()
    _, submodel = train(job)
    expected = weights(submodel)
    as_json = tmp_path / "rows.json"
    as_json.write_text(json.dumps(job.pop("image_training_data")))
    _, submodel = train(job | {"cache_file": str(as_json)})
    assert weights(submodel) == expected
    as_ser = tmp_path / "rows.ser"
    write_ser(as_ser, [[f"{i}.png", int(label)] for i, label in enumerate(digits[1][:80])], job["info_list"])
    _, submodel = train(job | {"cache_file": str(as_ser), "cache_rows": 80})
    assert weights(submodel) == expected


def test_numbers_of_a_ser_are_standardised_and_every_image_field_is_an_example(tiny, tmp_path):
    info_list = [
        {"index": 0, "type": "image"},
        {"index": 1, "type": "image"},
        {"index": 2, "type": "numeric", "mean": 100.0, "stdev": 10.0},
    ]
    as_ser = tmp_path / "rows.ser"
    write_ser(as_ser, [[f"{i}.png", f"{i + 20}.png", 100.0 + i] for i in range(20)], info_list)
    numeric = {"objective_type": "numeric", "loss_function": "huber", "layers": [dense(1, None)]}
    job = tiny(**numeric, info_list=info_list, return_holdout_images=True)
    del job["image_training_data"]
    _, submodel = train(job | {"cache_file": str(as_ser), "cache_rows": 20, "holdout_rate": 0.9})
    held_out = read_json(submodel.fit_info, "image_training")["holdout_images"]
    assert len(held_out) > 25
    assert all(truth == pytest.approx(100 + int(file[:-4]) % 20) for file, truth in held_out)


def test_missing_images_of_a_ser_are_left_out_with_a_word(tiny, tmp_path):
    info_list = [*({"index": i, "type": "image"} for i in range(2)), {**tiny()["info_list"][1], "index": 2}]
    as_ser, job = tmp_path / "rows.ser", tiny(info_list=info_list, return_holdout_images=True)
    del job["image_training_data"]
    job |= {"cache_file": str(as_ser), "cache_rows": 40, "holdout_rate": 0.9}
    write_ser(as_ser, [[f"{i}.png", "" if i % 4 else f"{i + 40}.png", i % 10] for i in range(40)], info_list)
    lines: list[dict[str, Any]] = []
    _, submodel = train(job, lambda progress, **facts: lines.append(facts))
    assert any(line.get("message", "").startswith("warning: 30 images of the rows") for line in lines)
    held_out = read_json(submodel.fit_info, "image_training")["holdout_images"]
    assert all(truth == str(int(file[:-4]) % 40 % 10) for file, truth in held_out)
    write_ser(as_ser, [["", "", 1]] * 40, info_list)
    with pytest.raises(DataError, match="all images are missing"):
        train(job)


def test_a_weight_of_null_is_none(tiny):
    rows = [row | {"weight": None} for row in tiny()["image_training_data"]]
    assert weights(train(tiny(image_training_data=rows))[1]) == weights(train(tiny())[1])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"file": "0.png", "label": "ten"},
            'row 1: "label": found "ten", which is not among',
        ),
        (
            {"file": "0.png", "label": 10},
            "row 1: .*found 10, allowed is a value.*from 0 to 9",
        ),
        ({"file": "0.png", "label": -1}, "row 1: .*found -1"),
        ({"file": "0.png", "label": True}, "row 1: .*found true"),
        ({"file": "0.png"}, 'row 1: "label": missing; a row needs it: a value'),
        ({"label": 1}, 'row 1: "file": missing; a row needs it: the name'),
        ({"file": 7, "label": 1}, 'row 1: "file": found 7, allowed is the name'),
        (
            {"file": "0.png", "label": 1, "weight": -1},
            '2 of 2 rows.*row 0: "weight": missing.*row 1: "weight": found -1',
        ),
        ("0.png", 'row 1: found "0.png", allowed is an object'),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tiny, row, message):
    with pytest.raises(DataError, match=f"(?s)image_training_data.*{message}"):
        train(tiny(image_training_data=[{"file": "0.png", "label": "3"}, row]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "empty list"),
        ("{}", "allowed is a list"),
        ("[", "expected a .ser file, or JSON"),
        (None, "cannot be read"),
    ],
)
def test_a_file_of_rows_that_cannot_be_used_is_named(tiny, tmp_path, content, message):
    path = tmp_path / "rows.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=f"rows.json.*{message}"):
        train(tiny(image_training_data=None, cache_file=str(path)))


def test_all_images_that_cannot_be_read_are_named_at_once_or_left_out(tiny, tmp_path, digits):
    broken = tmp_path / "broken.png"
    broken.write_bytes((digits[0] / "0.png").read_bytes()[:60])
    rows = tiny()["image_training_data"]
    rows += [{"file": f"missing{i}.png", "label": 1} for i in range(22)]
    rows.insert(3, {"file": str(broken), "label": 1})
    with pytest.raises(
        DataError, match=r"(?s)23 of 103 images.*broken\.png.*missing18.png.*and 3 more"
    ) as caught:
        train(tiny(image_training_data=rows, allow_outside_root=True))
    assert "missing19.png" not in str(caught.value)
    _, submodel = train(tiny())
    expected = weights(submodel)
    _, submodel = train(tiny(image_training_data=rows, allow_outside_root=True, skip_invalid_images=True))
    assert weights(submodel) == expected
    skipped = read_json(submodel.fit_info, "image_training")["skipped_images"]
    assert len(skipped) == 23
    assert skipped[0]["file"] == str(broken)
    with pytest.raises(DataError, match="2 of 2 images"):
        train(tiny(image_training_data=rows[-2:], skip_invalid_images=True))


def test_files_that_ask_for_a_rotation_are_counted_where_it_is_off(tiny, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((20, 10, 3), np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    rows = [*tiny()["image_training_data"], {"file": str(tmp_path / "turned.jpg"), "label": 1}]
    changes = {"image_training_data": rows, "allow_outside_root": True}
    assert "warning: 1 of 81 images ask for a rotation" in messages(tiny(**changes))
    job = tiny(**changes, exif_rotation=True)
    assert "ask for a rotation" not in messages(job)
    _, submodel = train(job)
    assert read_json(submodel.fit_info, "")["image_network"]["metadata"]["exif_rotation"] is True


def test_a_class_with_one_image_is_learnt_with_a_warning_also_where_others_were_left_out(tiny):
    rows = [row for row in tiny()["image_training_data"] if row["label"] != 0]
    rows += [{"file": "0.png", "label": 0}, {"file": "missing.png", "label": 0}]
    job = tiny(
        image_training_data=rows, skip_invalid_images=True, return_holdout_images=True, holdout_rate=0.9
    )
    assert 'warning: a single row is of "0": such a class is learnt' in messages(job)
    held_out = read_json(
        Path(job["output_directory"]) / "submodel_initial_model_0_randomly_initialize/model_fit_info.json", ""
    )
    assert {truth for _, truth in held_out["holdout_images"]} == set("123456789")


def test_classes_without_images_are_told(tiny):
    rows = [row for row in tiny()["image_training_data"] if row["label"] in (1, 2, 3, 4, 5)]
    assert "no image is of 0, 6, 7, 8, 9" in messages(tiny(image_training_data=rows))


def test_augmentations_that_are_not_used_are_told(tiny):
    ignored = tiny(image_augmentations=["zoom"], augmentation_ranges={"blur": None}, max_iterations=1)
    assert "warning: image_augmentations is not used" in messages(ignored)
    assert "warning" not in messages(tiny(image_augmentations=["zoom"], max_iterations=1))


def test_one_class_is_learnt(tiny):
    info_list = [{"index": 0, "type": "image"}, {"index": 1, "type": "categorical", "values": ["it"]}]
    rows = [{"file": f"{i}.png", "label": "it"} for i in range(40)]
    result, _ = train(tiny(info_list=info_list, image_training_data=rows, layers=[dense(1, "softmax")]))
    assert result["validation_metrics"]["accuracy"] == 1


def test_iterations_time_and_progress(tiny):
    lines = [line for line in told(tiny(max_iterations=9, patience=1)) if "iterations" in line]
    assert lines[-1]["iterations"] <= 9
    assert {"likelihood", "accuracy", "checks", "seconds_per_iteration", "time_elapsed"} <= lines[0].keys()
    result, _ = train(tiny(max_iterations=0))
    assert result["iterations"] == 0
    result, _ = train(tiny(max_iterations=None, max_training_time=0.0))
    assert result["iterations"] == 1


def test_fixed_features_are_reported_and_end_with_the_time(tiny):
    job = tiny(image_training_type="use_pretrained")
    lines = told(job)
    assert "features of 80 of 80 images" in [line.get("message") for line in lines]
    result, _ = train(job | {"max_iterations": None, "max_training_time": 0.0})
    assert result["iterations"] == 1
    lines = told(job | {"max_iterations": None, "max_training_time": 0.0})
    assert "features of 80 of 80 images" not in [line.get("message") for line in lines]


def test_no_phase_begins_when_the_time_is_over(tiny):
    lines = told(tiny(max_iterations=None, max_training_time=0.0, patience=1))
    assert sum(line.get("message", "").startswith("phase") for line in lines) == 1


def test_phases_go_on_from_each_other_and_all_have_their_turn(tiny):
    lines = told(tiny(max_iterations=None, patience=1, max_training_time=60))
    phases = [line["message"] for line in lines if line.get("message", "").startswith("phase")]
    assert phases == [f"phase {number} of 3: all layers" for number in (1, 2, 3)]
    iterations = [line["iterations"] for line in lines if "iterations" in line]
    assert iterations == sorted(iterations)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"layers": [dense(3, "softmax")]}, SettingsError, "/layers/0: .*3 outputs.*needs 10"),
        ({"layers": []}, SettingsError, "/layers"),
        (
            {"base_image_network": "simple", "initial_model": None, "input_image_shape": None},
            SettingsError,
            "width",
        ),
        (
            {"base_image_network": "initial_model", "initial_model": None},
            SettingsError,
            "/initial_model: missing",
        ),
        ({"initial_model": "nowhere.json"}, WorkspaceError, "nowhere.json.*cannot be read"),
        (
            {"base_image_network": "simple", "initial_model": None, "image_training_type": "fine_tune"},
            SettingsError,
            "/image_training_type.*no pretrained weights of simple",
        ),
        (
            {"base_image_network": "yolov4", "initial_model": None, "input_image_shape": None},
            SettingsError,
            "boxes",
        ),
    ],
)
def test_what_cannot_be_trained_is_a_clear_error(tiny, changes, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        train(tiny(**changes))


def test_weights_that_cannot_be_had_are_a_clear_error(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("BIGML_SENSENET_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("BIGML_SENSENET_WEIGHTS_URL", (tmp_path / "bucket").as_uri())
    job = tiny(base_image_network="resnet18", initial_model=None, image_training_type="fine_tune")
    with pytest.raises(WeightsError, match="resnet18"):
        train(job)


def test_a_readout_that_does_not_fit_the_features_is_drawn_anew(tiny, tmp_path):
    document = tiny_model(VALUES)
    document["image_network"]["layers"][-1] = {"type": "flatten"}
    document["image_network"]["metadata"]["outputs"] = 256
    path = tmp_path / "flat.json"
    path.write_bytes(dumps(document))
    job = tiny(initial_model=str(path), image_training_type="fine_tune", input_image_shape=[24, 24, 3])
    reason = "it takes 256 features, and the image network gives 576 here"
    assert (
        f"the readout is drawn anew, as that of the initial_model cannot be taken over: {reason}"
        in messages(job)
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"layers": [dense(8, "relu"), dense(10, "softmax")]}, "its layers are of other widths"),
        ({"layers": [dense(10, "softmax")]}, "its layers are of other types"),
        (
            {
                "info_list": [
                    {"index": 0, "type": "image"},
                    {"index": 1, "type": "categorical", "values": VALUES[::-1]},
                ]
            },
            "its classes are others",
        ),
        ({}, None),
        ({"layers": [dense(10, "softmax")], "image_training_type": "randomly_initialize"}, None),
    ],
)
def test_a_readout_that_is_not_taken_over_is_told(tiny, tmp_path, changes, reason):
    document = tiny_model(VALUES)
    document["image_network"]["metadata"]["outputs"] = 16
    path = tmp_path / "sixteen.json"
    path.write_bytes(dumps(document))
    text = messages(
        tiny(initial_model=str(path), image_training_type="fine_tune", max_iterations=2) | changes
    )
    assert ("cannot be taken over" in text) == (reason is not None)
    assert reason is None or reason in text


@pytest.mark.parametrize(("asked", "used"), [({}, "pad"), ({"rescale_type": "warp"}, "warp")])
def test_images_are_rescaled_as_those_of_the_initial_model_unless_the_job_says_how(
    tiny, tmp_path, asked, used
):
    document = tiny_model(VALUES)
    document["image_network"]["metadata"]["rescale_type"] = "pad"
    path = tmp_path / "padded.json"
    path.write_bytes(dumps(document))
    _, submodel = train(tiny(initial_model=str(path), max_iterations=2) | asked)
    assert read_json(submodel.fit_info, "")["image_network"]["metadata"]["rescale_type"] == used


def test_images_are_cropped_where_nothing_says_how(tiny):
    _, submodel = train(tiny(max_iterations=2))
    assert read_json(submodel.fit_info, "")["image_network"]["metadata"]["rescale_type"] == "crop"


def test_a_readout_without_weights_can_be_used_as_it_is(tiny, tmp_path):
    document = tiny_model(VALUES)
    document["image_network"]["layers"] = [*convolution(10), {"type": "global_average_pool_2d"}]
    path = tmp_path / "ten.json"
    path.write_bytes(dumps(document))
    softmax = {"type": "activation", "activation_function": "softmax"}
    job = tiny(initial_model=str(path), image_training_type="use_pretrained", layers=[softmax])
    assert train(job)[0]["validation_metrics"]["auc"] >= 0


def test_an_image_that_stands_twice_in_a_batch_is_changed_in_two_ways():
    pixels = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    make = batch_maker(
        ImageStore(["a.png"], None, pixels),
        np.zeros(1, np.int64),
        np.ones((1, 1), np.float32),
        None,
        make_sampler(np.zeros(1, np.int64), 0, 1, 8, False, 0.0),
        augmenter(parse_augmentations(["brightness"], None), 1),
    )
    images = make(0).inputs.numpy()
    assert len({image.tobytes() for image in images}) == len(images)
    assert np.array_equal(images, make(0).inputs.numpy())


def test_a_training_is_not_lost_for_want_of_its_report(tiny):
    job = tiny()
    (Path(job["output_directory"]) / "report.html").mkdir(parents=True)
    assert "warning: there is no report: " in messages(job)
    _, submodel = train(job)
    assert submodel.fit_info.exists()


def test_an_initial_model_without_images_is_refused(tiny, tmp_path):
    path = tmp_path / "model.json"
    document = tiny_model(VALUES) | {"image_network": None}
    path.write_bytes(
        dumps(document | {"preprocess": [{"type": "numeric", "index": 0, "mean": 0, "stdev": 1}]})
    )
    with pytest.raises(WorkspaceError, match="has no image_network"):
        train(tiny(initial_model=str(path)))


def test_images_of_any_size_and_form_are_read(tiny, tmp_path):
    rng = np.random.default_rng(0)
    for number, shape in enumerate([(5, 9), (40, 30, 3), (16, 16, 4), (300, 2, 3)]):
        write_image(tmp_path / f"{number}.png", rng.integers(0, 256, shape))
    rows = [{"file": str(tmp_path / f"{i % 4}.png"), "label": i % 3} for i in range(40)]
    for rescale_type in ("warp", "pad", "crop"):
        changes = {"rescale_type": rescale_type, "max_iterations": 2, "image_root": str(tmp_path)}
        result, _ = train(tiny(image_training_data=rows, **changes))
        assert result["iterations"] == 2
