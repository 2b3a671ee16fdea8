"""The published networks with recorded weights against the recorded outputs of the published package."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded_networks import recorded_cases, recorded_document

import sensenet
from sensenet.document.model import parse_model
from sensenet.models.image import image_model

CLASSIFIERS = ["mobilenet", "mobilenetv2", "resnet18", "resnet50", "xception"]
DETECTORS = ["tinyyolov4", "yolov4"]


class Recorded:
    """A network, and what the published package made of it."""

    def __init__(self, conformance: Path, name: str):
        self.images = conformance
        self.recording = recorded_cases(conformance, name)
        self.document = recorded_document(name, self.recording["recipe_scales"])

    def cases(self, prefix: str = "") -> Iterator[tuple[dict[str, Any], str, dict[str, Any]]]:
        """(settings, image, expected) of each case whose name begins with `prefix`."""
        for name, case in self.recording["cases"].items():
            if name.startswith(prefix):
                for image, expected in case["images"].items():
                    yield case["settings"], str(self.images / image), expected


@pytest.fixture(scope="module", params=CLASSIFIERS)
def classifier(request: pytest.FixtureRequest, conformance: Path) -> Recorded:
    return Recorded(conformance, request.param)


@pytest.fixture(scope="module", params=DETECTORS)
def detector(request: pytest.FixtureRequest, conformance: Path) -> Recorded:
    return Recorded(conformance, request.param)


def check_weights(recorded: Recorded) -> None:
    """The weights are those of the recording, in its order."""
    spec = parse_model(recorded.document)
    assert spec.image_network is not None
    layers = [*spec.image_network.layers, *spec.networks[0].layers]
    arrays = [values for layer in layers for values in layer.arrays().values()]
    check = recorded.recording["weights_check"]
    assert len(arrays) == recorded.recording["number_of_tensors"]
    digest = hashlib.sha256(b"".join(array.astype("<f4").tobytes() for array in arrays)).hexdigest()
    if digest != check["sha256_of_all_tensors_float32_little_endian_c_order_concatenated"]:
        # another libm may change a last bit
        assert np.isclose(sum(array.sum(dtype=np.float64) for array in arrays), check["sum"], rtol=1e-6)
        assert np.isclose(
            sum(np.abs(array).sum(dtype=np.float64) for array in arrays), check["abs_sum"], rtol=1e-6
        )


def check_vector(values: np.ndarray, expected: dict[str, Any], atol: float) -> None:
    assert values.shape == (expected["outputs"],)
    np.testing.assert_allclose(values[:16], expected["first16"], rtol=1e-4, atol=atol)
    np.testing.assert_allclose(values[-4:], expected["last4"], rtol=1e-4, atol=atol)
    assert values.argmax() == expected["argmax"]
    np.testing.assert_allclose(values.max(), expected["max"], rtol=1e-4)


@pytest.mark.slow
def test_classifiers_give_the_recorded_probabilities_and_features(classifier: Recorded) -> None:
    check_weights(classifier)
    for settings, image, expected in classifier.cases():
        model = sensenet.create_model(classifier.document, settings)
        (probabilities,) = model(image)
        check_vector(probabilities, expected, atol=0)
        np.testing.assert_allclose(np.square(probabilities).sum(), expected["sum_of_squares"], rtol=1e-4)
        top = np.argsort(-probabilities)[:5]
        assert top.tolist() == [position for position, _ in expected["top5"]]
        if "features" in expected:
            extractor = sensenet.create_image_feature_extractor(classifier.document, settings)
            (features,) = extractor(image)
            check_vector(features, expected["features"], atol=1e-5 * expected["features"]["max"])
            np.testing.assert_allclose(np.linalg.norm(features), expected["features"]["l2_norm"], rtol=1e-4)


@pytest.mark.slow
def test_detectors_give_the_recorded_boxes(detector: Recorded) -> None:
    check_weights(detector)
    for settings, image, expected in detector.cases("unfiltered"):
        boxes, scores, classes = image_model(detector.document, settings)(image)
        assert len(boxes) == expected["number_of_boxes"]
        np.testing.assert_allclose(scores[:16], expected["first16_scores"], rtol=1e-4)
        np.testing.assert_allclose(scores[-4:], expected["last4_scores"], rtol=1e-4)
        np.testing.assert_allclose(scores.sum(dtype=np.float64), expected["sum_scores"], rtol=1e-5)
        assert scores.argmax() == expected["argmax_score"]
        assert classes[:16].tolist() == expected["first16_classes"]
        assert classes.sum() == expected["sum_classes"]
        if settings["rescale_type"] == "pad":  # for the others its boxes are not in the picture's pixels
            assert np.abs(boxes[:8] - expected["first8_boxes"]).max() <= 1
            assert np.abs(boxes[-4:] - expected["last4_boxes"]).max() <= 1
            assert abs(int(boxes.sum()) - expected["sum_boxes"]) <= 20


@pytest.mark.slow
def test_detectors_suppress_as_recorded_when_classes_compete(detector: Recorded) -> None:
    for settings, image, expected in detector.cases("nms"):
        model = image_model(detector.document, {**settings, "class_agnostic_nms": True})
        boxes, scores, classes, *valid = model(image)
        assert len(boxes) == expected["number_of_boxes"]
        np.testing.assert_allclose(scores, expected["scores"], rtol=1e-4)
        assert classes.tolist() == expected["classes"]
        assert np.abs(boxes - np.reshape(expected["boxes"], (-1, 4))).max(initial=0) <= 1
        assert valid == [expected["num_valid"]] if "num_valid" in expected else not valid
