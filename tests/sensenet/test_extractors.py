from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path
from typing import Any

import image_documents as images
import model_documents as documents
import numpy as np
import pytest
from PIL import Image
from weight_files import random_arrays, write_file

import sensenet
from sensenet import pretrained
from sensenet.document.model import dumps
from sensenet.errors import InputError, ModelFormatError, SettingsError, WeightsError

PICTURES = [images.picture(9, 20), images.picture(16, 16), images.picture(50, 31)]


@lru_cache
def extractor() -> Any:
    return sensenet.create_image_feature_extractor(images.only_image())


@lru_cache
def expected() -> np.ndarray:
    """What a readout that changes nothing gives."""
    identity = documents.dense(images.FEATURES, images.FEATURES)
    identity |= {"weights": np.eye(images.FEATURES).tolist(), "offset": [0.0] * images.FEATURES}
    output = {"type": "categorical", "values": list("abcd")}
    document = images.only_image(layers=[identity], output_exposition=output)
    return sensenet.create_model(document)([[image] for image in PICTURES])


def test_features_are_those_that_the_readout_sees() -> None:
    assert extractor().n_features == images.FEATURES
    assert extractor()(PICTURES).dtype == np.float32
    np.testing.assert_array_equal(extractor()(PICTURES), expected())
    assert np.ptp(expected(), axis=0).min() > 1e-3


def test_images_one_by_one_and_many_at_once_give_the_same() -> None:
    for image, features in zip(PICTURES, expected(), strict=True):
        assert extractor()(image).shape == (1, images.FEATURES)
        np.testing.assert_allclose(extractor()(image)[0], features, atol=1e-5)
    np.testing.assert_allclose(extractor()(PICTURES * 25), np.tile(expected(), (25, 1)), atol=1e-5)
    assert extractor()([]).shape == (0, images.FEATURES)


def test_a_path_of_a_document_is_read(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(dumps(images.only_image()))
    (tmp_path / "model.json.gz").write_bytes(gzip.compress(dumps(images.only_image())))
    for path in (tmp_path / "model.json", str(tmp_path / "model.json"), tmp_path / "model.json.gz"):
        np.testing.assert_array_equal(sensenet.create_image_feature_extractor(path)(PICTURES), expected())


def test_a_made_model_gives_its_features_and_its_settings() -> None:
    model = sensenet.create_model(images.mixed("size front kind back"), {"color_space": "bgr"})
    of_model = sensenet.create_image_feature_extractor(model)
    np.testing.assert_array_equal(of_model([image[..., ::-1] for image in PICTURES]), expected())
    over = sensenet.create_image_feature_extractor(model, {"color_space": "rgb"})
    np.testing.assert_array_equal(over(PICTURES), expected())


def test_a_made_model_gives_the_features_of_the_weights_that_it_has_now(tmp_path: Path) -> None:
    sensenet.create_model(images.only_image()).save_weights(tmp_path / "w.h5")
    other = images.only_image()
    other["image_network"]["layers"][1]["kernel"] = documents.numbers(3, 3, 3, 4, seed=7)
    model = sensenet.create_model(other)
    assert np.abs(sensenet.create_image_feature_extractor(model)(PICTURES) - expected()).max() > 1e-3
    model.load_weights(tmp_path / "w.h5")
    np.testing.assert_allclose(
        sensenet.create_image_feature_extractor(model)(PICTURES), expected(), atol=1e-6
    )


@pytest.mark.parametrize(
    ("behind", "kept"),
    [
        ([documents.dense(4, 7, "relu")], 12),
        ([documents.dense(4, 7), documents.normalization(7)], 12),
        ([documents.dense(4, 7), {"type": "flatten"}, documents.dense(7, 2)], 14),
    ],
)
def test_layers_behind_the_last_pooling_are_left_out(behind: list[dict[str, Any]], kept: int) -> None:
    whole, cut = images.only_image(), images.only_image()
    whole["image_network"]["layers"] += behind
    whole["image_network"]["metadata"]["outputs"] = None
    cut["image_network"]["layers"] = whole["image_network"]["layers"][:kept]
    cut["image_network"]["metadata"]["outputs"] = None
    expected = sensenet.create_image_feature_extractor(cut)(PICTURES)
    np.testing.assert_allclose(sensenet.create_image_feature_extractor(whole)(PICTURES), expected, atol=1e-6)
    if kept == 12:
        np.testing.assert_allclose(expected, extractor()(PICTURES), atol=1e-6)


def test_flattened_pixels_are_features() -> None:
    extract = sensenet.create_image_feature_extractor(images.flat(8))
    image = images.picture(8, 8)
    np.testing.assert_array_equal(extract(image), image.reshape(1, -1))


def test_rows_of_a_model_are_taken_too_by_their_first_image_field() -> None:
    extract = sensenet.create_image_feature_extractor(images.mixed("size back kind front"))
    first = [point[3] for point in images.POINTS]
    np.testing.assert_array_equal(extract(images.POINTS), extractor()(first))
    np.testing.assert_array_equal(extract([{"back": image} for image in first]), extractor()(first))
    with pytest.raises(InputError, match=r"^row 1: field \"back\" \(index 3\) is missing"):
        extract([images.POINTS[0], [None]])


def test_settings_of_images_hold(tmp_path: Path) -> None:
    Image.fromarray(PICTURES[0][..., ::-1]).save(tmp_path / "a.png")
    settings = {"image_path_prefix": str(tmp_path), "color_space": "bgr", "rescale_type": "warp"}
    warping = sensenet.create_image_feature_extractor(images.only_image(), {"rescale_type": "warp"})
    by_path = sensenet.create_image_feature_extractor(images.only_image(), settings)
    np.testing.assert_array_equal(by_path("a.png"), warping(PICTURES[0]))
    assert np.abs(warping(PICTURES[0]) - expected()[0]).max() > 1e-3


def test_a_published_network_by_name_without_its_weights() -> None:
    extract = sensenet.create_image_feature_extractor("mobilenetv2", {"load_pretrained_weights": False})
    assert extract.n_features == 1280
    assert extract(PICTURES).shape == (3, 1280)


def test_a_published_network_by_name_takes_its_weights_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGML_SENSENET_CACHE_PATH", str(tmp_path))
    monkeypatch.setenv("BIGML_SENSENET_WEIGHTS_URL", (tmp_path / "nowhere").as_uri())
    file = Path(pretrained.weights_url("mobilenet")).name
    arrays = random_arrays("mobilenet", 5)
    write_file(tmp_path / file, arrays)
    document = pretrained.network_document("mobilenet")
    layers = [layer for layer in document["image_network"]["layers"] if "kernel" in layer or "gamma" in layer]
    names = {"convolution_2d": ["kernel"], "depthwise_convolution_2d": ["kernel"]}
    for layer, values in zip(layers, arrays[:-1], strict=True):
        layer.update(
            zip(names.get(layer["type"], ["gamma", "beta", "mean", "variance"]), values, strict=True)
        )
    by_name = sensenet.create_image_feature_extractor("mobilenet")(PICTURES[0])
    by_document = sensenet.create_image_feature_extractor(document)(PICTURES[0])
    np.testing.assert_allclose(by_name, by_document, rtol=1e-4, atol=1e-6 * np.abs(by_name).max())


def test_weights_that_cannot_be_had_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGML_SENSENET_CACHE_PATH", str(tmp_path))
    monkeypatch.setenv("BIGML_SENSENET_WEIGHTS_URL", (tmp_path / "nowhere").as_uri())
    with pytest.raises(WeightsError, match="resnet18"):
        sensenet.create_image_feature_extractor("resnet18")


@pytest.mark.parametrize("name", ["tinyyolov4", "yolov4"])
def test_published_detectors_have_no_features(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGML_SENSENET_CACHE_PATH", str(tmp_path))
    monkeypatch.setenv("BIGML_SENSENET_WEIGHTS_URL", (tmp_path / "nowhere").as_uri())
    with pytest.raises(ModelFormatError, match=f"{name} detects objects: it has no layer whose output is"):
        sensenet.create_image_feature_extractor(name)


def without_pooling() -> dict[str, Any]:
    document = images.only_image()
    del document["image_network"]["layers"][-1]
    return document


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (images.detector(), ModelFormatError, "this network detects objects"),
        (documents.classifier(), ModelFormatError, "image_network: this model has no images"),
        (without_pooling(), ModelFormatError, "has no layer whose output is features: none of global_average"),
        ({"a": 1}, ModelFormatError, "expected a network"),
        (None, ModelFormatError, "model: expected a document .* or a path, got null"),
        ("resnet19", SettingsError, r'a published image network nor a file "resnet19"; did you mean "resnet18"\?'),
        ("gone/model.json", SettingsError, r'a published image network nor a file "gone/model\.json"; known are'),
        ("simple", SettingsError, 'neither a published image network nor a file "simple"'),
        (Path("gone/model.json"), ModelFormatError, r"gone/model\.json: cannot be read: No such file"),
    ],
)  # fmt: skip
def test_what_has_no_features_is_refused(source: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        sensenet.create_image_feature_extractor(source)


def test_a_made_detector_or_extractor_is_no_source_of_features() -> None:
    with pytest.raises(ModelFormatError, match="this model detects objects"):
        sensenet.create_image_feature_extractor(sensenet.create_model(images.bright_detector()))
    with pytest.raises(ModelFormatError, match=r"model: expected a document .* or a path, got "):
        sensenet.create_image_feature_extractor(extractor())


def test_an_extractor_has_no_other_format(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="extract_image_features: an extractor has no other format"):
        sensenet.convert(images.only_image(), {"extract_image_features": True}, tmp_path / "x", "smbundle")


def test_a_bundle_has_no_layers_to_cut(tmp_path: Path) -> None:
    path = sensenet.create_model(images.only_image()).save_bundle(tmp_path / "m")
    with pytest.raises(ModelFormatError, match="a bundle's layers cannot be taken apart"):
        sensenet.create_image_feature_extractor(path)
    with pytest.raises(WeightsError, match="read from a bundle has no layers"):
        sensenet.create_image_feature_extractor(sensenet.create_model(path))
