from __future__ import annotations

from typing import Any

import pytest

from sensenet.errors import SettingsError
from sensenet.models.settings import INPUT_IMAGE_FORMATS, RESCALE_TYPES, RULES, Settings
from sensenet.preprocess import image, reading

GOOD = {
    "bounding_box_threshold": [0, 0.5, 1],
    "class_agnostic_nms": [True],
    "color_space": ["rgb", "BGRA"],
    "extract_image_features": [True],
    "image_path_prefix": ["images/", ""],
    "input_image_format": ["file", "image_bytes", "pixel_values"],
    "iou_threshold": [0.3],
    "load_pretrained_weights": [False],
    "max_objects": [1, 32],
    "output_unfiltered_boxes": [True],
    "pad_bounding_box_output": [True],
    "regression_normalize": [False],
    "rescale_type": ["warp", "pad", "crop"],
}
BAD = {
    "bounding_box_threshold": [-0.1, 1.5, "0.5", True],
    "class_agnostic_nms": ["yes"],
    "color_space": ["rgbx", "Rgb", 3],
    "extract_image_features": [1, "true"],
    "image_path_prefix": [3],
    "input_image_format": ["bytes"],
    "iou_threshold": [[0.5]],
    "load_pretrained_weights": [0],
    "max_objects": [0, 1.5, "3", float("inf"), float("nan"), True],
    "output_unfiltered_boxes": ["no"],
    "pad_bounding_box_output": [{}],
    "regression_normalize": [1.0],
    "rescale_type": ["PAD", 1],
}


def test_the_names_of_formats_and_rescale_types_are_those_that_are_implemented() -> None:
    assert tuple(INPUT_IMAGE_FORMATS) == tuple(name for name in reading.INPUT_IMAGE_FORMATS if name)
    assert RESCALE_TYPES == image.RESCALE_TYPES


def test_every_setting_is_tried() -> None:
    assert set(GOOD) == set(BAD) == set(RULES)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in GOOD for value in GOOD[name]])
def test_right_values_are_attributes(name: str, value: Any) -> None:
    assert getattr(Settings({name: value}), name) == value


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in BAD for value in BAD[name]])
def test_wrong_values_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: expected "):
        Settings({name: value})


def test_unknown_settings_are_refused_with_the_nearest_name_and_all_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings({"rescale": "pad", "max_objects": -1})
    assert 'rescale: there is no such setting; did you mean "rescale_type"?' in str(caught.value)
    assert "max_objects: expected an integer in [1, 100000], got -1" in str(caught.value)


@pytest.mark.parametrize("wrong", [[], "pad", 3])
def test_settings_are_an_object(wrong: Any) -> None:
    with pytest.raises(SettingsError, match="settings: expected an object or null"):
        Settings(wrong)


def test_null_counts_as_not_given() -> None:
    assert dict(Settings({"rescale_type": None, "max_objects": 3})) == {"max_objects": 3}
    assert Settings(None).rescale_type is None
    with pytest.raises(AttributeError, match="no setting 'rescale'"):
        _ = Settings().rescale
