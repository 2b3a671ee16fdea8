"""Foregrounds through the augmentations: nothing is cut off, and alpha goes where the colours go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from generation_folders import GREY, OPTIONS
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pyramid.generation.canvas import MOST_SIDE, Canvas, canvas_of
from pyramid.generation.compose import paste_on
from pyramid.generation.foregrounds import alpha_bounds, augmented_foregrounds
from pyramid.generation.library import read_frame
from pyramid.images.augment import parse_augmentations
from sensenet.preprocess.reading import ImageReading


def options_with(ranges, **changes):
    chosen = parse_augmentations(None, ranges, generation=True)
    return replace(OPTIONS, foreground_augmentations=chosen, **changes)


def pieces(frame, ranges, count, canvas=None):
    options = options_with(ranges)
    numbers = np.arange(count)
    return list(
        augmented_foregrounds(
            frame[None], np.zeros(count, int), numbers, 3, options.foreground_augmentations,
            canvas or canvas_of(options),
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    "ranges",
    [
        {"rotation": 180, "zoom": 0.5},
        {"rotation": 20, "shear": 60, "zoom": 0.2, "deform": 0.3},
        {"zoom": 1, "height_shift": 1, "width_shift": 1},
        {"deform": 1},
        {"deform": 1, "zoom": 1, "rotation": 180},
        {"deform": 1, "shear": 90, "zoom": 1, "rotation": 180, "horizontal_flip": True},
    ],
)
def test_whatever_moves_it_no_foreground_is_cut_off(ranges):
    canvas = canvas_of(options_with(ranges))
    frame = np.full((canvas.frame, canvas.frame, 4), 255, np.uint8)
    roomy = Canvas(canvas.side + 256, canvas.frame)
    for piece, whole in zip(pieces(frame, ranges, 40), pieces(frame, ranges, 40, roomy), strict=True):
        opaque, expected = (int(one[..., 3].sum()) / 255 for one in (piece, whole))
        assert opaque >= 0.995 * expected - 2, "slivers are not sampled quite the same on both"


def test_deform_moves_corners_of_the_frame_and_not_of_the_canvas():
    made = pieces(np.full((32, 32, 4), 255, np.uint8), {"deform": 0.2}, 24, Canvas(side=96, frame=32))
    for piece in made:
        assert 31 <= min(piece.shape[:2]) <= max(piece.shape[:2]) <= 34, "the other three corners stay"
    left = [(piece[..., 3] > 127).mean() for piece in made]
    assert left.count(1) in range(6, 19), "half of them stay as they are"
    assert 0.75 < min(left) < 0.9


def test_colours_are_multiplied_by_the_alpha_that_moved_with_them():
    ranges = {"rotation": 45, "deform": 0.3}
    side = canvas_of(options_with(ranges)).frame
    frame = np.full((side, side, 4), (200, 100, 50, 255), np.uint8)
    frame[: side // 2, :, 3] = 102
    for piece in pieces(frame, ranges, 8):
        alpha = piece[..., 3:] / 255
        assert np.abs(piece[..., :3] - alpha * (200, 100, 50)).max() <= 2
        assert {102, 255} <= set(piece[..., 3].ravel().tolist())


@given(
    n=st.fixed_dictionaries(
        {},
        optional={
            "rotation": st.floats(0.1, 180),
            "shear": st.floats(0.1, 90),
            "zoom": st.floats(0.1, 1),
            "deform": st.floats(0.1, 1),
            "width_shift": st.just(1.0),
        },
    ),
    most=st.floats(0.1, 1e308),
    side=st.integers(1, 2000),
)
def test_the_canvas_is_bounded_and_has_a_border(n, most, side):
    canvas = canvas_of(options_with(n, occupancy=(0, most), width=side, height=side))
    assert 2 <= canvas.frame <= canvas.side - 2
    assert canvas.side <= MOST_SIDE
    assert canvas.side % 32 == 0
    assert canvas.side == canvas.frame + 2 * canvas.margin


def test_a_frame_holds_the_whole_file_and_the_mean_colour_where_nothing_is(tmp_path):
    pixels = np.zeros((20, 40, 4), np.uint8)
    pixels[:10, :, :] = (10, 20, 30, 255)
    pixels[10:, :20, :] = (90, 60, 30, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    frame = read_frame(str(tmp_path / "a.png"), 40, ImageReading())
    assert frame.size == (20, 40)
    assert frame.has_alpha
    assert alpha_bounds(frame.pixels[..., 3], 1) == (0, 10, 40, 30)
    assert (frame.pixels[10:30] == np.where(pixels[..., 3:] > 0, pixels, frame.pixels[0, 0])).all()
    assert frame.pixels[0, 0].tolist() == [37, 33, 30, 0]


@pytest.mark.parametrize(
    ("scale", "box"),
    [(0.5, (0, 0, 5, 5)), (1.0, (0, 0, 10, 10)), (4.0, (0, 0, 30, 20)), (1e4, (0, 0, 30, 20))],
)
def test_a_piece_of_any_scale_is_pasted(scale, box):
    image = np.full((20, 30, 3), GREY, np.uint8)
    piece = np.full((10, 10, 4), (7, 8, 9, 255), np.uint8)
    assert paste_on(image, piece, scale, 0.0, 0.0) == box
    x1, y1, x2, y2 = box
    assert (image[y1:y2, x1:x2] == (7, 8, 9)).all()
    assert (image[y2:] == GREY).all()
    assert (image[:, x2:] == GREY).all()


def test_a_piece_larger_than_the_image_shows_the_part_that_was_drawn():
    piece = np.zeros((10, 40, 4), np.uint8)
    piece[:, 30:] = (9, 9, 9, 255)
    left, right = (np.full((10, 10, 3), GREY, np.uint8) for _ in range(2))
    assert paste_on(left, piece, 1.0, 0.0, 0.0) is None
    assert (left == GREY).all()
    assert paste_on(right, piece, 1.0, 0.999, 0.0) == (0, 0, 10, 10)
    assert (right == 9).all()
