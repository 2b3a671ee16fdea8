"""The config of pyramid_train: what follows from its rows, and everything that can be wrong with it."""

from __future__ import annotations

import pytest
from train_configs import CLASSES, config, problems

from pyramid.commands.candidates import Candidate
from pyramid.commands.config import parse_config
from pyramid.errors import DataError, SettingsError
from pyramid.images.rows import read_image_rows
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.options import RowOptions, job_fields

CLASS = {"type": "categorical", "index": 1, "values": ["a", "b", "c"]}
NUMBERS = [{"file": f"{place}.png", "label": place} for place in range(5)]


def test_strings_make_a_categorical_objective_with_sorted_values():
    training = parse_config(config())
    job = training.job(training.candidates[0], 30)
    assert job.objective_type == "categorical"
    assert job.info_list == [
        {"type": "image", "index": 0},
        {"type": "categorical", "index": 1, "values": ["a", "b", "c"]},
    ]
    assert job.image_training_data == CLASSES
    assert job.seed == job.augmentation_seed == 42
    assert job.loss_function == "crossentropy"
    assert job.rescale_type is None
    assert job.job_id == "simple_randomly_initialize"
    assert job.max_training_time == 30


@pytest.mark.parametrize(
    ("good", "row"),
    [
        (CLASSES, {"file": "", "label": "a"}),
        (CLASSES, {"label": "a"}),
        (CLASSES, {"file": "x", "label": "b", "weight": "1"}),
        (CLASSES, 7),
        (NUMBERS, {"file": "x"}),
        (NUMBERS, {"file": "x", "label": "a"}),
        (NUMBERS, {"file": "x", "label": 1e300}),
    ],
)
def test_a_row_is_wrong_in_the_same_words_as_in_a_job(good, row):
    if isinstance(row, dict) and "weight" in row:
        good = [one | {"weight": 1} for one in good]
    training = parse_config(config(training_data=good))
    job = training.job(training.candidates[0], 30).as_dict()
    settings = BaseSettings(job | {"image_training_data": [*job["image_training_data"], row]})
    with pytest.raises(DataError) as caught:
        read_image_rows(RowOptions.of(settings), job_fields(settings))
    (message,) = problems(config(training_data=[*good, row])).values()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "network"),
    [
        ({"image_augmentations": ["spin"]}, {}),
        ({"augmentation_ranges": {"zoom": 7, "blur": -1}}, {}),
        ({"layers": [{"type": "dense"}]}, {}),
        ({"layers": [{"type": "activation", "activation_function": "rellu"}]}, {}),
        ({"layers": [{"type": "dense", "weights": "zeros", "number_of_nodes": 7}]}, {}),
        ({"input_image_shape": [4, 4, 3]}, {}),
        ({"batch_size": 0}, {}),
        ({}, {"base_image_network": "yolov4"}),
        ({}, {"image_training_type": "fine_tune"}),
    ],
)
def test_the_same_mistake_has_the_same_words_in_a_config_and_in_a_job(changes, network):
    training = parse_config(config(image_network_candidates=[["simple", "randomly_initialize"]]))
    job = training.job(training.candidates[0], 30).as_dict() | changes | network
    with pytest.raises(SettingsError) as caught:
        BaseSettings(job)
    named = {"base_image_network": "simple", "image_training_type": "randomly_initialize"} | network
    said = problems(config(image_network_candidates=[list(named.values())], **changes))
    for violation in caught.value.violations:
        words = violation.message.removesuffix(", xception")
        assert any(message.startswith(words) for message in said.values())


def test_a_class_of_one_image_may_be_trained():
    rows = [*CLASSES, {"file": "x", "label": "new"}]
    assert parse_config(config(training_data=rows)).images.objective.classes == ("a", "b", "c", "new")


def test_numbers_make_a_numeric_objective_and_are_standardised():
    training = parse_config(config(training_data=NUMBERS))
    job = training.job(training.candidates[0], 30)
    objective = job.info_list[-1]
    assert objective == {"type": "numeric", "index": 1, "mean": 2.0, "stdev": pytest.approx(2**0.5)}
    assert [row["label"] for row in job.image_training_data] == pytest.approx(
        [(i - 2) / 2**0.5 for i in range(5)]
    )
    assert job.loss_function == "mean_squared_error"
    assert job.layers[-1]["number_of_nodes"] == 1
    assert job.layers[-1]["activation_function"] is None


def test_equal_numbers_are_all_zero():
    training = parse_config(config(training_data=[row | {"label": 3.5} for row in NUMBERS]))
    assert {row["label"] for row in training.images.job_rows()} == {0.0}


def test_the_readout_is_dense_256_relu_and_a_softmax():
    training = parse_config(config())
    layers = training.job(training.candidates[0], 1).layers
    assert [layer.get("number_of_nodes") for layer in layers if layer["type"] == "dense"] == [256, 3]
    assert [layer["activation_function"] for layer in layers if layer.get("activation_function")] == [
        "relu",
        "softmax",
    ]


def test_what_is_given_stands():
    layers = [{"type": "dense", "number_of_nodes": 3, "weights": "zeros", "offset": "zeros"}]
    given = config(
        seed=7, layers=layers, patience=3, augmentation_seed=5, rescale_type="pad", max_training_time=4
    )
    training = parse_config(given)
    job = training.job(training.candidates[1], 30)
    assert (job.seed, job.layers, job.patience, job.augmentation_seed) == (7, layers, 3, 5)
    assert (job.rescale_type, job.max_training_time) == ("pad", 4)
    assert job.training_options == {key: value for key, value in given.items() if key != "training_data"}


def test_weights_are_kept_and_one_where_a_row_has_none():
    rows = [row | {"weight": 2} for row in CLASSES[:3]] + CLASSES[3:]
    training = parse_config(config(training_data=rows))
    assert [row["weight"] for row in training.images.job_rows()] == [2, 2, 2, 1, 1, 1]


def test_initial_models_are_candidates_by_pair_and_by_key():
    pairs = [["initial_model", "a.json"], ["simple", "randomly_initialize"], ["initial_model", "b.json"]]
    training = parse_config(config(image_network_candidates=pairs, initial_model="a.json"))
    assert [candidate.job_id for candidate in training.candidates] == [
        "initial_model_0_fine_tune",
        "simple_randomly_initialize",
        "initial_model_1_fine_tune",
    ]
    assert training.job(training.candidates[2], 1).initial_model == "b.json"
    alone = parse_config(config(image_network_candidates=..., initial_model="c.json"))
    assert alone.candidates == (Candidate("initial_model_0", "fine_tune", "c.json"),)


def test_a_stated_objective_orders_the_values():
    stated = [{"type": "categorical", "index": 4, "values": ["c", "b", "a", "z"]}]
    assert parse_config(config(info_list=stated)).images.objective.classes == ("c", "b", "a", "z")


def test_every_problem_is_told_at_once():
    found = problems(
        config(
            learning_rat=1,
            learning_rate=...,
            batch_size=0,
            descent_algorithm="adm",
            training_data=[{"file": "a.png"}, {"file": 3, "label": "x"}],
            image_network_candidates=[["simpel", "randomly_initialize"]],
            max_total_time=0,
        )
    )
    assert found.keys() == {
        "/learning_rat",
        "/learning_rate",
        "/batch_size",
        "/descent_algorithm",
        "/training_data/0/label",
        "/training_data/1/file",
        "/image_network_candidates/0/0",
        "/max_total_time",
    }
    assert "did you mean 'learning_rate'" in found["/learning_rat"]
    assert "did you mean 'adam'" in found["/descent_algorithm"]
    assert "did you mean 'simple'" in found["/image_network_candidates/0/0"]


@pytest.mark.parametrize(
    "key",
    [
        "batch_size",
        "descent_algorithm",
        "image_network_candidates",
        "input_image_shape",
        "learning_rate",
        "max_total_time",
        "output_directory",
        "training_data",
    ],
)
@pytest.mark.parametrize("absent", [..., None])
def test_a_key_that_is_needed_is_named(key, absent):
    found = problems(config(**{key: absent}))
    assert found[f"/{key}"].startswith("missing; pyramid_train needs it")
    assert len(found) == 1


@pytest.mark.parametrize(
    ("keys", "path", "message"),
    [
        ({"training_data": []}, "/training_data", "empty list"),
        ({"training_data": {"file": "a"}}, "/training_data", "allowed is a list"),
        ({"training_data": [3]}, "/training_data/0", "allowed is an object"),
        ({"training_data": [*CLASSES, {"file": "x", "label": 3}]}, "/training_data/6/label", "a string"),
        (
            {"training_data": [*NUMBERS, {"file": "x", "label": "y"}]},
            "/training_data/5/label",
            "a finite number",
        ),
        (
            {"training_data": [*NUMBERS, {"file": "x", "label": True}]},
            "/training_data/5/label",
            "a finite number",
        ),
        ({"training_data": [{"file": "x", "label": 1e300}]}, "/training_data/0/label", "found 1e+300"),
        ({"training_data": [CLASSES[0] | {"weight": -1}]}, "/training_data/0/weight", "at least 0"),
        ({"training_data": [CLASSES[0] | {"wight": 1}]}, "/training_data/0/wight", "unknown key"),
        (
            {"training_data": [*CLASSES, {"file": "x", "boxes": []}], "info_list": [CLASS]},
            "/training_data/6/boxes",
            "unknown key; a row has file, label, weight, as other rows have",
        ),
        (
            {"info_list": [{"type": "categorical", "index": 1, "values": ["a", "b"]}]},
            "/training_data/0/label",
            'found "c", which is not among the values',
        ),
        ({"bounding_box_anchors": [[0, 5]]}, "/bounding_box_anchors/0/0", "greater than 0"),
        ({"info_list": [{"type": "categorical"}]}, "/info_list", "leave info_list out"),
        ({"objective_type": "numeric"}, "/objective_type", "the labels of training_data are categorical"),
        ({"loss_function": "huber"}, "/loss_function", "the objective is categorical"),
        ({"input_image_shape": [16, 16]}, "/input_image_shape", "[width, height, 3]"),
        (
            {"input_image_shape": [2, 16, 3]},
            "/input_image_shape",
            "width: expected an integer in [8,",
        ),
        ({"batch/size~": 1}, "/batch~1size~0", "unknown key"),
        ({"rescale_type": "cropp"}, "/rescale_type", "did you mean 'crop'"),
        ({"max_data_size": "1GB"}, "/max_data_size", "an integer"),
        ({"holdout_set_size": 0}, "/holdout_set_size", "from 1 to 8192"),
        ({"balance_objective": 1}, "/balance_objective", "true or false"),
        ({"image_network_candidates": []}, "/image_network_candidates", "empty list"),
        ({"image_network_candidates": "simple"}, "/image_network_candidates", "a list"),
        ({"image_network_candidates": [["simple"]]}, "/image_network_candidates/0", "a pair of strings"),
        (
            {"image_network_candidates": [["yolov4", "fine_tune"]]},
            "/image_network_candidates/0/0",
            "finds boxes",
        ),
        ({"image_network_candidates": [["resnet18", "fine"]]}, "/image_network_candidates/0/1", "fine_tune"),
        (
            {"image_network_candidates": [["simple", "use_pretrained"]]},
            "/image_network_candidates/0/1",
            "no pretrained weights of simple",
        ),
        (
            {"image_network_candidates": [["simple", "randomly_initialize"]] * 2},
            "/image_network_candidates/1",
            "a second time",
        ),
        ({"initial_model": ""}, "/initial_model", "not empty"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(keys, path, message):
    found = problems(config(**keys))
    assert path in found
    assert message in found[path]
    assert {place.split("/")[1] for place in found} == {path.split("/")[1]}


def test_unknown_augmentations_and_wrong_ranges_are_told_with_the_rest():
    found = problems(config(image_augmentations=["zoomm"], batch_size=0))
    assert found.keys() == {"/image_augmentations/0", "/batch_size"}
    assert "did you mean 'zoom'" in found["/image_augmentations/0"]
    assert "/augmentation_ranges/zoom" in problems(config(augmentation_ranges={"zoom": 7}))


def test_no_more_than_twenty_rows_are_listed():
    found = problems(config(training_data=[{"file": "a.png"}] * 50))
    assert len(found) == 21
    assert found["/training_data"] == "30 more problems of this kind"


@pytest.mark.parametrize("whole", [[], 3, None, "text"])
def test_a_config_is_an_object(whole):
    assert "a config is a JSON object" in problems(whole)[""]
