from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sensenet


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
