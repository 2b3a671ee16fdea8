from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sensenet.detection import (
    Boxes,
    Decoded,
    Suppression,
    as_dicts,
    decode,
    find_objects,
    in_original,
    non_max_suppression,
    padded,
)
from sensenet.document.image_network import Branch
from sensenet.preprocess.image import placement

FINE = Branch(strides=8, anchors=((12.0, 16.0), (19.0, 36.0), (40.0, 28.0)), xyscale=1.2, input=0)
COARSE = Branch(strides=16, anchors=((81.0, 82.0), (135.0, 169.0)), xyscale=1.05, input=1)
WIDTH, HEIGHT, CLASSES = 48, 32, 4


def random_maps(n: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=(n, HEIGHT // b.strides, WIDTH // b.strides, len(b.anchors) * (5 + CLASSES))).astype(
            np.float32
        )
        for b in (FINE, COARSE)
    ]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def slow_decode(maps: list[np.ndarray], image: int) -> list[tuple[list[float], float, int]]:
    """Box by box, in the words of the papers."""
    boxes = []
    for values, branch in zip(maps, (FINE, COARSE), strict=True):
        for row, column in np.ndindex(values.shape[1:3]):
            for number, (width, height) in enumerate(branch.anchors):
                t = values[image, row, column].astype(np.float64).reshape(len(branch.anchors), -1)[number]
                reach = (branch.xyscale - 1) / 2
                x = (sigmoid(t[0]) * branch.xyscale - reach + column) * branch.strides
                y = (sigmoid(t[1]) * branch.xyscale - reach + row) * branch.strides
                w, h = np.exp(t[2]) * width, np.exp(t[3]) * height
                shares = sigmoid(t[4]) * sigmoid(t[5:])
                corners = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
                boxes.append((corners, shares.max(), int(shares.argmax())))
    return boxes


@pytest.mark.parametrize("compiled", [False, True])
def test_every_box_of_every_image_is_decoded_in_order(compiled: bool) -> None:
    maps = random_maps(3)

    def run(*maps: tf.Tensor) -> Decoded:
        return decode(maps, (FINE, COARSE))

    signature = [tf.TensorSpec((None, *each.shape[1:]), tf.float32) for each in maps]
    found = (tf.function(run, input_signature=signature) if compiled else run)(*map(tf.constant, maps))
    assert [each.dtype for each in found] == [tf.float32, tf.float32, tf.int32]
    for image in range(3):
        corners, scores, classes = zip(*slow_decode(maps, image), strict=True)
        np.testing.assert_allclose(found.corners[image], corners, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(found.scores[image], scores, rtol=1e-5)
        np.testing.assert_array_equal(found.classes[image], classes)


def test_a_map_made_by_hand() -> None:
    cells = np.full((1, HEIGHT // 16, WIDTH // 16, 2 * (5 + CLASSES)), -20.0, np.float32)
    second = cells[0, 1, 2, 5 + CLASSES :]  # row 1, column 2, the second anchor
    second[:] = [0, 0, np.log(0.5), 0, 0, -9, -9, 20, -9]
    found = decode([tf.constant(cells)], (COARSE,))
    position = (1 * (WIDTH // 16) + 2) * 2 + 1
    assert np.argmax(found.scores[0]) == position
    # the centre of cell (2, 1) is (40, 24); the anchor is 135 wide, halved, and 169 high
    np.testing.assert_allclose(found.corners[0, position], [6.25, -60.5, 73.75, 108.5], atol=1e-4)
    assert float(found.scores[0, position]) == pytest.approx(0.5)
    assert found.classes[0, position] == 2


def test_decoding_converts_to_tflite() -> None:
    maps = random_maps(1)

    @tf.function(input_signature=[tf.TensorSpec(each.shape, tf.float32) for each in maps])
    def run(fine: tf.Tensor, coarse: tf.Tensor) -> dict[str, tf.Tensor]:
        return decode((fine, coarse), (FINE, COARSE))._asdict()

    converter = tf.lite.TFLiteConverter.from_concrete_functions([run.get_concrete_function()])
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    for taken in interpreter.get_input_details():
        interpreter.set_tensor(taken["index"], next(m for m in maps if m.shape == tuple(taken["shape"])))
    interpreter.invoke()
    got = [interpreter.get_tensor(given["index"]) for given in interpreter.get_output_details()]
    for wanted in decode(list(map(tf.constant, maps)), (FINE, COARSE)):
        same = [each for each in got if (each.dtype, each.shape) == (wanted.dtype, wanted.shape)]
        np.testing.assert_allclose(same[0], wanted, rtol=1e-5, atol=1e-4)


class Case(NamedTuple):
    boxes: Boxes
    rule: Suppression


@st.composite
def cases(draw: Any) -> Case:
    """Boxes on a coarse grid with few scores: ties, equal boxes, boxes without an area, touching sides."""
    n = draw(st.integers(0, 40))
    starts = draw(arrays.arrays(np.int32, (n, 2), elements=st.integers(-6, 6)))
    sizes = draw(arrays.arrays(np.int32, (n, 2), elements=st.integers(-1, 6)))
    scores = draw(arrays.arrays(np.float32, n, elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])))
    classes = draw(arrays.arrays(np.int32, n, elements=st.integers(0, 3)))
    rule = Suppression(
        threshold=draw(st.sampled_from([0.0, 0.25, 0.3, 1.0])),
        iou_threshold=draw(st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 1.0])),
        max_objects=draw(st.sampled_from([1, 5, 100])),
        class_agnostic=draw(st.booleans()),
    )
    return Case(Boxes(np.concatenate([starts, starts + sizes], axis=1), scores, classes), rule)


def slow_overlap(a: np.ndarray, b: np.ndarray) -> float:
    areas = [max(x2 - x1, 0) * max(y2 - y1, 0) for x1, y1, x2, y2 in (a.tolist(), b.tolist())]
    if 0 in areas:
        return 0
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    common = int(max(width, 0)) * int(max(height, 0))
    return common / (sum(areas) - common)


def slow_suppress(boxes: Boxes, rule: Suppression) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-boxes.scores[i], i)):
        rivals = [k for k in kept if rule.class_agnostic or boxes.classes[k] == boxes.classes[i]]
        free = all(slow_overlap(boxes.corners[i], boxes.corners[k]) <= rule.iou_threshold for k in rivals)
        if boxes.scores[i] > rule.threshold and free and len(kept) < rule.max_objects:
            kept.append(i)
    return kept


@given(cases())
@settings(max_examples=300, deadline=None)
def test_suppression_is_greedy(case: Case) -> None:
    assert non_max_suppression(*case).tolist() == slow_suppress(*case)


@given(cases())
@settings(max_examples=100, deadline=None)
def test_suppression_over_all_classes_is_tensorflows(case: Case) -> None:
    boxes, rule = case
    ordered = boxes.corners.astype(np.float32)  # where x2 < x1, TensorFlow swaps them
    ordered[:, 2:] = np.maximum(ordered[:, 2:], ordered[:, :2])
    theirs = tf.image.non_max_suppression(
        ordered, boxes.scores, rule.max_objects, rule.iou_threshold, rule.threshold
    )
    ours = non_max_suppression(boxes, Suppression(rule.threshold, rule.iou_threshold, rule.max_objects, True))
    assert ours.tolist() == theirs.numpy().tolist()


def many_boxes(n: int) -> Boxes:
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 800, (n, 2))
    corners = np.concatenate([starts, starts + rng.integers(1, 200, (n, 2))], axis=1).astype(np.int32)
    return Boxes(corners, rng.random(n).astype(np.float32), rng.integers(0, 80, n).astype(np.int32))


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_suppression_of_many_boxes(class_agnostic: bool) -> None:
    boxes = many_boxes(10_647)
    rule = Suppression(0.4, 0.45, 100_000, class_agnostic)
    kept = non_max_suppression(boxes, rule)
    if class_agnostic:
        arguments = boxes.corners.astype(np.float32), boxes.scores, 100_000, 0.45, 0.4
        assert kept.tolist() == tf.image.non_max_suppression(*arguments).numpy().tolist()
    else:
        by_class = [
            members[non_max_suppression(boxes.take(members), rule)]
            for label in range(80)
            for members in [np.flatnonzero(boxes.classes == label)]
        ]
        assert sorted(kept.tolist()) == sorted(np.concatenate(by_class).tolist())
        assert (np.diff(boxes.scores[kept]) <= 0).all()


def test_far_and_damaged_boxes_do_no_harm() -> None:
    corners = [[-np.inf, 0, np.inf, 9], [np.nan, 0, 9, 9], [-3e38, -3e38, 3e38, 3e38], [0.5, 1.5, 9.5, 8.5]]
    decoded = Decoded(np.float32(corners), np.float32([0.9, 0.8, np.nan, 0.7]), np.arange(4))
    with np.errstate(all="raise", under="ignore"):
        found = find_objects(decoded, placement(100, 100, 100, 100, "pad"), Suppression(max_objects=4))
    assert found.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert found.corners.tolist()[1:] == [[0, 0, 9, 9], [0, 2, 10, 8]]


# a picture 200 wide and 100 high shown to a network of 50 x 50
@pytest.mark.parametrize(
    ("rescale_type", "seen", "original"),
    [
        # four to one, at the top
        ("pad", [10, 5, 20, 10], [40, 20, 80, 40]),
        # four to one across, two to one down
        ("warp", [10, 5, 20, 10], [40, 10, 80, 20]),
        # two to one; the middle 100 columns, from 50 on
        ("crop", [10, 5, 20, 10], [70, 10, 90, 20]),
    ],
)
def test_boxes_are_in_pixels_of_the_original_image(
    rescale_type: str, seen: list[int], original: list[int]
) -> None:
    decoded = Decoded(np.float32([seen]), np.float32([0.9]), np.int32([0]))
    place = placement(100, 200, 50, 50, rescale_type)
    assert in_original(decoded, place).corners.tolist() == [original]
    assert find_objects(decoded, place, Suppression()).corners.tolist() == [original]


def test_few_objects_are_filled_up_with_a_box() -> None:
    boxes = Boxes(
        np.int32([[0, 0, 1, 1], [5, 5, 9, 9], [7, 7, 9, 9]]), np.float32([0.1, 0.9, 0.8]), np.int32([3, 1, 2])
    )
    full, valid = padded(boxes.take(np.array([1, 2])), boxes.take(np.array([0])), 4)
    assert valid == 2
    assert full.corners.tolist() == [[5, 5, 9, 9], [7, 7, 9, 9], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert full.scores.tolist() == pytest.approx([0.9, 0.8, 0.1, 0.1])
    assert full.classes.tolist() == [1, 2, 3, 3]
    assert len(padded(full, boxes.take(np.array([0])), 4)[0]) == 4


def test_boxes_as_plain_python() -> None:
    boxes = Boxes(np.int32([[5, -5, 9, 9]]), np.float32([0.5]), np.int32([1]))
    assert as_dicts(boxes, ("cat", "dog")) == [{"box": [5, -5, 9, 9], "label": "dog", "score": 0.5}]
    assert as_dicts(boxes.take(np.array([], np.int64)), ("cat", "dog")) == []
