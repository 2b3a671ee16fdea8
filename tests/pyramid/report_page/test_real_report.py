"""Reports of real trainings, opened in a browser, and what TensorBoard reads of one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from browser import browse, needs_browser, screenshot
from image_jobs import SIDE, tiny_model, write_digits

from pyramid.commands import train
from sensenet.document.model import dumps

WIDTH, HEIGHT = 1300, 2600
HEADINGS = (
    "Candidates",
    "Learning curves",
    "Truth and prediction",
    "Worst holdout images",
    "Augmented training images",
    "Settings",
)
JOB = "initial_model_0_fine_tune"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A real training of a small network by `pyramid_train`; its directory has `out` and `events`."""
    directory = tmp_path_factory.mktemp("report")
    labels = write_digits(directory, 120)
    (directory / "model.json").write_bytes(dumps(tiny_model(list("0123456789"))))
    (directory / "config.json").write_text(json.dumps(config(directory, labels)))
    assert train.main([str(directory / "config.json"), "--tensorboard", str(directory / "events")]) == 0
    return directory


def config(directory, labels, **keys):
    return {
        "image_network_candidates": [["initial_model", str(directory / "model.json")]],
        "input_image_shape": [SIDE, SIDE, 3],
        "batch_size": 32,
        "descent_algorithm": "adam",
        "learning_rate": 0.01,
        "max_iterations": 60,
        "patience": 1,
        "max_total_time": 120,
        "image_root": str(directory),
        "image_augmentations": ["horizontal_flip"],
        "output_directory": str(directory / "out"),
        "training_data": [
            {"file": f"{number}.png", "label": f"digit {label}"} for number, label in enumerate(labels)
        ],
    } | keys


@needs_browser
def test_a_browser_shows_every_section(trained, tmp_path):
    page = trained / "out" / "report.html"
    document = browse(page, tmp_path, "--dump-dom")
    assert [heading for heading in HEADINGS if f"<h2>{heading}</h2>" not in document] == []
    pixels = screenshot(page, tmp_path, WIDTH, HEIGHT)
    assert pixels.shape[1] == WIDTH
    inked = (pixels != pixels[0, 0]).any(axis=2)
    # the page fills its width and a good part of its height, with colours
    assert inked.mean() > 0.05
    assert inked.any(axis=1).sum() > HEIGHT / 3
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100


def test_each_training_and_the_output_directory_have_a_page(trained):
    own, root = trained / "out" / f"submodel_{JOB}" / "report.html", trained / "out" / "report.html"
    assert "<h2>Candidates</h2>" in root.read_text()
    assert "<h2>Candidates</h2>" not in own.read_text()
    assert own.read_text().partition("<article>")[2] == root.read_text().partition("<article>")[2]
    assert root.stat().st_size < 300_000


def test_event_files_hold_every_check(trained):
    checks = json.loads((trained / "out" / f"submodel_{JOB}" / "report.json").read_text())["checks"]
    (file,) = (trained / "events" / JOB).iterdir()
    found: dict[str, dict[int, float]] = {}
    for event in tf.compat.v1.train.summary_iterator(str(file)):
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "scalars"
            found.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    assert len(checks) > 1
    expected = {f"holdout/{name}" for name in checks[0]["metrics"]}
    assert found.keys() == expected | {"loss", "learning_rate", "phase"}
    iterations = [check["iteration"] for check in checks]
    assert all(list(values) == list(dict.fromkeys(iterations)) for values in found.values())
    for check in checks:
        if iterations.count(check["iteration"]) == 1:
            assert found["loss"][check["iteration"]] == pytest.approx(check["loss"])
            assert found["learning_rate"][check["iteration"]] == pytest.approx(check["learning_rate"])
            assert found["holdout/accuracy"][check["iteration"]] == pytest.approx(
                check["metrics"]["accuracy"]
            )
    assert checks[0]["learning_rate"] == pytest.approx(0.01)


def test_without_the_option_there_are_no_event_files(trained):
    assert not list((trained / "out").rglob("*tfevents*"))


def test_an_events_directory_that_cannot_be_made_is_an_error(trained, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert train.main([str(trained / "config.json"), "--tensorboard", str(tmp_path / "file")]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_where_nothing_is_trained_there_is_nothing_to_log(trained):
    for option in ("--visualize", "--bigmlize"):
        with pytest.raises(SystemExit) as stopped:
            train.main([str(trained / "config.json"), "--tensorboard", "events", option])
        assert stopped.value.code == 2
