from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pyramid.images.augment import augment_with_boxes, parse_augmentations

HEIGHT, WIDTH = 48, 64
SETS = [
    ["rotation"],
    ["shear"],
    ["zoom"],
    ["horizontal_flip", "vertical_flip"],
    ["width_shift", "height_shift"],
    ["deform"],
    [
        "rotation",
        "shear",
        "zoom",
        "horizontal_flip",
        "vertical_flip",
        "width_shift",
        "height_shift",
        "deform",
    ],
]


def run(images, boxes, valid, seed, ranges):
    augmentations = parse_augmentations(None, ranges, generation=True)
    results = augment_with_boxes(
        tf.constant(images),
        tf.constant(boxes, tf.float32),
        tf.constant(valid),
        seed,
        0,
        tf.range(len(images)),
        augmentations,
    )
    return tuple(result.numpy() for result in results)


@st.composite
def rectangles(draw):
    x1, y1 = draw(st.integers(0, WIDTH - 6)), draw(st.integers(0, HEIGHT - 6))
    return x1, y1, draw(st.integers(x1 + 5, WIDTH)), draw(st.integers(y1 + 5, HEIGHT))


@pytest.mark.parametrize("names", SETS, ids="+".join)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31 - 1), box=rectangles())
def test_the_box_follows_the_image(names, seed, box):
    strong = {
        "rotation": 40,
        "shear": 30,
        "zoom": 0.4,
        "width_shift": 0.3,
        "height_shift": 0.3,
        "deform": 0.4,
    }
    x1, y1, x2, y2 = box
    # The border is dark, as repeating it would make a rectangle that touches it longer.
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[y1:y2, x1:x2] = 255
    image[[0, -1]] = 0
    image[:, [0, -1]] = 0
    ranges = {name: strong.get(name) for name in names}
    images, boxes, valid = run(np.stack([image] * 2), [[box]] * 2, [[True]] * 2, seed, ranges)
    for result, (left, top, right, bottom), there in zip(images, boxes[:, 0], valid[:, 0], strict=True):
        rows, columns = np.nonzero(result[..., 0] > 127)
        if not there:
            continue
        assert 0 <= left <= right <= WIDTH
        assert 0 <= top <= bottom <= HEIGHT
        assert ((columns >= left - 1) & (columns + 1 <= right + 1)).all()
        assert ((rows >= top - 1) & (rows + 1 <= bottom + 1)).all()


def test_a_box_is_tight_where_axes_stay_axes():
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[20:30, 25:40] = 255
    ranges = {"zoom": 0.3, "horizontal_flip": True, "width_shift": 0.1, "height_shift": 0.1}
    images, boxes, valid = run(np.stack([image] * 30), [[[25, 20, 40, 30]]] * 30, [[True]] * 30, 5, ranges)
    assert valid.all()
    for result, box in zip(images, boxes[:, 0], strict=True):
        rows, columns = np.nonzero(result[..., 0] > 127)
        np.testing.assert_allclose(
            box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], atol=0.75
        )


def test_a_flipped_box_is_exact():
    box = [3, 5, 20, 25]
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[5:25, 3:20] = 255
    images, boxes, _ = run(np.stack([image] * 20), [[box]] * 20, [[True]] * 20, 0, {"flip_horizontal": True})
    kept = {tuple(found) for found in boxes[:, 0]}
    assert kept == {(3, 5, 20, 25), (WIDTH - 20, 5, WIDTH - 3, 25)}
    for result, found in zip(images, boxes[:, 0].astype(int), strict=True):
        assert (result[found[1] : found[3], found[0] : found[2]] == 255).all()


def test_a_box_with_less_than_a_quarter_left_is_dropped():
    images = np.zeros((200, HEIGHT, WIDTH, 3), np.uint8)
    box = [0, 10, 16, 20]
    _, boxes, valid = run(images, [[box]] * 200, [[True]] * 200, 1, {"width_shift": 0.5})
    widths = boxes[valid][:, 2] - boxes[valid][:, 0]
    assert widths.min() == 4
    assert set(np.unique(boxes[~valid])) == {0}
    assert 0.3 < (~valid).mean() < 0.45  # shifts below -12 of -32 to 32


def test_padding_stays_padding():
    images = np.zeros((4, HEIGHT, WIDTH, 3), np.uint8)
    boxes = [[[5, 5, 20, 20], [0, 0, 0, 0]]] * 4
    _, _, valid = run(images, boxes, [[True, False]] * 4, 1, {"rotation": None})
    assert valid.tolist() == [[True, False]] * 4


def test_boxes_stay_where_nothing_is_geometric():
    images = np.zeros((4, HEIGHT, WIDTH, 3), np.uint8)
    boxes = [[[5, 5, 70, 20]]] * 4
    _, found, valid = run(images, boxes, [[True]] * 4, 1, {"brightness": None})
    assert valid.all()
    np.testing.assert_array_equal(found, boxes)
