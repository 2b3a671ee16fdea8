from __future__ import annotations

import contextlib
import io
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pyramid.train.box_matching import TrueBoxes
from pyramid.train.box_metrics import evaluate_boxes


def boxes(corners, classes=None, scores=None):
    """What was found in an image; without `scores` what is in it."""
    corners = np.array(corners, np.float64).reshape(-1, 4)
    classes = np.zeros(len(corners), np.int64) if classes is None else np.array(classes, np.int64)
    if scores is None:
        return TrueBoxes(corners, classes)
    return SimpleNamespace(corners=corners, classes=classes, scores=np.array(scores, np.float64))


def random_corners(rng, n, size=200, largest=60):
    low = rng.integers(0, size, (n, 2))
    return np.hstack([low, low + rng.integers(1, largest, (n, 2))]).astype(np.float64)


def random_images(seed, n_images, n_classes, n_true=12, n_found=30, decimals=6):
    """Found boxes are near truths, or anywhere; few `decimals` make ties of scores."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(n_images):
        true = boxes(random_corners(rng, k := rng.integers(0, n_true + 1)), rng.integers(0, n_classes, k))
        corners = random_corners(rng, n := rng.integers(0, n_found + 1))
        classes = rng.integers(0, n_classes, n)
        if k:
            near, which = rng.random(n) < 0.7, rng.integers(0, k, n)
            corners[near] = true.corners[which[near]] + rng.integers(-4, 5, (near.sum(), 4)) / 4
            corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2] + 0.25)
            classes[near] = true.classes[which[near]]
        truth.append(true)
        found.append(boxes(corners, classes, np.round(rng.random(n), decimals)))
    return truth, found


def annotations(images):
    """As pycocotools has them: x, y, width, height."""
    rows = []
    for image, each in enumerate(images):
        scores = getattr(each, "scores", np.zeros(len(each.classes)))
        for (x1, y1, x2, y2), label, score in zip(each.corners.tolist(), each.classes, scores, strict=True):
            place = [x1, y1, x2 - x1, y2 - y1]
            rows.append({"image_id": image, "category_id": int(label), "bbox": place, "score": float(score)})
            rows[-1] |= {"area": place[2] * place[3], "iscrowd": 0, "id": len(rows)}
    return rows


def of_pycocotools(truth, found, n_classes):
    """AP of each class at 0.5 and 0.5:0.95, and the means; -1 where a class has no truth."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image} for image in range(len(truth))],
            "annotations": annotations(truth),
            "categories": [{"id": label} for label in range(n_classes)],
        }
        coco.createIndex()
        rows = annotations(found)
        result = COCOeval(coco, coco.loadRes(rows) if rows else COCO(), "bbox")
        result.evaluate()
        result.accumulate()
        result.summarize()
    precision = result.eval["precision"][:, :, :, 0, 2]  # (thresholds, recalls, classes)
    return precision[0].mean(axis=0), precision.mean(axis=(0, 1)), result.stats[1], result.stats[0]


def assert_equal_to_pycocotools(truth, found, n_classes):
    measured = evaluate_boxes(truth, found, n_classes)
    ap_50, ap_50_95, map_50, map_50_95 = of_pycocotools(truth, found, n_classes)
    np.testing.assert_allclose(np.nan_to_num(measured.ap_50, nan=-1), ap_50, atol=1e-9)
    np.testing.assert_allclose(np.nan_to_num(measured.ap_50_95, nan=-1), ap_50_95, atol=1e-9)
    assert measured.map_50 == pytest.approx(max(map_50, 0), abs=1e-9)
    assert measured.map_50_95 == pytest.approx(max(map_50_95, 0), abs=1e-9)


@pytest.mark.parametrize(
    "case",
    [
        {"n_images": 12, "n_classes": 3},
        {"n_images": 8, "n_classes": 1},
        {"n_images": 6, "n_classes": 2, "decimals": 1},
        {"n_images": 4, "n_classes": 2, "n_true": 60, "n_found": 400, "decimals": 2},
        {"n_images": 5, "n_classes": 40, "n_true": 6},
        {"n_images": 5, "n_classes": 2, "n_found": 0},
        {"n_images": 5, "n_classes": 2, "n_true": 0},
    ],
    ids=["usual", "one class", "ties", "crowded", "classes without truths", "nothing found", "no truth"],
)
@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_that_of_pycocotools(seed, case):
    assert_equal_to_pycocotools(*random_images(seed, **case), case["n_classes"])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 8))
def test_boxes_that_compete_are_matched_as_by_pycocotools(seed, n_classes, side):
    """Few places for many boxes: the same truth twice, equal overlaps, equal scores."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(3):
        k, n = rng.integers(0, 12, 2)
        truth.append(boxes(random_corners(rng, k, side, 4), rng.integers(0, n_classes, k)))
        found.append(
            boxes(
                random_corners(rng, n, side, 4),
                rng.integers(0, n_classes, n),
                rng.integers(0, 4, n) / 4 + 0.1,
            )
        )
    assert_equal_to_pycocotools(truth, found, n_classes)


def test_hits_and_misses_are_told_of_each_image():
    truth = [boxes([[0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]], [0, 1, 0]), boxes([])]
    found = [
        boxes([[20, 20, 30, 30], [0, 0, 10, 8], [0, 0, 10, 10]], [0, 0, 0], [0.9, 0.8, 0.7]),
        boxes([[0, 0, 5, 5]], [1], [0.6]),
    ]
    first, second = evaluate_boxes(truth, found, 2).images
    assert first.hits.tolist() == [False, True, False]  # another class, the better, the worse
    assert first.truths.tolist() == [-1, 0, -1]
    assert second.hits.tolist() == [False]


def test_boxes_beyond_the_hundred_best_of_a_class_do_not_count():
    corners = [[0, 0, 10, 10]] + [[500, 500, 510, 510]] * 100
    worst_first = np.linspace(0.1, 0.9, 101)
    measured = evaluate_boxes([boxes([[0, 0, 10, 10]])], [boxes(corners, scores=worst_first)], 1)
    assert measured.map_50 == 0
    assert not measured.images[0].hits.any()
    assert len(measured.curves[0].scores) == 100


def test_curves_go_from_the_best_box_of_all_images_down():
    truth = [boxes([[0, 0, 10, 10]]), boxes([[0, 0, 10, 10], [40, 40, 50, 50]])]
    found = [
        boxes([[0, 0, 10, 10], [70, 70, 80, 80]], scores=[0.9, 0.6]),
        boxes([[0, 0, 10, 10]], scores=[0.7]),
    ]
    curve = evaluate_boxes(truth, found, 1).curves[0]
    assert curve.scores.tolist() == [0.9, 0.7, 0.6]
    assert curve.precision == pytest.approx([1, 1, 2 / 3])
    assert curve.recall == pytest.approx([1 / 3, 2 / 3, 2 / 3])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.55, 1.0])
def test_precision_and_recall_at_a_threshold_are_those_of_the_boxes_above_it(seed, threshold):
    truth, found = random_images(seed, 6, 3, decimals=1)
    above = [boxes(*(each[f.scores > threshold] for each in (f.corners, f.classes, f.scores))) for f in found]
    precision, recall = evaluate_boxes(truth, found, 3).precision_recall_at(threshold)
    images = evaluate_boxes(truth, above, 3).images
    for label in range(3):
        hits = sum(np.sum(m.hits[a.classes == label]) for m, a in zip(images, above, strict=True))
        said = sum(np.sum(a.classes == label) for a in above)
        there = sum(np.sum(t.classes == label) for t in truth)
        assert precision[label] == pytest.approx(hits / said if said else np.nan, nan_ok=True)
        assert recall[label] == pytest.approx(hits / there if there else np.nan, nan_ok=True)


def test_a_score_is_compared_with_the_threshold_in_its_own_precision():
    found = boxes([[0, 0, 10, 10]], scores=[0])
    found.scores = np.array([0.3], np.float32)  # above 0.3 in float64
    _, recall = evaluate_boxes([boxes([[0, 0, 10, 10]])], [found], 1).precision_recall_at(0.3)
    assert recall.tolist() == [0]


def test_without_any_truth_the_means_are_zero():
    measured = evaluate_boxes([boxes([])], [boxes([[0, 0, 1, 1]], scores=[0.5])], 2)
    assert (measured.map_50, measured.map_50_95) == (0.0, 0.0)
    assert np.isnan(measured.ap_50).all()
    assert evaluate_boxes([], [], 2).map_50 == 0.0


@pytest.mark.parametrize("label", [-1, 2])
def test_a_class_out_of_range_is_refused(label):
    with pytest.raises(ValueError, match=r"\[0, 2\)"):
        evaluate_boxes([boxes([[0, 0, 1, 1]], [label])], [boxes([], scores=[])], 2)
