"""What an image may be passed as, and what the settings of images do, through models."""

from __future__ import annotations

import io
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import image_documents as images
import numpy as np
import pytest
from image_documents import assert_same_boxes
from PIL import Image
from weight_files import random_arrays, write_file

import sensenet
from sensenet import pretrained
from sensenet.document.model import dump_model, parse_model
from sensenet.errors import InputError, SettingsError
from sensenet.models.image import image_model

GREY = images.picture(9, 20)[..., 0]
COLOUR = images.picture(9, 20)
SHARES = np.where(COLOUR > 100, 0.8, 0.2)

FINDING = {"bounding_box_threshold": 0.2, "rescale_type": "warp"}


def encoded(image: np.ndarray, form: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, form, **more)
    return file.getvalue()


@lru_cache
def model() -> Any:
    return sensenet.create_model(images.only_image())


@lru_cache
def row_model() -> Any:
    return sensenet.create_model(images.mixed("front size"))


@lru_cache
def finder() -> Any:
    return sensenet.create_model(images.detector(), FINDING)


@lru_cache
def extractor() -> Any:
    return sensenet.create_image_feature_extractor(images.only_image())


ARRAYS = {
    "bytes": (COLOUR, COLOUR),
    "integers": (COLOUR.astype(np.int64), COLOUR),
    "big endian": (COLOUR.astype(">u2"), COLOUR),
    "floats to 255": (COLOUR.astype(np.float32), COLOUR),
    "floats that are cut": (COLOUR + np.where(COLOUR < 255, 0.9, 0), COLOUR),
    "floats to 1": (SHARES, (SHARES * 255).astype(np.uint8)),
    "half floats to 1": (SHARES.astype(np.float16), (SHARES.astype(np.float16) * 255).astype(np.uint8)),
    "grey": (GREY, np.stack([GREY] * 3, axis=2)),
    "grey with an axis": (GREY[..., None], np.stack([GREY] * 3, axis=2)),
    "grey floats": (GREY / 255 * 0.999, np.stack([(GREY / 255 * 0.999 * 255).astype(np.uint8)] * 3, axis=2)),
    "truth values": (COLOUR > 100, np.where(COLOUR > 100, 255, 0).astype(np.uint8)),
    "not contiguous": (COLOUR[::-1, ::2], COLOUR[::-1, ::2].copy()),
    "Fortran's order": (np.asfortranarray(COLOUR), COLOUR),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_every_kind_are_images_and_are_left_alone(name: str) -> None:
    given, pixels = ARRAYS[name]
    before = given.copy()
    for subject in (model(), extractor()):
        expected = subject(pixels)
        np.testing.assert_array_equal(subject(given), expected)
        np.testing.assert_array_equal(subject([given]), expected)
        np.testing.assert_array_equal(subject([[given], [given]]), np.repeat(expected, 2, axis=0))
    np.testing.assert_array_equal(row_model()([given, 1.5]), row_model()([pixels, 1.5]))
    assert_same_boxes(finder()(given), finder()(pixels))
    np.testing.assert_array_equal(given, before)
    assert given.dtype == before.dtype


def test_files_bytes_and_pillow_images_are_images(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(COLOUR))
    forms = [str(path), path, path.read_bytes(), bytearray(path.read_bytes()), memoryview(path.read_bytes())]
    forms += [Image.open(path), Image.fromarray(COLOUR)]
    for form in forms:
        for subject in (model(), extractor()):
            np.testing.assert_array_equal(subject(form), subject(COLOUR))
            np.testing.assert_array_equal(subject([[form], [form]]), subject([COLOUR, COLOUR]))
        np.testing.assert_array_equal(row_model()([form, 1.5]), row_model()([COLOUR, 1.5]))
        assert_same_boxes(finder()(form), finder()(COLOUR))
        assert_same_boxes(finder()([form, form]), [finder()(COLOUR)] * 2)


@pytest.mark.parametrize("form", ["BMP", "GIF", "TIFF", "WEBP", "JPEG"])
def test_files_are_what_pillow_sees_in_them(tmp_path: Path, form: str) -> None:
    more = {"lossless": True} if form == "WEBP" else {}
    path = tmp_path / "without an ending"
    path.write_bytes(encoded(images.picture(16, 16), form, **more))
    np.testing.assert_array_equal(model()(path), model()(np.asarray(Image.open(path).convert("RGB"))))


def test_nested_lists_are_images() -> None:
    nested = COLOUR.tolist()
    several = [nested, images.picture(16, 16).tolist()]
    arrays = [COLOUR, images.picture(16, 16)]
    for subject in (model(), extractor(), image_model(images.only_image())):
        np.testing.assert_array_equal(subject(nested), subject(COLOUR))
        np.testing.assert_array_equal(subject(several), subject(arrays))
        np.testing.assert_array_equal(subject([[GREY.tolist()], [nested]]), subject([GREY, COLOUR]))
        np.testing.assert_array_equal(subject([[GREY.tolist()], [GREY.tolist()]]), subject([GREY, GREY]))
    assert_same_boxes(finder()(nested), finder()(COLOUR))
    assert_same_boxes(finder()(several), finder()(arrays))
    np.testing.assert_array_equal(row_model()([[nested, 1.5]] * 2), row_model()([[COLOUR, 1.5]] * 2))


def test_an_array_of_four_dimensions_is_a_list_of_images() -> None:
    batch = np.stack([images.picture(12, 14, seed) for seed in range(3)])
    for subject in (model(), extractor(), image_model(images.only_image())):
        np.testing.assert_array_equal(subject(batch), subject(list(batch)))
        assert len(subject(batch[:0])) == 0
    found = finder()(batch)
    assert_same_boxes(found, finder()(list(batch)))
    assert_same_boxes(found, [finder()(image) for image in batch])
    assert_same_boxes(finder()(batch[:1]), [finder()(batch[0])])
    assert finder()(batch[:0]) == []


def test_images_of_one_call_may_differ_in_form_and_size(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    given = [[tmp_path / "a.png"], [GREY], [None], [encoded(images.picture(40, 3))], [Image.new("L", (3, 5))]]
    single = np.concatenate([model()(row) for row in given])
    np.testing.assert_allclose(model()(given), single, atol=1e-6)
    np.testing.assert_allclose(image_model(images.only_image())([row[0] for row in given]), single, atol=1e-6)


def test_a_list_of_images_may_have_missing_ones_but_a_row_may_carry_more_than_its_image() -> None:
    for several in ([None, GREY], [GREY, GREY, None], [GREY, None, COLOUR]):
        np.testing.assert_array_equal(model()(several), model()([[image] for image in several]))
    for row in ([GREY, None], [GREY, 3.5], [GREY, "cat"], [None, 0]):
        np.testing.assert_array_equal(model()(row), model()(row[:1]))


def test_a_list_of_paths_is_one_row_for_a_model_and_images_where_there_are_only_images(
    tmp_path: Path,
) -> None:
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path, image in zip(paths, (COLOUR, images.picture(16, 16)), strict=True):
        Image.fromarray(image).save(path)
    arrays = [COLOUR, images.picture(16, 16)]
    np.testing.assert_array_equal(model()(paths), model()(COLOUR))
    for several in (paths, np.array([str(path) for path in paths]), np.array(paths, dtype=object)):
        np.testing.assert_array_equal(extractor()(several), extractor()(arrays))
        np.testing.assert_array_equal(image_model(images.only_image())(several), model()(arrays))
        assert_same_boxes(finder()(several), finder()(arrays))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros(5), "expected (height, width) or (height, width, channels) of 1, 3 or 4 channels"),
        (np.zeros((4, 4, 2)), "of 1, 3 or 4 channels (the fourth is alpha), got the shape (4, 4, 2)"),
        (np.zeros((4, 4, 5), np.uint8), "got the shape (4, 4, 5)"),
        (np.zeros((0, 4, 3), np.uint8), "got the shape (0, 4, 3)"),
        (np.full((4, 4), np.nan), "expected numbers in 0..1 or in 0..255, got nan to nan"),
        (np.full((4, 4), np.inf), "expected numbers in 0..1 or in 0..255, got inf to inf"),
        (np.full((4, 4), 256.0), "expected numbers in 0..1 or in 0..255, got 256 to 256"),
        (np.full((4, 4), -1), "expected numbers in 0..1 or in 0..255, got -1 to -1"),
        (np.zeros((4, 4), complex), "expected an array of numbers, got complex128"),
        ([[["a"]]], "expected an array of numbers, got"),
        ([[[1.0], [1.0, 2.0]]], "expected an array of numbers"),
        (3, "expected a path, the bytes of an image file, a Pillow image or an array or nested list of numbers, got"),
        (b"", "expected an image in one of JPEG, PNG, BMP, GIF, TIFF, WEBP, got no bytes at all"),
        ("gone.png", "gone.png: No such file or directory"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_an_error_that_names_row_and_field(image: Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        row_model()([[COLOUR, 1.5], [image, 1.5]])
    assert str(caught.value).startswith('row 1, field "front" (index 0): ')
    for subject in (extractor(), finder()):
        with pytest.raises(InputError, match=re.escape(message)) as caught:
            subject([[COLOUR], [image]])
        assert str(caught.value).startswith("image 1: ")


def test_the_number_of_a_bad_image_is_its_own_in_the_second_batch_too() -> None:
    many = [COLOUR] * 40 + [b"junk"]
    for subject in (extractor(), finder()):
        with pytest.raises(InputError, match=r"^image 40: "):
            subject(many)
    with pytest.raises(InputError, match=r"^row 40, field"):
        model()([[image] for image in many])


@pytest.mark.parametrize("wrong", [3, 2.5, object(), {1, 2}])
def test_what_is_no_point_is_an_error(wrong: Any) -> None:
    for subject in (model(), extractor(), finder()):
        with pytest.raises(InputError, match=r"^expected "):
            subject(wrong)


def stretched(image: np.ndarray, side: int = images.SIDE) -> np.ndarray:
    rows, columns = (
        np.minimum(np.floor((np.arange(side, dtype=np.float32) + 0.5) * np.float32(n / side)), n - 1).astype(
            int
        )
        for n in image.shape[:2]
    )
    return image[rows][:, columns]


def even_mean(height: int, width: int) -> np.ndarray:
    """Whose mean is 100, exactly: what the lower half is above it, the upper half is below."""
    noise = np.random.default_rng(0).integers(-90, 90, (height // 2, width, 3))
    return (100 + np.concatenate([noise, -noise])).astype(np.uint8)


TALL = even_mean(32, 16)
RESCALED = {
    "warp": stretched(TALL),
    "pad": np.full((16, 16, 3), 100, np.uint8),
    "crop": TALL[8:24],
}
# at half the size, every second row and column is left
SPREAD = np.repeat(np.repeat(even_mean(16, 8), 2, axis=0), 2, axis=1)
RESCALED["pad"][:, :8] = SPREAD[1::2, 1::2]


@pytest.mark.parametrize("rescale_type", RESCALED)
def test_the_rescale_type_says_how_images_are_brought_to_the_networks_size(rescale_type: str) -> None:
    image = SPREAD if rescale_type == "pad" else TALL
    document = images.flat(images.SIDE)
    expected = sensenet.create_model(document)(RESCALED[rescale_type])
    by_setting = sensenet.create_model(document, {"rescale_type": rescale_type})
    np.testing.assert_allclose(by_setting(image), expected, rtol=1e-4)
    by_metadata = sensenet.create_model(images.flat(images.SIDE, rescale_type=rescale_type))
    np.testing.assert_allclose(by_metadata(image), expected, rtol=1e-4)
    other = "warp" if rescale_type == "crop" else "crop"
    over = sensenet.create_model(images.flat(images.SIDE, rescale_type=other), {"rescale_type": rescale_type})
    np.testing.assert_allclose(over(image), expected, rtol=1e-4)


def test_without_a_rescale_type_images_are_stretched() -> None:
    model = sensenet.create_model(images.flat(images.SIDE))
    np.testing.assert_array_equal(model(TALL), model(RESCALED["warp"]))
    assert abs(model(TALL) - model(RESCALED["crop"])) > 1


@pytest.mark.parametrize("color_space", ["bgr", "BGR"])
def test_bgr_turns_the_channels_of_arrays_and_files_around(color_space: str) -> None:
    rgb = sensenet.create_model(images.flat(images.SIDE))
    bgr = sensenet.create_model(images.flat(images.SIDE), {"color_space": color_space})
    np.testing.assert_array_equal(bgr(COLOUR[..., ::-1]), rgb(COLOUR))
    np.testing.assert_array_equal(bgr(encoded(COLOUR)), rgb(COLOUR[..., ::-1]))
    assert abs(bgr(COLOUR) - rgb(COLOUR)) > 1


@pytest.mark.parametrize(
    ("color_space", "order"),
    [(None, 1), ("rgb", 1), ("rgba", 1), ("RGBA", 1), ("bgr", -1), ("bgra", -1), ("BGRA", -1)],
)
@pytest.mark.parametrize("alpha", [0, 100])
def test_alpha_is_dropped(color_space: str | None, order: int, alpha: int) -> None:
    rgb = sensenet.create_model(images.flat(images.SIDE))
    model = sensenet.create_model(images.flat(images.SIDE), {"color_space": color_space})
    image = np.concatenate([COLOUR[..., ::order], np.full((9, 20, 1), alpha, np.uint8)], axis=2)
    np.testing.assert_array_equal(model(image), rgb(COLOUR))
    np.testing.assert_array_equal(model(image.astype(float)), rgb(COLOUR))
    np.testing.assert_array_equal(model(np.stack([image, image])), rgb([COLOUR, COLOUR]))
    np.testing.assert_array_equal(
        model([[image], [COLOUR[..., ::order]], [GREY]]), rgb([COLOUR, COLOUR, GREY])
    )
    # of files alpha is dropped anyhow
    np.testing.assert_array_equal(model(encoded(image)), rgb(COLOUR))
    np.testing.assert_array_equal(model(image.tolist()), rgb(COLOUR))


@pytest.mark.parametrize("color_space", [None, "bgr"])
def test_dropped_alpha_does_not_count_in_the_padding(color_space: str | None) -> None:
    settings = {"color_space": color_space, "rescale_type": "pad"}
    model = sensenet.create_model(images.flat(images.SIDE), settings)
    image = np.concatenate([COLOUR, np.zeros((9, 20, 1), np.uint8)], axis=2)
    np.testing.assert_array_equal(model(image), model(COLOUR))


def test_the_prefix_is_the_folder_of_paths(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    Image.fromarray(COLOUR).save(tmp_path / "deep" / "a.png")
    for prefix in (tmp_path, f"{tmp_path}/"):
        model = sensenet.create_model(images.mixed("front size"), {"image_path_prefix": str(prefix)})
        for name in ("deep/a.png", Path("deep/a.png"), tmp_path / "deep" / "a.png"):
            np.testing.assert_array_equal(model([name, 1.5]), row_model()([COLOUR, 1.5]))
            np.testing.assert_array_equal(model({"front": name, "size": 1.5}), row_model()([COLOUR, 1.5]))
    with pytest.raises(InputError, match=r'row 0, field "front" \(index 0\): .*/other.png: No such file'):
        model(["other.png", 1.5])
    found = sensenet.create_model(images.detector(), {"image_path_prefix": str(tmp_path), **FINDING})
    assert_same_boxes(found("deep/a.png"), finder()(COLOUR))


@pytest.mark.parametrize(
    ("input_image_format", "good", "expectation"),
    [
        ("file", "path", "a path"),
        ("image_bytes", "bytes", "the bytes of an image file"),
        ("pixel_values", "array", "a Pillow image or an array or nested list of numbers"),
    ],
)
def test_an_input_format_refuses_the_others(
    tmp_path: Path, input_image_format: str, good: str, expectation: str
) -> None:
    (tmp_path / "a.png").write_bytes(encoded(COLOUR))
    forms: dict[str, Any] = {"path": str(tmp_path / "a.png"), "bytes": encoded(COLOUR), "array": COLOUR}
    settings = {"input_image_format": input_image_format}
    for document in (images.only_image(), images.detector()):
        model = sensenet.create_model(document, {**settings, "bounding_box_threshold": 0.2})
        plain = sensenet.create_model(document, {"bounding_box_threshold": 0.2})
        np.testing.assert_equal(model(forms[good]), plain(COLOUR))
        np.testing.assert_equal(model([[None], [forms[good]]]), plain([[None], [COLOUR]]))
        for name in forms.keys() - {good}:
            with pytest.raises(
                InputError, match=re.escape(f'expected {expectation} (as "input_image_format"')
            ):
                model(forms[name])


def test_the_orientation_is_applied_where_the_document_says_so() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    data = encoded(COLOUR, exif=exif)
    plain = sensenet.create_model(images.flat(images.SIDE))
    turning = sensenet.create_model(images.flat(images.SIDE, exif_rotation=True))
    np.testing.assert_array_equal(plain(data), plain(COLOUR))
    np.testing.assert_array_equal(turning(data), plain(np.rot90(COLOUR, -1)))
    np.testing.assert_array_equal(turning(Image.open(io.BytesIO(data))), plain(np.rot90(COLOUR, -1)))
    np.testing.assert_array_equal(turning(COLOUR), plain(COLOUR))
    assert abs(turning(data) - plain(data)) > 1


def test_a_detector_turns_images_and_gives_boxes_of_the_turned_image() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = images.painted(32, 64, red=(0, 16, 16, 32))
    data = encoded(image, exif=exif)
    plain = sensenet.create_model(images.bright_detector())
    turning = sensenet.create_model(images.bright_detector(exif_rotation=True))
    assert plain(data) == plain(image) != []
    assert turning(data) == plain(np.rot90(image, -1)) != plain(data)


def test_settings_for_boxes_are_ignored_by_other_models() -> None:
    settings = {
        "bounding_box_threshold": 0.9,
        "iou_threshold": 0.1,
        "max_objects": 1,
        "class_agnostic_nms": True,
        "output_unfiltered_boxes": True,
        "pad_bounding_box_output": True,
    }
    points = [[image] for image in images.IMAGES]
    np.testing.assert_array_equal(
        sensenet.create_model(images.only_image(), settings)(points), model()(points)
    )
    with_settings = sensenet.create_image_feature_extractor(images.only_image(), settings)
    np.testing.assert_array_equal(with_settings(COLOUR), extractor()(COLOUR))


def test_published_weights_are_loaded_where_the_settings_ask_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder that stands for the public bucket, into an empty cache."""
    file = Path(pretrained.weights_url("mobilenetv2")).name
    (tmp_path / "bucket").mkdir()
    write_file(tmp_path / "bucket" / file, random_arrays("mobilenetv2", 3))
    monkeypatch.setenv("BIGML_SENSENET_WEIGHTS_URL", (tmp_path / "bucket").as_uri())
    monkeypatch.setenv("BIGML_SENSENET_CACHE_PATH", str(tmp_path / "cache"))
    document = pretrained.network_document("mobilenetv2")
    trained = parse_model(document)
    trained.image_network.__dict__["layers"] = pretrained.pretrained_layers("mobilenetv2").image
    expected = sensenet.create_model(dump_model(trained))
    loading = sensenet.create_model(document, {"load_pretrained_weights": True})
    np.testing.assert_allclose(loading(COLOUR), expected(COLOUR), rtol=1e-4)
    by_name = sensenet.create_image_feature_extractor("mobilenetv2")(COLOUR)
    of_document = sensenet.create_image_feature_extractor(document, {"load_pretrained_weights": True})
    by_setting = sensenet.create_model(
        document, {"load_pretrained_weights": True, "extract_image_features": True}
    )
    for extract in (of_document, by_setting, sensenet.create_image_feature_extractor(loading)):
        np.testing.assert_array_equal(extract(COLOUR), by_name)
    untrained = sensenet.create_model(document, {"extract_image_features": True})
    assert np.abs(untrained(COLOUR) - by_name).max() > np.abs(by_name).max() / 10


def test_without_published_weights_there_is_nothing_to_load() -> None:
    for document in (images.only_image(), images.detector()):
        with pytest.raises(SettingsError, match="load_pretrained_weights: this model has no image network"):
            sensenet.create_model(document, {"load_pretrained_weights": True})


def test_features_come_in_place_of_predictions() -> None:
    by_setting = sensenet.create_model(images.mixed("size front kind back"), {"extract_image_features": True})
    expected = extractor()([point[0] for point in images.POINTS])
    np.testing.assert_array_equal(by_setting(images.POINTS), expected)
    named = [{"front": point[0], "size": point[1]} for point in images.POINTS]
    np.testing.assert_array_equal(by_setting(named), expected)
    np.testing.assert_array_equal(by_setting([point[0] for point in images.POINTS]), expected)
