"""The config of pyramid_train with boxes: what follows from its rows, and everything that can be wrong with it."""

from __future__ import annotations

import math

import pytest
from train_configs import config, problems

from pyramid.commands.config import parse_config

BOXES = [
    {"file": "0.png", "boxes": [[1, 2, 10.5, 20, "dog"], [0, 0, 5, 5, "cat"]]},
    {"file": "1.png", "boxes": []},
    {"file": "2.png", "boxes": [[3, 3, 8, 9, "cat"]]},
]
FORM = "allowed is [x1, y1, x2, y2, class] with finite numbers x1 < x2 and y1 < y2"
SIX, NINE = [[size, size] for size in range(4, 10)], [[size, 5] for size in range(2, 11)]


def box_config(**keys):
    candidates = [["tinyyolov4", "randomly_initialize"]]
    sound = {"image_network_candidates": candidates, "input_image_shape": [64, 32, 3], "training_data": BOXES}
    return config(**(sound | keys))


def job_of(**keys):
    training = parse_config(box_config(**keys))
    return training.job(training.candidates[0], 30)


def test_boxes_make_a_bounding_box_objective_with_sorted_values_and_no_readout():
    job = job_of()
    assert job.objective_type == "bounding_box"
    assert job.info_list == [
        {"type": "image", "index": 0},
        {"type": "bounding_box", "index": 1, "values": ["cat", "dog"]},
    ]
    assert job.image_training_data == BOXES
    assert (job.layers, job.loss_function) == ([], None)
    assert job.job_id == "tinyyolov4_randomly_initialize"


def test_a_stated_objective_orders_the_values():
    stated = [{"type": "bounding_box", "values": ["dog", "cat"], "name": "pets"}]
    assert job_of(info_list=stated).info_list[-1] == {"index": 1, **stated[0]}


def test_weights_are_kept_and_one_where_a_row_has_none():
    weighted = [BOXES[0] | {"weight": 0.5}, *BOXES[1:]]
    assert [row["weight"] for row in job_of(training_data=weighted).image_training_data] == [0.5, 1, 1]


def test_what_a_detector_has_no_use_for_is_named_and_left_out():
    given = box_config(loss_function="huber", rescale_type="crop", max_data_size=0)
    training = parse_config(given)
    job = training.job(training.candidates[0], 30)
    assert training.unused == ("loss_function", "rescale_type")
    assert (job.loss_function, job.rescale_type, job.max_data_size) == (None, None, 0)
    assert job.training_options["loss_function"] == "huber"
    assert parse_config(config(loss_function="hinge")).unused == ()


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([5, 5, 1, 9, "cat"], "which has no area"),
        ([1, 5, 5, 5, "cat"], "which has no area"),
        ([1, 5, 1 + 1e-9, 9, "cat"], "which has no area"),
        ([1, 2, "3", 4, "cat"], FORM),
        ([1, 2, True, 4, "cat"], FORM),
        ([1, 2, math.nan, 4, "cat"], FORM),
        ([1, 2, math.inf, 4, "cat"], FORM),
        ([1, 2, 3, 4], FORM),
        ([1, 2, 3, 4, 0], f"{FORM} and a string"),
        ([1, 2, 3, 4, None], FORM),
        ("cat", FORM),
        ({"box": [1, 2, 3, 4]}, FORM),
    ],
)
def test_a_wrong_box_is_told_with_its_place(box, message):
    rows = [*BOXES, {"file": "x", "boxes": [[0, 0, 1, 1, "cat"], box]}]
    found = problems(box_config(training_data=rows))
    assert list(found) == ["/training_data/3/boxes/1"]
    assert message in found["/training_data/3/boxes/1"]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            {"training_data": [*BOXES, {"file": "x", "boxes": [[0, 0, 1, 1, "cat"]] * 129}]},
            {"/training_data/3/boxes": "found 129 boxes, allowed are at most 128 an image"},
        ),
        (
            {"training_data": [*BOXES, {"file": "x", "label": "cat"}]},
            {
                "/training_data/3/label": "unknown key; a row has file, boxes, weight, as other rows have",
                "/training_data/3/boxes": "missing; a row needs it: a list of at most 128 boxes",
            },
        ),
        (
            {"training_data": [*BOXES, {"file": "x", "boxes": "cat"}]},
            {"/training_data/3/boxes": 'found "cat", allowed is a list of at most 128 boxes'},
        ),
        (
            {"training_data": [*BOXES, {"file": "", "boxes": [], "weight": -1, "colour": "red"}]},
            {
                "/training_data/3/file": "the name of an image file",
                "/training_data/3/weight": "at least 0",
                "/training_data/3/colour": "unknown key; a row has file, boxes, weight",
            },
        ),
        ({"training_data": [*BOXES, 7]}, {"/training_data/3": 'an object with "file" and "boxes"'}),
        (
            {"info_list": [{"type": "bounding_box", "values": ["cat"]}]},
            {"/training_data/0/boxes/0": 'found "dog", which is not among the values of the objective'},
        ),
        (
            {"info_list": [{"type": "bounding_box", "values": ["bird", "cat", "dog", "fish"]}]},
            {"/training_data": "no box is of bird, fish: each value of the objective needs at least one"},
        ),
        ({"training_data": BOXES[1:2]}, {"/training_data": "no image has a box: there is nothing to find"}),
        ({"info_list": [{"type": "bounding_box", "values": []}]}, {"/info_list": "leave info_list out"}),
        ({"info_list": [{"type": "bounding_box"}]}, {"/info_list": "leave info_list out"}),
        (
            {"info_list": [{"type": "categorical", "values": ["cat", "dog"]}], "training_data": BOXES[:1]},
            {
                "/training_data/0/boxes": "unknown key; a row has file, label, weight, as other rows have",
                "/training_data/0/label": "missing",
                "/image_network_candidates/0/0": "which finds boxes",
            },
        ),
        ({"objective_type": "numeric"}, {"/objective_type": "the labels of training_data are bounding_box"}),
        (
            {"layers": [{"type": "flatten"}]},
            {"/layers": "found 1 layers, but a detector has no readout: allowed is an empty list"},
        ),
        (
            {"image_network_candidates": [["simple", "randomly_initialize"]]},
            {
                "/image_network_candidates/0/0": 'found "simple", which finds no boxes, allowed is one of '
                "tinyyolov4, yolov4, initial_model"
            },
        ),
        (
            {"image_network_candidates": [["tinyyolo", "fine_tune"]]},
            {"/image_network_candidates/0/0": "did you mean 'tinyyolov4'"},
        ),
        ({"input_image_shape": [64, 40, 3]}, {"/input_image_shape": "height: expected an integer in [8,"}),
        (
            {"bounding_box_anchors": NINE},
            {"/bounding_box_anchors": "found 9 anchors, but tinyyolov4 has 6: allowed are 6 pairs"},
        ),
        ({"bounding_box_anchors": [*SIX[:5], [3]]}, {"/bounding_box_anchors/5": "2 items"}),
        ({"bounding_box_anchors": [*SIX[:5], [3, 0]]}, {"/bounding_box_anchors/5/1": "greater than 0"}),
        ({"class_weights": [["bird", 1]]}, {"/class_weights/0/0": 'found "bird"'}),
        ({"strict_boxes": "yes"}, {"/strict_boxes": "true or false"}),
    ],
)
def test_what_is_wrong_is_said_with_its_place(keys, told):
    found = problems(box_config(**keys))
    assert found.keys() == told.keys()
    for path, message in told.items():
        assert message in found[path]


def test_a_network_is_told_to_find_boxes_where_the_rows_are_wrong_too():
    rows = [{"file": "x", "boxes": [[5, 5, 1, 1, "cat"]]}]
    assert problems(box_config(training_data=rows)).keys() == {"/training_data/0/boxes/0"}


def test_each_candidate_has_its_number_of_anchors():
    both = [["tinyyolov4", "fine_tune"], ["yolov4", "fine_tune"]]
    found = problems(box_config(image_network_candidates=both, bounding_box_anchors=SIX))
    assert found == {
        "/bounding_box_anchors": "found 6 anchors, but yolov4 has 9: allowed are 9 pairs [width, height]"
    }
    mine = [["initial_model", "mine.json"]]
    job = job_of(image_network_candidates=mine, bounding_box_anchors=NINE)
    assert job.bounding_box_anchors == NINE


def test_no_more_than_twenty_rows_are_listed():
    found = problems(box_config(training_data=[{"file": "a", "boxes": [3, 4]}] * 20))
    assert len(found) == 21
    assert found["/training_data"] == "20 more problems of this kind"
