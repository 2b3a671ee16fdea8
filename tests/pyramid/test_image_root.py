"""The images of a job lie in its image_root, whatever their names and links say, and are regular files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_jobs import dense, image_job, tiny_model, write_image

import sensenet
from pyramid.commands import training_batches
from pyramid.commands.config import parse_config
from pyramid.errors import DataError, PyramidError
from pyramid.fields import Fields
from pyramid.finalize.image import predict_holdout
from pyramid.images.networks import read_initial_model
from pyramid.images.root import image_confinement, image_source
from pyramid.images.rows import read_image_rows
from pyramid.jobs import dataset_caching, image_training
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.options import RootOptions, RowOptions
from pyramid.tables.ser import write_ser
from pyramid.workspace import Workspace, read_json
from sensenet.document.model import dumps
from sensenet.errors import InputError
from sensenet.preprocess.image_files import read_named_file
from sensenet.preprocess.reading import read_image

OUTSIDE = "it lies outside of image_root"
ALLOWED = '"allow_outside_root": true would allow it'
SECRET = b"root:$6$secret:19000:0:99999:7:::\n"
CLASSES = ["dark", "bright"]
FIELDS = [{"index": 0, "type": "image"}, {"index": 1, "type": "categorical", "values": CLASSES}]


class Place:
    """A directory of images, and one beside it."""

    def __init__(self, base: Path):
        self.root, self.outside = base / "root", base / "root2"
        for directory in (self.root / "below", self.outside):
            directory.mkdir(parents=True)
        rng = np.random.default_rng(0)
        for number in range(24):
            write_image(self.root / f"{number}.png", 200 * (number % 2) + rng.uniform(0, 50, (8, 8)))
        for path in (self.root / "below" / "in.png", self.outside / "out.png"):
            write_image(path, np.zeros((8, 8)))
        (self.outside / "secret.txt").write_bytes(SECRET)
        (self.root / "link.png").symlink_to(self.outside / "out.png")
        (self.root / "folder").symlink_to(self.outside)
        (self.root / "inner.png").symlink_to(self.root / "below" / "in.png")
        self.initial = base / "initial.json"
        self.initial.write_bytes(dumps(tiny_model(CLASSES)))

    def settings(self, **changes: Any) -> Any:
        return RootOptions(**{"image_root": str(self.root)} | changes)

    def read(self, name: str, **changes: Any) -> Any:
        return read_image(name, image_source(self.settings(**changes)), "row 3")

    def job(self, **changes: Any) -> dict[str, Any]:
        labels = [number % 2 for number in range(24)]
        job = image_job(self.root, labels, info_list=FIELDS, layers=[dense(4, "relu"), dense(2, "softmax")])
        own = {"job_id": "initial_model_fine_tune", "max_iterations": 2, "rescale_type": "warp"}
        network = {"base_image_network": "initial_model", "image_training_type": "fine_tune"}
        return job | own | network | {"initial_model": str(self.initial)} | changes


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def leaving(place: Place) -> list[str]:
    return [
        "../root2/out.png",
        "below/../../root2/out.png",
        str(place.outside / "out.png"),
        "link.png",
        "folder/out.png",
        "../root2/not_there.png",
        "/etc/hostname",
    ]


@pytest.mark.parametrize("number", range(7))
def test_names_that_leave_the_root_are_told(place: Place, number: int) -> None:
    name = leaving(place)[number]
    with pytest.raises(InputError) as caught:
        place.read(name)
    assert str(caught.value).startswith("row 3: ")
    assert name in str(caught.value)
    assert OUTSIDE in str(caught.value) and ALLOWED in str(caught.value)


@pytest.mark.parametrize("number", range(5))
def test_the_setting_lets_them_pass_and_so_does_having_no_root(place: Place, number: int) -> None:
    name = leaving(place)[number]
    place.read(name, allow_outside_root=True)
    place.read(str(place.root / name), image_root="")
    place.read(str(place.root / name), image_root="")


def test_names_inside_are_read_in_any_form(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["0.png", "below/in.png", "below/../0.png", "./0.png", str(place.root / "0.png"), "inner.png"]
    link = place.root.parent / "link_to_root"
    link.symlink_to(place.root)
    monkeypatch.chdir(place.root.parent)
    for root in (str(place.root), f"{place.root}/", str(link), "root", "root/below/..", "./link_to_root"):
        for name in names:
            place.read(name, image_root=root)
    place.read("0.png", image_root="/" + str(place.root))
    place.read(str(place.root / "0.png"), image_root="/")


def test_a_link_swapped_in_at_the_last_moment_does_not_help(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def swapped(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith("/0.png"):
            (place.root / "0.png").unlink()
            (place.root / "0.png").symlink_to(place.outside / "out.png")
        return real_open(path, *arguments, **options)

    confinement = image_confinement(place.settings())
    monkeypatch.setattr(os, "open", swapped)
    with pytest.raises(InputError, match=OUTSIDE):
        read_named_file(str(place.root), "0.png", confinement)


@pytest.mark.parametrize("name", ["folder/secret.txt", "../root2/secret.txt"])
@pytest.mark.parametrize("allowed", [False, True])
def test_no_message_shows_what_a_file_holds(place: Place, name: str, allowed: bool) -> None:
    with pytest.raises(InputError) as caught:
        place.read(name, allow_outside_root=allowed)
    assert "secret:" not in str(caught.value) and "$6$" not in str(caught.value)


def test_an_image_job_refuses_them_or_leaves_them_out(place: Place) -> None:
    rows = [*place.job()["image_training_data"], {"file": "../root2/out.png", "label": 0}]
    job = place.job(image_training_data=rows)
    workspace = Workspace.create(job["output_directory"])
    with pytest.raises(DataError, match=rf"(?s)1 of 25 images.*\.\./root2/out\.png: {OUTSIDE}.*{ALLOWED}"):
        image_training.run(BaseSettings(job), workspace, ignore)
    image_training.run(BaseSettings(job | {"skip_invalid_images": True}), workspace, ignore)
    (skipped,) = read_json(workspace.submodel(job["job_id"]).fit_info, "")["skipped_images"]
    assert skipped["file"] == "../root2/out.png" and OUTSIDE in skipped["reason"]
    image_training.run(BaseSettings(job | {"allow_outside_root": True}), workspace, ignore)
    assert read_json(workspace.submodel(job["job_id"]).fit_info, "")["skipped_images"] == []


def test_caching_refuses_them(place: Place) -> None:
    path = place.root / "rows.ser"
    write_ser(path, [["link.png", 0], ["0.png", 0], ["1.png", 1], ["2.png", 0]] * 4, FIELDS)
    files = {"cache_file": str(path), "cache_rows": 16, "image_training_data": None}
    own = {"job_type": "dataset_caching", "image_training_type": "use_pretrained", "is_search": False}
    job = place.job(**files, **own, tree_embedding=False, max_data_size=10**9, parallelism=1)
    job = {key: value for key, value in job.items() if value is not None}
    workspace = Workspace.create(job["output_directory"])
    with pytest.raises(DataError, match=rf"link\.png: .*{OUTSIDE}.*{ALLOWED}"):
        dataset_caching.run(BaseSettings(job), workspace, ignore)
    dataset_caching.run(BaseSettings(job | {"allow_outside_root": True}), workspace, ignore)


def test_holdout_images_are_predicted_from_inside_only(place: Place) -> None:
    model = sensenet.create_model(tiny_model(CLASSES))
    asked = (Fields.parse(FIELDS).objective, place.settings())
    ((_, _, said),) = predict_holdout(model, [["0.png", "dark"]], *asked)
    assert said in CLASSES
    with pytest.raises(DataError, match=rf"(?s)1 of 2 holdout images.*link\.png: .*{OUTSIDE}"):
        predict_holdout(model, [["0.png", "dark"], ["link.png", "dark"]], *asked)


def test_the_command_takes_the_setting_too(place: Place) -> None:
    rows = [{"file": f"{number}.png", "label": CLASSES[number % 2]} for number in range(24)]
    config = {
        "training_data": [*rows, {"file": "link.png", "label": "dark"}],
        "image_root": str(place.root),
        "output_directory": str(place.root / "out"),
        "image_network_candidates": [["simple", "randomly_initialize"]],
        "input_image_shape": [8, 8, 3],
        "batch_size": 25,
        "descent_algorithm": "adam",
        "learning_rate": 0.01,
        "max_total_time": 10,
    }
    with pytest.raises(DataError, match=OUTSIDE):
        list(training_batches.augmented_batches(parse_config(config), 1, ignore))
    allowed = parse_config(config | {"allow_outside_root": True})
    assert len(list(training_batches.augmented_batches(allowed, 1, ignore))) == 1
    with pytest.raises(PyramidError, match="/allow_outside_root"):
        parse_config(config | {"allow_outside_root": "yes"})


# --- what is no regular file -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["FIFO", "directory", "device"])
def test_other_things_than_files_are_refused_unopened(place: Place, kind: str) -> None:
    path = place.root / "odd.json"
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    message = f"it is a {kind}, expected a regular file"
    with pytest.raises(InputError, match=message):
        place.read("odd.json", allow_outside_root=True)
    with pytest.raises(PyramidError, match=message):
        read_initial_model(str(path))
    with pytest.raises(DataError, match=message):
        read_image_rows(RowOptions(cache_file=str(path)), Fields.parse(FIELDS))


def test_null_characters_in_paths_are_told(place: Place) -> None:
    with pytest.raises(InputError, match=r"row 3: .*null"):
        place.read("a\0b.png")
    with pytest.raises(InputError, match=r"row 3: .*null"):
        place.read("../a\0b.png")
    with pytest.raises(DataError, match=r"image_root cannot be used: .*null"):
        image_confinement(place.settings(image_root="a\0b"))
    with pytest.raises(PyramidError, match="null"):
        read_initial_model("a\0b.json")
    with pytest.raises(DataError, match="null"):
        read_image_rows(RowOptions(cache_file="a\0b.json"), Fields.parse(FIELDS))


def test_deeply_nested_rows_are_told(place: Place) -> None:
    path = place.root / "rows.json"
    path.write_text(json.dumps([{"file": "0.png", "label": 0}])[:-1] + ", " + "[" * 1000 + "]" * 1000 + "]")
    with pytest.raises(DataError, match=r'row 1: found .*, allowed is an object with "file"'):
        read_image_rows(RowOptions(cache_file=str(path)), Fields.parse(FIELDS))
