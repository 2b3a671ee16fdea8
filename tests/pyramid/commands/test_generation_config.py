"""The config of pyramid_generate: defaults, what is handed on, and everything that can be wrong with it."""

from __future__ import annotations

import pytest

from pyramid.commands.generation_config import OWN_KEYS, parse_generation
from pyramid.errors import SettingsError
from pyramid.settings.validate import GENERATION_DEFAULT, schema


def config(**keys):
    whole = {
        "objective_type": "categorical",
        "foreground_image_root": "cutouts",
        "background_image_root": "backgrounds",
        "generated_dataset_size": 10,
        "input_image_shape": [32, 24, 3],
        "output_directory": "out",
    } | keys
    return {key: value for key, value in whole.items() if value is not ...}


def problems(broken):
    with pytest.raises(SettingsError) as caught:
        parse_generation(broken)
    return {violation.path: violation.message for violation in caught.value.violations}


def test_defaults_are_those_of_the_schema():
    options = parse_generation(config()).options
    properties = schema()["properties"]
    assert {key for key, rule in properties.items() if GENERATION_DEFAULT in rule} <= OWN_KEYS
    assert options.max_foregrounds == properties["max_foreground_images"][GENERATION_DEFAULT] == 1
    assert list(options.occupancy) == properties["occupancy_range"][GENERATION_DEFAULT] == [0.25, 0.75]
    assert (options.box_margin, options.empty_rate, options.random_background_rate) == (0, 0, 0)
    assert (options.seed, options.is_balanced, options.rescale_type) == (42, False, "crop")
    assert (options.width, options.height) == (32, 24)


def test_keys_of_generation_stay_and_all_others_are_handed_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = config(
        learning_rate=0.1, seed=7, batch_size=9, random_background_rate=0.5, image_root="elsewhere",
        image_augmentations=["zoom"], bounding_box_margin=None,
    )  # fmt: skip
    generation = parse_generation(given)
    assert generation.batch_size == 9
    rows = [{"file": "a/00000000.png", "label": "a"}]
    assert generation.training_config(rows) == {
        "objective_type": "categorical",
        "input_image_shape": [32, 24, 3],
        "learning_rate": 0.1,
        "seed": 7,
        "batch_size": 9,
        "image_augmentations": ["zoom"],
        "image_root": str(tmp_path / "out" / "train"),
        "output_directory": str(tmp_path / "out"),
        "training_data": rows,
    }
    assert generation.missing_for_training() == [
        "descent_algorithm", "image_network_candidates", "max_total_time"
    ]  # fmt: skip


def test_an_initial_model_takes_the_place_of_candidates():
    missing = parse_generation(config(initial_model="model.json")).missing_for_training()
    assert "image_network_candidates" not in missing
    assert "learning_rate" in missing


def test_deform_is_for_foregrounds_only():
    given = config(foreground_image_augmentations=["deform"], background_augmentation_ranges={"deform": 0.2})
    options = parse_generation(given).options
    assert options.foreground_augmentations.chosen == (("deform", 0.1),)
    assert options.background_augmentations.chosen == ()


@pytest.mark.parametrize("missing", ["foreground_image_root", "generated_dataset_size", "output_directory"])
def test_a_key_that_is_missing_is_named(missing):
    assert problems(config(**{missing: ...}))[f"/{missing}"].startswith("missing; pyramid_generate needs it")


def test_backgrounds_are_needed_unless_all_are_drawn():
    message = problems(config(background_image_root=..., random_background_rate=0.9))[
        "/background_image_root"
    ]
    assert "with random_background_rate 1 it is not" in message
    assert problems(config(background_image_root=""))["/background_image_root"].startswith("empty")
    drawn = config(background_image_root=..., random_background_rate=1)
    assert parse_generation(drawn).options.background_root is None


@pytest.mark.parametrize(
    ("keys", "path", "message"),
    [
        ({"ocupancy_range": [0, 1]}, "/ocupancy_range", "did you mean 'occupancy_range'"),
        (
            {"occupancy_range": [0.7, 0.2]},
            "/occupancy_range",
            "found [0.7, 0.2], allowed is [least, largest]",
        ),
        ({"occupancy_range": [0, 0]}, "/occupancy_range", "no largest of 0"),
        ({"occupancy_range": [-1, 0.5]}, "/occupancy_range/0", "found -1"),
        ({"occupancy_range": 0.5}, "/occupancy_range", "allowed is a list"),
        ({"objective_type": "numeric"}, "/objective_type", "one of categorical, bounding_box"),
        ({"objective_type": "triplet"}, "/objective_type", "not supported"),
        ({"max_foreground_images": 33}, "/max_foreground_images", "from 0 to 32"),
        ({"empty_image_rate": 1.5}, "/empty_image_rate", "from 0 to 1"),
        ({"empty_image_rate": 0.1}, "/background_label", "missing; images without foreground need a label"),
        ({"max_foreground_images": 0}, "/background_label", "missing"),
        ({"background_label": 7}, "/background_label", "allowed is a string"),
        ({"background_label": "a/b"}, "/background_label", "the name of a directory"),
        ({"background_label": ".."}, "/background_label", "the name of a directory"),
        ({"background_label": "é" * 128}, "/background_label", "the name of a directory"),
        ({"constant_box_label": ["a"]}, "/constant_box_label", "allowed is a string"),
        ({"input_image_shape": [32, 24, 1]}, "/input_image_shape/2", "found 1, allowed is 3"),
        ({"foreground_image_augmentations": ["zom"]}, "/foreground_image_augmentations/0", "'zoom'"),
        (
            {"background_augmentation_ranges": {"blur": 2}},
            "/background_augmentation_ranges/blur",
            "from 0 to 1",
        ),
        ({"image_augmentations": ["zom"]}, "/image_augmentations/0", "'zoom'"),
        ({"foreground_image_augmentations": "zoom"}, "/foreground_image_augmentations", "allowed is a list"),
        ({"learning_rate": -1}, "/learning_rate", "greater than 0"),
        ({"seed": 1.5}, "/seed", "an integer"),
        ({"occupancy_range": [0.5, 1e308]}, "/occupancy_range/1", "from 0 to 100"),
        ({"foreground_image_root": "a\0b"}, "/foreground_image_root", "null character"),
        ({"background_image_root": "a\0b"}, "/background_image_root", "null character"),
        ({"output_directory": "a\0b"}, "/output_directory", "null character"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(keys, path, message):
    told = problems(config(**keys))
    assert list(told) == [path]
    assert message in told[path]


def test_all_problems_are_told_in_the_order_of_the_keys():
    told = problems(
        config(generated_dataset_size=0, seed="a", wrong=1, occupancy_range=[2, 1], output_directory=...,
               background_image_augmentations=["zom"], empty_image_rate=0.5)
    )  # fmt: skip
    assert list(told) == [
        *(
            "/generated_dataset_size",
            "/seed",
            "/wrong",
            "/occupancy_range",
            "/background_image_augmentations/0",
        ),
        *("/output_directory", "/background_label"),
    ]


def test_of_very_many_problems_the_first_are_told():
    told = problems(
        {f"wrong {place}": 1 for place in range(2000)}
        | config(occupancy_range="a", random_background_rate="b")
    )
    assert 5 < len(told) < 2000


def test_boxes_need_no_label_for_empty_images_and_labels_no_directory():
    generation = parse_generation(
        config(objective_type="bounding_box", empty_image_rate=0.5, background_label="a/b")
    )
    assert generation.options.empty_rate == 0.5


@pytest.mark.parametrize("value", [[], 7, "a"])
def test_a_config_is_an_object(value):
    assert "a config is a JSON object" in problems(value)[""]
