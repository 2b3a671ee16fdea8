"""Files whose alpha is kept: pixels, alpha, and what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sensenet.errors import InputError
from sensenet.preprocess.decoding import decode_image
from sensenet.preprocess.pillow_decoding import decode_with_alpha

RNG = np.random.default_rng(4)
PIXELS = RNG.integers(0, 256, (5, 7, 4), np.uint8)


def encoded(image, form, **options):
    data = io.BytesIO()
    image.save(data, format=form, **options)
    return data.getvalue()


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_colours_and_alpha_come_out_as_they_are(form):
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    decoded = decode_with_alpha(encoded(Image.fromarray(PIXELS), form, **options))
    assert decoded.has_alpha
    assert (decoded.pixels == PIXELS).all()


def test_grey_with_alpha_and_a_transparent_colour_of_a_palette_become_rgba():
    grey = Image.fromarray(PIXELS[..., :2], "LA")
    decoded = decode_with_alpha(encoded(grey, "PNG"))
    assert decoded.has_alpha
    assert (decoded.pixels == PIXELS[..., [0, 0, 0, 1]]).all()
    palette = Image.new("P", (2, 1))
    palette.putpalette([9, 8, 7, 200, 100, 50])
    palette.putpixel((1, 0), 1)
    decoded = decode_with_alpha(encoded(palette, "PNG", transparency=0))
    assert decoded.has_alpha
    assert decoded.pixels.tolist() == [[[9, 8, 7, 0], [200, 100, 50, 255]]]


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "JPEG", "GIF"])
def test_without_alpha_a_file_is_opaque(form):
    data = encoded(Image.fromarray(PIXELS[..., :3]), form)
    decoded = decode_with_alpha(data)
    assert not decoded.has_alpha
    assert (decoded.pixels[..., 3] == 255).all()
    assert np.abs(decoded.pixels[..., :3].astype(int) - np.asarray(decode_image(data))).max() <= 2


def test_the_exif_orientation_turns_alpha_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(PIXELS), "PNG", exif=exif)
    assert (decode_with_alpha(data).pixels == PIXELS).all()
    assert (decode_with_alpha(data, exif_rotation=True).pixels == np.rot90(PIXELS, -1)).all()


@pytest.mark.parametrize("data", [b"", b"no image", encoded(Image.fromarray(PIXELS), "PNG")[:50]])
def test_what_is_no_whole_image_is_refused(data):
    with pytest.raises(InputError):
        decode_with_alpha(data)
