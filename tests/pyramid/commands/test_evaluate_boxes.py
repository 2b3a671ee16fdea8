"""pyramid_evaluate of detectors: metrics, pictures, and what it says of bad input."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from image_documents import bright_detector, classifier, painted
from PIL import Image
from raw_bundles import raw_bundle

import sensenet
from pyramid.commands import box_pictures, evaluate, image_batches
from pyramid.commands.labelled_rows import read_rows
from pyramid.errors import DataError
from sensenet.drawing import PALETTE

RED, GREEN = (8, 16, 16, 24), (24, 0, 32, 8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A detector that finds exactly the red and the green squares."""
    path = tmp_path_factory.mktemp("model") / "model.json"
    path.write_text(json.dumps(bright_detector()))
    return path


@pytest.fixture
def folder(tmp_path):
    """Three pictures: a red and a green square, a red one, and nothing."""
    root = tmp_path / "pictures"
    root.mkdir()
    for name, squares in {"both": {"red": RED, "green": GREEN}, "red": {"red": RED}, "none": {}}.items():
        Image.fromarray(painted(32, 32, **squares)).save(root / f"{name}.png")
    return root


def rows_of(**boxes):
    return [{"file": f"{name}.png", "boxes": found} for name, found in boxes.items()]


ALL = rows_of(both=[[*RED, "red"], [*GREEN, "green"]], red=[[*RED, "red"]], none=[])


def run(model, folder, rows, *flags):
    data = folder.parent / "data.json"
    data.write_text(json.dumps(rows))
    return evaluate.main([str(model), str(data), "--image-root", str(folder), *map(str, flags)])


def printed(capsys):
    """The figures by name: one of the means, a row of the table a class."""
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    return {line[0]: line[1:] for line in lines if line}


def failure(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_a_detector_that_is_right_has_only_ones(model, folder, capsys):
    assert run(model, folder, ALL) == 0
    shown = printed(capsys)
    assert shown["3"] == ["images,", "3", "boxes"]
    assert (shown["mAP_50"], shown["mAP_50_95"]) == (["1"], ["1"])
    assert shown["class"] == ["truths", "AP_50", "AP_50_95", "precision", "recall"]
    assert shown["red"] == ["2", *["1.0000"] * 4]
    assert shown["green"] == ["1", *["1.0000"] * 4]


def test_misses_and_false_boxes_count(model, folder, capsys):
    # of red: one found without a truth, one truth not found; green is found and in no truth
    rows = rows_of(both=[[*RED, "red"]], red=[], none=[[0, 0, 8, 8, "red"]])
    assert run(model, folder, {"training_data": rows, "image_root": "elsewhere"}) == 0
    shown = printed(capsys)
    assert shown["red"][0] == "2"
    assert shown["red"][-2:] == ["0.5000", "0.5000"]
    assert shown["green"] == ["0", "-", "-", "0.0000", "-"]
    assert 0 < float(shown["mAP_50"][0]) < 0.6


def test_the_threshold_is_of_precision_and_recall_alone(model, folder, capsys):
    assert run(model, folder, ALL, "--threshold", "1") == 0
    shown = printed(capsys)
    assert shown["red"] == ["2", "1.0000", "1.0000", "-", "0.0000"]
    assert shown["precision"][-1] == "1"


def test_several_images_are_predicted_at_a_time(model, folder, capsys, monkeypatch):
    monkeypatch.setattr(image_batches, "IMAGES_PER_CALL", 2)  # the last call has one image
    assert run(model, folder, ALL * 3) == 0
    assert printed(capsys)["red"] == ["6", *["1.0000"] * 4]


def test_pictures_show_what_is_there_and_what_was_found(model, folder, capsys):
    drawn = folder.parent / "new" / "drawn"
    assert run(model, folder, ALL, "--draw", drawn) == 0
    assert sorted(path.name for path in drawn.iterdir()) == ["0_both.png", "1_red.png", "2_none.png"]
    boxes = [{"box": RED, "label": "red"}]
    expected = sensenet.draw(
        folder / "red.png", [boxes[0] | {"score": 0.9999}], truth=boxes, classes=("red", "green")
    )
    np.testing.assert_array_equal(np.asarray(Image.open(drawn / "1_red.png")), np.asarray(expected))
    assert not np.asarray(Image.open(drawn / "2_none.png")).any()


def test_pictures_have_only_boxes_above_the_threshold(model, folder):
    drawn = folder.parent / "drawn"
    assert run(model, folder, rows_of(red=[]), "--draw", drawn, "--threshold", "1") == 0
    assert (np.asarray(Image.open(drawn / "0_red.png")) == painted(32, 32, red=RED)).all()


def test_a_picture_of_a_turned_photo_is_turned_where_the_detector_turns_it(folder, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    pixels = painted(320, 320, red=(80, 160, 160, 240))[::-1, ::-1]
    Image.fromarray(pixels).save(folder / "turned.png", exif=exif)
    model = tmp_path / "model.json"
    model.write_text(json.dumps(bright_detector(exif_rotation=True)))
    drawn = tmp_path / "drawn"
    assert run(model, folder, rows_of(turned=[]), "--draw", drawn) == 0
    picture = np.asarray(Image.open(drawn / "0_turned.png"))
    assert tuple(picture[200, 120]) == (255, 0, 0)
    assert tuple(picture[239, 120]) == PALETTE[0], "the found box"


def test_names_of_rows_lead_nowhere_else_and_never_clash(model, folder):
    drawn = folder.parent / "drawn"
    deep = folder / "a b" / ".."
    (folder / "a b").mkdir()
    for name in ("Red.png", "äé\n%.png", "..png", "red.jpg"):
        Image.fromarray(painted(32, 32)).save(folder / name, "JPEG" if name.endswith("jpg") else "PNG")
    names = ["red.png", str(deep / "red.png"), "Red.png", "./red.png", "äé\n%.png", "..png", "red.jpg"]
    rows = [{"file": name, "boxes": []} for name in names]
    before = {path: path.read_bytes() for path in folder.glob("*.*")}
    assert run(model, folder, rows, "--draw", drawn) == 0
    written = sorted(path.name for path in drawn.iterdir())
    stems = ["red", "red", "Red", "red", "äé_", "_", "red"]
    assert [name.rsplit(".", 1)[0] for name in written] == [f"{i}_{stem}" for i, stem in enumerate(stems)]
    assert Image.open(drawn / "6_red.jpeg").format == "JPEG"
    assert {path: path.read_bytes() for path in folder.glob("*.*")} == before


def test_pictures_never_go_where_images_are(model, folder, capsys):
    link = folder.parent / "link"
    link.symlink_to(folder)
    for place in (folder, link):
        assert run(model, folder, ALL, "--draw", place) == 1
        assert "holds images that are drawn on" in failure(capsys)
    (folder.parent / "file").write_text("")
    assert run(model, folder, ALL, "--draw", folder.parent / "file") == 1
    assert "file cannot be made" in failure(capsys)


def test_a_bundle_is_evaluated_as_its_document(folder, capsys):
    settings = {"bounding_box_threshold": 0.9, "max_objects": 1, "pad_bounding_box_output": True}
    bundle = sensenet.create_model(bright_detector(), settings).save_bundle(folder.parent / "model")
    assert run(bundle, folder, ALL) == 0
    assert printed(capsys)["green"] == ["1", *["1.0000"] * 4]


def test_a_bundle_with_finished_boxes_is_refused(folder, tmp_path, capsys):
    assert run(raw_bundle(bright_detector(), tmp_path), folder, ALL) == 1
    assert "evaluate the model's JSON document" in failure(capsys)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (rows_of(both=[[*RED, "blue"], [*RED, "red"]]), "row 0/boxes/0: blue"),
        (rows_of(both=[[16, 16, 8, 24, "red"]]), "row 0/boxes/0: found [16, 16, 8, 24"),
        (rows_of(both=[[8, "16", 16, 24, "red"]]), "row 0/boxes/0: found"),
        (rows_of(both=[[8, 16, 16, 24]]), "allowed is [x1, y1, x2, y2, class]"),
        (rows_of(both=[], nowhere=[]), "nowhere.png: "),
        ([*rows_of(both=[]), {"file": "red.png", "label": "red"}], "row 1: found"),
        ([{"file": "red.png", "label": "red"}], 'so its rows are {"file", "boxes"}, but these have labels'),
    ],
)
def test_rows_that_do_not_fit_are_named(rows, message, model, folder, capsys):
    assert run(model, folder, rows) == 1
    assert message in failure(capsys)


def test_an_image_that_is_none_is_named(model, folder, capsys):
    (folder / "text.png").write_text("no image")
    assert run(model, folder, rows_of(red=[], text=[])) == 1
    assert re.search(r"text\.png: .*expected an image in one of", failure(capsys))


def test_an_image_that_is_none_by_the_time_it_is_drawn_is_named(model, folder, capsys, monkeypatch):
    monkeypatch.setattr(box_pictures, "file_bytes", lambda name, source: b"no image")
    assert run(model, folder, rows_of(red=[]), "--draw", folder.parent / "drawn") == 1
    assert re.search(r"row 0: red\.png: .*expected an image in one of", capsys.readouterr().err)


def test_boxes_are_nothing_for_a_classifier(folder, tmp_path, capsys):
    path = tmp_path / "classifier.json"
    path.write_text(json.dumps(classifier()))
    assert run(path, folder, ALL) == 1
    assert "finds no boxes, so its rows need labels" in failure(capsys)
    assert run(path, folder, [{"file": "red.png", "label": "cat"}], "--draw", tmp_path / "drawn") == 1
    assert "are for detectors" in failure(capsys)


@pytest.mark.parametrize("threshold", ["2", "-0.1", "nan", "high"])
def test_a_threshold_that_is_no_share_is_a_wrong_argument(threshold, capsys):
    with pytest.raises(SystemExit) as ended:
        evaluate.main(["m.json", "d.json", f"--threshold={threshold}"])
    assert ended.value.code == 2
    assert "expected a number from 0 to 1" in capsys.readouterr().err


def test_every_box_that_is_none_is_named():
    rows = [
        {"file": "a", "boxes": [[1, 2, 3, 4, "x"], [0, 0, 0, 1, "x"]]},
        {"boxes": []},
        {"file": "", "boxes": []},
    ]
    with pytest.raises(DataError) as caught:
        read_rows(rows)
    first, *places = str(caught.value).splitlines()
    assert first == "3 boxes or rows cannot be used:"
    assert [place.split(":")[0] for place in places] == ["row 0/boxes/1", "row 1", "row 2"]
