"""Data sets from every format to every other: boxes and images stay what they are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pyramid.commands import dataset
from pyramid.commands.config import parse_config
from pyramid.datasets.formats import FORMATS
from pyramid.datasets.formats.base import Box, Remark, StatedImage
from pyramid.datasets.formats.placing import place
from pyramid.datasets.rows_file import row_of

ROWS = [
    {"file": "cats/one.png", "boxes": [[1, 2, 11, 12, "cat"], [3.5, 0, 40, 30, 'it\'s a "dog", é']]},
    {"file": "two.jpg", "boxes": [[0, 0, 33, 21, "cat"], [1.125, 7.25, 2.5, 19, "cat"]]},
    {"file": "three.png", "boxes": []},
    {"file": "four.png", "boxes": [[5, 5, 6, 6, "ant"]]},
]
SIZES = {"cats/one.png": (40, 30), "two.jpg": (33, 21), "three.png": (16, 16), "four.png": (7, 9)}
MADE = {
    "voc": "",
    "coco": "instances_train.json",
    "yolo": "data.yaml",
    "csv": "train.csv",
    "tfrecord": "train.record",
    "openimages": "train_points.json",
}
NUMBERED = ("tfrecord", "openimages")


def run(*arguments, fails=False):
    assert dataset.main([str(one) for one in arguments]) == int(fails)


@pytest.fixture
def rows_file(tmp_path):
    """Small pictures of our own with boxes, and the rows of them."""
    rng = np.random.default_rng(0)
    for name, (width, height) in SIZES.items():
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(path)
    path = tmp_path / "pictures" / "rows.json"
    path.write_text(json.dumps(ROWS))
    return path


def there_and_back(rows, name, folder):
    """Export rows, import them again: the rows that come of it, and the folder of their images."""
    exported, imported = folder / f"{name}_exported", folder / f"{name}_imported"
    run("export", rows, "--format", name, "--output", exported)
    classes = ["--classes", exported / "label_map.pbtxt"] if name in NUMBERED else []
    run("import", exported / MADE[name], "--format", name, "--output", imported, "--strict", *classes)
    return imported / "rows.json"


def told(rows, without_empty=False):
    """Sizes and boxes of the images of rows, with what does not hang on their names."""
    root = Path(json.loads((rows.parent / "config.json").read_text())["image_root"])
    found = {}
    for row in json.loads(rows.read_text()):
        if row["boxes"] or not without_empty:
            stem = row["file"].replace("/", "_").rpartition(".")[0]
            found[stem] = ((root / row["file"]).read_bytes(), row["boxes"])
    return found


def test_every_format_is_tested():
    assert set(FORMATS) == set(MADE)


@pytest.mark.parametrize("name", [name for name in MADE if name not in ("csv", "openimages")])
def test_rows_are_the_same_after_a_way_through_a_format(rows_file, tmp_path, name):
    again = json.loads(there_and_back(rows_file, name, tmp_path).read_text())
    assert sorted(again, key=str) == sorted(ROWS, key=str)


@pytest.mark.parametrize("first", MADE)
def test_every_format_becomes_every_other(rows_file, tmp_path, first):
    without_empty = first == "csv"
    rows = there_and_back(rows_file, first, tmp_path)
    expected = {
        row["file"].replace("/", "_").rpartition(".")[0]: (
            (rows_file.parent / row["file"]).read_bytes(),
            row["boxes"],
        )
        for row in ROWS
        if row["boxes"] or not without_empty
    }
    assert told(rows) == expected
    for second in MADE:
        assert told(there_and_back(rows, second, tmp_path / second)) == {
            stem: one for stem, one in expected.items() if one[1] or second != "csv"
        }


@pytest.mark.parametrize("first", MADE)
def test_real_annotations_stay_what_they_are_from_every_format_to_every_other(tmp_path, first):
    cells = Path(__file__).parents[4] / "shared" / "data" / "cells"
    if not cells.is_dir():
        pytest.skip("the data of development (../shared/data) are not on this machine")
    rows = json.loads((cells / "train.json").read_text())
    some = [row for row in rows if row["boxes"]][:: len(rows) // 4]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(some))
    (tmp_path / "config.json").write_text(json.dumps({"training_data": str(path), "image_root": str(cells)}))
    through = there_and_back(path, first, tmp_path)
    expected = told(path)
    assert sum(len(boxes) for _, boxes in expected.values()) > 20
    assert told(through) == expected
    for second in MADE:
        assert told(there_and_back(through, second, tmp_path / second)) == expected


def test_an_import_is_ready_for_training(rows_file, tmp_path):
    rows = there_and_back(rows_file, "voc", tmp_path)
    config = json.loads((rows.parent / "config.json").read_text())
    assert config["training_data"] == str(rows)
    training = parse_config(config | {"training_data": json.loads(rows.read_text())})
    assert training.missing_files() == []


def test_what_somebody_made_of_a_config_stays_when_the_data_set_is_imported_again(
    rows_file, tmp_path, capsys
):
    rows = there_and_back(rows_file, "coco", tmp_path)
    config = rows.parent / "config.json"
    told = json.loads(config.read_text())
    config.write_text(json.dumps(told | {"batch_size": 3, "training_data": "elsewhere.json"}))
    there_and_back(rows_file, "coco", tmp_path)
    assert json.loads(config.read_text()) == told | {"batch_size": 3}
    config.write_text("[]")
    run(
        "import",
        tmp_path / "coco_exported" / MADE["coco"],
        "--format",
        "coco",
        "--output",
        rows.parent,
        fails=True,
    )
    assert "config.json: expected a config of pyramid_train" in capsys.readouterr().err


def test_what_is_exported_twice_is_there_once(rows_file, tmp_path, capsys):
    for _ in range(2):
        run("export", rows_file, "--format", "coco", "--output", tmp_path / "coco")
    assert "4 images, 5 boxes" in capsys.readouterr().out
    (rows_file.parent / "two.jpg").write_bytes((rows_file.parent / "three.png").read_bytes())
    run("export", rows_file, "--format", "coco", "--output", tmp_path / "coco", fails=True)
    assert "two.jpg is there already, with other content" in capsys.readouterr().err


def test_parts_in_one_folder_share_the_numbers_of_their_classes(rows_file, tmp_path, capsys):
    folder, others = tmp_path / "yolo", rows_file.parent / "others.json"
    others.write_text(json.dumps(ROWS[1:2]))
    run("export", rows_file, "--format", "yolo", "--output", folder)
    run("export", others, "--format", "yolo", "--output", folder, "--split", "val")
    assert (folder / "labels" / "val" / "two.txt").read_text().startswith("1 ")
    run("import", folder, "--format", "yolo", "--output", tmp_path / "val", "--split", "val")
    assert json.loads((tmp_path / "val" / "rows.json").read_text()) == ROWS[1:2]
    others.write_text(json.dumps([{"file": "two.jpg", "boxes": [[0, 0, 5, 5, "elk"]]}]))
    run("export", others, "--format", "yolo", "--output", folder, "--split", "val", fails=True)
    assert "1 labels are not in it: elk" in capsys.readouterr().err


@pytest.mark.parametrize("split", ["names", "nc", "path"])
def test_a_part_for_yolo_is_not_called_as_what_the_file_says_otherwise(rows_file, tmp_path, capsys, split):
    folder = tmp_path / "yolo"
    run("export", rows_file, "--format", "yolo", "--output", folder, "--split", split, fails=True)
    assert f"--split: '{split}' says something else in data.yaml" in capsys.readouterr().err
    assert not (folder / "data.yaml").exists()
    run("export", rows_file, "--format", "yolo", "--output", folder, "--split", "images")
    run("import", folder, "--format", "yolo", "--output", tmp_path, "--split", split, fails=True)
    assert f"--split: '{split}' says something else" in capsys.readouterr().err
    run("import", folder, "--format", "yolo", "--output", tmp_path / "again", "--split", "images")
    assert "4 images, 5 boxes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("path: ../elsewhere\nnames: [ant, cat]\n", "its folders lie below '../elsewhere'"),
        ("train: images/train\nnames: [cat, ant]\n", "its classes are others"),
    ],
)
def test_a_data_set_of_others_is_not_added_to_under_wrong_names(rows_file, tmp_path, capsys, data, said):
    (tmp_path / "data.yaml").write_text(data)
    run("export", rows_file, "--format", "yolo", "--output", tmp_path, "--split", "val", fails=True)
    assert said in capsys.readouterr().err
    assert (tmp_path / "data.yaml").read_text() == data


def test_folders_called_images_do_not_hide_boxes(rows_file, tmp_path):
    rows = [{"file": "a/images/two.jpg", "boxes": ROWS[1]["boxes"]}]
    picture = rows_file.parent / rows[0]["file"]
    picture.parent.mkdir(parents=True)
    picture.write_bytes((rows_file.parent / "two.jpg").read_bytes())
    rows_file.write_text(json.dumps(rows))
    for name in ("yolo", "voc", "coco"):
        assert json.loads(there_and_back(rows_file, name, tmp_path).read_text()) == rows


@pytest.mark.parametrize("label", ["a\0b", "a\x0bb", "a\rb", "a\ufffeb"])
def test_what_xml_cannot_hold_is_named_with_its_box(rows_file, tmp_path, capsys, label):
    rows_file.write_text(
        json.dumps([{"file": "two.jpg", "boxes": [[0, 0, 5, 5, "cat"], [0, 0, 5, 5, label]]}])
    )
    run("export", rows_file, "--format", "voc", "--output", tmp_path / "voc", fails=True)
    assert f"two.jpg, box 1: the label {label!r} has a character that XML cannot" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["voc", "yolo"])
def test_images_that_would_share_annotations_are_refused(rows_file, tmp_path, capsys, name):
    (rows_file.parent / "two.png").write_bytes((rows_file.parent / "two.jpg").read_bytes())
    rows_file.write_text(json.dumps([{"file": file, "boxes": []} for file in ("two.jpg", "two.png")]))
    run("export", rows_file, "--format", name, "--output", tmp_path / "out", fails=True)
    assert "two.jpg and two.png would share the annotations two" in capsys.readouterr().err


def test_a_sheet_shows_pictures_with_their_boxes(rows_file, tmp_path, capsys):
    run("show", rows_file, "--n", 3, "--output", tmp_path / "sheet.png")
    assert capsys.readouterr().out == f"3 images: {tmp_path / 'sheet.png'}\n"
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert (sheet == (230, 159, 0)).all(axis=-1).any()


def test_classes_become_a_label_map_and_back(tmp_path, capsys):
    classes = [{"label": "/m/01", "name": "Cat"}, {"label": "dog", "name": "dog"}]
    (tmp_path / "classes.json").write_text(json.dumps(classes), encoding="utf-8-sig")
    run("label-map", tmp_path / "classes.json", tmp_path / "map.pbtxt")
    assert 'name: "/m/01"\n  id: 1\n  display_name: "Cat"' in (tmp_path / "map.pbtxt").read_text()
    run("label-map", tmp_path / "map.pbtxt", tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == classes
    (tmp_path / "gap.pbtxt").write_text("item { id: 1 name: 'a' } item { id: 3 name: 'b' }")
    run("label-map", tmp_path / "gap.pbtxt", tmp_path / "again.json", fails=True)
    assert re.search(r"gap\.pbtxt: expected the ids 1 to 2", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("id: 2 name: 'a'", "different names, got 'a' 2 times"),
        ("id: 2 name: 'b' display_name: 'a'", "different labels, got 'a' 2 times"),
        ("id: 0 name: 'b'", "expected ids from 1, got 0"),
    ],
)
def test_classes_that_a_data_set_could_not_tell_apart_are_refused(second, said, tmp_path, capsys):
    (tmp_path / "map.pbtxt").write_text(f"item {{ id: 1 name: 'a' }} item {{ {second} }}")
    run("label-map", tmp_path / "map.pbtxt", tmp_path / "classes.json", fails=True)
    assert "map.pbtxt: expected" in (told := capsys.readouterr().err)
    assert said in told


SIDES = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.integers(-50, 150).map(float))


@given(st.lists(st.tuples(SIDES, SIDES, SIDES, SIDES), max_size=6), st.booleans())
@settings(deadline=None)
def test_every_box_is_inside_its_image_or_counted(corners, in_shares):
    stated = StatedImage("a", [Box(*sides, "x") for sides in corners], in_shares)
    image, remarks = place(stated, lambda _: (100, 80, b""))
    dropped = [remark for remark, _ in remarks if remark is not Remark.CLIPPED]
    assert len(image.boxes) + len(dropped) == len(corners)
    for x1, y1, x2, y2, _ in row_of(image)["boxes"]:
        assert 0 <= x1 < x2 <= 100
        assert 0 <= y1 < y2 <= 80


@pytest.mark.parametrize(
    ("corners", "kept", "remark"),
    [
        ((10, 10, 20, 20), (10, 10, 20, 20), None),
        ((-5, 10, 20, 90), (0, 10, 20, 80), Remark.CLIPPED),
        ((-0.001, 0, 100.001, 80), (0, 0, 100, 80), None),
        ((20, 10, 10, 20), None, Remark.INVERTED),
        ((10, 10, 10, 20), None, Remark.EMPTY),
        ((100, 10, 120, 20), None, Remark.OUTSIDE),
        ((10, float("nan"), 12, 20), None, Remark.NOT_FINITE),
        ((float("-inf"), 0, 12, 20), None, Remark.NOT_FINITE),
    ],
)
def test_a_box_that_cannot_be_taken_is_clipped_or_dropped_for_its_reason(corners, kept, remark):
    image, remarks = place(StatedImage("a", [Box(*corners, "x")]), lambda _: (100, 80, b""))
    assert [tuple(box[:4]) for box in image.boxes] == ([] if kept is None else [kept])
    assert [one for one, _ in remarks] == ([] if remark is None else [remark])
