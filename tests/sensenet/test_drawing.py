from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import sensenet
from sensenet.drawing import PALETTE
from sensenet.errors import InputError

GREY = 128


def grey(height: int = 200, width: int = 300) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def box(*corners: float, label: str = "cat", **score: float) -> dict[str, Any]:
    return {"box": list(corners), "label": label, **score}


def drawn(boxes: Any, image: Any = None, **options: Any) -> np.ndarray:
    return np.asarray(sensenet.draw(grey() if image is None else image, boxes, **options))


def outline_color(label: str, **options: Any) -> tuple[int, ...]:
    return tuple(drawn([box(50, 50, 100, 100, label=label)], **options)[99, 75])


def test_a_box_is_outlined_from_its_first_to_its_last_pixel() -> None:
    picture = drawn([box(50, 60, 100, 120)])
    color = picture[119, 99]
    assert tuple(color) in PALETTE
    assert (picture[119, 50:100] == color).all()
    assert (picture[60:120, [50, 99]] == color).all()
    assert (picture[61:119, 51:99] == GREY).all()
    assert (picture[120:] == GREY).all()
    assert (picture[60:, 100:] == GREY).all()


def test_the_tag_stands_on_the_box_in_its_color_with_the_score() -> None:
    without, scored = drawn([box(50, 60, 100, 120)]), drawn([box(50, 60, 100, 120, score=0.5)])
    color = without[119, 99]
    tags = [np.argwhere((picture[:60] == color).all(axis=2)) for picture in (without, scored)]
    assert all(tag[:, 1].min() == 50 and tag[:, 0].max() == 59 for tag in tags)
    assert tags[1][:, 1].max() > tags[0][:, 1].max()


def test_every_form_of_an_image_gives_the_same_new_picture(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    given_image = Image.fromarray(pixels)
    alpha = np.dstack([pixels, np.zeros((40, 60), np.uint8)])
    forms = [pixels, alpha, given_image, file.getvalue(), tmp_path / "a.png", str(tmp_path / "a.png")]
    boxes = [box(10, 10, 50, 30, score=0.9)]
    pictures = [sensenet.draw(form, boxes) for form in forms]
    assert {(picture.mode, picture.size, picture.tobytes()) for picture in pictures} == {
        ("RGB", (60, 40), pictures[0].tobytes())
    }
    assert np.asarray(given_image).tobytes() == pixels.tobytes()
    assert drawn([], pixels[..., 0]).tobytes() == np.repeat(pixels[..., :1], 3, axis=2).tobytes()


def test_a_label_has_one_color_in_all_pictures() -> None:
    others = [box(0, 0, 9, 9, label=label) for label in ("dog", "a", "b")]
    picture = drawn([*others, box(50, 50, 100, 100), box(150, 150, 180, 180)])
    assert tuple(picture[99, 75]) == tuple(picture[179, 165]) == outline_color("cat")


def test_known_classes_have_colors_of_their_own() -> None:
    classes = [f"class {number}" for number in range(16)]
    assert len({outline_color(name, classes=classes) for name in classes}) == 16
    assert outline_color("another", classes=classes) == outline_color("another")


def test_the_best_box_is_on_top() -> None:
    classes = ["best", "other"]
    both = [box(50, 50, 100, 100, label="best", score=0.9), box(50, 50, 100, 100, label="other", score=0.1)]
    assert tuple(drawn(both, classes=classes)[99, 75]) == PALETTE[0]


def test_a_box_that_reaches_beyond_the_picture_ends_at_its_border() -> None:
    picture = drawn([box(250, 150, 2**30, 1e18)])
    color = picture[199, 299]
    assert tuple(color) in PALETTE
    assert (picture[199, 250:] == color).all()
    assert (picture[150:, 299] == color).all()
    for outside in [(300, 0, 400, 100), (-50, 20, 0, 60), (10, -30, 60, -1)]:
        assert (drawn([box(*outside)]) == GREY).all()


@pytest.mark.parametrize("corners", [(0, 0, 20, 20), (290, 0, 300, 10), (280, 195, 300, 200), (-5, -5, 5, 5)])
def test_tags_are_kept_inside_the_picture(corners: tuple[int, ...]) -> None:
    letters = []
    for place in [(100, 100, 150, 150), corners]:
        large = [box(*(5 * side for side in place), score=0.5)]
        letters.append(int((drawn(large, grey(1000, 1500)) == 0).all(axis=2).sum()))
    assert letters[1] == letters[0] > 100


@pytest.mark.parametrize("color", PALETTE)
def test_text_is_readable_on_every_color(color: tuple[int, int, int]) -> None:
    names = [f"class {number}" for number in range(16)]
    label = names[PALETTE.index(color)]
    picture = drawn([box(500, 600, 1500, 1200, label=label)], grey(2000, 3000), classes=names)
    tag = picture[500:600, 500:1500].reshape(-1, 3)
    letters = {(0, 0, 0), (255, 255, 255)} & set(map(tuple, tag.tolist()))
    assert len(letters) == 1
    light, dark = sorted([luminance(color), luminance(letters.pop())], reverse=True)
    assert (light + 0.05) / (dark + 0.05) > 4.5


def luminance(color: tuple[int, int, int]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(color) / 255]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_truth_is_dashed_in_black_and_white() -> None:
    picture = drawn([], truth=[box(50, 60, 150, 120)])
    line = {tuple(pixel) for pixel in picture[60, 50:150].tolist()}
    assert line == {(0, 0, 0), (255, 255, 255)}
    assert (picture[61:119, 51:149] == GREY).all()
    assert (
        drawn([box(50, 60, 150, 120)], truth=[box(50, 60, 150, 120)])[119, 50:150] != picture[119, 0]
    ).any()


def test_lines_and_letters_grow_with_the_picture() -> None:
    sizes = []
    for factor in (1, 10):
        picture = drawn(
            [box(50 * factor, 60 * factor, 250 * factor, 150 * factor)], grey(200 * factor, 300 * factor)
        )
        column = picture[100 * factor, :, :]
        sizes.append(int((column[: 150 * factor] != GREY).any(axis=1).sum()))
    assert sizes == [1, 9]


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=100),
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.lists(st.floats(-100, 200), min_size=4, max_size=4),
    st.floats(0, 1),
)
def test_any_label_on_any_picture_is_drawn(
    label: str, size: tuple[int, int], sides: list[float], score: float
) -> None:
    x1, x2 = sorted(sides[:2])
    y1, y2 = sorted(sides[2:])
    boxes = [box(x1, y1, x2, y2, label=label, score=score)]
    assert drawn(boxes, grey(*size), truth=boxes).shape == (*size, 3)


def test_letters_beyond_ascii_are_told_apart() -> None:
    def tag(label: str) -> bytes:
        return drawn([box(50, 60, 100, 120, label=label)], classes=[label])[:60].tobytes()

    assert len({tag(label) for label in ("犬", "猫", "\ud800", "🎉")}) == 4
    assert tag("naïve") == tag("naive")


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[1, 2, 3, 4, "cat"]], r"boxes\[0\]: expected \{\"box\""),
        ([[box(1, 2, 3, 4)]], r"boxes\[0\]: expected"),
        (box(1, 2, 3, 4), "boxes: expected a list"),
        ([box(1, 2, 3, 4), {"label": "cat"}], r"boxes\[1\]: expected"),
        ([box(1, 2, 3)], r"boxes\[0\].box: expected four finite numbers, got \[1, 2, 3\]"),
        ([box(1, 2, 3, float("nan"))], r"boxes\[0\].box: expected four"),
        ([box(1, 2, 3, 10**400)], r"boxes\[0\].box: expected four"),
        ([{"box": 7, "label": "cat"}], r"boxes\[0\].box: expected four finite numbers, got 7"),
        ([box(30, 2, 3, 4)], r"boxes\[0\].box: expected .* x1 <= x2"),
        ([box(1, 2, 3, 4, score="high")], r"boxes\[0\].score: expected a finite number"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_box_is_named(boxes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        drawn(boxes)
    with pytest.raises(InputError, match=message.replace("boxes", "truth", 1)):
        drawn([], truth=boxes)


@pytest.mark.parametrize("image", [b"no image", np.zeros((2, 2, 5), np.uint8), "nowhere.png", None])
def test_what_is_no_image_is_an_error(image: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.png|expected"):
        sensenet.draw(image, [])


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with pytest.raises(InputError, match=r"a\.png: "):
        sensenet.draw(tmp_path / "a.png", [])


def test_drawing_leaves_tensorflow_alone() -> None:
    program = (
        "import sensenet, sys, numpy\n"
        "sensenet.draw(numpy.zeros((9, 9, 3), 'u1'), [{'box': [1, 1, 5, 5], 'label': 'a'}])\n"
        "sys.exit(any('tensorflow' in name for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
