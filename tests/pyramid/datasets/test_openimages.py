"""`pyramid_dataset openimages`: from a folder of lists to records and a config, and every step again for nothing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from bad_server import serving
from open_images import CAR, TORTOISE, TRAINABLE, WHEEL, Lists, md5, picture, write_class_lists

from pyramid.commands.dataset import main
from pyramid.datasets.class_lists import read_numbered_classes
from pyramid.datasets.formats import FORMATS
from pyramid.datasets.formats.base import ReadOptions
from pyramid.datasets.published_folder import find_lists
from pyramid.errors import DataError

PICTURES = {f"{number}.jpg": picture(number, 80, 60) for number in range(6)}
SUBSETS = ("train", "validation", "test")


@pytest.fixture
def server():
    with serving(PICTURES) as server:
        yield server


def write_subset(folder: Path, server, subset: str) -> None:
    lists = Lists()
    for number in range(5):
        name = f"{number}.jpg"
        how = "gone" if number == 4 else "good"
        lists.image(f"{subset}{number}", server.url(how, name), OriginalMD5=md5(PICTURES[name]))
        lists.box(f"{subset}{number}", CAR if number % 2 else TORTOISE, (0.0, 0.5, 0.0, 0.5))
        lists.box(f"{subset}{number}", WHEEL)
    made = lists.write(folder / "made")
    for name, final in (("images.csv", "images.csv"), ("boxes.csv", "annotations-human-bbox.csv")):
        (folder / subset).mkdir(exist_ok=True)
        (made / name).rename(folder / subset / final)


@pytest.fixture
def folder(tmp_path, server) -> Path:
    folder = tmp_path / "lists"
    folder.mkdir()
    for subset in SUBSETS:
        write_subset(folder, server, subset)
    for path in (folder / "made").iterdir():
        path.unlink()
    write_class_lists(folder)
    (folder / "trainable.txt").rename(folder / "classes-bbox-trainable.txt")
    (folder / "descriptions.csv").rename(folder / "class-descriptions.csv")
    (folder / "hierarchy.json").rename(folder / "bbox_labels_hierarchy.json")
    return folder


def run(folder: Path, output: Path, *options: str) -> int:
    return main(["openimages", str(folder), str(output), "--processes", "1", "--retries", "0", *options])


def state(folder: Path) -> dict[str, int]:
    kept = {"images.json", "points.json", ".jpg", ".record"}
    paths = (path for path in folder.rglob("*") if path.name in kept or path.suffix in kept)
    return {str(path): path.stat().st_mtime_ns for path in paths}


def test_a_folder_of_lists_becomes_records_and_a_config(tmp_path, server, folder, capsys):
    output = tmp_path / "made"
    assert run(folder, output) == 0
    shown = capsys.readouterr()
    assert shown.out == f"4 classes, train, validation, test: {output}/config.json\n"
    assert "train: 4 of 5 images" in shown.err and "1 failed" in shown.err
    config = json.loads((output / "config.json").read_text())
    assert config["training_data"] == str(output / "train.record")
    assert config["holdout_data"] == str(output / "validation.record")
    classes = read_numbered_classes(Path(config["label_map"]))
    assert [(one.id, one.name) for one in classes] == list(enumerate(TRAINABLE, 1))
    for subset in SUBSETS:
        images = (
            FORMATS["tfrecord"].read(output / f"{subset}.record", ReadOptions(None, None, classes)).images
        )
        boxes = [[box.label for box in image.boxes] for image in images]
        assert boxes == [["Tortoise", "Wheel"], ["Car", "Wheel"]] * 2

    before, asked = state(output), sum(server.asked.values())
    assert run(folder, output) == 0
    assert state(output) == before
    assert sum(server.asked.values()) - asked == 3, "only what had failed is asked for again"


def test_a_branch_and_a_sample_of_it(tmp_path, folder):
    output = tmp_path / "made"
    assert run(folder, output, "--under", "Car", "--max-images", "3", "--seed", "4") == 0
    assert [one["label"] for one in json.loads((output / "classes.json").read_text())] == [CAR, WHEEL]
    for subset in SUBSETS:
        assert len(json.loads((output / subset / "images.json").read_text())) == 3


def test_classes_of_one_name_are_told_before_anything_is_downloaded(tmp_path, server, folder, capsys):
    descriptions = folder / "class-descriptions.csv"
    descriptions.write_text(descriptions.read_text().replace("Tortoise", "Car"))
    assert run(folder, tmp_path / "made") == 1
    assert "expected classes with different labels, got 'Car' 2 times" in capsys.readouterr().err
    assert not server.asked


def test_classes_that_are_not_learnt_are_left_out_of_the_other_subsets(tmp_path, folder):
    boxes = folder / "train" / "annotations-human-bbox.csv"
    lines = boxes.read_text().splitlines(keepends=True)
    boxes.write_text("".join(line for line in lines if CAR not in line))
    assert run(folder, tmp_path / "made") == 0
    for subset in ("validation", "test"):
        points = json.loads((tmp_path / "made" / subset / "points.json").read_text())
        assert {box["label"] for point in points for box in point["annotations"]} == {TORTOISE, WHEEL}


def test_without_training_lists_nothing_is_both_learnt_and_held_out(tmp_path, folder):
    for path in (folder / "train").iterdir():
        path.unlink()
    assert run(folder, tmp_path / "made") == 0
    config = json.loads((tmp_path / "made" / "config.json").read_text())
    assert config["training_data"] == str(tmp_path / "made" / "validation.record")
    assert "holdout_data" not in config


def test_pictures_of_records_are_not_shown_but_told_of(tmp_path, folder, capsys):
    assert run(folder, tmp_path / "made") == 0
    assert main(["show", str(tmp_path / "made" / "config.json"), "--output", str(tmp_path / "a.png")]) == 1
    assert "train.record are records: pyramid_dataset import makes rows" in capsys.readouterr().err


def test_lists_are_found_by_the_names_of_every_version(tmp_path):
    names = (
        *("train-images-boxable-with-rotation.csv", "oidv6-train-annotations-bbox.csv", "test/images.csv"),
        *("validation/annotations-human-bbox.csv.gz", "validation-images-with-rotation.csv", "classes.txt"),
        *(
            "train-annotations-human-imagelabels-boxable.csv",
            "classes-bbox-trainable.txt",
            "classes-trainable.txt",
        ),
        *("class-descriptions-boxable.csv", "bbox_labels_600_hierarchy.json"),
    )
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x" * number)
    found = find_lists(tmp_path)
    assert found.annotations == {"train": tmp_path / names[1], "validation": tmp_path / names[3]}
    assert found.images == {"train": tmp_path / names[0], "validation": tmp_path / names[4]}
    assert (found.trainable, found.descriptions) == (tmp_path / names[7], tmp_path / names[9])
    assert found.hierarchy == tmp_path / names[10]


def test_an_index_of_no_subset_is_that_of_all(tmp_path):
    for name in ("images.csv", "train/annotations-human-bbox.csv", "test/annotations-human-bbox.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_lists(tmp_path).images == dict.fromkeys(("train", "test"), tmp_path / "images.csv")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([], "there are no boxes"),
        (["train/annotations-human-bbox.csv"], "no index of images for train"),
        (
            ["a/train-annotations-bbox.csv", "b/train-annotations-bbox.csv"],
            "which one is the list of annotations",
        ),
    ],
)
def test_a_folder_that_is_not_whole_is_one_clear_error(tmp_path, files, told):
    for number, name in enumerate(files):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x" * number)
    with pytest.raises(DataError) as caught:
        find_lists(tmp_path)
    assert told in str(caught.value)


def test_gzipped_lists_of_one_subset_are_enough(tmp_path, folder):
    for path in (folder / "train").iterdir():
        (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    for subset in SUBSETS:
        for path in (folder / subset).iterdir():
            path.unlink()
    assert run(folder, tmp_path / "made") == 0
    config = json.loads((tmp_path / "made" / "config.json").read_text())
    assert "holdout_data" not in config and config["training_data"].endswith("train.record")
