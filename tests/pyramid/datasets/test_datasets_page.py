"""docs/datasets.md: its commands, on small lists in the real format, lead from them to a drawn detection."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from bad_server import Server, serving
from box_jobs import SIDE, Row, tiny_detector, write_rectangles
from open_images import CAR, NAMES, WHEEL, Lists, md5, write_class_lists
from PIL import Image

import sensenet
from pyramid.commands import dataset, evaluate, train
from sensenet.commands import convert, predict
from sensenet.document.model import dumps

PAGE = Path(__file__).parents[3] / "docs" / "datasets.md"
MAINS = {
    "pyramid_dataset": dataset.main,
    "pyramid_train": train.main,
    "pyramid_evaluate": evaluate.main,
    "sensenet_convert": convert.main,
    "sensenet_predict": predict.main,
}
LABELS = {"red": CAR, "blue": WHEEL}
COUNTS = {"train": 160, "validation": 32, "test": 16}
FAILING = ("gone", "html", "empty", "to_file")
WAYS = (*FAILING, "moved", "paused_once", "broken_once", "cut_once")
SHOWN_ID = "000a1249af2bc5f0"
QUICK = {
    "image_network_candidates": [["initial_model", "untrained.json"]],
    "input_image_shape": [SIDE, SIDE, 3],
    "learning_rate": 0.02,
    "max_iterations": 800,
    "max_total_time": 200,
}


def commands(heading: str) -> list[list[str]]:
    """The words of the commands in a section of the page."""
    section = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    (text,) = (one for one in section if one.startswith(f"{heading}\n"))
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line.removeprefix("$ ")) for line in lines if line.startswith("$ ")]


def run(command: list[str]) -> None:
    assert MAINS[command[0]](command[1:]) == 0, command


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> dict[str, list[tuple[bytes, Row]]]:
    """JPEG files with red and blue rectangles, and their rows, of each subset."""
    made = {}
    for seed, (subset, count) in enumerate(COUNTS.items()):
        folder = tmp_path_factory.mktemp(subset)
        rows = write_rectangles(folder, count + len(WAYS), 2 * SIDE, seed)
        for row in rows:
            path = folder / row["file"]
            Image.open(path).save(path.with_suffix(".jpg"), quality=95)
        made[subset] = [((folder / row["file"]).with_suffix(".jpg").read_bytes(), row) for row in rows]
    return made


@pytest.fixture
def server(drawn):
    pictures = {
        f"{subset}{number}.jpg": content
        for subset, some in drawn.items()
        for number, (content, _) in enumerate(some)
    }
    with serving(pictures) as server:
        yield server


def write_subset(folder: Path, subset: str, some: list[tuple[bytes, Row]], server: Server) -> None:
    """The lists of a subset; the server has trouble with its last images."""
    lists, ways = Lists(), ["good"] * (len(some) - len(WAYS)) + list(WAYS)
    for number, ((content, row), way) in enumerate(zip(some, ways, strict=True)):
        id_ = SHOWN_ID if (subset, number) == ("test", 0) else f"{number:016x}"
        lists.image(
            id_,
            server.url(way, f"{subset}{number}.jpg"),
            Subset=subset,
            OriginalMD5=md5(content),
            OriginalSize=len(content),
        )
        for *corners, name in row["boxes"]:
            x1, y1, x2, y2 = (side / (2 * SIDE) for side in corners)
            lists.box(id_, LABELS[name], (x1, x2, y1, y2))
    made = lists.write(folder / "made")
    (folder / subset).mkdir()
    (made / "images.csv").rename(folder / subset / "images.csv")
    (made / "boxes.csv").rename(folder / subset / "annotations-human-bbox.csv")


def write_classes(folder: Path) -> None:
    write_class_lists(folder)
    for name, real in (
        ("trainable.txt", "classes-bbox-trainable.txt"),
        ("descriptions.csv", "class-descriptions.csv"),
        ("hierarchy.json", "bbox_labels_600_hierarchy.json"),
    ):
        (folder / name).rename(folder / real)


def overlap(one: list[float], other: list[float]) -> float:
    """Intersection over union."""
    sides = [min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (0, 1)]
    common = max(0.0, sides[0]) * max(0.0, sides[1])
    return common / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - common)


@pytest.mark.slow
def test_six_commands_lead_from_the_lists_to_a_drawn_detection(
    tmp_path, monkeypatch, drawn, server, capsysbinary
):
    monkeypatch.chdir(tmp_path)
    # so that TensorFlow is not loaded in further processes
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    lists = tmp_path / "lists"
    lists.mkdir()
    for subset, some in drawn.items():
        write_subset(lists, subset, some, server)
    for path in (lists / "made").iterdir():
        path.unlink()
    write_classes(lists)
    Path("untrained.json").write_bytes(dumps(tiny_detector(("Car", "Wheel"))))
    Path("test.json").write_text(
        re.search(r"^```json title=test.json\n(.*?)^```", PAGE.read_text(), re.M | re.S)[1]
    )

    first, *others = commands("To a drawn detection")
    assert len(others) == 5
    run(first)
    failed = {one["id"] for one in json.loads(Path("vehicles/train/pictures/failed.json").read_text())}
    first_failing = COUNTS["train"]
    assert failed == {
        f"{number:016x}"
        for number in range(first_failing, first_failing + len(FAILING))
        if drawn["train"][number][1]["boxes"]
    }
    config = json.loads(Path("vehicles/config.json").read_text())
    Path("vehicles/config.json").write_text(json.dumps(config | QUICK))
    for command in others:
        run(command)

    *_, verified, line = capsysbinary.readouterr().out.decode().splitlines()
    assert json.loads(verified)["verified"]["agrees"]
    found = json.loads(line)
    (_, row), *_ = drawn["test"]
    true = [(corners, NAMES[LABELS[name]]) for *corners, name in row["boxes"]]
    boxes = [([*box["coordinates"].values()], box["label"]) for box in found["boxes"]]
    assert true
    for corners, label in true:
        assert any(label == name and overlap(corners, box) > 0.5 for box, name in boxes), (true, boxes)
    detector = sensenet.create_model("vehicles/training/final_model.json", {"bounding_box_threshold": 0.3})
    assert boxes == [(one["box"], one["label"]) for one in detector(found["file"])]
    assert found["image"] == "drawn/0_000a1249af2bc5f0.jpeg"
    picture, original = (np.asarray(Image.open(found[key])) for key in ("image", "file"))
    assert picture.shape == original.shape
    assert (np.abs(picture.astype(int) - original) > 50).any()


def test_the_steps_of_the_page_lead_to_records(tmp_path, monkeypatch, drawn, server, capsys):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    some = drawn["test"]
    write_subset(tmp_path, "test", some, server)
    monkeypatch.chdir(tmp_path / "test")
    write_classes(Path())
    steps = commands("Step by step")
    assert [words[1] for words in steps] == ["classes", "points", "download", "verify", "records"]
    for words in steps:
        run(words)
    run(
        shlex.split(
            "pyramid_dataset import train.record --format tfrecord --classes label_map.pbtxt --output again"
        )
    )
    rows = json.loads(Path("again/rows.json").read_text())
    with_boxes = [row for _, row in some if row["boxes"]]
    told = [
        len(row["boxes"])
        for number, (_, row) in enumerate(some)
        if row["boxes"] and number not in range(COUNTS["test"], COUNTS["test"] + len(FAILING))
    ]
    assert len(with_boxes) > len(told)
    assert sorted(len(row["boxes"]) for row in rows) == sorted(told)
    assert {box[-1] for row in rows for box in row["boxes"]} == {"Car", "Wheel"}
