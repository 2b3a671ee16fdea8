from __future__ import annotations

import doctest
import subprocess
import sys
from importlib import import_module

import pytest

import sensenet

PUBLIC = {
    "sensenet": ["convert", "create_image_feature_extractor", "create_model", "draw"],
    "sensenet.models.wrappers": [
        "convert",
        "create_image_feature_extractor",
        "create_model",
        "tflite_predict",
    ],
    "sensenet.models.image": ["image_model"],
    "sensenet.pretrained": ["network_document", "weights_path", "weights_url"],
    "sensenet.models.bundle": ["read_bundle", "write_bundle"],
    "sensenet.models.settings": ["Settings"],
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in PUBLIC for name in PUBLIC[module]])
def test_public_names_stay_where_they_are(module: str, name: str) -> None:
    assert callable(getattr(import_module(module), name))


def test_other_names_are_ordinary_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'create_modell'"):
        _ = sensenet.create_modell
    assert {"create_model", "convert"} <= set(dir(sensenet))


@pytest.mark.parametrize(
    "module", ["sensenet.drawing", "sensenet.models.wrappers", "sensenet.models.settings"]
)
def test_examples_in_docstrings_are_true(module: str) -> None:
    results = doctest.testmod(import_module(module))
    assert results.attempted > 0
    assert results.failed == 0


def test_importing_is_quiet_and_leaves_tensorflow_alone() -> None:
    program = "import sensenet, sys; sys.exit(any('tensorflow' in name for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_making_and_calling_a_model_leaves_stdout_alone() -> None:
    program = (
        "import sensenet\n"
        "model = sensenet.create_model({'preprocess': [{'type': 'numeric', 'index': 0, 'mean': 0, 'stdev': 1}],"
        "'output_exposition': {'type': 'numeric', 'mean': 0, 'stdev': 1},"
        "'layers': [{'type': 'dense', 'weights': [[3.0]], 'offset': [0.0]}]})\n"
        "assert model([2.0]).tolist() == [[6.0]]\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    # TensorFlow greets on stderr when it is imported; stdout belongs to the program
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
