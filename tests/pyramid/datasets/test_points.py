"""`pyramid_dataset classes` and `points`: lists of Open Images become classes, points and an index."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_images import CAR, NAMES, OTHER, TORTOISE, TRAINABLE, VEHICLE, WHEEL, Lists

from pyramid.commands.dataset import main
from pyramid.datasets.json_items import item_writer, read_items
from pyramid.datasets.points import Annotation, Point, dump_point, read_points
from pyramid.datasets.verifying.pictures import turned
from pyramid.errors import DataError


@pytest.fixture
def lists() -> Lists:
    lists = Lists()
    for number in range(8):
        lists.image(f"image{number}", OriginalMD5="I4V4qq54NBEFDwBqPYCkDA==", OriginalSize=2038323)
        lists.box(f"image{number}", TORTOISE if number % 2 else CAR)
    return lists


def classes(folder: Path, *more: str) -> int:
    descriptions = folder / "descriptions.csv"
    output = ["--output", str(folder / "classes.json")]
    trainable = str(folder / "trainable.txt")
    return main(["classes", "--trainable", trainable, "--descriptions", str(descriptions), *output, *more])


def points(folder: Path, *more: str, images: str = "images.csv", boxes: str = "boxes.csv") -> int:
    inputs = [
        "--annotations",
        folder / boxes,
        "--images",
        folder / images,
        "--trainable",
        folder / "trainable.txt",
    ]
    outputs = ["--points", folder / "points.json", "--index", folder / "index.json"]
    return main(["points", *map(str, inputs + outputs), *more])


def written(folder: Path, name: str):
    return json.loads((folder / name).read_text())


def test_classes_are_numbered_in_the_order_of_the_trainable_ones(tmp_path, lists, capsys):
    folder = lists.write(tmp_path)
    assert classes(folder) == 0
    assert written(folder, "classes.json") == [{"label": one, "name": NAMES[one]} for one in TRAINABLE]
    assert capsys.readouterr().out.splitlines() == [f"4 classes: {folder}/classes.json"]


def test_names_lose_their_quotes_and_labels_their_spaces(tmp_path, lists, capsys):
    folder = lists.write(tmp_path)
    (folder / "trainable.txt").write_text("/m/1 \n\n/m/2\r\n/m/1\n")
    (folder / "descriptions.csv").write_text('/m/1,"The ""Cat\'s`, Dog"\n')
    assert classes(folder) == 0
    assert written(folder, "classes.json") == [
        {"label": "/m/1", "name": "The Cats, Dog"},
        {"label": "/m/2", "name": "/m/2"},
    ]
    assert "1 without description go by their labels: /m/2" in capsys.readouterr().out


@pytest.mark.parametrize("under", ["Vehicle", "vehicle", VEHICLE])
def test_a_branch_is_a_class_with_its_subcategories_and_parts(tmp_path, lists, under):
    folder = lists.write(tmp_path)
    assert classes(folder, "--hierarchy", str(folder / "hierarchy.json"), "--under", under) == 0
    assert [one["label"] for one in written(folder, "classes.json")] == [CAR, WHEEL, VEHICLE]


def test_a_class_of_several_parents_is_in_the_branch_of_each(tmp_path, lists):
    folder = lists.write(tmp_path)
    assert classes(folder, "--hierarchy", str(folder / "hierarchy.json"), "--under", "/m/toy") == 0
    assert [one["label"] for one in written(folder, "classes.json")] == [CAR]


def test_a_wrong_name_of_a_branch_is_told_with_the_nearest(tmp_path, lists, capsys):
    folder = lists.write(tmp_path)
    assert classes(folder, "--hierarchy", str(folder / "hierarchy.json"), "--under", "Vehicel") == 1
    assert 'no class "Vehicel"' in (told := capsys.readouterr().err)
    assert "Vehicle" in told


def test_points_and_index_are_sorted_and_hold_what_is_known(tmp_path, lists, capsys):
    lists.images.reverse()
    lists.box("image0", TORTOISE, (0, 1, 0.25, 0.75), Confidence=0.5)
    folder = lists.write(tmp_path)
    assert points(folder) == 0
    found = written(folder, "points.json")
    assert [point["id"] for point in found] == [f"image{number}" for number in range(8)]
    box = {"id": "image0", "label": CAR, "confidence": 1.0, "x0": 0.1, "x1": 0.5, "y0": 0.2, "y1": 0.6}
    second = box | {"label": TORTOISE, "confidence": 0.5, "x0": 0, "x1": 1, "y0": 0.25, "y1": 0.75}
    assert found[0] == {"id": "image0", "annotations": [box, second]}
    assert written(folder, "index.json")[1] == {
        "id": "image1",
        "url": "http://pictures/image1.jpg",
        "md5": "I4V4qq54NBEFDwBqPYCkDA==",
        "size": 2038323,
    }
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1 and "8 images with 9 boxes" in out[0]


def test_gzipped_lists_give_the_same_bytes(tmp_path, lists):
    folder = lists.write(tmp_path)
    assert points(folder) == 0
    expected = (folder / "points.json").read_bytes()
    for name in ("images.csv", "boxes.csv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    assert points(folder, images="images.csv.gz", boxes="boxes.csv.gz") == 0
    assert (folder / "points.json").read_bytes() == expected


def test_what_cannot_be_used_is_left_out_and_counted(tmp_path, lists, capsys):
    lists.box("image1", OTHER)
    lists.box("image1", TORTOISE, ("nan", 0.5, 0.2, 0.6))
    lists.box("image1", TORTOISE, (0.1, "inf", 0.2, 0.6))
    lists.box("image1", TORTOISE, ("a", 0.5, 0.2, 0.6))
    lists.box("image1", TORTOISE, (0.5, 0.1, 0.2, 0.6))
    lists.box("image1", TORTOISE, (0.5, 0.5, 0.2, 0.6))
    lists.box("image1", TORTOISE, (1.5, 1.9, 0.2, 0.6))
    lists.box("image1", TORTOISE, (-0.5, 0.5, 0.2, 1.6))
    lists.box("image1", TORTOISE, Confidence="NaN")
    for bad in ("../../etc/passwd", "/etc/passwd", "a/b", "..", "", ".hidden", "a" * 300):
        lists.box(bad, TORTOISE)
    lists.box("nowhere", TORTOISE)
    lists.box("without_url", TORTOISE)
    lists.image("without_url")
    lists.images[-1] = dict(lists.images[-1], OriginalURL="")
    lists.image("image1", url="http://again/")
    lists.image("without_boxes")
    folder = lists.write(tmp_path)
    assert points(folder, "--descriptions", str(folder / "descriptions.csv")) == 0
    report = written(folder, "points.report.json")
    assert report["boxes_left_out"] == {
        "of other classes": 1,
        "a side that is no finite number": 3,
        "empty, inverted or outside of the picture": 3,
        "a confidence that is no number from 0 to 1": 1,
        "an image id that is no name of a file": 7,
    }
    assert report["boxes_clipped"] == 1
    assert report["images_not_in_index"] == ["nowhere", "without_url"]
    assert report["index_rows_without_boxes"] == 1
    assert report["index_rows_repeated"] == 1
    clipped = written(folder, "points.json")[1]["annotations"][1]
    assert (clipped["x0"], clipped["x1"], clipped["y0"], clipped["y1"]) == (0, 0.5, 0.2, 1)
    assert written(folder, "index.json")[1]["url"] == "http://pictures/image1.jpg"
    assert "2 images with boxes are not in the index, or without a URL there: nowhere, without_url" in (
        capsys.readouterr().out
    )


def test_labels_without_description_are_named(tmp_path, lists, capsys):
    folder = lists.write(tmp_path)
    (folder / "descriptions.csv").write_text(f"{CAR},Car\n")
    assert points(folder, "--descriptions", str(folder / "descriptions.csv")) == 0
    assert f"3 labels without description: {TORTOISE}, {WHEEL}, {VEHICLE}" in capsys.readouterr().out


def test_boxes_are_left_out_by_confidence_and_flags(tmp_path, lists):
    lists.box("image1", TORTOISE, Confidence=0.4)
    lists.box("image1", TORTOISE, IsGroupOf=1)
    lists.box("image1", TORTOISE, IsDepiction=1)
    lists.box("image1", TORTOISE, IsInside=-1)
    folder = lists.write(tmp_path)
    assert points(folder, "--min-confidence", "0.5", "--without", "group-of,inside") == 0
    assert len(written(folder, "points.json")[1]["annotations"]) == 3
    assert written(folder, "points.report.json")["boxes_left_out"] == {
        "below the least confidence": 1,
        "group-of": 1,
    }


def test_rotations_are_known_where_the_index_has_them(tmp_path, lists):
    lists.extra_image_columns = ("Rotation",)
    for row, rotation in zip(lists.images, ("90.0", "0.0", "nan", "", "17"), strict=False):
        row["Rotation"] = rotation
    folder = lists.write(tmp_path)
    assert points(folder) == 0
    assert [image.get("rotation") for image in written(folder, "index.json")][:5] == [90, 0, None, None, None]
    assert [point.get("rotation") for point in written(folder, "points.json")][:3] == [90, None, None]


def test_a_sample_is_the_same_every_time_and_another_for_another_seed(tmp_path, lists):
    folder = lists.write(tmp_path)
    samples = []
    for seed in ("1", "1", "2", "3", "4"):
        (folder / "points.report.json").unlink(missing_ok=True)
        assert points(folder, "--max-images", "3", "--seed", seed) == 0
        samples.append([image["id"] for image in written(folder, "index.json")])
    assert all(len(one) == 3 for one in samples)
    assert samples[0] == samples[1]
    assert any(one != samples[0] for one in samples[2:])


def test_no_class_gets_more_images_than_it_needs(tmp_path, lists):
    lists.box("image1", WHEEL)
    lists.box("image3", WHEEL)
    folder = lists.write(tmp_path)
    assert points(folder, "--per-class", "2") == 0
    found = written(folder, "points.json")
    counts = {
        label: sum(label in {b["label"] for b in p["annotations"]} for p in found) for label in TRAINABLE
    }
    assert counts == {TORTOISE: 2, CAR: 2, WHEEL: 2, VEHICLE: 0}
    assert {"image1", "image3"} <= {point["id"] for point in found}


def test_what_was_done_is_not_done_twice_until_something_changes(tmp_path, lists, capsys):
    folder = lists.write(tmp_path)
    assert points(folder) == 0
    before = (folder / "points.json").stat()
    assert points(folder) == 0
    assert (folder / "points.json").stat() == before
    assert capsys.readouterr().out.endswith("(done before)\n")
    lists.box("image2", CAR)
    lists.write(tmp_path)
    assert points(folder) == 0
    assert len(written(folder, "points.json")[2]["annotations"]) == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: (folder / "boxes.csv").write_text("ImageID,LabelName\na,b\n"), 'no column "XMin"'),
        (lambda folder: (folder / "images.csv").write_text("ImageID,Url\na,b\n"), 'no column "OriginalURL"'),
        (
            lambda folder: (folder / "images.csv").write_text("ImageID,OriginalURL\nother,u\n"),
            "none of the 8 images",
        ),
        (lambda folder: (folder / "boxes.csv").unlink(), "No such file"),
        (lambda folder: (folder / "trainable.txt").write_text("\n"), "there is no label in it"),
        (lambda folder: (folder / "trainable.txt").write_text("/m/unknown"), "no box is left"),
        (
            lambda folder: (folder / "boxes.csv").write_bytes(
                gzip.compress(b"ImageID,LabelName\n" * 999)[:-9]
            ),
            "ends too early",
        ),
    ],
)
def test_what_is_wrong_with_a_list_is_one_clear_error(tmp_path, lists, capsys, change, told):
    folder = lists.write(tmp_path)
    change(folder)
    assert points(folder) == 1
    lines = capsys.readouterr().err.splitlines()
    assert told in lines[-1] and lines[-1].startswith("pyramid_dataset: error: ")
    assert not (folder / "points.json").exists()
    assert not list(folder.glob(".*"))


def test_a_record_without_end_is_refused_in_bounded_memory(tmp_path, lists, capsys):
    folder = lists.write(tmp_path)
    with (folder / "boxes.csv").open("a") as file:
        file.write('image1,"')
        for _ in range(70):
            file.write("x" * 2**20)
    assert points(folder) == 1
    assert "has no end within" in capsys.readouterr().err


def test_only_one_of_under_and_hierarchy_is_refused(tmp_path, lists, capsys):
    folder = lists.write(tmp_path)
    assert points(folder, "--under", "Vehicle") == 1
    assert "--under and --hierarchy need each other" in capsys.readouterr().err


def test_the_disk_is_left_as_it_was_where_it_is_full(tmp_path, lists, mount, capsys):
    folder = lists.write(tmp_path / "lists")
    small = mount("size=40k")
    shutil.copytree(folder, small, dirs_exist_ok=True)
    (small / "filling").write_bytes(bytes(16_000))
    assert points(small) == 1
    assert "No space left" in capsys.readouterr().err
    assert not list(small.glob(".*")) and not (small / "points.json").exists()


shares = st.floats(0, 1, allow_nan=False)


@st.composite
def annotations(draw):
    (x0, x1), (y0, y1) = (sorted(draw(st.lists(shares, min_size=2, max_size=2, unique=True))) for _ in "xy")
    return Annotation(draw(st.text(min_size=1)), draw(shares), x0, x1, y0, y1)


ids = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,20}", fullmatch=True)
some_points = st.builds(
    Point, ids, st.lists(annotations(), max_size=3).map(tuple), st.sampled_from([0, 90, 180, 270])
)


@settings(max_examples=25, deadline=None)
@given(st.lists(some_points, max_size=5))
def test_points_are_read_as_they_were_written(tmp_path_factory, given_points):
    path = tmp_path_factory.mktemp("points") / "points.json"
    with item_writer(path) as writer:
        for point in given_points:
            writer.add(dump_point(point))
    assert list(read_points(path)) == given_points
    assert json.loads(path.read_bytes()) == [dump_point(point) for point in given_points]


@given(annotations())
def test_four_quarter_turns_lead_back(box):
    whole = turned(turned((box,), 270), 90)[0]
    assert [whole.x0, whole.x1, whole.y0, whole.y1] == pytest.approx(
        [box.x0, box.x1, box.y0, box.y1], abs=1e-12
    )
    assert turned((box,), 180) == turned(turned((box,), 90), 90)


@pytest.mark.parametrize("layout", ['[{"a":1},{"a":[2]}]', '\n[ {"a":1}\n,\n{"a":\n[2]} ]\n'])
def test_lists_of_any_layout_are_read(tmp_path, layout):
    (tmp_path / "list.json").write_text(layout)
    assert list(read_items(tmp_path / "list.json")) == [{"a": 1}, {"a": [2]}]


def test_a_list_longer_than_what_is_read_at_once_is_read(tmp_path):
    items = [{"text": "x" * 100_000, "number": number} for number in range(200)]
    (tmp_path / "list.json").write_text(json.dumps(items, indent=1))
    assert [item["number"] for item in read_items(tmp_path / "list.json")] == list(range(200))


def test_spaces_without_end_are_refused_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("pyramid.datasets.json_stream.MAX_ITEM_CHARACTERS", 1000)
    (tmp_path / "list.json").write_text("[" + " " * 5000)
    with pytest.raises(DataError, match="/0: expected at most 1,000 characters"):
        list(read_items(tmp_path / "list.json"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "expected a whole JSON list"),
        ("{}", 'expected "["'),
        ('[{"a":1}', "expected a whole JSON list"),
        ('[{"a":1} {"a":2}]', 'expected ","'),
        ('[{"a":1},]', "/1: expected a JSON value, got ']'"),
        ('[{"a":1}]]', "nothing behind the list"),
        ('[{"a":NaN}]', "NaN is no JSON"),
        ("[1]", "/0: expected an object or a list"),
        ("[" * 100_000, "nested too deep"),
        ('[{"a":' + "1" * 5000 + "}]", "a number has too many digits"),
    ],
)
def test_what_is_no_list_is_one_clear_error(tmp_path, content, told):
    (tmp_path / "list.json").write_text(content)
    with pytest.raises(DataError, match=r"list\.json") as caught:
        list(read_items(tmp_path / "list.json"))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ({"id": "../a", "annotations": []}, "/0/id"),
        ({"id": "a"}, "/0/annotations"),
        ({"id": "a", "annotations": [], "rotation": 45}, "/0/rotation"),
        ({"id": "a", "annotations": [{"label": "b"}]}, "/0/annotations/0/confidence"),
        (
            {"id": "a", "annotations": [{"label": "b", "confidence": 1, "x0": 1, "x1": 0, "y0": 0, "y1": 1}]},
            "x0 < x1",
        ),
        ({"id": "a", "annotations": [], "file": "/etc/passwd"}, "/0/file"),
    ],
)
def test_a_wrong_point_is_told_with_its_place(tmp_path, point, told):
    (tmp_path / "points.json").write_text(json.dumps([point]))
    with pytest.raises(DataError) as caught:
        list(read_points(tmp_path / "points.json"))
    assert told in str(caught.value)
