"""Detectors trained by image jobs, through the job's own door: settings in, files and a result out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from box_jobs import CLASSES, SIDE, bounding_box, box_job, tiny_detector, write_rectangles
from image_jobs import dense, image_job, tiny_model, write_digits, write_image
from weight_files import random_arrays, write_file

import sensenet
from pyramid.errors import DataError, SettingsError
from pyramid.jobs import image_training
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.submodels.image_model import image_document
from pyramid.tables.ser import write_ser
from pyramid.workspace import Workspace, read_json
from sensenet.document.model import dumps
from sensenet.formats.h5 import stored_weights
from sensenet.pretrained import weights_url
from sensenet.pretrained.networks import COCO_CLASSES

N_IMAGES, N_TRAINED = 200, 160
N_TINY = 48
HEAD_ARRAYS = 4  # kernel and bias of two last convolutions

Arrays = list[np.ndarray]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> tuple[Path, list[dict[str, Any]]]:
    directory = tmp_path_factory.mktemp("pictures")
    return directory, write_rectangles(directory, N_IMAGES)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("untrained") / "model.json"
    path.write_bytes(dumps(tiny_detector()))
    return path


@pytest.fixture(scope="module")
def tiny(pictures, untrained, tmp_path_factory):
    """Makes quick jobs on 48 pictures: a small detector, one step, so one phase."""
    directory, rows = pictures
    out = str(tmp_path_factory.mktemp("tiny"))

    def make(**changes: Any) -> dict[str, Any]:
        start = {"base_image_network": "initial_model_0", "initial_model": str(untrained)}
        where = {"output_directory": out, "max_iterations": 1}
        return box_job(directory, rows[:N_TINY], **(start | where | changes))

    return make


@pytest.fixture(scope="module")
def plain(tiny) -> list[bytes]:
    """What the quick job learns."""
    return weights(tiny())


@pytest.fixture(scope="module")
def trained(pictures, untrained, tmp_path_factory) -> tuple[dict[str, Any], Any, Path]:
    """The small detector on 160 pictures: its result, what it left, and its document."""
    directory, rows = pictures
    job = box_job(
        directory,
        rows[:N_TRAINED],
        base_image_network="initial_model_0",
        initial_model=str(untrained),
        output_directory=str(tmp_path_factory.mktemp("trained")),
        max_iterations=400,
        return_holdout_images=True,
    )
    result, submodel = train(job)
    path = Path(job["output_directory"]) / "document.json"
    path.write_bytes(dumps(image_document(submodel)))
    return result, submodel, path


def train(job: dict[str, Any], report=ignore, **callbacks: Any) -> tuple[dict[str, Any], Any]:
    settings = BaseSettings(job)
    workspace = Workspace.create(settings.output_directory)
    result = image_training.run(settings, workspace, report, **callbacks)
    return result, workspace.submodel(settings.job_id)


def arrays_of(submodel: Any) -> Arrays:
    return [array for _, arrays in stored_weights(submodel.weights) for array in arrays]


def weights(job: dict[str, Any]) -> list[bytes]:
    return [array.tobytes() for array in arrays_of(train(job)[1])]


def messages(job: dict[str, Any]) -> str:
    lines: list[str] = []
    train(job, lambda progress, **facts: lines.append(facts.get("message", "")))
    return "\n".join(lines)


def info_of(submodel: Any) -> dict[str, Any]:
    return read_json(submodel.fit_info, "image_training")


def anchors_by_stride(submodel: Any) -> dict[int, list[list[int]]]:
    branches = info_of(submodel)["image_network"]["metadata"]["outputs"]
    return {branch["strides"]: branch["anchors"] for branch in branches}


def seen_boxes(job: dict[str, Any]) -> set[tuple[float, ...]]:
    """The boxes of the first batch, in pixels of the network's input."""
    batch = image_training.training_batches(BaseSettings(job), ignore)(0)
    return {tuple(box) for boxes in batch.targets.numpy().tolist() for box in boxes if box[-1] >= 0}


def n_changed(one: Arrays, other: Arrays) -> int:
    return sum(not np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def test_rectangles_are_learnt_and_found_in_pictures_never_seen(pictures, trained):
    directory, rows = pictures
    result, _, path = trained
    assert result["validation_metrics"]["mAP_50"] > 0.5
    detector = sensenet.create_model(path, {"bounding_box_threshold": 0.3})
    found = detector([str(directory / row["file"]) for row in rows[N_TRAINED:]])
    hits, total = 0, 0
    for row, boxes in zip(rows[N_TRAINED:], found, strict=True):
        centres = [
            ((box["box"][0] + box["box"][2]) / 2, (box["box"][1] + box["box"][3]) / 2, box["label"])
            for box in boxes
        ]
        for x1, y1, x2, y2, label in row["boxes"]:
            total += 1
            hits += any(x1 < x < x2 and y1 < y < y2 and label == said for x, y, said in centres)
    assert hits > 0.7 * total


def test_the_fit_info_says_what_the_detector_is(pictures, trained):
    _, rows = pictures
    result, submodel, _ = trained
    info = info_of(submodel)
    assert set(result["validation_metrics"]) == {
        *("ciou_loss", "confidence_loss", "probability_loss", "total_loss", "mAP_50", "mAP_50_95")
    }
    assert result["validation_metrics"]["total_loss"] < 0, "larger is better"
    assert (info["layers"], info["output_exposition"]) == (
        [],
        {"type": "bounding_box", "values": list(CLASSES)},
    )
    assert info["image_network"]["metadata"]["rescale_type"] == "pad"
    held_out = dict(info["holdout_images"])
    truth = {row["file"]: row["boxes"] for row in rows}
    assert len(held_out) == pytest.approx(0.2 * N_TRAINED, abs=5)
    assert all(boxes == truth[file] for file, boxes in held_out.items())


def test_the_best_weights_are_those_of_the_smallest_loss(tiny):
    checks: list[Any] = []
    result, _ = train(tiny(max_iterations=60, max_seconds_per_update=0.0), on_check=checks.append)
    assert result["validation_metrics"]["total_loss"] == max(check.metrics["total_loss"] for check in checks)


@pytest.mark.parametrize("strict", [False, True])
def test_boxes_with_their_centre_outside_are_left_out_or_refused(tiny, strict):
    rows = tiny()["image_training_data"]
    rows = [{"file": "0.png", "boxes": [[0, 0, 9, 9, "red"], [30, 4, 50, 9, "blue"]]}, *rows]
    job = tiny(image_training_data=rows, strict_boxes=strict)
    if strict:
        place = r"0\.png: box 1, \[30\.0, 4\.0, 50\.0, 9\.0\], in an image of 32 x 32 pixels"
        with pytest.raises(DataError, match=f"1 boxes have their centre outside.*\n{place}"):
            train(job)
        return
    told: list[str] = []
    _, submodel = train(job, lambda progress, **facts: told.append(facts.get("message", "")))
    count = sum(len(row["boxes"]) for row in rows)
    assert f"warning: 1 of {count} boxes have their centre outside of the image and are left out" in told
    rows[0]["boxes"].pop()
    assert n_changed(arrays_of(submodel), arrays_of(train(tiny(image_training_data=rows))[1])) == 0


def test_boxes_are_cut_at_the_border_and_padded_as_their_image(tiny, tmp_path):
    write_image(tmp_path / "wide.png", np.zeros((20, 40, 3)))
    boxes = [[-10, 2, 20, 10, "red"], [30, 5, 45, 25, "blue"]]
    job = tiny(image_root=str(tmp_path), image_training_data=[{"file": "wide.png", "boxes": boxes}] * 4)
    # 40 x 20 becomes 32 x 16, and 16 rows below it are added
    cut = {(0.0, 1.6, 16.0, 8.0, 1.0), (24.0, 4.0, 32.0, 16.0, 0.0)}
    assert {tuple(np.round(box, 4).tolist()) for box in seen_boxes(job)} == cut


def test_boxes_follow_their_augmented_images(tiny):
    rows = [{"file": "0.png", "boxes": [[1, 2, 9, 12, "red"], [20, 3, 30, 10, "blue"]]}] * 40
    flips = tiny(image_training_data=rows, augmentation_ranges={"horizontal_flip": True})
    there, mirrored = (1.0, 2.0, 9.0, 12.0, 1.0), (SIDE - 9.0, 2.0, SIDE - 1.0, 12.0, 1.0)
    assert {box for box in seen_boxes(flips) if box[-1] == 1} == {there, mirrored}


def test_pictures_without_boxes_are_learnt_from(tiny):
    rows = [row | {"boxes": []} for row in tiny()["image_training_data"][1:]]
    first = {"file": "0.png", "boxes": [[0, 0, 9, 9, "red"], [10, 10, 20, 20, "blue"]]}
    result, _ = train(tiny(image_training_data=[first, *rows]))
    assert np.isfinite(result["validation_metrics"]["total_loss"])


@pytest.mark.parametrize("training_type", ["fine_tune", "use_pretrained"])
def test_the_first_phase_changes_the_last_convolutions_alone(tiny, trained, training_type):
    _, submodel, document = trained
    # when the time is over no other phase begins
    ends = {"max_iterations": None, "max_training_time": 0.0}
    _, tuned = train(tiny(initial_model=str(document), image_training_type=training_type, **ends))
    before, after = arrays_of(submodel), arrays_of(tuned)
    assert n_changed(before, after) == HEAD_ARRAYS
    assert n_changed(before[-HEAD_ARRAYS:], after[-HEAD_ARRAYS:]) == HEAD_ARRAYS


def test_fine_tuning_then_changes_everything_and_goes_on_from_what_was_known(tiny, trained):
    _, submodel, document = trained
    result, tuned = train(
        tiny(
            initial_model=str(document),
            image_training_type="fine_tune",
            max_iterations=40,
            learning_rate=3e-3,
        )
    )
    assert n_changed(arrays_of(submodel), arrays_of(tuned)) == len(arrays_of(tuned))
    assert result["validation_metrics"]["mAP_50"] > 0.5
    assert anchors_by_stride(tuned) == anchors_by_stride(submodel)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"info_list": bounding_box("red", "blue")}, "its classes are others, or in another order"),
        ({"info_list": bounding_box("red", "blue"), "image_training_type": "randomly_initialize"}, None),
    ],
)
def test_last_convolutions_that_are_drawn_anew_are_told(tiny, trained, changes, reason):
    job = tiny(initial_model=str(trained[2]), image_training_type="fine_tune") | changes
    told = messages(job)
    assert ("the last convolutions are drawn anew" in told) == (reason is not None)
    assert reason is None or reason in told


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory) -> tuple[Path, Arrays]:
    """A folder with a file of random numbers as the published weights of tinyyolov4, and these."""
    cache = tmp_path_factory.mktemp("cache")
    arrays = random_arrays("tinyyolov4", seed=5)
    write_file(cache / weights_url("tinyyolov4").rsplit("/", 1)[1], arrays)
    return cache, [array for layer in arrays for array in layer]


@pytest.mark.parametrize("knows_classes", [False, True])
def test_published_weights_are_begun_with(tiny, stand_in, monkeypatch, knows_classes):
    cache, published = stand_in
    monkeypatch.setenv("BIGML_SENSENET_CACHE_PATH", str(cache))
    changes: dict[str, Any] = {"max_iterations": 4}
    if knows_classes:  # nothing is drawn anew, and without a step nothing changes
        boxes = [[0, 0, 9, 9, name] for name in COCO_CLASSES]
        rows = [{"file": f"{number}.png", "boxes": boxes} for number in range(3)]
        changes = {"max_iterations": 0, "image_training_data": rows, "info_list": bounding_box(*COCO_CLASSES)}
    job = tiny(
        base_image_network="tinyyolov4", initial_model=None, image_training_type="use_pretrained", **changes
    )
    _, submodel = train(job)
    same = [np.array_equal(one, other) for one, other in zip(arrays_of(submodel), published, strict=True)]
    assert same.count(False) == (0 if knows_classes else HEAD_ARRAYS)


@pytest.mark.parametrize("training_type", ["randomly_initialize", "fine_tune"])
def test_given_anchors_are_sorted_and_the_smallest_are_the_finest(tiny, training_type):
    given = [[9, 9], [2, 3], [20, 20.4], [4, 4], [1, 30], [6, 7]]
    _, submodel = train(tiny(bounding_box_anchors=given, image_training_type=training_type))
    # areas 6, 16, 30 at strides 8; 42, 81, 400 at 16
    assert anchors_by_stride(submodel) == {8: [[2, 3], [4, 4], [1, 30]], 16: [[6, 7], [9, 9], [20, 20]]}


def test_anchors_are_fitted_to_the_boxes(tiny):
    sizes = [(3, 3), (5, 4), (6, 10), (12, 12), (20, 14), (24, 28)]
    boxes = [[0, 0, width, height, CLASSES[place % 2]] for place, (width, height) in enumerate(sizes)]
    rows = [{"file": f"{number}.png", "boxes": boxes} for number in range(20)]
    _, submodel = train(tiny(image_training_data=rows))
    found = anchors_by_stride(submodel)
    assert [tuple(anchor) for anchor in found[8] + found[16]] == sizes


def test_pictures_are_held_out_by_their_rarest_class(tiny):
    red, both = [[0, 0, 9, 9, "red"]], [[0, 0, 9, 9, "red"], [9, 9, 20, 20, "blue"]]
    kinds = [red] * 24 + [both] * 8 + [[]] * 8
    rows = [{"file": f"{number}.png", "boxes": boxes} for number, boxes in enumerate(kinds)]
    job = tiny(image_training_data=rows, holdout_rate=0.25, return_holdout_images=True)
    held_out = info_of(train(job)[1])["holdout_images"]
    assert sorted(len(boxes) for _, boxes in held_out) == [0] * 2 + [1] * 6 + [2] * 2


@pytest.mark.parametrize(
    ("training_type", "iterations"),
    [("use_pretrained", 2), pytest.param("randomly_initialize", 6, marks=pytest.mark.slow)],
)
def test_the_same_seed_gives_the_same_weights_from_memory_and_from_disk(tiny, training_type, iterations):
    how = {"image_training_type": training_type, "max_iterations": iterations, "patience": 1}
    job = tiny(image_augmentations=["zoom", "brightness"], **how)
    first, from_disk, other = (weights(job | change) for change in ({}, {"max_data_size": 0}, {"seed": 2}))
    assert first == from_disk != other


@pytest.mark.parametrize(
    "options",
    [
        {"balance_objective": True},
        {"class_weights": [["red", 5.0], ["blue", 1.0]]},
        {"label_smoothing_factor": 0.2},
        {"learning_rate_warmup_iterations": 6},
        {"image_augmentations": ["horizontal_flip"]},
        {"cheat_on_validation": True},
        {"bounding_box_anchors": [[size, size] for size in range(4, 10)]},
    ],
    ids="+".join,
)
def test_every_option_changes_the_training(tiny, plain, options):
    assert weights(tiny(**options)) != plain


def test_rows_weigh_what_their_weights_say(tiny, plain):
    rows = tiny()["image_training_data"]
    ones = [row | {"weight": 1.0} for row in rows]
    others = [row | {"weight": 0.5 + number % 2} for number, row in enumerate(rows)]
    assert weights(tiny(image_training_data=ones)) == plain != weights(tiny(image_training_data=others))
    with pytest.raises(DataError, match='row 48: "weight": missing'):
        train(tiny(image_training_data=[*ones, rows[0]]))
    image, boxes = bounding_box(*CLASSES)
    weight = {"index": 2, "type": "numeric", "mean": 0.5, "stdev": 0.5}
    _, submodel = train(
        tiny(image_training_data=others, instance_weights=True, info_list=[image, weight, boxes])
    )
    assert info_of(submodel)["weight_index"] == 2


def test_a_training_checks_on_the_training_images_where_it_is_told_to_cheat(tiny):
    job = tiny(cheat_on_validation=True, return_holdout_images=True)
    assert len(info_of(train(job)[1])["holdout_images"]) == N_TINY


def test_images_that_cannot_be_read_are_left_out_where_that_is_asked_for(tiny, plain):
    rows = tiny()["image_training_data"]
    broken = [{"file": "missing.png", "boxes": [[0, 0, 9, 9, "red"]]}, *rows]
    with pytest.raises(DataError, match=r"1 of 49 images cannot be read.*\n.*missing\.png"):
        train(tiny(image_training_data=broken))
    assert weights(tiny(image_training_data=broken, skip_invalid_images=True)) == plain


def test_rows_come_from_a_json_file_all_the_same(tiny, plain, tmp_path):
    job = tiny()
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(job.pop("image_training_data")))
    assert weights(job | {"cache_file": str(path)}) == plain


def test_classes_may_be_told_by_their_positions(tiny, plain):
    rows = [
        row | {"boxes": [[*corners, CLASSES.index(name)] for *corners, name in row["boxes"]]}
        for row in tiny()["image_training_data"]
    ]
    assert weights(tiny(image_training_data=rows)) == plain


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[9, 5, 1, 9, "red"]], 'row 48: "boxes", box 0: .*which has no area'),
        ([[0, 0, 1, 1, "red"], [1, 5, 5, 5, "red"]], 'row 48: "boxes", box 1: .*which has no area'),
        ([[1, 2, None, 4, "red"]], 'row 48: "boxes", box 0: .*finite numbers'),
        ([[1, 2, 3, 4]], 'row 48: "boxes", box 0: .*allowed is'),
        ([[1, 2, 3, 4, "green"]], 'box 0: found "green", which is not among the values'),
        ([[1, 2, 3, 4, 2]], "box 0: found 2, which is not among the values"),
        ([[0, 0, 1, 1, "red"]] * 129, "found 129 boxes, allowed are at most 128 an image"),
        ("red", 'row 48: "boxes": found "red", allowed is a list of at most 128 boxes'),
        (None, 'row 48: "boxes": missing; a row needs it: a list'),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tiny, boxes, message):
    rows = [*tiny()["image_training_data"], {"file": "0.png", "boxes": boxes}]
    with pytest.raises(DataError, match=f"(?s)image_training_data: 1 of 49 rows.*{message}"):
        train(tiny(image_training_data=rows))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"file": "0.png", "boxes": []}], "no image has a box: there is nothing to find"),
        ([{"file": "0.png", "boxes": [[0, 0, 1, 1, "red"]]}], "no box is of blue"),
        ([{"file": "0.png", "boxes": [[60, 60, 70, 70, "red"]]}], "no image has a box"),
        ([{"file": "0.png", "label": "red"}], '"boxes": missing'),
        (["0.png"], 'an object with "file" and "boxes"'),
    ],
)
def test_rows_that_teach_nothing_are_refused(tiny, rows, message):
    with pytest.raises(DataError, match=message):
        train(tiny(image_training_data=rows))


def test_boxes_cannot_come_from_a_ser(tiny, tmp_path):
    job = tiny()
    del job["image_training_data"]
    path = tmp_path / "rows.ser"
    write_ser(
        path,
        [["0.png", 1]] * 4,
        [job["info_list"][0], {"index": 1, "type": "numeric", "mean": 0, "stdev": 1}],
    )
    with pytest.raises(DataError, match=r"rows\.ser: the objective is boxes, which a \.ser cannot hold"):
        train(job | {"cache_file": str(path), "cache_rows": 4})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": [dense(2, "softmax")]}, "/layers: found 1 layers, but a detector has no readout"),
        (
            {"base_image_network": "simple", "initial_model": None},
            "/base_image_network: .*which finds no boxes",
        ),
        (
            {"base_image_network": "tinyyolov4", "initial_model": None, "input_image_shape": [40, 32, 3]},
            "/input_image_shape: .*that 32 divides",
        ),
        (
            {"base_image_network": "yolov4", "initial_model": None, "bounding_box_anchors": [[1, 1]] * 6},
            "/bounding_box_anchors: found 6 anchors, but yolov4 has 9",
        ),
        ({"bounding_box_anchors": [[1, 1]]}, "/bounding_box_anchors: found 1 anchors, but .* has 6"),
        ({"input_image_shape": [40, 32, 3]}, "/input_image_shape: .*sides that 16 divides"),
        ({"job_type": "standard_training", "job_id": "x"}, "/objective_type: .*only image_training"),
        ({"job_type": "dataset_caching", "job_id": "x"}, "/objective_type: .*only image_training"),
    ],
)
def test_settings_that_cannot_be_are_named(tiny, changes, message):
    with pytest.raises(SettingsError, match=message):
        train(tiny(**changes))


def test_a_classifier_begins_no_detector_and_a_detector_no_classifier(tiny, untrained, tmp_path):
    classifier = tmp_path / "classifier.json"
    classifier.write_bytes(dumps(tiny_model(list("0123456789"))))
    with pytest.raises(SettingsError, match="initial_model_0 finds no boxes"):
        train(tiny(initial_model=str(classifier)))
    labels = write_digits(tmp_path, 20)
    start = {"base_image_network": "initial_model_0", "initial_model": str(untrained)}
    with pytest.raises(SettingsError, match="initial_model_0 finds boxes and has no features"):
        train(image_job(tmp_path, labels, **start))


@pytest.mark.slow
@pytest.mark.parametrize(("network", "iterations"), [("tinyyolov4", 12), ("yolov4", 4)])
def test_the_networks_by_name_are_trained(pictures, tmp_path, network, iterations):
    directory, rows = pictures
    job = box_job(
        directory,
        rows[:40],
        base_image_network=network,
        input_image_shape=[64, 64, 3],
        output_directory=str(tmp_path),
        batch_size=4,
        learning_rate=0.001,
        max_iterations=iterations,
        max_seconds_per_update=0.0,
    )
    checks: list[Any] = []
    result, submodel = train(job, on_check=checks.append)
    assert result["job_id"] == f"{network}_randomly_initialize"
    assert checks[-1].loss < 0.8 * checks[0].loss
    detector = sensenet.create_model(image_document(submodel), {"bounding_box_threshold": 0.0})
    assert detector(str(directory / "0.png"))
