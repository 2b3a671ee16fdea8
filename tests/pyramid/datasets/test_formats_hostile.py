"""Annotations that are broken, or that somebody made to read other files or to fill the memory."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from pyramid.commands import dataset

BOX = "<object><name>cat</name><bndbox><xmin>{}</xmin><ymin>1</ymin><xmax>5</xmax><ymax>6</ymax></bndbox></object>"
GOOD_BOX = BOX.format(1)
BOMB = (
    '<!DOCTYPE a [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {c} "{f"&{b};" * 10}">' for b, c in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)


def run(name, source, output, *arguments):
    return dataset.main(["import", str(source), "--format", name, "--output", str(output), *arguments])


@pytest.fixture
def folder(tmp_path):
    """A data set with a picture of 8 x 8 pixels, and a secret picture beside it."""
    data = tmp_path / "data"
    for path in (data / "JPEGImages" / "one.png", data / "images" / "one.png", tmp_path / "secret.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(path)
    (data / "Annotations").mkdir()
    return data


def error_line(capsys):
    """The one line that the command says of an error, behind its progress."""
    told = capsys.readouterr().err.split("pyramid_dataset: error: ")
    assert len(told) == 2, told
    assert told[1].count("\n") == 1, told
    return told[1]


def voc(folder, content, name="one.png", box=GOOD_BOX, beginning=""):
    text = f"{beginning}<annotation><filename>{name}</filename>{content}{box}</annotation>"
    (folder / "Annotations" / "one.xml").write_text(text)
    return folder


def coco(folder, **changes):
    whole = {
        "images": [{"id": 1, "file_name": "one.png"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 5]}],
        "categories": [{"id": 1, "name": "cat"}],
    } | changes
    path = folder / "instances.json"
    path.write_text(whole if isinstance(whole, str) else json.dumps(whole))
    return path


def yolo(folder, label="0 .5 .5 .5 .5", data="names: [cat]\ntrain: images"):
    (folder / "data.yaml").write_text(data)
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / "one.txt").write_text(label)
    return folder


def csv(folder, row, header="filename,width,height,class,xmin,ymin,xmax,ymax"):
    path = folder / "boxes.csv"
    path.write_text(f"{header}\n{row}\n")
    return path


@pytest.mark.parametrize(
    "name", ["../../secret.png", "/etc/passwd", "{secret}", "a\\0b", "one.png/x", "x" * 5000]
)
@pytest.mark.parametrize("kind", ["voc", "coco", "csv"])
def test_no_name_leads_out_of_the_folder_of_images(folder, tmp_path, capsys, kind, name):
    name = name.format(secret=tmp_path / "secret.png")
    if kind == "voc":
        (folder / "JPEGImages" / "one.png").unlink()
        source = voc(folder, "", name)
    elif kind == "coco":
        source = coco(folder, images=[{"id": 1, "file_name": name}])
    else:
        source = csv(folder, f"{name},8,8,cat,1,1,5,6")
    assert run(kind, source, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "there is no image that can be read" in said
    assert "root:" not in said
    assert not (tmp_path / "out" / "rows.json").exists()


def test_links_do_not_lead_out_of_it_either(folder, tmp_path, capsys):
    (folder / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    source = coco(folder, images=[{"id": 1, "file_name": "link.png"}, {"id": 2, "file_name": "one.png"}])
    assert run("coco", source, tmp_path / "out") == 0
    assert "images: 1 cannot be read" in capsys.readouterr().out
    assert [row["file"] for row in json.loads((tmp_path / "out" / "rows.json").read_text())] == ["one.png"]


@pytest.mark.parametrize("kind", ["voc", "yolo", "data.yaml", "split"])
def test_annotations_that_lead_out_of_the_data_set_are_refused_and_not_shown(folder, tmp_path, capsys, kind):
    voc(folder, "")
    yolo(folder)
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_text("names: [cat] secret")
    link = {
        "voc": folder / "Annotations" / "one.xml",
        "yolo": folder / "labels" / "one.txt",
        "data.yaml": folder / "data.yaml",
        "split": folder / "ImageSets" / "Main" / "train.txt",
    }[kind]
    link.unlink(missing_ok=True)
    link.symlink_to(secret)
    split = ["--split", "train"] if kind == "split" else []
    assert run("yolo" if kind in ("yolo", "data.yaml") else "voc", folder, tmp_path / "out", *split) == 1
    line = error_line(capsys)
    assert "it lies outside of" in line
    assert "names: [cat]" not in line


def test_links_of_folders_and_those_that_stay_are_followed(folder, tmp_path):
    voc(folder, "")
    (folder / "Annotations").rename(tmp_path / "elsewhere")
    (folder / "Annotations").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "one.xml").rename(tmp_path / "elsewhere" / "first.xml")
    (tmp_path / "elsewhere" / "one.xml").symlink_to("first.xml")
    assert run("voc", folder, tmp_path / "out") == 0
    yolo(folder)
    (folder / "data.yaml").rename(folder / "first.yaml")
    (tmp_path / "link.yaml").symlink_to(folder / "first.yaml")
    (folder / "labels" / "one.txt").rename(folder / "pool.txt")
    (folder / "labels" / "one.txt").symlink_to("../pool.txt")
    assert run("yolo", tmp_path / "link.yaml", tmp_path / "yolo", "--image-root", str(folder)) == 1
    assert run("yolo", folder / "first.yaml", tmp_path / "yolo") == 0
    assert len(json.loads((tmp_path / "yolo" / "rows.json").read_text())[0]["boxes"]) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"beginning": BOMB, "content": "<folder>&i;</folder>"}, "without a document type"),
        (
            {
                "beginning": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
                "content": "<folder>&x;</folder>",
            },
            "without a document type",
        ),
        ({"content": "<folder>&x;</folder>"}, "expected XML"),
        ({"content": "<size>"}, "expected XML"),
        ({"content": "", "box": BOX.format("one")}, "object 0, xmin: expected a number, got 'one'"),
        ({"content": "", "box": "<object><name>cat</name></object>"}, "object 0, xmin: expected a number"),
        ({"content": "", "box": "<object/>"}, "object 0: expected a name"),
        ({"content": "x" * (1 << 24)}, "expected at most"),
        ({"content": "<a>" * 100_000}, "expected XML"),
        ({"content": "", "beginning": '<?xml version="1.0" encoding="none"?>'}, "expected XML"),
    ],
)
def test_xml_that_is_no_annotation_is_one_clear_error(folder, tmp_path, capsys, changes, said):
    assert run("voc", voc(folder, **changes), tmp_path / "out") == 1
    line = error_line(capsys)
    assert f"{folder}/Annotations/one.xml" in line
    assert said in line


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": [{"id": 1, "file_name": "one.png"}] * 2}, "/images/1/id: 1 stands there a second time"),
        ({"categories": [{"id": 1, "name": "a"}] * 2}, "/categories/1/id: 1 stands there a second time"),
        ({"images": [{"id": [1], "file_name": "one.png"}]}, "/images/0/id: expected a number or a text"),
        ({"images": [{"id": 1}], "annotations": []}, "/images/0/file_name"),
        ({"annotations": [{"image_id": None}]}, "/annotations/0/image_id: expected a number or a text"),
        ({"images": {}}, "/images: expected a list"),
        ({"annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, "3", 4]}]}, "/annotations/0/bbox"),
        ({"annotations": [{"image_id": 1, "category_id": 1}]}, "/annotations/0/bbox"),
        ({"annotations": [7]}, "/annotations/0: expected an object"),
        ({"annotations": None}, "/annotations: expected a list"),
        ({"categories": [{"id": 1, "name": "\ud800"}]}, "box 0: the label '\\ud800' is no text"),
    ],
)
def test_coco_that_contradicts_itself_is_named(folder, tmp_path, capsys, changes, said):
    assert run("coco", coco(folder, **changes), tmp_path / "out") == 1
    assert said in capsys.readouterr().err


def test_coco_is_read_without_its_polygons_in_whatever_order(folder, tmp_path, monkeypatch):
    """Pieces of a few letters are as good as whole files: no more than an item is ever held."""
    monkeypatch.setattr("sensenet.tables.text.PIECE_BYTES", 7)
    monkeypatch.setattr("pyramid.datasets.json_stream.MAX_ITEM_CHARACTERS", 2000)
    polygon = {"segmentation": [[*range(100)]], "id": 1, "image_id": 1, "category_id": 1}
    whole = {
        "info": {"year": 2026},
        "licenses": [1, "a", []],
        "annotations": [polygon | {"bbox": [1, 1, n / 8 + 1, 5]} for n in range(40)],
        "empty": [],
        "categories": [{"id": 1, "name": "cat"}],
        "version": 12.25,
        "images": [{"id": 1, "file_name": "one.png"}],
    }
    (folder / "large.json").write_text(json.dumps(whole, indent=1))
    assert run("coco", folder / "large.json", tmp_path / "out") == 0
    (row,) = json.loads((tmp_path / "out" / "rows.json").read_text())
    assert [box[2] for box in row["boxes"]] == [n / 8 + 2 for n in range(40)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "expected an object with images, annotations, categories"),
        ("", "expected a whole JSON object"),
        ('{"images": [{"id": 1', "expected a whole JSON object"),
        ('{"images": []', "expected a whole JSON object"),
        ('{"images": []} x', "expected nothing behind the object"),
        ('{"images": [], "images": []}', "expected the key of another member, got 'images'"),
        ('{"images" []}', "/images: expected ':'"),
        ('{"other": [{}{}]}', 'expected "," before item 1'),
        ('{"info": NaN}', "NaN is no JSON"),
        ('{"info": {}}', "/images: expected a list"),
        ("{}", "/images: expected a list"),
    ],
)
def test_coco_that_is_no_json_is_one_clear_error(folder, tmp_path, capsys, content, said):
    (folder / "instances.json").write_text(content)
    assert run("coco", folder / "instances.json", tmp_path / "out") == 1
    assert said in error_line(capsys)


def test_what_no_box_can_be_made_of_is_counted_and_refused_strictly(folder, tmp_path, capsys):
    annotations = [
        {"image_id": 1, "category_id": 1, "bbox": box}
        for box in (
            [1, 1, 2, 2],
            [1, 1, 0, 2],
            [1, 1, -1, 2],
            [9, 9, 2, 2],
            [6, 6, 5, 1],
            [1e308, 0, 1e308, 1],
            [10**400, 0, 1, 1],
        )
    ]
    annotations += [
        {"image_id": 1, "category_id": 2, "bbox": [1, 1, 2, 2]},
        {"image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "iscrowd": 1},
        {"image_id": 7, "category_id": 1, "bbox": [1, 1, 2, 2]},
    ]
    source = coco(folder, annotations=annotations)
    assert run("coco", source, tmp_path / "out") == 0
    assert (
        "1 image, 2 boxes; boxes: 1 clipped, 1 outside of their images, 1 inverted, 1 without area, 2 not finite, "
        "1 of unknown classes, 1 of crowds, 1 of no image"
    ) in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "rows.json").read_text()) == [
        {"file": "one.png", "boxes": [[1, 1, 3, 3, "cat"], [6, 6, 8, 7, "cat"]]}
    ]
    assert run("coco", source, tmp_path / "strict", "--strict") == 1
    assert "8 boxes or images cannot be taken as they stand" in capsys.readouterr().err
    assert not (tmp_path / "strict" / "rows.json").exists()
    crowd = coco(folder, annotations=annotations[:1] + annotations[-2:-1])
    assert run("coco", crowd, tmp_path / "strict", "--strict") == 0


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999"])
def test_texts_of_numbers_that_are_not_finite_make_no_box(folder, tmp_path, capsys, number):
    sources = {
        "voc": voc(folder, "", box=BOX.format(number)),
        "yolo": yolo(folder, f"0 {number} .5 .5 .5"),
        "csv": csv(folder, f"one.png,8,8,cat,{number},1,5,6"),
    }
    for kind, source in sources.items():
        assert run(kind, source, tmp_path / kind) == 0
        assert "1 image, 0 boxes; boxes: 1 not finite" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": "0 .5 .5 .5"}, "one.txt, line 1: expected a class and x, y"),
        ({"label": "cat .5 .5 .5 .5"}, "line 1: expected the number of a class"),
        ({"label": "0 a b c d"}, "line 1: expected a number"),
        ({"label": "0 " * (1 << 24)}, "expected at most"),
        ({"data": "names: [cat]\ntrain: /etc"}, "lies outside of"),
        ({"data": "names: [cat]\ntrain: ../.."}, "lies outside of"),
        ({"data": "names: [cat]\ntrain: nowhere"}, "expected a folder of images"),
        ({"data": "names: [cat]\nval: images"}, "splits in it: val"),
        ({"data": "train: images"}, "expected the names of the classes"),
        ({"data": "names: !!python/object/apply:os.system [ls]\ntrain: images"}, "expected YAML"),
        ({"data": "a: [" * 5000}, "expected YAML"),
        ({"data": "- a"}, "expected names of classes"),
        ({"data": "names: [cat, yes]\ntrain: images"}, "expected texts, got True for 1; quotes make a text"),
    ],
)
def test_yolo_that_is_none_is_one_clear_error(folder, tmp_path, capsys, changes, said):
    assert run("yolo", yolo(folder, **changes), tmp_path / "out") == 1
    assert said in error_line(capsys)


def test_polygons_and_unknown_classes_of_yolo(folder, tmp_path, capsys):
    source = yolo(
        folder, "0 .25 .5 .75 .25 .5 1\n\n3 .5 .5 .5 .5\n", "names: {0: cat}\npath: .\ntrain: [images]"
    )
    assert run("yolo", source, tmp_path / "out") == 0
    assert json.loads((tmp_path / "out" / "rows.json").read_text())[0]["boxes"] == [[2, 2, 6, 8, "cat"]]
    assert "1 of unknown classes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "header", "said"),
    [
        ("one.png,8,8,cat,a,1,5,6", None, "row 1: expected a number, got 'a'"),
        (",8,8,cat,1,1,5,6", None, "row 1: expected a filename and a class"),
        ("one.png,8", "filename,width", 'there is no column "class"'),
        (f"{'x' * 5_000_000},8,8,cat,1,1,5,6", None, "there is no image that can be read"),
    ],
)
def test_csv_that_is_none_is_one_clear_error(folder, tmp_path, capsys, row, header, said):
    source = csv(folder, row) if header is None else csv(folder, row, header)
    assert run("csv", source, tmp_path / "out") == 1
    assert said in capsys.readouterr().err


def test_a_stale_name_in_an_annotation_is_found_by_the_annotations_own(folder, tmp_path):
    assert run("voc", voc(folder, "", "renamed.jpg"), tmp_path / "out") == 0
    assert json.loads((tmp_path / "out" / "rows.json").read_text()) == [
        {"file": "one.png", "boxes": [[1, 1, 5, 6, "cat"]]}
    ]


def test_an_image_that_two_annotations_name_is_taken_once(folder, tmp_path, capsys):
    voc(folder, "")
    (folder / "Annotations" / "two.xml").write_bytes((folder / "Annotations" / "one.xml").read_bytes())
    assert run("voc", folder, tmp_path / "out") == 0
    assert "1 image, 1 boxes; images: 1 are named twice" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"file": "../secret.png", "boxes": []}], "there is no image that can be read"),
        ([{"file": "one.png", "boxes": [[1, 1, 1, 5, "cat"]]}], "/0/boxes/0"),
        ([{"file": "one.png", "boxes": [[1, 1, 3, 5, 7]]}], "/0/boxes/0"),
        ([{"file": "one.png", "label": "cat"}], "/0: found"),
        ([{"file": "one.png", "boxes": [[1, 1, 3, 5, "\ud800"]]}], "box 0: the label '\\ud800' is no text"),
        ("x", "JSON list"),
        ({"training_data": 7}, "/training_data: expected a list of rows"),
    ],
)
def test_rows_that_are_none_are_not_exported(folder, tmp_path, capsys, rows, said):
    (folder / "images" / "rows.json").write_text(json.dumps(rows))
    arguments = [
        "export",
        str(folder / "images" / "rows.json"),
        "--format",
        "coco",
        "--output",
        str(tmp_path / "out"),
    ]
    assert dataset.main(arguments) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "instances_train.json").exists()
