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


SIDE = 128
N_SHAPES = 100
KINDS = ["rectangle", "ellipse", "polygon"]
# by how much four turned or sheared corners reach around what is in the box: (on average, 19 of 20)
LARGER = {("rotation",): (1.15, 1.35), ("shear",): (1.1, 1.25), ("rotation", "shear"): (1.18, 1.45)}


def filled_shape(rng, kind):
    """(SIDE, SIDE) bool: far enough inside to stay there, at most about twice as long as wide."""
    long = rng.uniform(24, 56)
    width, height = rng.permutation([long, long / rng.uniform(1, 2)])
    # twice as fine as pixels, so that a pixel that is touched is taken
    y, x = (np.mgrid[: 2 * SIDE, : 2 * SIDE] + 0.5) / 2 - rng.uniform(0.45, 0.55, (2, 1, 1)) * SIDE
    x, y = x / (width / 2), y / (height / 2)
    if kind == "rectangle":
        inside = np.maximum(abs(x), abs(y)) <= 1
    elif kind == "ellipse":
        inside = x**2 + y**2 <= 1
    else:
        # between the sides of a polygon around which an ellipse goes
        n_corners = rng.integers(3, 9)
        angles = 2 * np.pi * (np.arange(n_corners) + rng.uniform(0, 0.8, n_corners)) / n_corners
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        inside = np.ones(x.shape, bool)
        for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            inside &= (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) >= 0
    return inside.reshape(SIDE, 2, SIDE, 2).any(axis=(1, 3))


def tight_box(mask):
    rows, columns = np.nonzero(mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def area(boxes):
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


@pytest.mark.parametrize("names", LARGER, ids="+".join)
def test_a_turned_box_holds_its_object_and_little_more(names):
    rng = np.random.default_rng(0)
    masks = np.array([filled_shape(rng, kind) for kind in KINDS for _ in range(N_SHAPES)])
    images = np.repeat(masks[..., None] * np.uint8(255), 3, axis=-1)
    boxes = np.array([[tight_box(mask)] for mask in masks])
    valid = np.ones((len(masks), 1), bool)
    images, boxes, valid = run(images, boxes, valid, 3, dict.fromkeys(names))
    assert valid.all()
    boxes = boxes[:, 0]
    tight = np.array([tight_box(image[..., 0] > 127) for image in images], np.float64)
    # the middles of the outermost pixels are inside
    assert (boxes[:, :2] <= tight[:, :2] + 0.51).all()
    assert (boxes[:, 2:] >= tight[:, 2:] - 0.51).all()
    larger = area(boxes) / area(tight)
    mean, most = LARGER[names]
    assert larger.mean() < mean
    assert np.quantile(larger, 0.95) < most
    # rectangles are what a box knows: of these it is tight but for the pixels at their sides
    assert larger[:N_SHAPES].max() < 1.15
