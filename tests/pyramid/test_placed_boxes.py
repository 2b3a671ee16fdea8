from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pyramid.errors import DataError
from pyramid.fields.boxes import NO_BOX, BoxesObjective
from pyramid.images.placed_boxes import place_boxes, refuse_absent_classes
from pyramid.images.rows import MOST_SHOWN
from sensenet.detection import Decoded, in_original
from sensenet.preprocess.image import RESCALE_TYPES, placement
from sensenet.preprocess.reading import ImageLoader, ImageReading

WIDTH, HEIGHT = 64, 48
PADDING = [0.0, 0.0, 0.0, 0.0, NO_BOX]


def loader(rescale_type="pad"):
    return ImageLoader(WIDTH, HEIGHT, rescale_type, ImageReading())


def place(labels, sizes, strict=False, rescale_type="pad"):
    """Boxes of images a.png, b.png, ... as the network sees them, and what was warned of."""
    warnings: list[str] = []
    files = [f"{chr(ord('a') + number)}.png" for number in range(len(sizes))]
    labels = np.array(labels, np.float32)
    placed = place_boxes(labels, np.array(sizes), files, loader(rescale_type), strict, warnings.append)
    return placed, warnings


def test_boxes_are_scaled_with_a_padded_image():
    # 100 x 200 pixels become 24 x 48, 128 x 32 become 64 x 16: both in the upper left corner
    labels = [[[10, 20, 60, 200, 1], PADDING], [[0, 0, 128, 32, 0], [64, 8, 96, 24, 2]]]
    placed, warnings = place(labels, [(200, 100), (32, 128)])
    expected = [
        [[2.4, 4.8, 14.4, 48, 1], PADDING],
        [[0, 0, 64, 16, 0], [32, 4, 48, 12, 2]],
    ]
    np.testing.assert_allclose(placed, expected, atol=1e-5)
    assert placed.dtype == np.float32
    assert warnings == []


@pytest.mark.parametrize("rescale_type", RESCALE_TYPES)
@pytest.mark.parametrize(("height", "width"), [(48, 64), (480, 640), (300, 200), (31, 87), (96, 500)])
def test_a_box_is_where_its_pixels_are(height, width, rescale_type):
    x1, y1, x2, y2 = round(0.4 * width), round(0.3 * height), round(0.6 * width), round(0.7 * height)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[y1:y2, x1:x2] = 255
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    loaded = loader(rescale_type).load([data.getvalue()], str)
    ((placed,),), _ = place([[[x1, y1, x2, y2, 0]]], loaded.sizes, rescale_type=rescale_type)
    rows, columns = np.nonzero(loaded.pixels[0].numpy().min(axis=-1) > 200)
    around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(placed[:4], around, atol=1)


sides = st.integers(1, 3000)


@settings(deadline=None)
@given(height=sides, width=sides, rescale_type=st.sampled_from(RESCALE_TYPES), data=st.data())
def test_predictions_undo_what_placing_does(height, width, rescale_type, data):
    x = sorted(data.draw(st.lists(st.integers(0, width), min_size=2, max_size=2, unique=True)))
    y = sorted(data.draw(st.lists(st.integers(0, height), min_size=2, max_size=2, unique=True)))
    box = [x[0], y[0], x[1], y[1]]
    ((placed,),), _ = place([[[*box, 0]]], [(height, width)], strict=True, rescale_type=rescale_type)
    undone = placement(height, width, HEIGHT, WIDTH, rescale_type)
    decoded = Decoded(placed[None, :4], np.ones(1, np.float32), np.zeros(1, np.int32))
    assert in_original(decoded, undone).corners.tolist() == [box]
    np.testing.assert_allclose(
        undone.to_input(undone.to_original(placed[:4])), placed[:4], rtol=1e-4, atol=1e-3
    )


def test_what_reaches_beyond_its_image_is_cut_off():
    labels = [[[-50, -20, 60, 110, 0], [90, 40, 105, 100, 1], [-10, -10, 210, 110, 2]]]
    placed, warnings = place(labels, [(96, 128)])
    expected = [[[0, 0, 30, 48, 0], [45, 20, 52.5, 48, 1], [0, 0, 64, 48, 2]]]
    np.testing.assert_allclose(placed, expected, atol=1e-5)
    assert warnings == []


@pytest.mark.parametrize(
    ("centre", "inside"),
    [
        ((0, 0), True),
        ((-0.5, 20), False),
        ((20, -0.5), False),
        ((127.5, 95.5), True),
        ((128, 50), False),
        ((50, 96), False),
    ],
)
def test_a_box_belongs_to_the_image_that_its_centre_is_in(centre, inside):
    x, y = centre
    box = [x - 10, y - 10, x + 10, y + 10, 2]
    placed, warnings = place([[box, [0, 0, 8, 8, 1], PADDING]], [(96, 128)])
    assert placed[0, :, 4].tolist() == [2 if inside else NO_BOX, 1, NO_BOX]
    np.testing.assert_allclose(placed[0, 1, :4], [0, 0, 4, 4])
    left_out = "warning: 1 of 2 boxes have their centre outside of the image and are left out"
    assert warnings == ([] if inside else [left_out])
    if inside:
        ((x1, y1, x2, y2, _), *_), *_ = placed
        assert x1 < x2
        assert y1 < y2


def test_the_labels_that_were_given_stay_as_they_are():
    labels = np.array([[[-90, 0, -10, 8, 1], [0, 0, 8, 8, 0]]], np.float32)
    before = labels.copy()
    place_boxes(labels, np.array([(96, 128)]), ["a.png"], loader(), False, [].append)
    np.testing.assert_array_equal(labels, before)


def test_strict_boxes_refuse_a_centre_outside_and_name_it():
    labels = [[[0, 0, 8, 8, 1], PADDING], [[0, 0, 8, 8, 1], [120, 5, 140, 10, 0]]]
    message = (
        "1 boxes have their centre outside of the image, which strict_boxes refuses:\n"
        "b.png: box 1, [120.0, 5.0, 140.0, 10.0], in an image of 128 x 96 pixels"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        place(labels, [(96, 128)] * 2, strict=True)
    placed, warnings = place(labels[:1], [(96, 128)], strict=True)
    assert placed[0, :, 4].tolist() == [1, NO_BOX]
    assert warnings == []


def test_strict_boxes_name_the_first_of_many():
    labels = [[[-9, 0, -5, 8, 1]] * (MOST_SHOWN + 3)]
    with pytest.raises(DataError, match=rf"^{MOST_SHOWN + 3} boxes have(.|\n)*\.\.\. and 3 more$"):
        place(labels, [(96, 128)], strict=True)


def test_padding_is_never_outside():
    _, warnings = place([[[-9, -9, -5, -5, NO_BOX], [0, 0, 8, 8, 0]]], [(96, 128)], strict=True)
    assert warnings == []


OBJECTIVE = BoxesObjective(values=("cat", "dog", "cow"))


def test_each_class_needs_a_box():
    refuse_absent_classes(
        np.array([[[0, 0, 8, 8, 1], [0, 0, 8, 8, 0]], [[0, 0, 8, 8, 2], PADDING]]), OBJECTIVE
    )
    with pytest.raises(DataError, match="no box is of dog, cow"):
        refuse_absent_classes(np.array([[[0, 0, 8, 8, 0], PADDING]]), OBJECTIVE)
    for none in (np.array([[PADDING]] * 3), np.zeros((3, 0, 5))):
        with pytest.raises(DataError, match="no image has a box"):
            refuse_absent_classes(none, OBJECTIVE)
