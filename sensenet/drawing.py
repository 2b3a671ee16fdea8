"""Pictures with the boxes of a detector on them. Pillow alone: TensorFlow is not imported for it."""

from __future__ import annotations

import math
import os
import sys
import unicodedata
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sensenet.document.parsing import brief, shown
from sensenet.errors import InputError
from sensenet.preprocess.arrays import array_pixels
from sensenet.preprocess.image_files import read_named_file
from sensenet.preprocess.pillow_decoding import checked_format, decode_with_pillow, pillow_pixels

Color = tuple[int, int, int]

PALETTE: tuple[Color, ...] = (
    *((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0)),
    *((204, 121, 167), (105, 0, 255), (135, 240, 150), (75, 120, 255), (180, 15, 45), (90, 240, 195)),
    *((90, 240, 255), (75, 180, 90), (135, 75, 120), (195, 225, 105)),
)
"""The colours of labels: those of Okabe and Ito (2008) but black, then each the one farthest from all before it in
CIELAB, to normal eyes and to those without red or green cones as Machado et al. (2009) simulate them."""

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
LEAST_FONT, MOST_TEXT = 9, 40


class _Box(NamedTuple):
    corners: tuple[float, float, float, float]
    label: str
    score: float | None


class _Style(NamedTuple):
    """Pixels that hang on the size of the picture."""

    line: int
    font: Any
    padding: int


def draw(
    image: Any,
    boxes: Sequence[Mapping[str, Any]],
    *,
    truth: Sequence[Mapping[str, Any]] = (),
    classes: Sequence[str] = (),
    exif_rotation: bool = False,
) -> Image.Image:
    """Draw boxes, each with its label and score, on an image.

    >>> import numpy as np
    >>> found = [{"box": [10, 10, 50, 40], "label": "cat", "score": 0.9}]
    >>> draw(np.zeros((48, 64, 3), np.uint8), found).size
    (64, 48)

    A label has the same colour in every picture. What reaches beyond the picture is drawn up to its border.

    Args:
        image: a path, the bytes of an image file, an array (see `sensenet.preprocess.arrays.array_pixels`) or a PIL
            image.
        boxes: what a detector returns for one image, `[{"box": [x1, y1, x2, y2], "label", "score"}, ...]` in pixels,
            the best first; `score` may be missing.
        truth: what is in the image, in the same form: dashed in black and white, labels on white below the box.
        classes: all labels that pictures may have; then the first sixteen have a colour of their own, while otherwise
            two labels may come to the same one.
        exif_rotation: whether the EXIF orientation is applied (that of TIFF files always is), as the detector does
            whose `exif_rotation` is true.

    Returns:
        A new RGB image of the same size.

    Raises:
        InputError: an image that cannot be read, or a box that is none; gives its place.
    """
    found, true = _parsed(boxes, "boxes"), _parsed(truth, "truth")
    picture = _picture(image, exif_rotation)
    style = _style(*picture.size)
    pen = ImageDraw.Draw(picture)
    # the best box comes last, on top of the others, and texts on top of all lines
    found = [box for box in reversed(found) if _is_inside(box, picture.size)]
    true = [box for box in true if _is_inside(box, picture.size)]
    colors = [_color(box.label, classes) for box in found]
    for box, color in zip(found, colors, strict=True):
        pen.rectangle(_pixels(box, picture.size), outline=color, width=style.line)
    for box in true:
        _dash(pen, _pixels(box, picture.size), max(1, style.line // 2))
    for box in true:
        left, _, _, bottom = _pixels(box, picture.size)
        _tag(pen, style, (left, bottom + 1), _writable(box.label), WHITE)
    for box, color in zip(found, colors, strict=True):
        left, top, *_ = _pixels(box, picture.size)
        text = _writable(box.label) + ("" if box.score is None else f" {box.score:.2f}")
        _tag(pen, style, (left, top - _tag_height(style)), text, color)
    return picture


def _parsed(boxes: Sequence[Mapping[str, Any]], place: str) -> list[_Box]:
    if not isinstance(boxes, (list, tuple)):
        raise InputError(f"{place}: expected a list of boxes of one image, got {shown(boxes)}")
    return [_box(box, f"{place}[{number}]") for number, box in enumerate(boxes)]


def _box(box: Any, place: str) -> _Box:
    if not isinstance(box, Mapping) or not {"box", "label"} <= box.keys():
        raise InputError(f'{place}: expected {{"box": [x1, y1, x2, y2], "label", "score"}}, got {shown(box)}')
    try:
        corners = tuple(box["box"])
    except TypeError:
        corners = ()
    if len(corners) != 4 or not all(map(_is_number, corners)):
        raise InputError(f"{place}.box: expected four finite numbers, got {brief(box['box'])}")
    if corners[0] > corners[2] or corners[1] > corners[3]:
        raise InputError(
            f"{place}.box: expected [x1, y1, x2, y2] with x1 <= x2 and y1 <= y2, got {brief(box['box'])}"
        )
    score = box.get("score")
    if score is not None and not _is_number(score):
        raise InputError(f"{place}.score: expected a finite number, got {shown(score)}")
    return _Box(corners, str(box["label"]), None if score is None else float(score))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    return bool(-sys.float_info.max <= value <= sys.float_info.max)


def _picture(image: Any, exif_rotation: bool) -> Image.Image:
    if isinstance(image, (str, os.PathLike)):
        name = os.fsdecode(image)
        try:
            return _picture(read_named_file("", name), exif_rotation)
        except InputError as error:
            raise InputError(f"{name}: {str(error).removeprefix(f'{name}: ')}") from None
    if isinstance(image, (bytes, bytearray, memoryview)):
        data = bytes(image)
        return Image.fromarray(decode_with_pillow(data, checked_format(data), exif_rotation))
    if isinstance(image, Image.Image):
        return Image.fromarray(pillow_pixels(image, exif_rotation))
    return Image.fromarray(array_pixels(image)[..., :3])


def _style(width: int, height: int) -> _Style:
    side = math.sqrt(width * height)
    font_size = max(LEAST_FONT, round(side / 45))
    return _Style(math.ceil(side / 300), ImageFont.load_default(font_size), max(1, font_size // 6))


def _color(label: str, classes: Sequence[str]) -> Color:
    if label in classes:
        return PALETTE[classes.index(label) % len(PALETTE)]
    return PALETTE[zlib.crc32(label.encode("utf-8", "surrogatepass")) % len(PALETTE)]


def _is_inside(box: _Box, size: tuple[int, int]) -> bool:
    x1, y1, x2, y2 = box.corners
    return x1 < size[0] and y1 < size[1] and x2 > 0 and y2 > 0


def _pixels(box: _Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The first and last column and row of a box, in the picture."""
    x1, y1, x2, y2 = (
        round(min(max(at, 0), end)) for at, end in zip(box.corners, (*size, *size), strict=True)
    )
    left, top = min(x1, size[0] - 1), min(y1, size[1] - 1)
    return left, top, max(left, x2 - 1), max(top, y2 - 1)


def _dash(pen: ImageDraw.ImageDraw, pixels: tuple[int, int, int, int], line: int) -> None:
    """A rectangle of white dashes on black, which shows on every picture."""
    pen.rectangle(pixels, outline=BLACK, width=line)
    left, top, right, bottom = pixels
    thick, dash = line - 1, 4 * line
    for x in range(left, right + 1, 2 * dash):
        end = min(x + dash - 1, right)
        pen.rectangle((x, top, end, min(top + thick, bottom)), fill=WHITE)
        pen.rectangle((x, max(bottom - thick, top), end, bottom), fill=WHITE)
    for y in range(top, bottom + 1, 2 * dash):
        end = min(y + dash - 1, bottom)
        pen.rectangle((left, y, min(left + thick, right), end), fill=WHITE)
        pen.rectangle((max(right - thick, left), y, right, end), fill=WHITE)


def _tag_height(style: _Style) -> int:
    ascent, descent = style.font.getmetrics()
    return int(ascent + descent)


def _tag(
    pen: ImageDraw.ImageDraw, style: _Style, place: tuple[int, int], text: str, background: Color
) -> None:
    """A line of text on a background, moved into the picture; a text that is too wide for it is cut."""
    width, height = pen.im.size
    room = width - 2 * style.padding
    text = _cut(text, lambda part: pen.textlength(part, style.font) <= room)
    tall = _tag_height(style)
    if not text or tall > height:
        return
    wide = math.ceil(pen.textlength(text, style.font)) + 2 * style.padding
    left, top = max(0, min(place[0], width - wide)), max(0, min(place[1], height - tall))
    pen.rectangle((left, top, left + wide - 1, top + tall - 1), fill=background)
    pen.text((left + style.padding, top), text, fill=_ink(background), font=style.font)


def _writable(text: str) -> str:
    """A short text in the letters of Pillow's own font, which are those of ASCII; others become their escapes."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = " ".join(plain.split()).encode("ascii", "backslashreplace").decode()
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 2]}.."


def _cut(text: str, fits: Callable[[str], bool]) -> str:
    """The text, or its beginning and two dots; empty where not even that fits."""
    while text and not fits(text):
        text = f"{text[:-3]}.." if len(text) > 3 else ""
    return text


def _ink(background: Color) -> Color:
    """Black or white, whichever contrasts more (WCAG 2.1, relative luminance)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (each / 255 for each in background)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return BLACK if (luminance + 0.05) ** 2 > 0.05 * 1.05 else WHITE
