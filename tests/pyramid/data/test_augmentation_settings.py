from __future__ import annotations

import pytest

from pyramid.errors import SettingsError
from pyramid.images.augment import AUGMENTATIONS, parse_augmentations

DEFAULTS = {
    "blur": 0.5,
    "brightness": 0.1,
    "color_invert": None,
    "contrast": 0.25,
    "cutout": 0.25,
    "deform": 0.1,
    "gaussian_noise": 0.1,
    "glare": 0.1,
    "height_shift": 0.1,
    "horizontal_flip": None,
    "rotation": 10,
    "shear": 10,
    "tint": 0.1,
    "vertical_flip": None,
    "width_shift": 0.1,
    "zoom": 0.1,
}
SWITCHES = [name for name, default in DEFAULTS.items() if default is None]


def chosen(names=None, ranges=None, **options):
    return dict(parse_augmentations(names, ranges, **options).chosen)


def test_the_sixteen_and_their_defaults_are_those_of_the_contract():
    assert {name: spec.default for name, spec in AUGMENTATIONS.items()} == DEFAULTS


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_name_a_null_and_the_default_mean_the_same(name):
    default = DEFAULTS[name]
    expected = {name: 1.0 if default is None else default}
    assert chosen([name], generation=True) == expected
    assert chosen(None, {name: None}, generation=True) == expected
    assert chosen(None, {name: True if default is None else default}, generation=True) == expected


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_value_outside_the_range_is_refused_with_the_range(name):
    spec = AUGMENTATIONS[name]
    if spec.default is None:
        assert chosen(None, {name: False}) == chosen(None, {name: 0}) == {}
        return
    assert chosen(None, {name: spec.highest}, generation=True) == {name: spec.highest}
    for value in (-0.01, spec.highest + 0.01, float("nan"), float("inf"), True, "0.1"):
        with pytest.raises(SettingsError, match=f"from 0 to {spec.highest:g}") as caught:
            parse_augmentations(None, {name: value})
        assert caught.value.violations[0].path == f"/augmentation_ranges/{name}"


def test_ranges_take_precedence_over_the_list():
    assert chosen(["blur", "zoom"], {"cutout": None, "horizontal_flip": 1, "zoom": 0.2}) == {
        "cutout": 0.25,
        "horizontal_flip": 1.0,
        "zoom": 0.2,
    }
    assert chosen(["blur"], {}) == {}
    assert chosen(None, None) == chosen([], None) == {}


def test_both_spellings_of_the_flips_are_one():
    names = ["flip_horizontal", "flip_vertical"]
    assert chosen(names) == chosen(["horizontal_flip", "vertical_flip"]) == chosen(names * 2)
    assert chosen(None, {"flip_vertical": True}) == {"vertical_flip": 1.0}
    with pytest.raises(SettingsError, match="same as vertical_flip"):
        parse_augmentations(None, {"vertical_flip": True, "flip_vertical": False})


def test_unknown_names_are_all_reported_with_the_names_there_are():
    with pytest.raises(SettingsError) as caught:
        parse_augmentations(["rotate", "zoom", "sepia"], None)
    first, second = caught.value.violations
    assert (first.path, second.path) == ("/image_augmentations/0", "/image_augmentations/2")
    assert all(name in first.message for name in AUGMENTATIONS)
    assert "did you mean 'rotation'?" in first.message
    with pytest.raises(SettingsError, match="/foreground_ranges/sepia"):
        parse_augmentations(None, {"sepia": 1}, keys=("foreground", "foreground_ranges"))


def test_deform_is_left_out_of_training():
    assert chosen(["deform", "blur"]) == {"blur": 0.5}
    assert chosen(["deform"], generation=True) == {"deform": 0.1}


def test_the_order_of_the_names_does_not_matter_and_zero_is_off():
    one, other = parse_augmentations(["zoom", "blur"], None), parse_augmentations(["blur", "zoom"], None)
    assert one == other
    assert hash(one) == hash(other)
    assert chosen(None, {"zoom": 0}) == {}


def test_the_words_say_what_was_chosen_and_how_strong():
    chosen_ones = parse_augmentations(
        None, {"zoom": 0.25, "horizontal_flip": True, "rotation": None, "blur": 0}
    )
    assert sorted(chosen_ones.words()) == ["horizontal_flip", "rotation 10", "zoom 0.25"]
