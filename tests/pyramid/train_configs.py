"""Configs of `pyramid_train` for tests, and what is said of wrong ones."""

from __future__ import annotations

import pytest

from pyramid.commands.config import parse_config
from pyramid.errors import SettingsError

CLASSES = [{"file": f"{place}.png", "label": label} for place, label in enumerate("cabbac")]


def config(**keys):
    whole = {
        "image_network_candidates": [["simple", "randomly_initialize"], ["mobilenetv2", "fine_tune"]],
        "input_image_shape": [16, 8, 3],
        "batch_size": 20,
        "descent_algorithm": "adam",
        "learning_rate": 0.001,
        "max_total_time": 60,
        "output_directory": "out",
        "image_root": "images",
        "training_data": CLASSES,
    } | keys
    return {key: value for key, value in whole.items() if value is not ...}


def problems(broken):
    with pytest.raises(SettingsError) as caught:
        parse_config(broken)
    return {violation.path: violation.message for violation in caught.value.violations}
