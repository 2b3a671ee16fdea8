from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyramid.errors import DataError
from pyramid.fields.boxes import (
    LOSSES,
    MOST_BOXES,
    NO_BOX,
    TOTAL_LOSS,
    BoxAnswers,
    BoxesObjective,
    ScoredBoxes,
)
from pyramid.train.box_matching import TrueBoxes
from pyramid.train.box_metrics import evaluate_boxes

VALUES = ("cat", "dog", "cow")
OBJECTIVE = BoxesObjective(index=1, name="animals", values=VALUES)
PADDING = [0.0, 0.0, 0.0, 0.0, NO_BOX]


def stacked(*images):
    return OBJECTIVE.stack([OBJECTIVE.read_label(boxes) for boxes in images])


def test_the_field_of_a_job_is_the_output_of_a_document():
    raw = {"index": 1, "name": "animals", "type": "bounding_box", "values": list(VALUES)}
    parsed = BoxesObjective.parse(raw)
    assert parsed == OBJECTIVE
    assert parsed.dump() == raw
    assert parsed.dump_output() == {"type": "bounding_box", "name": "animals", "values": list(VALUES)}
    assert parsed.difference_from(parsed.dump_output()) is None
    for other in (["dog", "cat", "cow"], ["cat", "dog"]):
        assert "classes" in parsed.difference_from({"type": "bounding_box", "values": other})
    assert parsed.difference_from({"type": "numeric"}) == "its objective is numeric"


def test_the_classes_of_labels_are_sorted():
    labels = [[[0, 0, 1, 1, "dog"]], [], [[0, 0, 1, 1, "cat"], [0, 0, 1, 1, "dog"]]]
    assert BoxesObjective.of_labels(labels, 3) == BoxesObjective(index=3, values=("cat", "dog"))


def test_a_label_is_corners_and_the_position_of_the_class():
    label = OBJECTIVE.read_label([[1, 2.5, 30, 40, "cow"], [-5, 0, 3, 1e6, 1]])
    assert label.dtype == np.float32
    assert label.tolist() == [[1, 2.5, 30, 40, 2], [-5, 0, 3, 1e6, 1]]
    assert OBJECTIVE.read_label([]).shape == (0, 5)
    assert len(OBJECTIVE.read_label([[0, 0, 1, 1, 0]] * MOST_BOXES)) == MOST_BOXES


GOOD = [0, 0, 8, 8, "cat"]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([0, 0, 8, 8], "found [0, 0, 8, 8], allowed is [x1, y1, x2, y2, class]"),
        ([0, 0, 8, 8, "cat", 1], 'found [0, 0, 8, 8, "cat", 1], allowed is'),
        ("cat", 'found "cat", allowed is'),
        ({"box": 1}, "allowed is"),
        (None, "found null, allowed is"),
        ([0, 0, "8", 8, "cat"], "allowed is"),
        ([0, 0, None, 8, "cat"], "allowed is"),
        ([0, 0, True, 8, "cat"], "allowed is"),
        ([0, 0, float("nan"), 8, "cat"], "allowed is"),
        ([0, 0, float("inf"), 8, "cat"], "allowed is"),
        ([0, 0, 1e39, 8, "cat"], "allowed is"),
        ([0, 0, 8, 8, None], "allowed is"),
        ([0, 0, 8, 8, 1.0], "allowed is"),
        ([0, 0, 8, 8, True], "allowed is"),
        ([8, 0, 8, 8, "cat"], "which has no area"),
        ([9, 0, 8, 8, "cat"], "which has no area"),
        ([0, 8, 8, 8, "cat"], "which has no area"),
        ([8, 0, 8 + 1e-9, 8, "cat"], "which has no area"),
        ([0, 9, 8, 8, "cat"], "which has no area"),
        ([0, 0, 8, 8, "cats"], 'found "cats", which is not among the values'),
        ([0, 0, 8, 8, 3], "found 3, which is not among the values"),
        ([0, 0, 8, 8, -1], "found -1, which is not among the values"),
    ],
)
def test_a_box_that_cannot_be_is_named(box, message):
    with pytest.raises(DataError, match=rf'^"boxes", box 1: .*{re.escape(message)}'):
        OBJECTIVE.read_label([GOOD, box, GOOD])


def test_too_many_boxes_are_refused():
    message = f'"boxes": found {MOST_BOXES + 1} boxes, allowed are at most {MOST_BOXES} an image'
    with pytest.raises(DataError, match=message):
        OBJECTIVE.read_label([GOOD] * (MOST_BOXES + 1))


def test_labels_are_stacked_with_padding():
    labels = stacked([GOOD], [], [GOOD, [1, 2, 3, 4, "dog"]])
    good, other = [0, 0, 8, 8, 0], [1, 2, 3, 4, 1]
    assert labels.dtype == np.float32
    assert labels.tolist() == [[good, PADDING], [PADDING, PADDING], [good, other]]
    assert stacked([], []).shape == (2, 0, 5)
    targets = OBJECTIVE.targets(labels)
    np.testing.assert_array_equal(OBJECTIVE.truth(targets), labels)
    np.testing.assert_array_equal(OBJECTIVE.smoothed(targets, 0.3), targets)


def test_an_image_is_of_its_rarest_class():
    def boxes(*names):
        return [[0, 0, 8, 8, name] for name in names]

    # five cats, three dogs, one cow
    labels = stacked(
        boxes("cat", "cat", "dog"), boxes("dog", "cow", "cat"), [], boxes("cat", "cat"), boxes("dog")
    )
    assert OBJECTIVE.count(labels).tolist() == [5, 3, 1]
    assert OBJECTIVE.class_of(labels).tolist() == [1, 2, NO_BOX, 0, 1]
    np.testing.assert_array_equal(OBJECTIVE.strata(labels), OBJECTIVE.class_of(labels))
    assert OBJECTIVE.class_of(labels).dtype == np.int64


@pytest.mark.parametrize("images", [[[], []], []])
def test_images_without_boxes_are_of_no_class(images):
    labels = stacked(*images)
    assert OBJECTIVE.class_of(labels).tolist() == [NO_BOX] * len(images)
    assert OBJECTIVE.count(labels).tolist() == [0, 0, 0]
    assert OBJECTIVE.in_units(labels) == images


numbers = st.floats(-1000, 1000, width=32)
ranges = st.tuples(numbers, numbers).map(sorted).filter(lambda pair: pair[0] < pair[1])
boxes = st.tuples(ranges, ranges, st.sampled_from(VALUES)).map(
    lambda drawn: [drawn[0][0], drawn[1][0], drawn[0][1], drawn[1][1], drawn[2]]
)


@given(st.lists(st.lists(boxes, max_size=5), max_size=5))
def test_labels_are_given_back_as_they_were_read(images):
    assert all(OBJECTIVE.is_label(image) for image in images)
    assert OBJECTIVE.in_units(stacked(*images)) == images


def random_answers(n=12, seed=0):
    """Truths, and answers that are near them or anywhere, some images with fewer boxes than others."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 80, (n, 6, 2))
    truths = np.concatenate([low, low + rng.uniform(5, 40, (n, 6, 2))], axis=-1)
    labels = np.concatenate([truths, rng.integers(-1, 3, (n, 6, 1))], axis=-1).astype(np.float32)
    corners = np.concatenate([truths + rng.normal(0, 1.5, truths.shape), truths[::-1]], axis=1)
    classes = np.concatenate([np.maximum(labels[..., 4], 0), labels[::-1, :, 4] % 3], axis=1)
    scores = -np.sort(-rng.random((n, 12)), axis=1)
    scores[np.arange(12) >= rng.integers(0, 13, (n, 1))] = 0
    answers = BoxAnswers(
        rng.random((n, 3)).astype(np.float32),
        corners.astype(np.float32),
        scores.astype(np.float32),
        classes.astype(np.int32),
    )
    return labels, answers


def test_metrics_are_mean_losses_and_those_of_the_found_boxes():
    labels, answers = random_answers()
    measured = OBJECTIVE.evaluate(labels, answers)
    found = [
        ScoredBoxes(corners[scores > 0], scores[scores > 0], classes[scores > 0])
        for _, corners, scores, classes in zip(*answers, strict=True)
    ]
    truth = [TrueBoxes(each[each[:, 4] >= 0, :4], each[each[:, 4] >= 0, 4].astype(int)) for each in labels]
    expected = evaluate_boxes(truth, found, len(VALUES))
    assert 0 < expected.map_50_95 < expected.map_50 < 1
    assert (measured["mAP_50"], measured["mAP_50_95"]) == (expected.map_50, expected.map_50_95)
    losses = -answers.losses.mean(axis=0)
    assert [measured[name] for name in LOSSES] == pytest.approx(losses.tolist(), rel=1e-6)
    assert measured[TOTAL_LOSS] == pytest.approx(losses.sum(), rel=1e-6)
    assert set(measured) == {*LOSSES, TOTAL_LOSS, "mAP_50", "mAP_50_95"}
    assert set(OBJECTIVE.headline) | set(OBJECTIVE.decisive) <= set(measured)


def test_boxes_found_exactly_are_a_precision_of_one():
    labels = stacked([[0, 0, 8, 8, "cat"], [5, 5, 30, 20, "dog"]], [], [[1, 2, 9, 9, "cow"]])
    there = labels[..., 4] >= 0
    answers = BoxAnswers(
        np.zeros((3, 3)), labels[..., :4], 0.9 * there, np.maximum(labels[..., 4], 0).astype(int)
    )
    measured = OBJECTIVE.evaluate(labels, answers)
    assert measured["mAP_50"] == measured["mAP_50_95"] == 1


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_losses_that_are_not_finite_make_every_metric_nan(broken):
    labels, answers = random_answers()
    answers.losses[3, 1] = broken
    measured = OBJECTIVE.evaluate(labels, answers)
    assert set(measured) == {*LOSSES, TOTAL_LOSS, "mAP_50", "mAP_50_95"}
    assert np.isnan(list(measured.values())).all()
