from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pyramid.train.box_loss import (
    ANCHOR_IOU,
    CLASS_SMOOTHING,
    FOCUS,
    IGNORED_IOU,
    MOST_LOG_SIZE,
    REACH,
    BoxLoss,
    box_iou,
    complete_iou,
)
from sensenet.detection import box_corners, make_grid
from sensenet.document.image_network import Branch

WIDTH, HEIGHT, CLASSES = 64, 48, 3
FINE = Branch(strides=8, anchors=((8.0, 12.0), (20.0, 16.0)), xyscale=1.2, input=0)
COARSE = Branch(strides=16, anchors=((30.0, 34.0), (60.0, 40.0)), xyscale=2.0, input=1)
LOG_2 = math.log(2)
ROWS = 4
NOTHING = [0.0, 0.0, 0.0, 0.0, -1.0]


@cache
def make_loss(*branches, width=WIDTH, height=HEIGHT, weights=(1.0,) * CLASSES, smoothing=CLASS_SMOOTHING):
    """One for the same arguments: it is compiled for each."""
    sizes = [(height // branch.strides, width // branch.strides) for branch in branches]
    return BoxLoss(
        make_grid(sizes, branches), float(width * height), CLASSES, np.array(weights, np.float32), smoothing
    )


def one_box(width=16, anchor=(8.0, 8.0), **more):
    """A row of cells of 16 x 16 pixels with one anchor."""
    branch = Branch(strides=16, anchors=(anchor,), xyscale=1.0, input=0)
    return make_loss(branch, width=width, height=16, **more)


def zeros(loss):
    """Numbers of one image: boxes in the middle of their cells, of the sizes of their anchors."""
    return np.zeros((1, len(loss.grid.cells), 5 + loss.n_classes), np.float32)


def losses_of(loss, numbers, truths):
    """The three losses as (n, 3); of truths filled up to `ROWS`, so that what is compiled can be used again."""
    truths = np.array(truths, np.float32)
    padding = np.tile(np.array(NOTHING, np.float32), (len(truths), max(0, ROWS - truths.shape[1]), 1))
    results = loss(tf.constant(numbers, tf.float32), tf.constant(np.hstack([truths, padding])))
    return np.stack([each.numpy() for each in results], axis=1)


def random_numbers(rng, loss, n):
    return rng.normal(0, 0.7, (n, len(loss.grid.cells), 5 + loss.n_classes)).astype(np.float32)


def random_truths(rng, n, most=ROWS):
    """Any number of boxes in each image, and padding behind them."""
    truths = np.full((n, most, 5), NOTHING, np.float32)
    for image in truths:
        for row in image[: rng.integers(0, most + 1)]:
            size = np.exp(rng.uniform(np.log(4), np.log([WIDTH, HEIGHT])))
            centre = rng.uniform(0, [WIDTH, HEIGHT])
            row[:] = [*(centre - size / 2), *(centre + size / 2), rng.integers(CLASSES)]
    return truths


# The losses once more, box by box.


def slow_iou(one, other):
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def slow_ciou(one, other):
    iou = slow_iou(one, other)
    centres = [((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in (one, other)]
    around_x = max(one[2], other[2]) - min(one[0], other[0])
    around_y = max(one[3], other[3]) - min(one[1], other[1])
    distance = math.dist(*centres) ** 2 / (around_x**2 + around_y**2)
    slopes = [math.atan((box[2] - box[0]) / (box[3] - box[1])) for box in (one, other)]
    shape = 4 / math.pi**2 * (slopes[0] - slopes[1]) ** 2
    weight = shape / (1 - iou + shape) if shape else 0.0
    return iou - distance - weight * shape


def slow_sigmoid(x):
    return 1 / (1 + math.exp(-x))


def slow_entropy(truth, logit):
    share = slow_sigmoid(logit)
    return -truth * math.log(share) - (1 - truth) * math.log(1 - share)


def slow_boxes(numbers, branches):
    """Of each box the stride, the xyscale, the cell, the anchor, the numbers, the corners and the anchor's box."""
    boxes = []
    for branch in branches:
        for row in range(HEIGHT // branch.strides):
            for column in range(WIDTH // branch.strides):
                for width, height in branch.anchors:
                    x, y, w, h = numbers[len(boxes)][:4]
                    centre = [
                        (slow_sigmoid(t) * branch.xyscale - (branch.xyscale - 1) / 2 + cell) * branch.strides
                        for t, cell in ((x, column), (y, row))
                    ]
                    w, h = math.exp(min(w, MOST_LOG_SIZE)) * width, math.exp(min(h, MOST_LOG_SIZE)) * height
                    corners = [centre[0] - w / 2, centre[1] - h / 2, centre[0] + w / 2, centre[1] + h / 2]
                    boxes.append((branch, (column, row), (width, height), numbers[len(boxes)], corners))
    return boxes


def slow_anchor_iou(anchor, truth):
    size = truth[2] - truth[0], truth[3] - truth[1]
    return slow_iou([-anchor[0] / 2, -anchor[1] / 2, anchor[0] / 2, anchor[1] / 2],
                    [-size[0] / 2, -size[1] / 2, size[0] / 2, size[1] / 2])  # fmt: skip


def slow_answers(box, truth, best):
    """Whether a box answers for a truth; `best` is how much the best of all anchors overlaps it."""
    branch, cell, anchor, *_ = box
    overlap = slow_anchor_iou(anchor, truth)
    if not (overlap > ANCHOR_IOU or overlap == best):
        return False
    centre = (truth[0] + truth[2]) / 2, (truth[1] + truth[3]) / 2
    reach = max(REACH * branch.xyscale / 2, 0.5)
    return all(abs(centre[i] / branch.strides - cell[i] - 0.5) <= reach for i in (0, 1))


def slow_losses(loss, numbers, truths, branches):
    ciou = confidence = probability = 0.0
    boxes = slow_boxes(numbers.astype(np.float64).tolist(), branches)
    truths = [truth for truth in truths.astype(np.float64).tolist() if truth[4] >= 0]
    bests = [max(slow_anchor_iou(box[2], truth) for box in boxes) for truth in truths]
    for box in boxes:
        *_, anchor, values, corners = box
        mine = [truth for truth, best in zip(truths, bests, strict=True) if slow_answers(box, truth, best)]
        if not mine:
            nearly = any(slow_iou(corners, truth) >= IGNORED_IOU for truth in truths)
            share = slow_sigmoid(values[4])
            confidence += 0.0 if nearly else share**FOCUS * slow_entropy(0.0, values[4])
            continue
        truth = max(mine, key=lambda truth: slow_anchor_iou(anchor, truth) + slow_iou(corners, truth))
        label, quality = int(truth[4]), slow_iou(corners, truth)
        weight = float(loss.class_weights[label])
        area = (truth[2] - truth[0]) * (truth[3] - truth[1])
        ciou += weight * (2 - area / (WIDTH * HEIGHT)) * (1 - slow_ciou(corners, truth))
        confidence += abs(quality - slow_sigmoid(values[4])) ** FOCUS * slow_entropy(quality, values[4])
        for number, logit in enumerate(values[5:]):
            wanted = (1 - loss.smoothing) * (number == label) + loss.smoothing / loss.n_classes
            probability += weight * slow_entropy(wanted, logit)
    return ciou, confidence, probability


@pytest.mark.parametrize("seed", range(4))
def test_losses_are_those_of_a_loop_over_boxes(seed):
    rng = np.random.default_rng(seed)
    loss = make_loss(FINE, COARSE, weights=(0.5, 1.0, 1.5), smoothing=0.1)
    numbers, truths = random_numbers(rng, loss, 4), random_truths(rng, 4)
    slow = [slow_losses(loss, *each, [FINE, COARSE]) for each in zip(numbers, truths, strict=True)]
    np.testing.assert_allclose(losses_of(loss, numbers, truths), slow, rtol=1e-4)


def test_a_box_on_its_truth_has_only_to_be_sure():
    loss = one_box()
    # the box is 8 x 8 around (8, 8); logits of 0 are shares of 1/2, whose entropy is log 2 whatever is true
    result = losses_of(loss, zeros(loss), [[[4, 4, 12, 12, 0]]])
    np.testing.assert_allclose(result, [[0, 0.5**FOCUS * LOG_2, CLASSES * LOG_2]], atol=1e-6)


def test_a_box_beside_its_truth():
    loss = one_box()
    result = losses_of(loss, zeros(loss), [[[6, 4, 14, 12, 0]]])
    # common 6 x 8 = 48, together 2 x 64 - 48 = 80; centres 2 apart in a box of 10 x 8; a quarter of 16 x 16 is covered
    iou, distance, weight = 0.6, 2**2 / (10**2 + 8**2), 1.75
    expected = [weight * (1 - iou + distance), (0.6 - 0.5) ** FOCUS * LOG_2, CLASSES * LOG_2]
    np.testing.assert_allclose(result, [expected], rtol=1e-5)


def test_a_box_of_another_shape_than_its_truth():
    # common 4 x 8 = 32, together 64 + 64 - 32 = 96
    iou = 1 / 3
    shape = 4 / math.pi**2 * (math.atan(4 / 16) - math.atan(8 / 8)) ** 2
    expected = iou - shape / (1 - iou + shape) * shape
    one, other = tf.constant([4.0, 4, 12, 12]), tf.constant([6.0, 0, 10, 16])
    assert float(box_iou(one, other)) == pytest.approx(iou, rel=1e-5)
    assert float(complete_iou(one, other, box_iou(one, other))) == pytest.approx(expected, rel=1e-5)


def test_where_nothing_is_only_confidence_is_learnt():
    loss = make_loss(FINE, COARSE)
    n_boxes = len(loss.grid.cells)
    result = losses_of(loss, zeros(loss), [[NOTHING]])
    np.testing.assert_allclose(result, [[0, n_boxes * 0.5**FOCUS * LOG_2, 0]], rtol=1e-5)


@pytest.mark.parametrize("most", [0, 1, 5])
def test_how_many_rows_of_padding_there_are_changes_nothing(most):
    rng = np.random.default_rng(1)
    loss = make_loss(FINE, COARSE)
    numbers, truths = random_numbers(rng, loss, 4), random_truths(rng, 4)
    truths[0] = NOTHING
    padding = rng.uniform(-10, 80, (4, most, 5)).astype(np.float32)
    padding[..., 4] = -1
    expected = losses_of(loss, numbers, truths)
    for columns in ([truths, padding], [padding, truths]):
        np.testing.assert_allclose(losses_of(loss, numbers, np.hstack(columns)), expected, rtol=1e-6)


def test_the_order_of_truths_changes_nothing():
    rng = np.random.default_rng(2)
    loss = make_loss(FINE, COARSE, weights=(0.5, 1.0, 1.5))
    numbers, truths = random_numbers(rng, loss, 4), random_truths(rng, 4)
    expected = losses_of(loss, numbers, truths)
    for _ in range(3):
        shuffled = truths[:, rng.permutation(truths.shape[1])]
        np.testing.assert_allclose(losses_of(loss, numbers, shuffled), expected, rtol=1e-6)


def test_an_image_does_not_hang_on_its_neighbours():
    rng = np.random.default_rng(3)
    loss = make_loss(FINE, COARSE)
    numbers, truths = random_numbers(rng, loss, 4), random_truths(rng, 4)
    together = losses_of(loss, numbers, truths)
    alone = [losses_of(loss, numbers[i : i + 1], truths[i : i + 1])[0] for i in range(4)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


@pytest.mark.parametrize(
    ("anchors", "chosen"), [(((4.0, 4.0), (60.0, 60.0)), 1), (((5.0, 5.0), (90.0, 90.0)), 0)]
)
def test_a_truth_that_no_anchor_shows_is_that_of_the_best(anchors, chosen):
    # 16 x 16 in anchors: 4² / 16² = 0.0625 < 16² / 60² = 0.071; 5² / 16² = 0.098 > 16² / 90² = 0.032
    fine = Branch(strides=8, anchors=anchors[:1], xyscale=1.0, input=0)
    coarse = Branch(strides=16, anchors=anchors[1:], xyscale=1.0, input=1)
    loss = make_loss(fine, coarse, width=32, height=32)
    truths = tf.constant(
        [[[4.0, 4, 20, 20, 0]]]
    )  # around (12, 12): cell (1, 1) of the fine, (0, 0) of the coarse
    assigned = loss.assign(box_corners(tf.constant(zeros(loss)), loss.grid), truths)
    assert np.flatnonzero(assigned.positive[0]).tolist() == [[1 * 4 + 1], [16 + 0]][chosen]


def test_a_truth_is_that_of_all_anchors_that_show_it():
    branch = Branch(strides=16, anchors=((16.0, 16.0), (12.0, 12.0), (4.0, 4.0)), xyscale=1.0, input=0)
    loss = make_loss(branch, width=32, height=16)
    truths = tf.constant([[[16.0, 0, 32, 16, 0]]])  # overlaps of 1, 0.5625 and 0.0625
    assigned = loss.assign(box_corners(tf.constant(zeros(loss)), loss.grid), truths)
    assert assigned.positive[0].numpy().tolist() == [False] * 3 + [True, True, False]


def test_an_anchor_has_to_overlap_a_truth_by_more_than_the_threshold():
    branch = Branch(strides=16, anchors=((16.0, 16.0), (16.0, 8.0)), xyscale=1.0, input=0)
    loss = make_loss(branch, width=16, height=16)
    shown = []
    for height in (16 * ANCHOR_IOU - 0.1, 16 * ANCHOR_IOU + 0.1):
        truth = tf.constant([[[0, 0, 16, height, 0]]], tf.float32)
        assigned = loss.assign(box_corners(tf.constant(zeros(loss)), loss.grid), truth)
        shown.append(assigned.positive[0].numpy().tolist())
    assert shown == [[False, True], [True, True]]


@pytest.mark.parametrize("scale", [1.0, 1.2, 2.0])
def test_the_cells_around_a_centre_answer_for_it_as_far_as_they_reach(scale):
    loss = make_loss(Branch(strides=8, anchors=((8.0, 8.0),), xyscale=scale, input=0))
    rng = np.random.default_rng(0)
    for x, y in rng.uniform(0, [WIDTH, HEIGHT], (30, 2)):
        truth = tf.constant([[[x - 4, y - 4, x + 4, y + 4, 0]]], tf.float32)
        assigned = loss.assign(box_corners(tf.constant(zeros(loss)), loss.grid), truth)
        cells = loss.grid.cells[assigned.positive[0]]
        assert [x // 8, y // 8] in cells.tolist()
        reached = np.abs(np.array([x, y]) / 8 - loss.grid.cells - 0.5).max(axis=1) <= max(
            REACH * scale / 2, 0.5
        )
        assert cells.tolist() == loss.grid.cells[reached].tolist()


@pytest.mark.parametrize(("logit", "answered"), [(0.0, 0), (math.log(16 / 9), 1)])
def test_of_several_truths_a_box_takes_the_one_that_it_shows_best(logit, answered):
    loss = one_box(anchor=(9.0, 9.0))
    # the anchor overlaps 8 x 8 by 64 / 81 and 16 x 16 by 81 / 256: more than ANCHOR_IOU both
    truths = np.array([[[4, 4, 12, 12, 0], [0, 0, 16, 16, 1]]], np.float32)
    numbers = zeros(loss)
    numbers[..., 2:4] = logit
    assigned = loss.assign(box_corners(tf.constant(numbers), loss.grid), tf.constant(truths))
    assert assigned.truth.numpy().tolist() == [[answered]]
    alone = losses_of(loss, numbers, truths[:, [answered]])
    np.testing.assert_allclose(losses_of(loss, numbers, truths), alone, rtol=1e-6)


def beside_another_cell(overlap):
    """Numbers whose first box overlaps, by so much, a truth that the second answers for; and that truth."""
    loss = one_box(width=32, anchor=(16.0, 16.0))
    # both are 16 x 16; d apart, they overlap by (16 - d) / (16 + d)
    apart = 16 * (1 - overlap) / (1 + overlap)
    numbers, place = zeros(loss), (17 - apart) / 16
    numbers[0, 0, 0] = math.log(place / (1 - place))
    return loss, numbers, np.array([[[9, 0, 25, 16, 0]]], np.float32)


@pytest.mark.parametrize(("overlap", "ignored"), [(IGNORED_IOU + 0.01, True), (IGNORED_IOU - 0.01, False)])
def test_a_box_that_nearly_shows_a_truth_is_not_told_that_it_is_none(overlap, ignored):
    loss, numbers, truths = beside_another_cell(overlap)
    assigned = loss.assign(box_corners(tf.constant(numbers), loss.grid), tf.constant(truths))
    assert assigned.positive.numpy().tolist() == [[False, True]]
    assert assigned.ignored.numpy().tolist() == [[ignored, False]]
    surer = numbers.copy()
    surer[0, 0, 4] = 3.0
    costs = (losses_of(loss, surer, truths) - losses_of(loss, numbers, truths))[0]
    assert costs[[0, 2]].tolist() == [0, 0]
    assert (costs[1] == 0) if ignored else (costs[1] > 1)


def test_confidence_learns_how_well_a_box_shows_its_truth():
    loss = one_box()
    numbers, truths = zeros(loss), [[[6, 4, 14, 12, 0]]]  # an overlap of 0.6, see above
    costs = {}
    for share in (0.3, 0.5, 0.6, 0.7, 0.9):
        numbers[..., 4] = math.log(share / (1 - share))
        costs[share] = losses_of(loss, numbers, truths)[0, 1]
        entropy = -0.6 * math.log(share) - 0.4 * math.log(1 - share)
        assert costs[share] == pytest.approx(abs(0.6 - share) ** FOCUS * entropy, rel=1e-4, abs=1e-7)
    assert min(costs, key=costs.get) == 0.6
    assert costs[0.6] == pytest.approx(0, abs=1e-7)


def test_the_overlap_is_not_made_better_or_worse_to_please_the_confidence():
    loss = one_box()
    numbers = tf.Variable(zeros(loss))
    with tf.GradientTape() as tape:
        confidence = loss(numbers, tf.constant([[[6.0, 4, 14, 12, 0]]])).confidence
    gradient = tape.gradient(confidence, numbers).numpy()
    assert np.abs(gradient[..., 4]).min() > 0
    assert not gradient[..., :4].any()


def test_weights_of_classes_count_for_places_and_classes_of_their_boxes():
    rng = np.random.default_rng(4)
    even, uneven = make_loss(FINE, COARSE), make_loss(FINE, COARSE, weights=(0.25, 0.75, 2.0))
    numbers = random_numbers(rng, even, 1)
    for label, weight in enumerate(uneven.class_weights):
        truths = [[[10, 10, 30, 28, label], [40, 12, 52, 40, label]]]
        expected = losses_of(even, numbers, truths) * [[weight, 1, weight]]
        np.testing.assert_allclose(losses_of(uneven, numbers, truths), expected, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.01, 0.3])
def test_smoothing_spreads_a_part_of_the_truth_over_all_classes(smoothing):
    loss = one_box(smoothing=smoothing)
    numbers = zeros(loss)
    numbers[..., 5:] = [2.0, -1.0, 0.5]
    wanted = [smoothing / CLASSES, smoothing / CLASSES + 1 - smoothing, smoothing / CLASSES]
    expected = sum(map(slow_entropy, wanted, [2.0, -1.0, 0.5]))
    assert losses_of(loss, numbers, [[[4, 4, 12, 12, 1]]])[0, 2] == pytest.approx(expected, rel=1e-5)


EXTREMES = [0.0, 1.0, 50.0, -50.0, 1e4, -1e4]
DEGENERATE = {
    "no truths": [NOTHING],
    "a truth": [[10, 10, 30, 28, 1]],
    "no area": [[20, 20, 20, 20, 0]],
    "no width": [[20, 10, 20, 30, 2]],
    "no height": [[10, 20, 30, 20, 2]],
    "the whole input": [[0, 0, WIDTH, HEIGHT, 0]],
    "several": [[10, 10, 30, 28, 1], [10, 10, 30, 28, 2], [20, 20, 20, 20, 0], NOTHING],
}


@pytest.mark.parametrize("truths", DEGENERATE.values(), ids=DEGENERATE)
@pytest.mark.parametrize("column", [slice(0, 2), 2, 3, slice(2, 4), 4, slice(5, None), slice(None)])
def test_losses_and_gradients_are_finite_whatever_is_said(truths, column):
    loss = make_loss(FINE, COARSE)
    for extreme in EXTREMES:
        numbers = zeros(loss)
        numbers[..., column] = extreme
        variable = tf.Variable(numbers)
        with tf.GradientTape() as tape:
            total = loss(variable, tf.constant([truths + [NOTHING] * (ROWS - len(truths))], tf.float32)).total
        assert np.isfinite(total.numpy()).all(), extreme
        assert np.isfinite(tape.gradient(total, variable).numpy()).all(), extreme


def test_steps_against_the_gradient_bring_a_box_to_its_truth():
    loss = one_box(anchor=(8.0, 8.0))
    truths = tf.constant([[[3.0, 5, 14, 12, 2]]])

    @tf.function
    def step(numbers, rate):
        with tf.GradientTape() as tape:
            tape.watch(numbers)
            total = loss(numbers, truths).total
        return numbers - rate * tape.gradient(total, numbers)

    numbers = tf.constant(zeros(loss))
    for rate in tf.unstack(tf.constant(np.geomspace(0.3, 0.003, 500, dtype=np.float32))):
        numbers = step(numbers, rate)
    assert float(box_iou(box_corners(numbers, loss.grid)[0, 0], truths[0, 0, :4])) > 0.95
    assert float(tf.sigmoid(numbers[0, 0, 4])) > 0.7
    assert int(tf.argmax(numbers[0, 0, 5:])) == 2


sides = st.floats(1, 100, width=32)
places = st.floats(-100, 100, width=32)


@st.composite
def corners(draw):
    x, y = draw(places), draw(places)
    return [x, y, x + draw(sides), y + draw(sides)]


def ciou_of(one, other):
    one, other = tf.constant(one, tf.float32), tf.constant(other, tf.float32)
    return complete_iou(one, other, box_iou(one, other)).numpy()


@settings(deadline=None, max_examples=200)
@given(one=corners(), other=corners())
def test_overlap_and_its_completion_are_symmetric_and_those_of_the_loop(one, other):
    assert -1.5 <= ciou_of(one, other) <= 1
    assert ciou_of(one, other) == pytest.approx(ciou_of(other, one), abs=1e-4)
    assert ciou_of(one, other) == pytest.approx(slow_ciou(one, other), abs=1e-3)
    iou = float(box_iou(tf.constant(one), tf.constant(other)))
    assert 0 <= iou <= 1
    assert ciou_of(one, other) <= iou


@settings(deadline=None)
@given(box=corners())
def test_a_box_shows_itself_entirely(box):
    assert ciou_of(box, box) == pytest.approx(1, abs=1e-5)


@settings(deadline=None)
@given(size=st.tuples(sides, sides), other=st.tuples(sides, sides), angle=st.floats(0, 2 * math.pi))
def test_the_farther_a_box_is_moved_away_the_less_it_shows(size, other, angle):
    centred = np.array([-1, -1, 1, 1]) / 2
    direction = np.tile([math.cos(angle), math.sin(angle)], 2)
    fixed = centred * np.tile(size, 2)
    far = np.arange(0, 300, 20)[:, None]
    shown = ciou_of(fixed, centred * np.tile(other, 2) + far * direction)
    assert (np.diff(shown) <= 1e-5).all()
    assert shown[-1] < min(0, shown[0])


def test_sizes_that_no_number_can_hold_are_taken_for_the_largest():
    loss = make_loss(FINE, COARSE)
    numbers, larger = zeros(loss), zeros(loss)
    numbers[..., 2:4], larger[..., 2:4] = MOST_LOG_SIZE, 1e6
    truths = [[[10, 10, 30, 28, 1]]]
    np.testing.assert_array_equal(losses_of(loss, numbers, truths), losses_of(loss, larger, truths))


def test_a_detector_of_another_area_weighs_the_same_truth_otherwise():
    loss = one_box()
    truths = [[[6, 4, 14, 12, 0]]]  # 64 pixels
    small, large = (losses_of(replace(loss, area=area), zeros(loss), truths)[0, 0] for area in (64.0, 640.0))
    assert large / small == pytest.approx((2 - 0.1) / (2 - 1), rel=1e-5)
