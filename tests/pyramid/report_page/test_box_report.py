"""The page of a detector's report on made-up boxes: its table, curves and pictures, and their bounds."""

from __future__ import annotations

import base64
import json
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from report_pages import EVIL, Page, made, sections

from pyramid.fields.boxes import NO_BOX, BoxAnswers
from pyramid.report_page.answers import Detections
from pyramid.report_page.answers.box_galleries import N_DRAWN
from pyramid.report_page.answers.boxes import MOST_CURVE_POINTS, MOST_CURVES, MOST_ROWS, ClassRow
from pyramid.report_page.answers.kind import N_WORST
from pyramid.report_page.data import ReportData, dump_report, parse_report
from pyramid.report_page.drawing import around, draw_corners
from pyramid.report_page.render import render
from sensenet.drawing import PALETTE

SECTIONS = ["curves", "answers", "drawn", "false", "missed", "augmented", "settings"]
GREY = np.full((64, 96, 3), 128, np.uint8)
LOSSES = ("ciou_loss", "total_loss", "mAP_50")


def stacked(images, width, fill):
    """Lists of rows of `width` numbers, one an image, filled up to the longest."""
    out = np.zeros((len(images), max(map(len, images), default=0), width), np.float32)
    out[..., -1] = fill
    for row, boxes in zip(out, images, strict=True):
        row[: len(boxes)] = np.reshape(boxes, (-1, width))
    return out


def detected(truth, found, names=("cat", "dog"), **changes) -> ReportData:
    """A report on images of 96 x 64 pixels.

    Args:
        truth: for each image [x1, y1, x2, y2, class] of each box.
        found: for each image [x1, y1, x2, y2, class, score] of each box, best first.
    """
    boxes = stacked(found, 6, 0.0)
    answers = BoxAnswers(
        np.zeros((len(found), 3), np.float32), boxes[..., :4], boxes[..., 5], boxes[..., 4].astype(np.int32)
    )
    objective = {"type": "bounding_box", "values": list(names)}
    return made(
        objective,
        stacked(truth, 5, NO_BOX),
        answers,
        LOSSES,
        pixels=GREY,
        result_metrics=LOSSES,
        value=-2.5,
        **changes,
    )


def random_boxes(rng, n_images, n_boxes, n_classes, columns):
    corner = rng.uniform(0, 50, (n_images, n_boxes, 2))
    numbers = [corner, corner + rng.uniform(4, 40, (n_images, n_boxes, 2))]
    numbers.append(rng.integers(0, n_classes, (n_images, n_boxes, 1)))
    numbers.append(-np.sort(-rng.random((n_images, n_boxes, 1)), axis=1))
    return np.concatenate(numbers, axis=-1)[..., :columns]


def gallery(data: ReportData, kind: str):
    (found,) = [one for one in data.answers.galleries if one.kind == kind]
    return found


def pixels_of(uri: str | None) -> np.ndarray:
    assert uri is not None
    return np.asarray(Image.open(BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def near(pixels: np.ndarray, colour) -> int:
    """How many pixels have about a colour."""
    return int((np.abs(pixels.astype(int) - colour).max(axis=2) < 12).sum())


# two cats, one found; a dog that is found a little; a box where nothing is
TRUTH = [[[0, 0, 20, 20, 0], [40, 10, 90, 60, 0]], [[10, 10, 30, 30, 1]], []]
FOUND = [
    [[0, 0, 20, 20, 0, 0.9], [60, 0, 80, 8, 1, 0.6]],
    [[11, 10, 31, 30, 1, 0.25]],
    [[5, 5, 25, 45, 0, 0.75]],
]


def test_each_class_has_its_row_and_its_curve():
    answers = detected(TRUTH, FOUND).answers
    assert isinstance(answers, Detections)
    cat, dog = answers.rows
    assert cat == ClassRow("cat", 2, pytest.approx(51 / 101), pytest.approx(51 / 101), 0.5, 0.5)
    assert (dog.truths, dog.ap_50, dog.precision, dog.recall) == (1, pytest.approx(0.5), 0.0, 0.0)
    assert [curve.name for curve in answers.curves] == ["cat", "dog"]
    assert answers.curves[0].points == ((0.5, 1.0), (0.5, 0.5))
    assert answers.curves[0].shown == (0.5, 0.5)


def test_the_page_has_sections_of_its_own_and_positive_losses():
    data = detected(TRUTH, FOUND)
    page = Page(render(data))
    assert sections(page) == SECTIONS
    assert len(page.all("img")) == 3 + 2 + 2 + 3
    # learning curves of all metrics, the loss and the rate; and one a class
    assert len(page.all("polyline")) == len(LOSSES) + 2 + 2
    assert dict(data.result)["total_loss"] == "2.5000"
    assert dict(data.result)["mAP_50"] == "-2.5000"
    assert all(check.metrics["ciou_loss"] < 0 < check.metrics["mAP_50"] for check in data.checks)


def test_images_tell_what_is_false_and_what_is_missed():
    drawn = gallery(detected(TRUTH, FOUND), "drawn").pictures
    assert [(shown.truth, shown.prediction, shown.wrong) for shown in drawn] == [
        ("2 boxes", "2 boxes, 1 false, 1 missed", True),
        ("1 box", "0 boxes, 0 false, 1 missed", True),
        ("0 boxes", "1 box, 1 false, 0 missed", True),
    ]
    assert pixels_of(drawn[0].picture).shape == (192, 288, 3)


def test_false_boxes_are_shown_from_the_highest_score_down():
    false = gallery(detected(TRUTH, FOUND), "false").pictures
    assert [shown.prediction for shown in false] == ["cat 0.75", "dog 0.60"]
    for shown, colour in zip(false, PALETTE, strict=False):
        # at least the length of one side
        assert near(pixels_of(shown.picture), colour) > 60


def test_missed_boxes_are_shown_from_the_least_found_down():
    missed = gallery(detected(TRUTH, FOUND), "missed").pictures
    assert [(shown.truth, shown.prediction) for shown in missed] == [("cat", "nothing"), ("dog", "dog 0.25")]
    for shown in missed:
        pixels = pixels_of(shown.picture)
        assert near(pixels, (255, 255, 255)) > 100
        assert near(pixels, (0, 0, 0)) > 100


def test_what_is_all_right_has_no_pictures_of_errors():
    data = detected([TRUTH[0][:1]], [FOUND[0][:1]])
    assert [shown.wrong for shown in gallery(data, "drawn").pictures] == [False]
    for kind in ("false", "missed"):
        assert gallery(data, kind).pictures == ()
        assert "none" in gallery(data, kind).words


@pytest.mark.parametrize(
    ("truth", "found"),
    [
        (TRUTH, FOUND),
        (TRUTH, [[], [], []]),
        ([[], [], []], FOUND),
        ([[]], [[]]),
        ([[[0, 0, 96, 64, 0]]], [[[-50, -1e6, 3e8, 200, 0, 0.8], [200, 200, 300, 300, 1, 0.7]]]),
    ],
)
@pytest.mark.parametrize("names", [("cat", "dog"), tuple(f"class {number}" for number in range(80))])
def test_any_boxes_make_a_page_and_come_back_from_json(truth, found, names):
    data = detected(truth, found, names)
    again = parse_report(json.loads(json.dumps(dump_report(data), allow_nan=False)))
    assert again == data
    text = render(again)
    assert text == render(data)
    page = Page(text)
    assert sections(page) == SECTIONS
    assert len(page.all("tr")) == 1 + len(names)
    assert "nan" not in page.text


def test_one_class_is_enough():
    data = detected([[[0, 0, 20, 20, 0]]], [[[0, 0, 20, 20, 0, 0.9]]], ["cat"])
    assert data.answers.rows == (ClassRow("cat", 1, 1.0, 1.0, 1.0, 1.0),)


def test_large_holdouts_make_a_page_of_bounded_size():
    rng, n_classes = np.random.default_rng(0), 300
    truth, found = (
        random_boxes(rng, 300, count, n_classes, columns) for count, columns in ((30, 5), (90, 6))
    )
    # one class has more boxes than a curve has points
    truth[:, :5, 4] = found[:, ::2, 4] = 7
    data = detected(truth, found, [f"class {number}" * 40 for number in range(n_classes)], name="n" * 5_000)
    answers = data.answers
    assert isinstance(answers, Detections)
    assert (len(answers.rows), len(answers.curves), answers.n_classes) == (MOST_ROWS, MOST_CURVES, n_classes)
    assert max(len(curve.points) for curve in answers.curves) == MOST_CURVE_POINTS
    counts = [len(one.pictures) for one in answers.galleries]
    assert counts == [N_DRAWN, N_WORST, N_WORST]
    assert f"{MOST_ROWS} classes" in render(data)
    assert len(render(data)) < 1_000_000


def test_names_of_classes_are_text_and_never_markup():
    text = render(detected(TRUTH, FOUND, (EVIL, "dog"), name=EVIL))
    assert "<script" not in text
    page = Page(text)
    assert page.text.count(EVIL) > 3
    assert all(source["src"].startswith("data:image/") for source in page.all("img"))


@given(
    box=st.tuples(*[st.floats(-300, 300, width=32)] * 4),
    size=st.tuples(st.integers(1, 200), st.integers(1, 200)),
)
def test_the_window_around_a_box_is_in_the_image_and_holds_what_is_in_it_of_the_box(box, size):
    (x1, x2), (y1, y2) = sorted(box[::2]), sorted(box[1::2])
    left, top, right, bottom = around((x1, y1, x2, y2), np.zeros((size[1], size[0], 3), np.uint8))
    assert 0 <= left < right <= size[0] + 1e-3
    assert 0 <= top < bottom <= size[1] + 1e-3
    inside = np.clip([x1, y1, x2, y2], 0, [*size] * 2)
    assert (inside[:2] >= np.array([left, top]) - 1e-3).all()
    assert (inside[2:] <= np.array([right, bottom]) + 1e-3).all()


def test_labels_of_training_images_are_dashed_where_they_are():
    plain, drawn = (draw_corners(GREY, np.array(boxes).reshape(-1, 4)) for boxes in ([], [[24, 16, 72, 48]]))
    changed = np.argwhere((plain != drawn).any(axis=2))
    zoom = 112 / 96
    np.testing.assert_allclose(changed.min(axis=0), [16 * zoom, 24 * zoom], atol=1.5)
    np.testing.assert_allclose(changed.max(axis=0), [48 * zoom, 72 * zoom], atol=1.5)
