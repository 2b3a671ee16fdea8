"""The report of a real training of a detector, opened in a browser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from browser import browse, needs_browser, screenshot
from image_jobs import write_image
from report_pages import Page, sections

from pyramid.commands.tensorboard import event_log
from pyramid.jobs.image_training import run
from pyramid.progress import ignore
from pyramid.report_page.data import parse_report
from pyramid.report_page.render import render
from pyramid.settings.base_settings import BaseSettings
from pyramid.train.checks import HoldoutCheck, call_both
from pyramid.workspace import Workspace

SIDE, N_IMAGES = 64, 20
CLASSES = ("dark", "light")
SECTIONS = ["curves", "answers", "drawn", "false", "missed", "augmented", "settings"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, list[HoldoutCheck]]:
    """The directory and the checks of a short training on squares."""
    directory = tmp_path_factory.mktemp("detector")
    job = {
        "job_type": "image_training",
        "objective_type": "bounding_box",
        "output_directory": str(directory / "out"),
        "seed": 1,
        "base_image_network": "tinyyolov4",
        "image_training_type": "randomly_initialize",
        "info_list": [
            {"type": "image", "index": 0},
            {"type": "bounding_box", "index": 1, "values": list(CLASSES)},
        ],
        "image_training_data": write_squares(directory),
        "image_root": str(directory),
        "layers": [],
        "batch_size": 8,
        "descent_algorithm": "adam",
        "learning_rate": 0.001,
        "max_iterations": 3,
        "input_image_shape": [SIDE, SIDE, 3],
        "image_augmentations": ["horizontal_flip"],
    }
    checks: list[HoldoutCheck] = []
    with event_log(directory / "events") as log:
        run(
            BaseSettings(job),
            Workspace.create(directory / "out"),
            ignore,
            call_both(checks.append, log),
        )
    return directory, checks


def write_squares(directory: Path) -> list[dict]:
    rng, rows = np.random.default_rng(0), []
    for number in range(N_IMAGES):
        x, y = rng.integers(0, SIDE - 24, 2).tolist()
        pixels = np.full((SIDE, SIDE, 3), 128)
        pixels[y : y + 24, x : x + 24] = 255 * (number % 2)
        write_image(directory / f"{number}.png", pixels)
        rows.append({"file": f"{number}.png", "boxes": [[x, y, x + 24, y + 24, CLASSES[number % 2]]]})
    return rows


def test_its_page_is_made_of_its_data(trained):
    directory, checks = trained
    (stored,) = (directory / "out").glob("submodel_*/report.json")
    data = parse_report(json.loads(stored.read_text()))
    text = (directory / "out" / "report.html").read_text()
    assert text == render(data)
    assert sections(Page(text)) == SECTIONS
    assert [row.name for row in data.answers.rows] == list(CLASSES)
    # each image has one box
    assert sum(row.truths for row in data.answers.rows) == len(checks[0].answers.truth)
    assert [check.iteration for check in data.checks] == [check.iteration for check in checks]
    assert data.checks[-1].metrics["total_loss"] == -checks[-1].metrics["total_loss"] > 0
    assert len(data.sheet) == 8


def test_each_check_comes_with_what_the_detector_says(trained):
    _, checks = trained
    for check in checks:
        answers = check.answers
        assert answers is not None
        assert answers.objective.evaluate(answers.truth, answers.outputs) == check.metrics
        assert answers.look(np.array([0]))[0][1].shape == (SIDE, SIDE, 3)


def test_its_event_file_has_pictures(trained):
    directory, checks = trained
    (file,) = (directory / "events").iterdir()
    tags = {
        value.tag: event.step
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    }
    assert tags["holdout_images"] in [check.iteration for check in checks if check.kept]


@needs_browser
def test_a_browser_shows_every_section(trained, tmp_path):
    page = trained[0] / "out" / "report.html"
    document = browse(page, tmp_path, "--dump-dom")
    for heading in ("Truth and prediction", "Holdout images", "False boxes", "Missed boxes"):
        assert f"<h2>{heading}</h2>" in document
    pixels = screenshot(page, tmp_path, 1300, 3000)
    assert (pixels != pixels[0, 0]).any(axis=2).any(axis=1).sum() > 1000
