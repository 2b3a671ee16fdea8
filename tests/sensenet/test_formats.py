from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import image_documents as images
import model_documents as documents
import numpy as np
import pytest

import sensenet
from sensenet.errors import SettingsError
from sensenet.formats import FORMATS
from sensenet.formats.h5 import write_weights

READABLE = [name for name, format in FORMATS.items() if format.read is not None]
Document = Callable[[], dict[str, Any]]
MODELS: dict[str, tuple[Document, Any]] = {
    "classification of a table": (documents.classifier, documents.POINTS),
    "regression of a table": (documents.regression, documents.POINTS),
    "search of a table": (documents.search, documents.POINTS),
    "regression of an image": (images.regression, images.IMAGES),
    "images and a table": (lambda: images.mixed("size front kind back"), images.POINTS),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("to_format", READABLE)
def test_what_we_read_predicts_the_same_when_read_back(tmp_path: Path, to_format: str, name: str) -> None:
    document, points = MODELS[name]
    model = sensenet.create_model(document())
    expected = model(points)
    path = sensenet.convert(document(), None, tmp_path / "model", to_format)
    assert Path(path).is_file()
    like = changed(document(), tmp_path / "other.h5")
    assert abs(like(points) - expected).max() > 1e-3
    again = FORMATS[to_format].read(path, like)
    np.testing.assert_allclose(again(points), expected, rtol=1e-5, atol=1e-6)


def changed(document: dict[str, Any], path: Path) -> Any:
    """A model of the same layers that predicts something else."""
    model = sensenet.create_model(document)
    keras_model = model.keras_model()
    keras_model.set_weights([weight / 2 + 0.1 for weight in keras_model.get_weights()])
    write_weights(keras_model, path)
    model.load_weights(path)
    return model


@pytest.mark.parametrize("to_format", READABLE)
def test_every_format_that_we_read_takes_a_detector(tmp_path: Path, to_format: str) -> None:
    document = images.bright_detector()
    detector = sensenet.create_model(document)
    path = sensenet.convert(detector, None, tmp_path / "model", to_format)
    again = FORMATS[to_format].read(path, changed(document, tmp_path / "other.h5"))
    assert again(images.IMAGES) == detector(images.IMAGES)


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"expected one of {', '.join(FORMATS)}, got"):
        sensenet.convert(documents.classifier(), None, tmp_path / "model", "h6")


@pytest.mark.parametrize(
    ("to_format", "options", "expectation"),
    [
        ("h5", {"quantize": "int8"}, "quantize: h5 has no such option; it has none"),
        ("tflite", {"quantise": "int8"}, "quantise: tflite has no such option; it has quantize"),
        ("tflite", {"quantize": "int4"}, 'quantize: expected one of float16, int8, got "int4"'),
    ],
)
def test_wrong_options_are_refused_with_the_right_ones(tmp_path, to_format, options, expectation):
    with pytest.raises(SettingsError, match=expectation):
        sensenet.convert(documents.classifier(), None, tmp_path / "model", to_format, **options)
