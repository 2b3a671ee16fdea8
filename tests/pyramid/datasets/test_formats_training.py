"""pyramid_train on files of rows and on TFRecords, with rows that are held out by name."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from box_jobs import SIDE, tiny_detector, write_rectangles
from image_jobs import write_image

from pyramid.commands import dataset, evaluate, train
from pyramid.commands.config import parse_config
from pyramid.commands.training_data import with_rows, with_rows_to_learn
from pyramid.jobs import load_job
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.workspace import Workspace
from sensenet.document.model import dumps


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Rows of pictures, `train.json` and `holdout.json`, the records of both, and a small detector."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "pictures").mkdir()
    rows = write_rectangles(folder / "pictures", 24)
    for name, some in (("train", rows[:16]), ("holdout", rows[16:])):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(some))
        for shards in ("1", "3") if name == "train" else ("1",):
            arguments = ["--image-root", folder / "pictures", "--split", name, "--shards", shards]
            arguments += ["--format", "tfrecord", "--output", folder / "records"]
            assert dataset.main(["export", str(path), *map(str, arguments)]) == 0
    (folder / "model.json").write_bytes(dumps(tiny_detector()))
    return folder


@pytest.fixture
def config(folder, tmp_path):
    """Writes configs of a short training, and gives their path."""

    def write(**keys):
        whole = {
            "input_image_shape": [SIDE, SIDE, 3],
            "image_network_candidates": [["initial_model", str(folder / "model.json")]],
            "batch_size": 8,
            "descent_algorithm": "adam",
            "learning_rate": 0.003,
            "max_iterations": 3,
            "max_total_time": 120,
            "output_directory": str(tmp_path / "out"),
        } | keys
        path = tmp_path / "config.json"
        path.write_text(json.dumps(whole))
        return path

    return write


def trained(config, tmp_path):
    """What a short training of the readout leaves: result, weights, and what was held out."""
    training = parse_config(with_rows(json.loads(config.read_text()), ignore))
    settings = training.job(training.candidates[0], 120).as_dict()
    settings = BaseSettings(settings | {"image_training_type": "use_pretrained"})
    workspace = Workspace.create(tmp_path / "out")
    result = load_job("image_training")(settings, workspace, ignore)
    submodel = workspace.submodel(settings.job_id)
    held_out = json.loads(submodel.fit_info.read_text())["holdout_images"]
    return result["validation_metrics"], submodel.weights.read_bytes(), held_out


@pytest.mark.slow
def test_records_are_learnt_as_the_rows_are_bit_for_bit(folder, config, tmp_path):
    rows, records = folder, folder / "records"
    metrics, weights, held_out = trained(
        config(
            training_data=str(rows / "train.json"),
            holdout_data=str(rows / "holdout.json"),
            image_root=str(folder / "pictures"),
            return_holdout_images=True,
        ),
        tmp_path,
    )
    again = trained(
        config(
            training_data=str(records / "train.record"),
            holdout_data=str(records / "holdout.record"),
            label_map=str(records / "label_map.pbtxt"),
            return_holdout_images=True,
        ),
        tmp_path,
    )
    assert again[:2] == (metrics, weights)
    assert held_out == [
        [row["file"], row["boxes"]] for row in json.loads((rows / "holdout.json").read_text())
    ]
    assert again[2] == [[f"holdout_data/{file}", boxes] for file, boxes in held_out]


def test_shards_are_one_data_set_for_bigml_and_for_evaluation(folder, config, tmp_path, capsys):
    path = config(training_data=str(folder / "records" / "train.record-*"))
    assert train.main(["--bigmlize", str(path)]) == 0
    told = json.loads((tmp_path / "out" / "metadata.json").read_text())
    rows = json.loads((folder / "train.json").read_text())
    assert {one["file"].removeprefix("training_data/") for one in told} == {row["file"] for row in rows}
    assert evaluate.main([str(folder / "model.json"), str(path)]) == 0
    assert "16 images" in capsys.readouterr().out


def test_what_no_training_takes_of_records_is_left_out_and_told(folder, config, tmp_path):
    first, *others = json.loads((folder / "train.json").read_text())
    crowd = [[place % 8, 0, place % 8 + 4, 5, "red"] for place in range(129)]
    paths = {}
    for key, rows in (
        ("training_data", [first | {"boxes": crowd}, *others]),
        ("holdout_data", [first | {"boxes": [[1, 1, 9, 9, "elk"], [1, 2, 9, 9, "red"]]}]),
    ):
        (tmp_path / f"{key}.json").write_text(json.dumps(rows))
        arguments = ["--image-root", folder / "pictures", "--format", "tfrecord", "--output", tmp_path / key]
        assert dataset.main(["export", str(tmp_path / f"{key}.json"), *map(str, arguments)]) == 0
        paths[key] = str(tmp_path / key / "train.record")
    told = []
    whole = with_rows_to_learn(
        json.loads(config(**paths).read_text()), lambda _, **facts: told.append(facts.get("message", ""))
    )
    images = parse_config(whole).images
    assert [row["boxes"] for row in images.rows] == [row["boxes"] for row in others]
    assert [row["boxes"] for row in images.holdout] == [[[1, 2, 9, 9, "red"]]]
    assert [message for message in told if message.startswith("warning")] == [
        "warning: training_data: 1 images have more than 128 boxes: left out",
        "warning: holdout_data: 1 boxes are of classes that training_data does not have: left out",
    ]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"training_data": "none.json"}, "/training_data: none.json cannot be read"),
        ({"training_data": "none.record"}, "/training_data: none.record: there are no such records"),
        (
            {"training_data": "{folder}/train.json", "holdout_data": "none"},
            "/training_data: found rows beside",
        ),
        ({"training_data": "{folder}/records/train.record", "image_root": "x"}, "/image_root: found"),
        ({"training_data": "{folder}/records/train.record", "label_map": "none"}, "/label_map: none cannot"),
        (
            {"training_data": "{folder}/records/train.record", "output_directory": 7},
            "/output_directory: found 7",
        ),
        ({"training_data": "{folder}/model.json"}, "/training_data: found"),
        ({"training_data": "{folder}/train.json", "holdout_data": []}, "/holdout_data: found an empty list"),
        (
            {
                "training_data": "{folder}/train.json",
                "holdout_data": [{"file": "0.png", "boxes": [[1, 1, 2, 2, "elk"]]}],
            },
            "/holdout_data/0/boxes/0: found",
        ),
        (
            {"training_data": "{folder}/train.json", "holdout_data": [{"file": "0.png", "label": "red"}]},
            "/holdout_data/0/label",
        ),
        (
            {"training_data": "{folder}/train.json", "holdout_data": [{"file": "none.png", "boxes": []}]},
            "1 of 17 images cannot be read",
        ),
    ],
)
def test_data_that_cannot_be_read_is_told_with_its_key(folder, config, tmp_path, capsys, keys, said):
    keys = {
        key: value.format(folder=folder) if isinstance(value, str) else value for key, value in keys.items()
    }
    root = {} if "record" in str(keys["training_data"]) else {"image_root": str(folder / "pictures")}
    assert train.main([str(config(**root | keys))]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_holdout_of_which_nothing_can_be_read_ends_the_training(folder, config, tmp_path, capsys):
    (tmp_path / "broken").mkdir()
    for number in range(16):
        shutil.copy(folder / "pictures" / f"{number}.png", tmp_path / "broken")
    (tmp_path / "broken" / "no.png").write_text("no picture")
    held_out = [{"file": "no.png", "boxes": []}]
    path = config(
        training_data=str(folder / "train.json"),
        holdout_data=held_out,
        image_root=str(tmp_path / "broken"),
        skip_invalid_images=True,
    )
    assert train.main([str(path)]) == 1
    assert "image_holdout_data: none of its images can be read" in capsys.readouterr().err


@pytest.mark.slow
def test_labels_are_held_out_as_boxes_are(tmp_path, config):
    (tmp_path / "pictures").mkdir()
    for number in range(12):
        write_image(tmp_path / "pictures" / f"{number}.png", _shade(number))
    rows = [{"file": f"{number}.png", "label": "ab"[number % 2]} for number in range(12)]
    (tmp_path / "rows.json").write_text(json.dumps(rows[:8]))
    path = config(
        training_data=str(tmp_path / "rows.json"),
        holdout_data=rows[8:],
        image_root=str(tmp_path / "pictures"),
        image_network_candidates=[["simple", "randomly_initialize"]],
        return_holdout_images=True,
    )
    assert train.main([str(path)]) == 0
    (info,) = (tmp_path / "out").glob("submodel_*/*info.json")
    assert json.loads(info.read_text())["holdout_images"] == [[row["file"], row["label"]] for row in rows[8:]]


def _shade(number):
    return np.full((SIDE, SIDE, 3), 20 * number, np.uint8)
