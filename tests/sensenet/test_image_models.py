from __future__ import annotations

import gzip
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import image_documents as images
import model_documents as documents
import numpy as np
import pytest
from test_inputs import Frame

import sensenet
from sensenet.document.model import dump_model, dumps, parse_model, shorten
from sensenet.errors import InputError, ModelFormatError
from sensenet.models.image import image_model
from sensenet.models.predict.images import CHUNK_IMAGES


@pytest.fixture(scope="module")
def recorded(conformance: Path) -> dict[str, Any]:
    return json.loads((conformance / "predictions.json").read_text())["image_and_category.json.gz"]


@pytest.fixture(scope="module")
def recorded_document(conformance: Path) -> dict[str, Any]:
    with gzip.open(conformance / "models" / "image_and_category.json.gz") as file:
        return json.load(file)


def test_an_image_and_a_category_predict_as_recorded(
    conformance: Path, recorded: dict[str, Any], recorded_document: dict[str, Any]
) -> None:
    model = sensenet.create_model(recorded_document, {"image_path_prefix": str(conformance)})
    points = [case["input"] for case in recorded["points"]]
    expected = [case["output"] for case in recorded["points"]]
    np.testing.assert_allclose(model(points), expected, atol=1e-4)
    single = np.concatenate([model(point) for point in points])
    np.testing.assert_allclose(single, expected, atol=1e-4)


def test_image_features_are_as_recorded(
    conformance: Path, recorded: dict[str, Any], recorded_document: dict[str, Any]
) -> None:
    settings = {"image_path_prefix": str(conformance)}
    extractor = sensenet.create_image_feature_extractor(recorded_document, settings)
    for case in recorded["features"]:
        (features,) = extractor(case["image"])
        expected = np.array(case["features"])
        np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_settings_change_predictions_as_recorded(
    conformance: Path, recorded: dict[str, Any], recorded_document: dict[str, Any]
) -> None:
    for case in recorded["with_settings"]:
        settings = {"image_path_prefix": str(conformance), **case["settings"]}
        model = sensenet.create_model(recorded_document, settings)
        np.testing.assert_allclose(model(case["input"])[0], case["output"], atol=1e-4, err_msg=str(settings))


ORDERS = ["front size kind back", "size front kind back", "kind back size front", "back front", "front"]


@lru_cache
def model_of(order: str) -> Any:
    return sensenet.create_model(images.mixed(order))


@lru_cache
def extractor() -> Any:
    return sensenet.create_image_feature_extractor(images.mixed("front"))


def features_of(image: Any) -> np.ndarray:
    return extractor()([image])


def expected_of(document: dict[str, Any], points: list[list[Any]] = images.POINTS) -> np.ndarray:
    return documents.reference(document, images.matrix(document, points, features_of))


@pytest.mark.parametrize("order", ORDERS)
def test_features_stand_in_their_fields_place(order: str) -> None:
    predicted = model_of(order)(images.POINTS)
    assert predicted.dtype == np.float32
    np.testing.assert_allclose(predicted, expected_of(images.mixed(order)), atol=1e-5)
    assert np.ptp(predicted[:, 0]) > 1e-3


def test_fields_share_the_image_network_but_not_their_columns() -> None:
    model = model_of("front size kind back")
    front, back = images.picture(16, 16), images.picture(9, 20)
    one, other = [front, 1.0, None, back, "a"], [back, 1.0, None, front, "a"]
    assert np.abs(model(one) - model(other)).max() > 1e-4
    np.testing.assert_array_equal(features_of(front), features_of(front))


def test_rows_one_by_one_and_all_at_once_give_the_same() -> None:
    for order in ORDERS:
        model = model_of(order)
        single = np.concatenate([model(point) for point in images.POINTS])
        np.testing.assert_allclose(single, model(images.POINTS), atol=1e-6)


def test_more_images_than_fit_into_a_batch() -> None:
    rows = [[images.picture(3 + i % 20, 3 + i % 17, i), i / 9, None, None, "abc"[i % 3]] for i in range(70)]
    assert len(rows) > 2 * CHUNK_IMAGES
    model = model_of("size front kind back")
    single = np.concatenate([model(row) for row in rows])
    np.testing.assert_allclose(model(rows), single, atol=1e-6)
    assert np.ptp(single[:, 0]) > 1e-3


def object_array(points: list[list[Any]]) -> np.ndarray:
    rows = np.empty((len(points), 5), object)
    for row, point in enumerate(points):
        for column in range(5):
            rows[row, column] = point[column]
    return rows


def named(point: list[Any]) -> dict[Any, Any]:
    return {name: point[field["index"]] for name, field in images.FIELDS.items()} | {"else": 3}


def frame(points: list[list[Any]]) -> Frame:
    columns = {name: [named(point)[name] for point in points] for name in ("kind", "back", "front", "size")}
    return PlainFrame(columns)


class PlainFrame(Frame):
    """A frame whose columns are lists: they may hold arrays of several sizes."""

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]


FORMS = [
    tuple,
    lambda points: [tuple(point) for point in points],
    object_array,
    lambda points: list(object_array(points)),
    lambda points: [named(point) for point in points],
    lambda points: [dict(enumerate(point)) for point in points],
    lambda points: [{str(i): value for i, value in enumerate(point)} for point in points],
    frame,
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_many_points_predicts_the_same(form: Any) -> None:
    model = model_of("size front kind back")
    np.testing.assert_array_equal(model(form(images.POINTS)), model(images.POINTS))


@pytest.mark.parametrize("form", [*FORMS[1:], lambda points: points[0], lambda points: named(points[0])])
def test_every_form_of_one_point_predicts_the_same(form: Any) -> None:
    model = model_of("size front kind back")
    for point in images.POINTS:
        np.testing.assert_array_equal(model(form([point])), model(point))


def test_a_missing_image_is_black_and_a_frame_may_say_nan() -> None:
    black = np.zeros((1, 1, 3), np.uint8)
    for missing in (None, float("nan"), np.float64("nan"), np.zeros((7, 9), np.uint8)):
        np.testing.assert_array_equal(features_of(missing), features_of(black))
        columns = {"front": [missing, missing], "size": [float("nan"), 1.0], "back": [None, None]}
        predicted = model_of("front size kind back")(PlainFrame({**columns, "kind": [float("nan"), None]}))
        np.testing.assert_allclose(
            predicted,
            [
                expected_of(images.mixed("front size kind back"), [row])[0]
                for row in ([black, None, 0, black, None],) * 2
            ],
            atol=1e-5,
        )


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([images.IMAGES[0]], 'row 0: field "size" (index 1) is missing, the row has 1 values'),
        ([images.POINTS[0], images.POINTS[1][:4]], 'row 1: field "kind" (index 4) is missing, the row has 4 values'),
        ({"front": None, "size": 1}, 'row 0: field "kind" (index 4) is missing'),
        ([named(images.POINTS[0]), {"size": 1}], 'row 1: field "front" (index 0) is missing'),
        (PlainFrame({"front": [None], "size": [1]}), 'field "kind" (index 4) is missing, the frame\'s columns are'),
        (np.zeros((2, 4)), 'row 0: field "kind" (index 4) is missing, the rows have 4 values'),
        (np.zeros((2, 8, 8, 3), np.uint8), "expected an array of one or two dimensions, got 4"),
        ([b"junk", 1, 0, None, "a"], 'row 0, field "front" (index 0): expected an image in one of JPEG'),
        ([images.POINTS[0], [None, 1, 0, 3, "a"]], 'row 1, field "back" (index 3): expected a path'),
        ([None, "x", 0, None, "a"], 'row 0, field "size" (index 1): expected a finite number'),
        ([images.POINTS[0]] * 40 + [["gone.png", 1, 0, None, "a"]], 'row 40, field "front" (index 0): gone.png: '),
        ("front.png", "expected one point (a list or dict)"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_says_row_and_field(points: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        model_of("size front kind back")(points)
    assert str(caught.value).startswith(message)


def test_no_points_are_no_rows() -> None:
    for order in ORDERS:
        assert model_of(order)([]).shape == (0, 2)


def test_trees_see_image_features() -> None:
    document = images.mixed("size front kind back")
    matrix = images.matrix(document, images.POINTS, features_of)
    column = 3  # the third image feature
    threshold = float(np.sort(matrix[:, column])[1:3].mean())
    leaves = [[1.0, 0.0], None], [[0.0, 1.0], None]
    document["trees"] = [[[0, 5], [[column, threshold, *leaves]]]]
    document["layers"] = [documents.dense(matrix.shape[1] + 2, 2)]
    left = matrix[:, column : column + 1] <= threshold
    assert left.sum() == 2
    x = np.concatenate([left, ~left, matrix], axis=1)
    expected = x @ np.array(document["layers"][0]["weights"]) + document["layers"][0]["offset"]
    np.testing.assert_allclose(sensenet.create_model(document)(images.POINTS), expected, atol=1e-5)


def test_the_networks_of_a_search_share_the_image_network() -> None:
    width = 1 + images.FEATURES
    networks = [
        {"layers": [documents.dense(width, 4, "relu"), documents.dense(4, 2, "softmax")], "trees": False},
        {"layers": [documents.dense(width, 2, "softmax", seed=5)], "trees": False},
    ]
    document = images.mixed("front size", networks=networks)
    del document["layers"]
    predicted = sensenet.create_model(document)(images.POINTS)
    np.testing.assert_allclose(predicted, expected_of(document), atol=1e-5)
    alone = [images.mixed("front size", layers=network["layers"]) for network in networks]
    mean = np.mean([sensenet.create_model(each)(images.POINTS) for each in alone], axis=0)
    np.testing.assert_allclose(predicted, mean, atol=1e-6)


def test_a_regression_is_given_back_in_its_unit_unless_it_stays_normalised() -> None:
    document, points = images.regression(), [[image] for image in images.IMAGES]
    predicted = sensenet.create_model(document)(points)
    np.testing.assert_allclose(predicted, expected_of(document, points), atol=1e-4)
    normalised = sensenet.create_model(document, {"regression_normalize": True})(points)
    np.testing.assert_allclose(normalised * 3 + 10, predicted, atol=1e-5)


def test_the_document_survives_being_parsed_and_written() -> None:
    for document in (images.mixed("size front kind back"), images.detector(), images.bright_detector()):
        written = json.loads(dumps(dump_model(parse_model(document))))
        again = json.loads(dumps(dump_model(parse_model(written))))
        assert again == written
        points = images.POINTS if len(document["preprocess"]) > 1 else images.IMAGES[:2]
        expected, got = sensenet.create_model(document)(points), sensenet.create_model(written)(points)
        np.testing.assert_equal(got, expected)


def test_a_short_document_has_names_for_arrays_and_still_makes_a_model() -> None:
    document = images.mixed("size front kind back")
    short = shorten(document)
    assert len(dumps(short)) < len(dumps(document)) / 2
    assert short["image_network"]["metadata"] == document["image_network"]["metadata"]
    for layer in short["image_network"]["layers"]:
        assert not any(isinstance(layer.get(name), list) for name in ("kernel", "bias", "gamma"))
    assert short["image_network"]["layers"][1]["number_of_filters"] == 4
    predicted = sensenet.create_model(short)(images.POINTS)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("loading_method", [None, "normalizing", "channelwise_centering"])
@pytest.mark.parametrize("shape", [(3,), (8, 8, 3)])
def test_the_mean_image_is_subtracted(loading_method: str | None, shape: tuple[int, ...]) -> None:
    mean = np.random.default_rng(1).uniform(0, 99, shape).astype(np.float32)
    image = images.picture(8, 8).astype(np.float64)
    plain = images.flat(loading_method=loading_method)
    with_mean = images.flat(loading_method=loading_method, mean_image=mean.tolist())
    if loading_method == "channelwise_centering":
        pixels = image[..., ::-1] - mean - [103.939, 116.779, 123.68]
    else:
        pixels = (image - mean) / (255 if loading_method else 1)
    weights = with_mean["layers"][0]["weights"].astype(np.float64)
    expected = pixels.reshape(1, -1) @ weights
    predicted = sensenet.create_model(with_mean)(image.astype(np.uint8))
    np.testing.assert_allclose(predicted, expected, rtol=1e-4)
    assert abs(sensenet.create_model(plain)(image.astype(np.uint8)) - expected) > 1e-2


@pytest.mark.parametrize("shape", [(1,), (4,), (8, 8, 1), (7, 8, 3), (8, 8)])
def test_a_mean_image_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelFormatError, match=r"^image_network\.metadata\.mean_image: expected numbers"):
        sensenet.create_model(images.flat(mean_image=np.ones(shape).tolist()))


def test_a_mean_image_has_height_before_width() -> None:
    document = images.flat()
    metadata = document["image_network"]["metadata"]
    metadata |= {"input_image_shape": [16, 4, 3], "mean_image": np.zeros((4, 16, 3)).tolist()}
    assert sensenet.create_model(document)(images.IMAGES[0]).shape == (1, 1)
    metadata["mean_image"] = np.zeros((16, 4, 3)).tolist()
    with pytest.raises(ModelFormatError, match=r"of shape \[4, 16, 3\] or \[3\], got \[16, 4, 3\]"):
        sensenet.create_model(document)


def test_a_wide_network_takes_wide_images() -> None:
    document = images.flat()
    document["image_network"]["metadata"]["input_image_shape"] = [16, 4, 3]
    image = images.picture(4, 16)
    expected = image.reshape(1, -1).astype(np.float64) @ document["layers"][0]["weights"].astype(np.float64)
    np.testing.assert_allclose(sensenet.create_model(document)(image), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_network": None}, 'field "front" (index 0): an image field needs an "image_network"'),
        ({"image_network": images.detector()["image_network"]}, 'needs an "image_network" that gives features'),
        ({"layers": [documents.dense(7, 2)]}, "layers[0].weights"),
    ],
)  # fmt: skip
def test_documents_whose_parts_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFormatError, match=re.escape(message)):
        sensenet.create_model(images.mixed("front size", **change))


def test_an_image_network_must_give_what_its_metadata_say() -> None:
    document = images.only_image()
    document["image_network"]["metadata"]["outputs"] = 5
    with pytest.raises(ModelFormatError, match=r"metadata\.outputs: expected 4, as the layers give, got 5"):
        sensenet.create_model(document)
    document["image_network"]["layers"].pop()
    with pytest.raises(ModelFormatError, match=r"layers\[10\]: expected one number a feature"):
        sensenet.create_model(document)


def test_an_image_model_takes_lists_of_images() -> None:
    document = images.only_image()
    model, plain = image_model(document), sensenet.create_model(document)
    expected = plain([[image] for image in images.IMAGES])
    for given in (images.IMAGES, tuple(images.IMAGES), [[image] for image in images.IMAGES]):
        np.testing.assert_array_equal(model(given), expected)
    np.testing.assert_array_equal(model(images.IMAGES[0]), expected[:1])
    assert model([]).shape == (0, 2)


def test_an_image_model_finds_its_image_wherever_the_field_is() -> None:
    document = images.only_image()
    document["preprocess"] = [{"type": "image", "index": 3}]
    expected = sensenet.create_model(images.only_image())([[image] for image in images.IMAGES])
    np.testing.assert_array_equal(image_model(document)(images.IMAGES), expected)
    plain = sensenet.create_model(document)
    np.testing.assert_array_equal(plain([[0, 0, 0, image] for image in images.IMAGES]), expected)
    np.testing.assert_array_equal(plain(images.IMAGES[0]), expected[:1])
    with pytest.raises(InputError, match="field 3 is missing"):
        plain([images.IMAGES[0]])


def test_an_image_model_has_no_other_fields() -> None:
    with pytest.raises(ModelFormatError, match="this one has 2 fields"):
        image_model(images.mixed("front size"))


def test_an_image_model_may_give_features() -> None:
    model = image_model(images.only_image(), {"extract_image_features": True})
    np.testing.assert_array_equal(model(images.IMAGES[:2]), extractor()(images.IMAGES[:2]))
