"""Whatever people pass as an image becomes the right pixels, or an error that says where and why."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import image_documents
import model_documents
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

import sensenet
from sensenet.errors import InputError, SettingsError
from sensenet.models.image import image_model
from sensenet.preprocess.image import rescale
from sensenet.preprocess.reading import ImageLoader, ImageReading, read_image

SUFFIXES = {"JPEG": "jpg", "PNG": "png", "BMP": "bmp", "GIF": "gif", "TIFF": "tif", "WEBP": "webp"}
FORMATS = tuple(SUFFIXES)
COLOUR = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8).repeat(5, 0).repeat(6, 1)
"""A picture of 15 x 24 in blocks of one colour."""
GREY = COLOUR[..., 0]
ROTATED = 6
ORIENTATION = 0x0112
PLACE = "row 3, photo"


def encoded(image: Image.Image | np.ndarray, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    lossless = {"lossless": True, "exact": True} if form == "WEBP" else {}
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, form, **lossless, **options)
    return file.getvalue()


def oriented(form: str, orientation: int = ROTATED) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(COLOUR, form, exif=exif)


def read(value: Any, **source: Any) -> np.ndarray:
    pixels = np.asarray(read_image(value, ImageReading(**source), PLACE))
    assert pixels.dtype == np.uint8
    return pixels


def refused(value: Any, reason: str, **source: Any) -> None:
    with pytest.raises(InputError, match=rf"(?s)^{PLACE}: .*{reason}"):
        read_image(value, ImageReading(**source), PLACE)


@pytest.fixture(autouse=True)
def _warnings_are_errors() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_read_from_paths_and_bytes(tmp_path: Path, form: str) -> None:
    data = encoded(COLOUR, form)
    path = tmp_path / f"picture.{SUFFIXES[form]}"
    path.write_bytes(data)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    if form not in ("JPEG", "GIF"):
        np.testing.assert_array_equal(expected, COLOUR)
    for value in (str(path), path, data, bytearray(data), memoryview(data)):
        np.testing.assert_array_equal(read(value), expected)


@pytest.mark.parametrize("form", FORMATS)
def test_the_content_says_the_format_whatever_the_name(tmp_path: Path, form: str) -> None:
    data = encoded(COLOUR, form)
    for name in ("no_suffix", "wrong.png", "wrong.jpeg", "wrong.tif", "wrong.txt"):
        (tmp_path / name).write_bytes(data)
        np.testing.assert_array_equal(read(tmp_path / name), read(data))


@pytest.mark.parametrize(
    ("mode", "forms"),
    [
        ("1", ("PNG", "BMP", "GIF", "TIFF")),
        ("L", FORMATS),
        ("P", ("PNG", "BMP", "GIF", "TIFF", "WEBP")),
        ("LA", ("PNG", "TIFF", "WEBP")),
        ("RGBA", ("PNG", "TIFF", "WEBP")),
        ("CMYK", ("JPEG", "TIFF")),
    ],
)
def test_every_kind_of_pixel_becomes_rgb(mode: str, forms: tuple[str, ...]) -> None:
    image = Image.fromarray(COLOUR).convert("L" if mode in ("1", "L", "LA") else "RGB").convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(np.arange(GREY.size, dtype=np.uint8).reshape(GREY.shape)))
        expected = np.asarray(image)[..., :-1] * np.ones(3, np.uint8)
    else:
        expected = np.asarray(image.convert("RGB"))
    for form in forms:
        data = encoded(image, form)
        lossy = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) if form == "JPEG" else expected
        np.testing.assert_array_equal(read(data), lossy, err_msg=form)
    np.testing.assert_array_equal(read(image), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("form", ["PNG", "GIF", "WEBP"])
def test_transparency_of_palettes_is_dropped(form: str) -> None:
    palette = Image.fromarray(COLOUR).quantize(8)
    expected = np.asarray(palette.convert("RGB"))
    transparency = 3 if form == "GIF" else bytes(range(0, 80, 10))
    np.testing.assert_array_equal(read(encoded(palette, form, transparency=transparency)), expected)
    palette.info["transparency"] = bytes(8)
    np.testing.assert_array_equal(read(palette), expected)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_keep_the_high_byte(form: str) -> None:
    deep = GREY.astype(np.uint16) * 256 + 200
    np.testing.assert_array_equal(read(encoded(deep, form)), np.stack([GREY] * 3, -1))
    np.testing.assert_array_equal(read(Image.fromarray(deep)), np.stack([GREY] * 3, -1))


def test_sixteen_bits_in_a_wider_pillow_image_keep_the_high_byte() -> None:
    deep = GREY.astype(np.int32) * 256 + 200
    np.testing.assert_array_equal(read(Image.fromarray(deep))[..., 1], GREY)
    refused(Image.fromarray(deep * 256), "integers of 8 or 16 bits")


def test_sixteen_bit_colours_keep_the_high_byte() -> None:
    # Pillow writes no such file
    rows = np.concatenate([np.zeros((15, 1), np.uint8), COLOUR.repeat(2, 2).reshape(15, -1)], axis=1)
    header = struct.pack(">IIBBBBB", 24, 15, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    ]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(parts)
    np.testing.assert_array_equal(read(data), COLOUR)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_is_its_first_frame(form: str) -> None:
    first, second = Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)
    data = encoded(first, form, save_all=True, append_images=[second])
    np.testing.assert_array_equal(read(data), COLOUR)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
def test_jpeg_pixels_are_those_of_pillow(options: dict[str, Any]) -> None:
    picture = np.asarray(Image.fromarray(COLOUR).resize((61, 45)))
    data = encoded(picture, "JPEG", **options)
    np.testing.assert_array_equal(read(data), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_exif_rotation_is_ignored_unless_asked_for(form: str) -> None:
    upright = read(encoded(COLOUR, form))
    np.testing.assert_array_equal(read(oriented(form)), upright)
    np.testing.assert_array_equal(read(oriented(form), exif_rotation=True), np.rot90(upright, -1))
    np.testing.assert_array_equal(read(oriented(form, 3), exif_rotation=True), np.rot90(upright, 2))
    np.testing.assert_array_equal(read(encoded(COLOUR, form), exif_rotation=True), upright)


@pytest.mark.parametrize("asked", [False, True])
def test_the_orientation_of_a_tiff_is_always_applied(asked: bool) -> None:
    np.testing.assert_array_equal(read(oriented("TIFF"), exif_rotation=asked), np.rot90(COLOUR, -1))


def test_pillow_images_are_turned_only_if_asked_for_and_stay_as_they_are() -> None:
    image = Image.open(io.BytesIO(oriented("PNG")))
    np.testing.assert_array_equal(read(image), COLOUR)
    np.testing.assert_array_equal(read(image, exif_rotation=True), np.rot90(COLOUR, -1))
    assert (image.size, image.getexif()[ORIENTATION]) == ((24, 15), ROTATED)


def test_damaged_exif_data_turn_nothing() -> None:
    data = encoded(COLOUR, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    np.testing.assert_array_equal(read(data, exif_rotation=True), read(data))


def test_recorded_pixels_are_reproduced(conformance: Path) -> None:
    goldens = json.loads((conformance / "pretrained_goldens.json").read_text())["preprocessing"]["raw"]
    for name, golden in goldens.items():
        pixels = read(conformance / name)
        assert list(pixels.shape) == golden["shape"]
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == golden["sha256_uint8"], name


# --- paths -----------------------------------------------------------------------------------------------------


def test_the_prefix_is_the_directory_of_relative_paths(tmp_path: Path) -> None:
    (tmp_path / "day one").mkdir()
    path = tmp_path / "day one" / "ü.png"
    path.write_bytes(encoded(COLOUR, "PNG"))
    for prefix in (str(tmp_path), f"{tmp_path}/"):
        np.testing.assert_array_equal(read("day one/ü.png", path_prefix=prefix), COLOUR)
        np.testing.assert_array_equal(read(Path("day one/ü.png"), path_prefix=prefix), COLOUR)
        np.testing.assert_array_equal(read(str(path), path_prefix=prefix), COLOUR)


def test_what_is_no_regular_file_is_an_error_and_never_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    refused(tmp_path / "fifo", "fifo: it is a FIFO, expected a regular file")
    refused("/dev/zero", "/dev/zero: it is a device, expected a regular file")
    refused(tmp_path, "directory")
    refused("", "expected a path, got an empty text", path_prefix=str(tmp_path))
    refused(tmp_path / "missing.jpg", r"missing\.jpg: No such file")
    refused("a\0b", "null")
    refused("x" * 5000, "too long")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "private.png"
    path.touch(mode=0)
    refused(path, "Permission")


# --- damaged and hostile files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"not an image at all", b"%!PS-Adobe-3.0 EPSF-3.0", b"GIF", b"RIFF"]
)
def test_what_is_no_image_is_an_error_that_lists_the_formats(tmp_path: Path, data: bytes) -> None:
    refused(data, "JPEG, PNG, BMP, GIF, TIFF, WEBP, got")
    path = tmp_path / "image.jpg"
    path.write_bytes(data)
    refused(path, r"image\.jpg: expected an image")


@pytest.mark.parametrize("form", FORMATS)
def test_half_a_file_is_an_error(form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    data = encoded(noise, form)
    refused(data[: len(data) // 2], f"{form} data cannot be decoded")


def bombs() -> dict[str, bytes]:
    """Small files whose headers claim more pixels than anybody should decode."""
    side = 60_000
    big, little = struct.pack(">I", side), struct.pack("<I", side)
    png = bytearray(encoded(COLOUR, "PNG"))
    png[16:24] = big + big
    jpeg = bytearray(encoded(COLOUR, "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = big[2:] + big[2:]
    bmp = bytearray(encoded(COLOUR, "BMP"))
    bmp[18:26] = little + little
    gif = bytearray(encoded(COLOUR, "GIF"))
    gif[6:10] = little[:2] + little[:2]
    tiff = encoded(COLOUR, "TIFF")
    for old in COLOUR.shape[:2]:
        entry = struct.pack("<HHII", 0x100 if old == COLOUR.shape[1] else 0x101, 4, 1, old)
        short = struct.pack("<HHIHH", 0x100 if old == COLOUR.shape[1] else 0x101, 3, 1, old, 0)
        tiff = tiff.replace(entry, entry[:8] + little).replace(short, entry[:8] + little)
    return {"PNG": bytes(png), "JPEG": bytes(jpeg), "BMP": bytes(bmp), "GIF": bytes(gif), "TIFF": tiff}


@pytest.mark.parametrize("form", bombs())
@pytest.mark.parametrize("exif_rotation", [False, True])
def test_an_image_with_too_many_pixels_is_refused_by_its_header(form: str, exif_rotation: bool) -> None:
    refused(bombs()[form], "pixels", exif_rotation=exif_rotation)


def test_a_pillow_image_with_too_many_pixels_is_refused() -> None:
    class Huge(Image.Image):
        size = width, height = (60_000, 60_000)

    refused(Huge(), "pixels")


SMALL = {form: encoded(COLOUR, form) for form in FORMATS} | {
    "deep": encoded(GREY.astype(np.uint16), "TIFF"),
    "packed": encoded(COLOUR, "TIFF", compression="tiff_lzw"),
    "palette": encoded(Image.fromarray(COLOUR).quantize(8), "PNG", transparency=bytes(8)),
    "turned": oriented("JPEG"),
    "lossy": encoded(Image.fromarray(COLOUR), "WEBP"),
}


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(SMALL)),
    st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), max_size=6),
    st.integers(0, 1500) | st.none(),
    st.booleans(),
)
@example("JPEG", [], 3, False)
@example("PNG", [], 20, True)
def test_mutated_files_are_pixels_or_an_input_error(
    name: str, changes: list[tuple[int, int]], end: int | None, exif_rotation: bool
) -> None:
    data = bytearray(SMALL[name])
    for position, value in changes:
        data[position % len(data)] = value
    try:
        pixels = read(bytes(data[:end]), exif_rotation=exif_rotation)
    except InputError as error:
        assert str(error).startswith(PLACE)
    else:
        assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size


# --- arrays ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        GREY,
        GREY[..., None],
        GREY.astype(np.int64),
        GREY.astype(np.float32),
        GREY.tolist(),
        GREY[..., None].tolist(),
        tuple(map(tuple, GREY.tolist())),
        tf.constant(GREY),
        GREY[::-1][::-1],
    ],
    ids=["2-D", "one channel", "int64", "float32", "list", "deep list", "tuples", "tensor", "strided"],
)
def test_grey_values_of_every_type_are_repeated(values: Any) -> None:
    np.testing.assert_array_equal(read(values), np.stack([GREY] * 3, -1))
    np.testing.assert_array_equal(read(values, input_image_format="pixel_values"), np.stack([GREY] * 3, -1))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]]), [0, 127, 255]),
        (np.array([[0.0, 0.5, 1.0]], np.float16), [0, 127, 255]),
        (np.array([[0.0, 0.5, 254.9]]), [0, 0, 254]),
        (np.array([[0, 1, 1]]), [0, 255, 255]),
        (np.array([[0, 1, 1]], np.int8), [0, 255, 255]),
        (np.array([[False, True, True]]), [0, 255, 255]),
        (np.array([[0, 1, 1]], np.uint8), [0, 1, 1]),
        (np.array([[0, 1, 2]]), [0, 1, 2]),
        (np.array([[0, 100, 255]], np.uint64), [0, 100, 255]),
    ],
)
def test_values_up_to_one_are_shares_of_255_and_all_are_truncated(
    values: np.ndarray, expected: list[int]
) -> None:
    before = values.copy()
    np.testing.assert_array_equal(read(values)[0, :, 0], expected)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.array([[0.0, -0.1]]), "in 0..255, got -0.1 to 0"),
        (np.array([[0, 256]]), "0 to 256"),
        (np.array([[0.5, np.nan]]), "nan"),
        (np.array([[0.5, np.inf]]), "inf"),
        (np.zeros((2, 3, 2)), r"the shape \(2, 3, 2\)"),
        (np.zeros((2, 3, 5)), "alpha.*the shape"),
        (np.zeros((1, 2, 3, 3)), "the shape"),
        (np.zeros(5), "the shape"),
        (np.zeros((0, 5, 3)), "the shape"),
        (np.zeros((2, 2), np.complex64), "complex64"),
        (np.array([["a"]]), "an array of numbers"),
        ([[1, 2], [3]], "an array of numbers"),
        ([[1, None]], "object"),
        ([], "float64|shape"),
        ({"a": 1}, "a path, the bytes of an image file, a Pillow image or an array.*got a dict"),
        (5, "got a int"),
    ],
)
def test_what_is_no_picture_is_an_error_that_says_why(values: Any, reason: str) -> None:
    refused(values, reason)


@pytest.mark.parametrize("color_space", ["rgba", "BGRA"])
def test_alpha_is_kept_where_the_colour_space_has_it(color_space: str) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(read(values, color_space=color_space), values)
    np.testing.assert_array_equal(read(COLOUR, color_space=color_space), COLOUR)


@pytest.mark.parametrize("color_space", ["rgb", "BGR"])
def test_alpha_is_dropped_where_the_colour_space_has_none(color_space: str) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(read(values, color_space=color_space), values[..., :3])
    np.testing.assert_array_equal(read(values.tolist(), color_space=color_space), values[..., :3])


# --- forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [None, float("nan"), np.float64("nan")])
@pytest.mark.parametrize("input_image_format", [None, "file", "image_bytes", "pixel_values"])
def test_a_missing_image_is_one_black_pixel(missing: Any, input_image_format: str | None) -> None:
    pixels = read(missing, input_image_format=input_image_format)
    np.testing.assert_array_equal(pixels, np.zeros((1, 1, 3)))


def test_the_setting_forces_how_a_value_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    data = encoded(COLOUR, "PNG")
    path.write_bytes(data)
    values = {"file": path, "image_bytes": data, "pixel_values": COLOUR}
    for form, value in values.items():
        np.testing.assert_array_equal(read(value, input_image_format=form), COLOUR)
        for other in set(values) - {form}:
            refused(value, f'"input_image_format" is {other}', input_image_format=other)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Image.fromarray(np.full((2, 2), np.nan, np.float32)),
        lambda: Image.open(io.BytesIO(encoded(COLOUR, "PNG")[:90])),
        lambda: Image.new("RGB", (0, 5)),
    ],
    ids=["NaN", "truncated", "empty"],
)
def test_a_pillow_image_that_cannot_be_read_is_an_error(make: Callable[[], Image.Image]) -> None:
    refused(make(), "")


def test_premultiplied_and_float_pillow_images_are_read() -> None:
    np.testing.assert_array_equal(read(Image.fromarray(COLOUR).convert("RGBA").convert("RGBa")), COLOUR)
    np.testing.assert_array_equal(read(Image.fromarray(GREY).convert("LA").convert("La"))[..., 0], GREY)
    np.testing.assert_array_equal(read(Image.fromarray(GREY.astype(np.float32)))[..., 0], GREY)


# --- loading for a network -------------------------------------------------------------------------------------


def described(position: int) -> str:
    return f"row {position}"


@pytest.mark.parametrize("rescale_type", ["warp", "pad", "crop"])
def test_images_of_all_forms_and_sizes_are_loaded_in_order(tmp_path: Path, rescale_type: str) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(encoded(COLOUR, "PNG"))
    images = [path, None, COLOUR[:, :5], GREY / 255, encoded(COLOUR[:7], "BMP"), Image.fromarray(COLOUR)] * 5
    loader = ImageLoader(20, 12, rescale_type, ImageReading())
    loaded = loader.load(images, described)
    assert loaded.pixels.dtype == tf.float32
    assert loaded.sizes.dtype == np.int64
    assert loaded.sizes.tolist() == [[15, 24], [1, 1], [15, 5], [15, 24], [7, 24], [15, 24]] * 5
    for position, image in enumerate(images):
        alone = loader.load([image], described)
        np.testing.assert_array_equal(alone.pixels[0], loaded.pixels[position])
        expected = rescale(read(image), 20, 12, rescale_type)
        np.testing.assert_allclose(loaded.pixels[position], expected, rtol=0, atol=1e-4)


def test_no_images_are_no_pixels() -> None:
    loaded = ImageLoader(20, 12, "pad", ImageReading()).load([], described)
    assert (loaded.pixels.shape, loaded.sizes.shape) == ((0, 12, 20, 3), (0, 2))


def test_sizes_are_those_of_the_picture_as_it_is_turned() -> None:
    for exif_rotation, size in ((False, [15, 24]), (True, [24, 15])):
        loader = ImageLoader(20, 12, "pad", ImageReading(exif_rotation=exif_rotation))
        assert loader.load([oriented("JPEG")], described).sizes.tolist() == [size]


@pytest.mark.parametrize(
    ("color_space", "order"), [("bgr", [2, 1, 0]), ("BGRA", [2, 1, 0]), ("RGBA", [0, 1, 2])]
)
def test_the_colour_space_holds_for_arrays_and_for_files(color_space: str, order: list[int]) -> None:
    loader = ImageLoader(24, 15, "warp", ImageReading(color_space=color_space))
    loaded = loader.load([COLOUR, encoded(COLOUR, "PNG")], described)
    np.testing.assert_array_equal(loaded.pixels, np.stack([COLOUR[..., order]] * 2))


def test_alpha_is_dropped_after_it_counted_in_the_padding() -> None:
    values = np.zeros((1, 2, 4), np.uint8)
    values[..., 3] = 255
    loaded = ImageLoader(2, 2, "pad", ImageReading(color_space="rgba")).load([values], described)
    np.testing.assert_array_equal(loaded.pixels[0, :, 0], [[0] * 3, [63.75] * 3])


@pytest.mark.parametrize("rescale_type", ["warp", "pad", "crop"])
def test_a_missing_image_is_black_all_over(rescale_type: str) -> None:
    pixels = ImageLoader(7, 9, rescale_type, ImageReading()).load([None], described).pixels
    np.testing.assert_array_equal(pixels, np.zeros((1, 9, 7, 3)))


def test_the_first_bad_image_of_many_is_named() -> None:
    images = [COLOUR, None, b"bad", COLOUR, "missing", COLOUR]
    with pytest.raises(InputError, match=r"^row 2: expected an image"):
        ImageLoader(4, 4, "warp", ImageReading()).load(images, described)


def test_an_unknown_rescale_type_is_an_error_when_the_loader_is_made() -> None:
    with pytest.raises(SettingsError, match="rescale_type"):
        ImageLoader(4, 4, "fit", ImageReading())


def test_loading_leaves_no_thread_and_keeps_the_warning_filters() -> None:
    loader = ImageLoader(4, 4, "warp", ImageReading())
    before = (threading.active_count(), list(warnings.filters))
    loader.load([encoded(COLOUR, form) for form in FORMATS] * 8, described)
    assert (threading.active_count(), list(warnings.filters)) == before


def test_one_loader_serves_many_threads() -> None:
    loader = ImageLoader(12, 12, "pad", ImageReading())
    images = [encoded(COLOUR, form) for form in FORMATS]
    expected = loader.load(images, described).pixels.numpy()
    results: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: results.append(loader.load(images, described).pixels.numpy()))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(threads)
    for result in results:
        np.testing.assert_array_equal(result, expected)


# --- small files that ask for much -------------------------------------------------------------------------------


@pytest.mark.parametrize("exif_rotation", [False, True])
@pytest.mark.parametrize("form", ["WEBP", "PNG", "GIF"])
def test_a_great_image_of_hardly_any_bytes_is_refused(form: str, exif_rotation: bool) -> None:
    sides = (13_000, 13_000)
    data = encoded(Image.new("1" if form == "PNG" else "L", sides), form)[:30_000]
    refused(
        data, "expected an image of at most 40,000,000 pixels, or 4096 a byte", exif_rotation=exif_rotation
    )


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "TIFF"])
def test_blank_pages_are_read(form: str) -> None:
    page = Image.new("L", (6_000, 7_000), 255)
    options = {"compression": "tiff_adobe_deflate"} if form == "TIFF" else {}
    assert read(encoded(page, form, **options)).shape == (7_000, 6_000, 3)


def with_scans(count: int) -> bytes:
    """A progressive JPEG file whose last scan stands in it again and again."""
    data = encoded(COLOUR, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scans = data.count(b"\xff\xda")
    return data[:last] + data[last:-2] * (count - scans + 1) + data[-2:]


@pytest.mark.parametrize("exif_rotation", [False, True])
def test_a_jpeg_file_of_many_scans_is_refused(exif_rotation: bool) -> None:
    refused(with_scans(200), "at most 32 scans, got 200", exif_rotation=exif_rotation)
    assert read(with_scans(14)).shape == COLOUR.shape


def test_what_only_looks_like_scans_is_not_counted() -> None:
    data = encoded(COLOUR, "JPEG", comment=b"\xff\xda" * 100) + b"\xff\xda" * 100
    np.testing.assert_array_equal(read(data), read(encoded(COLOUR, "JPEG")))


@pytest.mark.parametrize(
    "head", [b"BM", b"GIF87a", b"II*\0", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF1234WEBP", b""]
)
@pytest.mark.parametrize("exif_rotation", [False, True])
def test_messages_do_not_show_the_content(head: bytes, exif_rotation: bool) -> None:
    secret = b"Xsecret:42424242:" * 20
    with pytest.raises(InputError) as caught:
        read_image(head + secret, ImageReading(exif_rotation=exif_rotation), PLACE)
    text = str(caught.value)
    for start in range(8):
        number = secret[start : start + 4]
        assert number.decode() not in text
        assert not {str(int.from_bytes(number, "little")), str(int.from_bytes(number, "big"))} & set(
            text.split()
        )


# --- lists that contain themselves -------------------------------------------------------------------------------


def endless(kind: str) -> Any:
    values: Any = []
    if kind == "itself":
        values.append(values)
    elif kind == "twice":
        values += [0, values, values]
    elif kind == "tuple":
        values += [(values,), (values, values)]
    elif kind == "laughs":
        values = [1] * 100
        for _ in range(9):
            values = [values] * 100
    else:
        for _ in range(100_000):
            values = [values]
    return values


@pytest.mark.parametrize("kind", ["itself", "twice", "tuple", "laughs", "deep"])
def test_endless_lists_are_one_error(kind: str) -> None:
    values = endless(kind)
    refused(values, "expected (lists of numbers|an image)")
    model = sensenet.create_model(image_documents.classifier())
    alone = image_model(image_documents.flat())
    table = sensenet.create_model(model_documents.classifier())
    detector = sensenet.create_model(image_documents.detector())
    for points in (
        values,
        [values],
        [[values, "a"]],
        [[values, "a"], [values, "b"]],
        {"0": values, "1": values},
    ):
        for one in (model, alone, table, detector):
            try:
                one(points)
            except InputError as error:
                assert len(str(error)) < 1000
            else:
                assert one is table  # a category that nobody knows
