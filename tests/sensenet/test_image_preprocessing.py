"""Rescaling, colour spaces, normalising and placement, against recorded numbers and a plain NumPy reference."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from sensenet.errors import ModelFormatError, SettingsError
from sensenet.preprocess.image import (
    LOADING_METHODS,
    RESCALE_TYPES,
    normalize,
    placement,
    rescale,
    to_rgb,
)

SIDES = st.integers(1, 500)
TARGETS = ((224, 224), (299, 299), (416, 416), (32, 48), (50, 7), (1, 1))
f32 = np.float32


def nearest(n_in: int, n_out: int) -> np.ndarray:
    positions = (np.arange(n_out, dtype=f32) + f32(0.5)) * (f32(n_in) / f32(n_out))
    return np.minimum(np.floor(positions).astype(int), n_in - 1)


def half_even(value: np.float32) -> int:
    return int(np.round(value))


def expected_rescale(image: np.ndarray, width: int, height: int, rescale_type: str) -> np.ndarray:
    """The rule in plain NumPy: resize as a whole, then pad or cut."""
    h, w = image.shape[:2]
    if rescale_type == "warp":
        return image[nearest(h, height)][:, nearest(w, width)].astype(f32)
    ratios = f32(height) / f32(h), f32(width) / f32(w)
    ratio = min(ratios) if rescale_type == "pad" else max(ratios)
    scaled = f32(h) * ratio, f32(w) * ratio
    rows, columns = (max(half_even(side), 1) for side in scaled)
    resized = image[nearest(h, rows)][:, nearest(w, columns)].astype(f32)
    if rescale_type == "crop":
        top, left = (half_even((s - f32(t)) / f32(2)) for s, t in zip(scaled, (height, width), strict=True))
        return resized[top : top + height, left : left + width]
    padded = np.full((height, width, image.shape[2]), resized.mean(dtype=np.float64), f32)
    padded[:rows, :columns] = resized
    return padded


def compiled(width: int, height: int, rescale_type: str) -> Callable[[Any], tf.Tensor]:
    signature = [tf.TensorSpec((None, None, None), tf.uint8)]
    return tf.function(
        lambda image: rescale(image, width, height, rescale_type), input_signature=signature, autograph=False
    )


COMPILED = {
    (height, width, kind): compiled(width, height, kind)
    for height, width in TARGETS
    for kind in RESCALE_TYPES
}


def random_image(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def decoded(path: Path) -> tf.Tensor:
    read = tf.io.decode_png if path.suffix == ".png" else tf.io.decode_jpeg
    exact = {} if path.suffix == ".png" else {"dct_method": "INTEGER_ACCURATE"}
    return read(tf.io.read_file(str(path)), channels=3, **exact)


@pytest.mark.parametrize("rescale_type", RESCALE_TYPES)
def test_recorded_rescaled_images_are_reproduced(conformance: Path, rescale_type: str) -> None:
    goldens = json.loads((conformance / "pretrained_goldens.json").read_text())["preprocessing"]["rescaled"]
    cases = [case for case in goldens if case["rescale_type"] == rescale_type]
    assert cases
    for case in cases:
        height, width, _ = case["input_shape"]
        result = compiled(width, height, rescale_type)(decoded(conformance / case["image"])).numpy()
        assert list(result.shape) == case["shape"]
        picture, digest = result, case.get("sha256_uint8")
        if rescale_type == "pad":
            rows, columns = case["image_region"]
            picture, digest = result[:rows, :columns], case["image_region_sha256_uint8"]
            outside = np.concatenate([result[rows:].ravel(), result[:, columns:].ravel()])
            if outside.size:
                np.testing.assert_allclose(outside, case["pad_value_float32"], atol=1e-4, rtol=0)
        assert hashlib.sha256(picture.astype(np.uint8).tobytes()).hexdigest() == digest


def test_recorded_normalized_images_are_reproduced(conformance: Path) -> None:
    goldens = json.loads((conformance / "pretrained_goldens.json").read_text())["preprocessing"]["normalized"]
    for case in goldens:
        height, width, _ = case["shape"]
        image = rescale(decoded(conformance / case["image"]), width, height, case["rescale_type"])
        result = normalize(image, case["loading_method"]).numpy()
        np.testing.assert_allclose(result.ravel()[:12], case["first12"], rtol=1e-6, atol=1e-6)
        summary = [result.mean(dtype=np.float64), result.min(), result.max(), result.std(dtype=np.float64)]
        recorded = [case[name] for name in ("mean", "min", "max", "std")]
        np.testing.assert_allclose(summary, recorded, rtol=1e-5, atol=1e-5)


@settings(max_examples=300, deadline=None)
@given(SIDES, SIDES, st.sampled_from(TARGETS), st.sampled_from(RESCALE_TYPES), st.sampled_from([1, 3, 4]))
def test_any_size_is_rescaled_as_the_rule_says(
    height: int, width: int, target: tuple[int, int], rescale_type: str, channels: int
) -> None:
    image = random_image(height, width, channels)
    expected = expected_rescale(image, target[1], target[0], rescale_type)
    result = COMPILED[(*target, rescale_type)](image).numpy()
    assert result.dtype == f32
    np.testing.assert_allclose(result, expected, rtol=0, atol=0 if rescale_type != "pad" else 1e-4)
    eager = rescale(image, target[1], target[0], rescale_type).numpy()
    np.testing.assert_allclose(result, eager, rtol=0, atol=0 if rescale_type != "pad" else 1e-4)


@pytest.mark.parametrize("rescale_type", RESCALE_TYPES)
@pytest.mark.parametrize(
    "size", [(1, 1), (1, 900), (900, 1), (1, 100_000), (30_000, 2), (3, 2047)], ids=lambda size: f"{size}"
)
def test_extreme_shapes_keep_pixels_of_the_picture(size: tuple[int, int], rescale_type: str) -> None:
    image = random_image(*size)
    for target in ((224, 224), (3, 500)):
        result = rescale(image, target[1], target[0], rescale_type).numpy()
        assert result.shape == (*target, 3)
        known = {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()}
        shown = result if rescale_type != "pad" else result[:1, :1]
        assert {tuple(pixel) for pixel in shown.reshape(-1, 3).tolist()} <= known


def test_padding_is_the_mean_of_the_resized_picture_alone_with_its_alpha() -> None:
    image = np.zeros((2, 4, 4), np.uint8)
    image[..., 3] = 255
    result = rescale(image, 4, 4, "pad").numpy()
    np.testing.assert_array_equal(result[:2], image)
    np.testing.assert_array_equal(result[2:], 63.75)


def test_floats_are_rescaled_unrounded() -> None:
    image = random_image(5, 7).astype(f32) + f32(0.25)
    np.testing.assert_array_equal(rescale(image, 9, 9, "crop"), expected_rescale(image, 9, 9, "crop"))


@pytest.mark.parametrize("rescale_type", RESCALE_TYPES)
def test_images_of_any_size_are_rescaled_in_a_pipeline(rescale_type: str) -> None:
    images = [random_image(20, 31), random_image(64, 9)]
    pipeline = tf.data.Dataset.from_generator(
        lambda: iter(images), output_signature=tf.TensorSpec((None, None, 3), tf.uint8)
    ).map(lambda image: rescale(image, 24, 16, rescale_type))
    assert pipeline.element_spec.shape == (16, 24, 3)
    for image, result in zip(images, pipeline, strict=True):
        np.testing.assert_allclose(result, expected_rescale(image, 24, 16, rescale_type), rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize("rescale_type", RESCALE_TYPES)
@pytest.mark.parametrize("shape", [(60, 80), (None, None)], ids=["fixed size", "any size"])
def test_tflite_rescales_the_same(shape: tuple[int | None, int | None], rescale_type: str) -> None:
    signature = [tf.TensorSpec((*shape, 3), tf.float32)]
    module = tf.Module()
    module.run = tf.function(
        lambda image: rescale(image, 32, 32, rescale_type), input_signature=signature, autograph=False
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.run.get_concrete_function()], module)
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    place = interpreter.get_input_details()[0]["index"]
    for size in ((60, 80), (61, 33), (7, 90)) if shape[0] is None else ((60, 80),):
        image = random_image(*size).astype(f32)
        interpreter.resize_tensor_input(place, image.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(place, image)
        interpreter.invoke()
        result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        np.testing.assert_allclose(result, expected_rescale(image, 32, 32, rescale_type), rtol=0, atol=1e-4)


def test_an_unknown_rescale_type_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r'rescale_type.*"crop"'):
        rescale(random_image(2, 2), 4, 4, "crops")
    with pytest.raises(SettingsError, match="rescale_type"):
        placement(2, 2, 4, 4, "fit")


@pytest.mark.parametrize("case", [str.lower, str.upper])
@pytest.mark.parametrize(
    ("color_space", "channels", "expected"),
    [
        ("rgb", 3, [10, 20, 30]),
        ("bgr", 3, [30, 20, 10]),
        ("rgba", 4, [10, 20, 30]),
        ("bgra", 4, [30, 20, 10]),
        ("rgba", 3, [10, 20, 30]),
        ("bgra", 3, [30, 20, 10]),
    ],
)
def test_every_colour_space_becomes_rgb(
    color_space: str, channels: int, expected: list[int], case: Callable[[str], str]
) -> None:
    pixels = tf.constant([[[10, 20, 30, 40][:channels]]], tf.uint8)
    np.testing.assert_array_equal(to_rgb(pixels, case(color_space)), [[expected]])


PIXEL = np.array([0.0, 100.0, 255.0], f32)


@pytest.mark.parametrize(
    ("loading_method", "expected"),
    [
        (None, [0, 100, 255]),
        ("normalizing", [0, 100 / 255, 1]),
        ("centering", [-1, -27.5 / 127.5, 1]),
        ("skewed_centering", [-1, -28 / 128, 127 / 128]),
        ("channelwise_centering", [255 - 103.939, 100 - 116.779, -123.68]),
        ("channelwise_standardizing", [-0.485 / 0.229, (100 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]),
    ],
)
def test_every_loading_method_is_its_formula(loading_method: str | None, expected: list[float]) -> None:
    np.testing.assert_allclose(normalize(PIXEL, loading_method), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        normalize(PIXEL.astype(np.uint8), loading_method), expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("loading_method", LOADING_METHODS)
def test_the_mean_image_is_subtracted_first_but_after_the_reversal(loading_method: str | None) -> None:
    mean_image = np.random.default_rng(0).uniform(0, 90, (4, 5, 3))
    pixels = random_image(4, 5).astype(f32)
    reverses = loading_method == "channelwise_centering"
    subtracted = pixels - (mean_image[..., ::-1] if reverses else mean_image)
    result = normalize(pixels, loading_method, mean_image)
    np.testing.assert_allclose(result, normalize(subtracted, loading_method), rtol=1e-5, atol=1e-4)


def test_an_unknown_loading_method_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ModelFormatError, match=r'loading_method.*"centering"'):
        normalize(PIXEL, "centring")


@settings(max_examples=100, deadline=None)
@given(SIDES, SIDES, st.sampled_from(TARGETS), st.sampled_from(RESCALE_TYPES))
def test_a_pixel_of_the_input_is_placed_where_it_came_from(
    height: int, width: int, target: tuple[int, int], rescale_type: str
) -> None:
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    mark = np.full_like(rows, 1000)  # no padding is as bright
    origins = np.stack([columns, rows, mark], axis=-1).astype(f32)
    result = rescale(origins, target[1], target[0], rescale_type).numpy()
    picture = np.argwhere(result[..., 2] == 1000)
    came_from = result[picture[:, 0], picture[:, 1], :2] + 0.5
    corners = np.concatenate([picture[:, ::-1], picture[:, ::-1] + 1], axis=1).astype(float)
    placed = placement(height, width, *target, rescale_type)
    boxes = placed.to_original(corners)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    # half a source pixel; and for pad half a pixel of the input, as its scaled size was rounded
    rounding = 0.5 * np.array([placed.scale_x, placed.scale_y]) if rescale_type == "pad" else 0
    assert (np.abs(centres - came_from) <= 0.5 + rounding + 1e-3).all()


def test_pad_places_boxes_as_the_published_package_does() -> None:
    placed = placement(500, 700, 416, 416, "pad")
    np.testing.assert_allclose(placed.to_original(np.array([[0, 0, 416, 208]])), [[0, 0, 700, 350]])
