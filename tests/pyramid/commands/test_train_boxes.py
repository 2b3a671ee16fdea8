"""pyramid_train with boxes as people run it: what it shows, and what it leaves."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from box_jobs import CLASSES, SIDE, tiny_detector, write_rectangles
from PIL import Image

import sensenet
from pyramid.commands import train
from pyramid.commands.contact_sheet import LEAST_SIDE, MARGIN, TITLE, draw_sheet, labelled_picture
from pyramid.fields.boxes import BoxesObjective
from pyramid.report_page.units import ShownMetrics
from sensenet.document.model import dumps
from sensenet.drawing import PALETTE


@pytest.fixture
def config(tmp_path):
    """Writes configs of a training that begins with a small detector, and gives their path."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rows = write_rectangles(pictures, 48)
    model = tmp_path / "model.json"
    model.write_bytes(dumps(tiny_detector()))

    def write(**keys):
        whole = {
            "image_root": str(pictures),
            "training_data": rows,
            "input_image_shape": [SIDE, SIDE, 3],
            "image_network_candidates": [["initial_model", str(model)]],
            "batch_size": 16,
            "descent_algorithm": "adam",
            "learning_rate": 0.003,
            "max_iterations": 60,
            "max_total_time": 120,
            "output_directory": str(tmp_path / "out"),
        } | keys
        path = tmp_path / "config.json"
        path.write_text(json.dumps(whole))
        return path

    return write


@pytest.mark.slow
def test_the_best_candidate_by_map_becomes_a_detector(config, tmp_path, capsys):
    candidates = [
        ["initial_model", str(tmp_path / "none.json")],
        ["initial_model", str(tmp_path / "model.json")],
    ]
    assert train.main([str(config(image_network_candidates=candidates, loss_function="huber"))]) == 0
    captured = capsys.readouterr()
    assert "warning: not used where boxes are to be found: loss_function" in captured.err
    heading, failed, best, where = captured.out.splitlines()[-4:]
    assert heading.split() == ["candidate", "mAP_50", "total_loss", "iterations", "seconds"]
    assert re.search(r"none\.json +failed: ", failed)
    shown = re.fullmatch(r"\* initial_model \S+ +(\S+) +(\S+) +60 +\S+", best)
    document = json.loads((tmp_path / "out" / "final_model.json").read_text())
    measured = document["validation_metrics"]
    assert float(shown[1]) == pytest.approx(measured["mAP_50"], abs=1e-4)
    assert float(shown[2]) == pytest.approx(-measured["total_loss"], abs=1e-4)
    assert "final_model.json" in where
    checks = [line for line in captured.out.splitlines() if "  iteration " in line]
    assert checks
    assert all(float(line.split()[-1]) > 0 for line in checks), "losses are positive for people"
    detector = sensenet.create_model(document)
    assert detector.classes == CLASSES


def test_what_is_wrong_is_told_before_anything_is_made(config, tmp_path, capsys):
    rows = [{"file": "0.png", "boxes": [[5, 5, 1, 9, "cat"]]}, {"file": "1.png", "label": "cat"}]
    assert train.main([str(config(training_data=rows))]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[2] for line in lines] == [
        "/training_data/0/boxes/0",
        "/training_data/1/label",
        "/training_data/1/boxes",
    ]
    assert not (tmp_path / "out").exists()


def test_boxes_are_shown_as_training_sees_them(config, tmp_path, monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    sheets = []
    for ranges in ({}, {"horizontal_flip": True, "rotation": 20}):
        sheet = tmp_path / f"{len(sheets)}.png"
        path = config(augmentation_ranges=ranges)
        assert train.main(["--visualize=2", "--output", str(sheet), str(path)]) == 0
        sheets.append(np.asarray(Image.open(sheet)))
    assert not (tmp_path / "out").exists()
    assert sheets[0].shape == sheets[1].shape
    assert not np.array_equal(*sheets)
    for sheet in sheets:
        for color in PALETTE[: len(CLASSES)]:
            assert (sheet == color).all(axis=-1).sum() > 500


def test_labels_of_boxes_are_written_for_bigml(config, tmp_path, capsys):
    rows = [{"file": "0.png", "boxes": [[1, 2, 3.5, 4, "cat"]], "weight": 2}, {"file": "1.png", "boxes": []}]
    assert train.main(["--bigmlize", str(config(training_data=rows))]) == 0
    assert json.loads((tmp_path / "out" / "metadata.json").read_text()) == [
        {"file": "0.png", "boxes": [{"xmin": 1, "ymin": 2, "xmax": 3.5, "ymax": 4, "label": "cat"}]},
        {"file": "1.png", "boxes": []},
    ]


def test_a_box_on_a_sheet_is_as_much_larger_as_its_picture():
    zoom = LEAST_SIDE // SIDE
    picture = labelled_picture(np.zeros((SIDE, SIDE, 3), np.uint8), [[4, 16, 12, 28, "cat"]])
    sheet = np.asarray(draw_sheet([[picture]]))[MARGIN + TITLE :, MARGIN:]
    rows, columns = np.nonzero((sheet[16 * zoom : 28 * zoom] == PALETTE[0]).all(axis=-1))
    assert (columns.min(), columns.max() + 1) == (4 * zoom, 12 * zoom)
    assert (rows.min(), rows.max() + 1) == (0, 12 * zoom)


def test_losses_are_shown_positive():
    shown = ShownMetrics.of_objective(BoxesObjective(values=CLASSES))
    assert shown.of({"mAP_50": 0.25, "total_loss": -3.5, "ciou_loss": -1}) == {
        "mAP_50": 0.25,
        "total_loss": 3.5,
    }
