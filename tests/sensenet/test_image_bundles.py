"""Image models and detectors in other formats: bundles, weight files, Keras models."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import image_documents as images
import model_documents as documents
import numpy as np
import pytest
import tensorflow as tf
from image_documents import assert_same_boxes, painted
from PIL import Image
from raw_bundles import raw_bundle

import sensenet
from sensenet.document.model import dumps, shorten
from sensenet.errors import InputError, ModelFormatError, SettingsError, WeightsError
from sensenet.formats.smbundle.container import read_bundle, write_bundle

ORDER = "size front kind back"
MODELS: dict[str, tuple[dict[str, Any], list[list[Any]]]] = {
    "regression": (images.regression(), [[image] for image in images.IMAGES]),
    "image and number": (images.mixed("front size"), images.POINTS),
    "two images": (images.mixed("back front"), images.POINTS),
    "everything": (images.mixed(ORDER), images.POINTS),
}
SCENE = painted(64, 100, red=(25, 0, 77, 51), green=(0, 50, 26, 64))


def with_alpha(points: list[list[Any]]) -> list[list[Any]]:
    """The same points with images that have an alpha channel that says something."""
    return [[rgba(value) if isinstance(value, np.ndarray) else value for value in row] for row in points]


def rgba(image: np.ndarray) -> np.ndarray:
    alpha = np.arange(image.shape[0] * image.shape[1]).reshape(*image.shape[:2], 1) % 256
    return np.concatenate([image, alpha.astype(np.uint8)], axis=2)


@pytest.mark.parametrize("name", MODELS)
def test_a_bundle_predicts_as_its_document(name: str, tmp_path: Path) -> None:
    document, points = MODELS[name]
    model = sensenet.create_model(document)
    path = model.save_bundle(tmp_path / "m")
    assert path == str(tmp_path / "m.smbundle")
    assert list(tmp_path.iterdir()) == [tmp_path / "m.smbundle"]
    bundled = sensenet.create_model(path)
    np.testing.assert_allclose(bundled(points), model(points), atol=1e-5)
    for point in points:
        np.testing.assert_allclose(bundled(point), model(point), atol=1e-5)
    assert bundled._classes == model._classes
    assert bundled._preprocessors == model._preprocessors
    assert bundled([]).shape == model([]).shape
    again = sensenet.create_model(bundled.save_bundle(tmp_path / "again"))
    np.testing.assert_allclose(again(points), model(points), atol=1e-5)


@pytest.mark.parametrize("name", ["regression", "everything"])
def test_a_bundle_remembers_settings_and_takes_others(name: str, tmp_path: Path) -> None:
    document, points = MODELS[name]
    settings = {"color_space": "bgra", "rescale_type": "pad"}
    model = sensenet.create_model(document, settings)
    path = model.save_bundle(tmp_path / "m")
    bundled = sensenet.create_model(path)
    assert dict(bundled.settings) == settings
    np.testing.assert_allclose(bundled(with_alpha(points)), model(with_alpha(points)), atol=1e-5)
    others = {"color_space": "rgb", "rescale_type": "crop"}
    expected = sensenet.create_model(document, others)(points)
    np.testing.assert_allclose(sensenet.create_model(path, others)(points), expected, atol=1e-5)
    assert np.abs(model(points) - expected).max() > 1e-4


def test_a_regressions_bundle_may_stay_normalised(tmp_path: Path) -> None:
    document, points = MODELS["regression"]
    normalised = sensenet.create_model(document, {"regression_normalize": True})
    path = normalised.save_bundle(tmp_path / "m")
    np.testing.assert_allclose(sensenet.create_model(path)(points), normalised(points), atol=1e-5)
    plain = sensenet.create_model(path, {"regression_normalize": False})
    np.testing.assert_allclose(plain(points), sensenet.create_model(document)(points), atol=1e-5)


def test_the_prefix_is_remembered(tmp_path: Path) -> None:
    tf.io.write_file(str(tmp_path / "a.png"), tf.io.encode_png(images.IMAGES[0]))
    settings = {"image_path_prefix": str(tmp_path)}
    path = sensenet.create_model(images.only_image(), settings).save_bundle(tmp_path / "m")
    bundled = sensenet.create_model(path)
    np.testing.assert_array_equal(bundled("a.png"), bundled(images.IMAGES[0]))
    with pytest.raises(InputError, match=r"row 0, field .*: b\.png: No such file"):
        sensenet.create_model(path, {"image_path_prefix": ""})("b.png")


def test_the_orientation_is_remembered(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned = Image.fromarray(images.IMAGES[0])
    turned.save(tmp_path / "a.png", exif=exif)
    model = sensenet.create_model(images.flat(exif_rotation=True))
    bundled = sensenet.create_model(model.save_bundle(tmp_path / "m"))
    np.testing.assert_allclose(bundled(tmp_path / "a.png"), model(np.rot90(images.IMAGES[0], -1)), rtol=1e-5)


@pytest.mark.parametrize("name", ["extract_image_features", "load_pretrained_weights"])
def test_settings_that_need_the_layers_are_refused(name: str, tmp_path: Path) -> None:
    for number, document in enumerate((images.only_image(), images.bright_detector())):
        path = sensenet.create_model(document).save_bundle(tmp_path / str(number))
        with pytest.raises(SettingsError, match=f"^{name}: this bundle's function was finished without it"):
            sensenet.create_model(path, {name: True})
        sensenet.create_model(path, {name: False})


def test_what_needs_the_layers_is_refused(tmp_path: Path) -> None:
    for number, document in enumerate((images.only_image(), images.bright_detector())):
        bundled = sensenet.create_model(sensenet.create_model(document).save_bundle(tmp_path / str(number)))
        for operation in (bundled.save_weights, bundled.load_weights):
            with pytest.raises(WeightsError, match="has no layers"):
                operation(tmp_path / "w.h5")
        with pytest.raises(WeightsError, match="has no layers"):
            bundled.keras_model()


@pytest.mark.parametrize("rescale_type", [None, "crop"])
def test_a_detectors_bundle_finds_the_same(rescale_type: str | None, tmp_path: Path) -> None:
    settings = {"rescale_type": rescale_type, "bounding_box_threshold": 0.3, "max_objects": 3}
    scenes = [SCENE, painted(32, 32, red=(8, 8, 24, 24)), painted(9, 9)]
    for number, document in enumerate((images.bright_detector(), images.detector())):
        detector = sensenet.create_model(document, settings)
        bundled = sensenet.create_model(detector.save_bundle(tmp_path / str(number)))
        assert bundled._classes == detector._classes
        found = detector(scenes)
        assert found[0]
        assert_same_boxes(bundled(scenes), found)
        assert_same_boxes(bundled(SCENE), found[0])
        again = sensenet.create_model(bundled.save_bundle(tmp_path / "again"))
        assert_same_boxes(again(scenes), found)


def test_a_detectors_bundle_takes_other_settings(tmp_path: Path) -> None:
    path = sensenet.create_model(images.bright_detector(), {"max_objects": 1}).save_bundle(tmp_path / "m")
    assert len(sensenet.create_model(path)(SCENE)) == 1
    for settings in (
        {"max_objects": 9, "rescale_type": "warp"},
        {"max_objects": 9, "bounding_box_threshold": 0.999999},
        {"max_objects": 9, "output_unfiltered_boxes": True},
        {"max_objects": 9, "pad_bounding_box_output": True},
        {"max_objects": 9, "iou_threshold": 0.0, "class_agnostic_nms": True},
    ):
        expected = sensenet.create_model(images.bright_detector(), settings)(SCENE)
        found = sensenet.create_model(path, settings)(SCENE)
        if isinstance(expected, list):
            assert_same_boxes(found, expected)
        else:
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_allclose(found[1], expected[1], atol=1e-6)


def test_a_detectors_bundle_takes_alpha(tmp_path: Path) -> None:
    detector = sensenet.create_model(
        images.bright_detector(), {"color_space": "rgba", "rescale_type": "crop"}
    )
    bundled = sensenet.create_model(detector.save_bundle(tmp_path / "m"))
    assert detector(rgba(SCENE))
    assert_same_boxes(bundled(rgba(SCENE)), detector(rgba(SCENE)))


@pytest.mark.parametrize("name", MODELS)
def test_the_function_of_raw_values_predicts_the_same(name: str, tmp_path: Path) -> None:
    document, _ = MODELS[name]
    raw = sensenet.create_model(raw_bundle(document, tmp_path))
    model = sensenet.create_model(document)
    pictures = [images.picture(9, 20, seed) for seed in range(4)]
    rows = [[pictures[0], 1.5, 0, pictures[1], "a"], [pictures[2], None, 0, pictures[3], "unknown"]]
    np.testing.assert_allclose(raw(rows), model(rows), atol=1e-5)
    np.testing.assert_allclose(raw(rows[1]), model(rows[1]), atol=1e-5)
    assert raw([]).shape == model([]).shape
    black = [None, -2.0, 0, None, None]
    np.testing.assert_allclose(raw(black), model(black), atol=1e-5)


def test_images_of_several_sizes_in_one_row_need_the_document(tmp_path: Path) -> None:
    raw = sensenet.create_model(raw_bundle(images.mixed("back front"), tmp_path))
    with pytest.raises(
        InputError, match=r"^row 0: this bundle takes the images of a row in one size only, got "
    ):
        raw(images.POINTS[0])


def test_the_function_of_raw_values_takes_alpha(tmp_path: Path) -> None:
    document, points = MODELS["image and number"]
    settings = {"color_space": "rgba"}
    raw = sensenet.create_model(raw_bundle(document, tmp_path, settings))
    model = sensenet.create_model(document, settings)
    np.testing.assert_allclose(raw(with_alpha(points)), model(with_alpha(points)), atol=1e-5)
    np.testing.assert_allclose(raw(points), model(points), atol=1e-5)


def test_a_detectors_function_of_raw_values_finds_the_same(tmp_path: Path) -> None:
    settings = {"rescale_type": "warp", "max_objects": 7}
    raw = sensenet.create_model(raw_bundle(images.bright_detector(), tmp_path, settings))
    detector = sensenet.create_model(images.bright_detector(), settings)
    scenes = [SCENE, painted(9, 9), painted(32, 32, red=(8, 8, 24, 24))]
    assert_same_boxes(raw(scenes), detector(scenes))
    assert raw(scenes[1]) == []
    boxes = raw.arrays(SCENE)
    assert [each.dtype for each in boxes] == [np.int32, np.float32, np.int32]
    again = sensenet.create_model(raw.save_bundle(tmp_path / "again"))
    assert_same_boxes(again(SCENE), detector(SCENE))


def test_a_far_too_large_box_does_not_change_what_a_function_of_raw_values_suppresses(tmp_path: Path) -> None:
    document = images.bright_detector()
    network = document["image_network"]
    # boxes of bright cells overlap their neighbours', those of dark cells (which are no objects) are enormous
    network["metadata"]["outputs"][0]["anchors"] = [[4 * images.CELL, 4 * images.CELL]]
    kernel, bias = np.array(network["layers"][1]["kernel"]), np.array(network["layers"][1]["bias"])
    kernel[..., 2:4], bias[2:4] = -60.0, 60.0
    network["layers"][1] |= {"kernel": kernel.tolist(), "bias": bias.tolist()}
    scene = painted(32, 32, red=(0, 0, 16, 8), green=(16, 0, 24, 8))
    detector = sensenet.create_model(document)
    assert [box["label"] for box in detector(scene)] == ["red", "green"]
    assert max(abs(side) for box in detector.arrays(scene).boxes for side in box) < 100
    assert_same_boxes(sensenet.create_model(raw_bundle(document, tmp_path))(scene), detector(scene))


@pytest.mark.parametrize(
    ("document", "settings"),
    [
        (images.regression(), ({"regression_normalize": False}, {"rescale_type": "pad"}, {"color_space": "bgr"})),
        (
            images.bright_detector(),
            (
                {"bounding_box_threshold": 0},
                {"iou_threshold": 0.3},
                {"max_objects": 3},
                {"class_agnostic_nms": False},
                {"output_unfiltered_boxes": True},
                {"pad_bounding_box_output": True},
                {"rescale_type": "warp"},
                {"color_space": "bgr"},
            ),
        ),
    ],
)  # fmt: skip
def test_settings_that_a_finished_function_cannot_follow_are_refused(
    document: dict[str, Any], settings: Any, tmp_path: Path
) -> None:
    path = raw_bundle(document, tmp_path)
    for each in settings:
        with pytest.raises(SettingsError, match=f"^{next(iter(each))}: this bundle's function was finished"):
            sensenet.create_model(path, each)


@lru_cache
def short(name: str) -> dict[str, Any]:
    document = {"detector": images.detector(), "everything": images.mixed(ORDER)}[name]
    return shorten(document)


@pytest.mark.parametrize("name", ["everything", "detector"])
def test_weights_survive_in_an_h5_file(name: str, tmp_path: Path) -> None:
    document = {"detector": images.detector(), "everything": images.mixed(ORDER)}[name]
    points = images.POINTS if name == "everything" else images.IMAGES
    model = sensenet.create_model(document, {"output_unfiltered_boxes": True})
    model.save_weights(tmp_path / "w.h5")
    other = sensenet.create_model(short(name), {"output_unfiltered_boxes": True})
    assert not np.allclose(other(points)[0][0], model(points)[0][0])
    other.load_weights(tmp_path / "w.h5")
    for mine, theirs in zip(other(points), model(points), strict=True):
        np.testing.assert_allclose(mine[1], theirs[1], atol=1e-6)
        np.testing.assert_allclose(mine[0], theirs[0], atol=1)


def test_weights_of_other_layers_change_nothing(tmp_path: Path) -> None:
    sensenet.create_model(documents.classifier()).save_weights(tmp_path / "w.h5")
    for document in (images.only_image(), images.detector()):
        model = sensenet.create_model(document, {"output_unfiltered_boxes": True})
        before = model(images.IMAGES[0])
        with pytest.raises(WeightsError, match="expected "):
            model.load_weights(tmp_path / "w.h5")
        np.testing.assert_array_equal(model(images.IMAGES[0])[0], before[0])


@pytest.mark.parametrize("document", [images.only_image(), images.bright_detector()])
def test_models_are_converted_from_every_source(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(dumps(document))
    model = sensenet.create_model(document)
    image = images.IMAGES[0] if model._classes == list(images.CLASSES) else SCENE
    for number, source in enumerate((document, tmp_path / "m.json", model)):
        settings = {"rescale_type": "warp"} if number < 2 else None
        bundle = sensenet.convert(source, settings, tmp_path / f"{number}.smbundle", "smbundle")
        expected = sensenet.create_model(document, settings)(image)
        found = sensenet.create_model(bundle)(image)
        if isinstance(expected, list):
            assert_same_boxes(found, expected)
        else:
            np.testing.assert_allclose(found, expected, atol=1e-6)
    weights = sensenet.convert(tmp_path / "m.json", None, tmp_path / "w.h5", "h5")
    assert weights == str(tmp_path / "w.h5")
    sensenet.create_model(document).load_weights(weights)


def keras_inputs(order: str) -> list[Any]:
    """The preprocessed inputs of POINTS whose images have the network's size: pixels, and then columns."""
    fields = [images.FIELDS[name] for name in order.split()]
    pixels = np.stack([[images.picture(16, 16, 2 * i + j) for j in range(2)] for i in range(4)])
    table = images.matrix(
        {"preprocess": [f for f in fields if f["type"] != "image"]}, images.POINTS[:4], None
    )
    return [pixels.astype(np.float32), table.astype(np.float32)]


@pytest.mark.parametrize("order", [ORDER, "kind back size front"])
def test_the_keras_model_predicts_the_same_from_preprocessed_inputs(order: str) -> None:
    model = sensenet.create_model(images.mixed(order))
    pixels, table = keras_inputs(order)
    positions = [3, 0] if order.index("back") < order.index("front") else [0, 3]
    points = [list(point) for point in images.POINTS[:4]]
    for point, pair in zip(points, pixels.astype(np.uint8), strict=True):
        for position, image in zip(positions, pair, strict=True):
            point[position] = image
    predicted = model.keras_model()([pixels, table])
    np.testing.assert_allclose(predicted, model(points), atol=1e-5)


def test_the_keras_model_of_one_image_takes_pixels_alone() -> None:
    model = sensenet.create_model(images.regression())
    batch = np.stack([images.picture(16, 16, seed) for seed in range(3)])
    predicted = np.asarray(model.keras_model()(batch.astype(np.float32)))
    np.testing.assert_allclose(predicted * 3 + 10, model(batch), atol=1e-4)


def test_a_bundle_whose_functions_do_not_fit_its_fields_is_refused(tmp_path: Path) -> None:
    path = sensenet.create_model(images.only_image()).save_bundle(tmp_path / "m")

    def changed(**change: Any) -> str:
        folder = Path(read_bundle(path, tmp_path / "changed"))
        settings = folder / "assets" / "settings.json"
        saved = json.loads(settings.read_text())
        metadata = {**saved["_image_metadata"], **change.pop("metadata", {})}
        settings.write_text(json.dumps({**saved, "_image_metadata": metadata, **change}))
        return write_bundle(folder)

    sensenet.create_model(changed())
    for change, message in (
        ({"_image_metadata": None}, "expected a function of pixels for the image fields"),
        ({"metadata": {"outputs": 5}}, r"got one from \(None, 16, 16, 3\) to \(None, 4\)"),
        (
            {"metadata": {"input_image_shape": [16, 8, 3]}},
            r"expected a function of pixels from the shape \(None, 8, 16",
        ),
        ({"metadata": {"outputs": None}}, "expected a function of pixels for the image fields"),
        ({"metadata": {"outputs": -1}}, "_image_metadata.outputs: expected"),
        ({"_preprocessors": [images.FIELDS["size"]]}, "expected a function of 1 columns"),
        ({"deepnet_type": "ObjectDetector"}, "saved_model.pb: expected"),
    ):
        with pytest.raises(ModelFormatError, match=message):
            sensenet.create_model(changed(**change))
