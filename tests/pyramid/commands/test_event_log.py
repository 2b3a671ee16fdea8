"""Event files of checks that never were, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pyramid.commands.tensorboard import event_log
from pyramid.fields import parse_objective
from pyramid.fields.boxes import BoxAnswers
from pyramid.report_page.answers.box_galleries import DRAWN_SIDE, N_DRAWN
from pyramid.train.checks import HoldoutAnswers, HoldoutCheck
from sensenet.drawing import PALETTE

SIZE = (64, 96)
IMAGES = "holdout_images"


def boxes(n_images: int) -> HoldoutAnswers:
    """A true box in each image, found in all but the first."""
    corners = np.tile(np.float32([[[10, 10, 60, 50]]]), (n_images, 1, 1))
    scores = np.full((n_images, 1), 0.9, np.float32)
    scores[0] = 0
    return HoldoutAnswers(
        parse_objective({"type": "bounding_box", "values": ["cat"]}),
        np.concatenate([corners, np.zeros((n_images, 1, 1), np.float32)], axis=2),
        BoxAnswers(np.zeros((n_images, 3)), corners, scores, np.zeros((n_images, 1), np.int32)),
        lambda places: [(f"{place}.png", np.full((*SIZE, 3), 128, np.uint8)) for place in places],
    )


def classes() -> HoldoutAnswers:
    objective = parse_objective({"type": "categorical", "values": ["a", "b"]})
    return HoldoutAnswers(objective, np.array([0]), np.float32([[0.5, 0.5]]), lambda places: [])


def check(seconds: float, kept: bool, answers: HoldoutAnswers | None) -> HoldoutCheck:
    return HoldoutCheck(int(10 * seconds) + 1, seconds, 2.0, {"mAP_50": 0.5}, kept, 1, 0.1, answers)


def written(directory: Path, checks: list[HoldoutCheck]) -> dict[str, dict[int, tf.compat.v1.Summary.Value]]:
    with event_log(directory) as log:
        for one in checks:
            log(one)
    (file,) = directory.iterdir()
    found: dict[str, dict[int, tf.compat.v1.Summary.Value]] = {}
    for event in tf.compat.v1.train.summary_iterator(str(file)):
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = value
    return found


def test_pictures_of_the_holdout_are_records_of_the_image_plugin(tmp_path):
    (value,) = written(tmp_path, [check(0, True, boxes(50))])[IMAGES].values()
    assert value.metadata.plugin_data.plugin_name == "images"
    width, height, *files = tf.make_ndarray(value.tensor).tolist()
    assert (int(width), int(height), len(files)) == (DRAWN_SIDE, DRAWN_SIDE * SIZE[0] // SIZE[1], N_DRAWN)
    pictures = np.stack([tf.io.decode_png(file).numpy() for file in files])
    assert pictures.shape == (N_DRAWN, int(height), int(width), 3)
    # each has its true box, dashed in white, and all but the first what was found
    assert ((pictures == 255).all(axis=-1).sum(axis=(1, 2)) > 100).all()
    coloured = (pictures == PALETTE[0]).all(axis=-1).sum(axis=(1, 2)) > 100
    assert coloured.tolist() == [False, *[True] * (N_DRAWN - 1)]


def test_only_weights_that_are_kept_are_pictured_and_the_less_often_the_longer(tmp_path):
    times = [0, 1, 9.5, 10, 19, 21, 1000, 1011, 1099, 1101]
    checks = [check(seconds, seconds != 19, boxes(1)) for seconds in times]
    found = written(tmp_path, checks)
    assert list(found[IMAGES]) == [checks[place].iteration for place in (0, 3, 5, 6, 9)]
    assert list(found["holdout/mAP_50"]) == list(found["loss"]) == [one.iteration for one in checks]


@pytest.mark.parametrize("answers", [None, classes()])
def test_where_there_are_no_boxes_there_are_no_pictures(answers, tmp_path):
    found = written(tmp_path, [check(0, True, answers)])
    assert found.keys() == {"holdout/mAP_50", "loss", "learning_rate", "phase"}
    assert all(
        value.metadata.plugin_data.plugin_name == "scalars"
        for values in found.values()
        for value in values.values()
    )
