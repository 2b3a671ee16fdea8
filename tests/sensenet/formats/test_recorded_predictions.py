"""Exports of the recorded models, run by programs that share no code with us, against the recorded predictions.

What a consumer is given is made here of the facts that come with an export, as docs/exports.md says, and of pixels as
Pillow decodes them: neither our models nor our readers have a part in it.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zipfile
from functools import cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

import sensenet
from sensenet.document.model import shorten
from sensenet.errors import SettingsError
from sensenet.formats import FORMATS
from sensenet.formats.consumers import PLAIN_TENSORFLOW, is_importable
from sensenet.formats.smbundle.container import read_bundle
from sensenet.formats.tfjs.node import node_predictions

TOLERANCE = 1e-5
IMAGES = "image_and_category"
BY_TENSORFLOW = {"savedmodel": "savedmodel", "smbundle": "savedmodel", "frozen_graph": "frozen_graph"}
# runs what its arguments would be in a process each
ONE_PROCESS = """
import json, runpy, sys
sys.modules.update(dict.fromkeys(("pyramid", "sensenet")))
run = runpy.run_path(sys.argv[1])["_main"]
for line in sys.stdin:
    run(*json.loads(line))
"""


class Recorded(NamedTuple):
    """A model with points and what the public package said of them, (points, outputs)."""

    document: dict[str, Any]
    points: list[list[Any]]
    outputs: np.ndarray


def recorded(document: dict[str, Any], cases: list[dict[str, Any]]) -> Recorded:
    # of the others the package could say nothing
    cases = [case for case in cases if "output" in case]
    outputs = np.array([case["output"] for case in cases], np.float32)
    return Recorded(document, [case["input"] for case in cases], outputs)


@pytest.fixture(scope="module")
def files(conformance: Path) -> Any:
    """What is in the files of the recorded models and predictions, by their names."""

    def read(name: str) -> Any:
        return json.loads(gzip.decompress((conformance / "models" / f"{name}.json.gz").read_bytes()))

    predictions = json.loads((conformance / "predictions.json").read_text())
    return {name: (read(name), predictions[f"{name}.json.gz"]) for name in ("regression", IMAGES)}


@pytest.fixture(scope="module")
def models(files: Any) -> dict[str, Recorded]:
    """Every recorded model by a name."""
    tables, said = files["regression"]
    found = {
        f"table {number}": recorded(table["model"], [*table["validation"], *entry["cases"]])
        for number, (table, entry) in enumerate(zip(tables, said["entries"], strict=True))
    }
    document, said = files[IMAGES]
    return {**found, IMAGES: recorded(document, said["points"])}


@pytest.fixture(scope="module")
def exported(models: dict[str, Recorded], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The paths of all models in a format, by their names; written once."""
    folder = tmp_path_factory.mktemp("exports")
    made = {name: sensenet.create_model(one.document) for name, one in models.items()}

    @cache
    def paths(to_format: str) -> dict[str, str]:
        return {
            name: sensenet.convert(model, None, folder / f"{number}.{to_format}", to_format)
            for number, (name, model) in enumerate(made.items())
        }

    return paths


def column(field: dict[str, Any], value: Any) -> float:
    """What stands in a column of `numeric_inputs` for a value of a field."""
    if field["type"] == "image":
        return 0.0
    if field["type"] == "categorical":
        return float(field["values"].index(str(value))) if str(value) in field["values"] else -1.0
    return np.nan if value is None else float(value)


def calls(facts: dict[str, Any], points: list[list[Any]], root: Path) -> list[dict[str, np.ndarray]]:
    """The inputs of calls: all rows of a table in one, each image in one of its own."""
    fields = facts["fields"]
    rows = np.array(
        [[column(field, point[field["index"]]) for field in fields] for point in points], np.float32
    )
    images = [field["index"] for field in fields if field["type"] == "image"]
    if not images:
        return [{"numeric_inputs": rows}]
    pixels = [decoded(point[images[0]], root) for point in points]
    return [
        {"numeric_inputs": row[None], "image_pixel_inputs": picture[None]}
        for row, picture in zip(rows, pixels, strict=True)
    ]


def decoded(path: str | None, root: Path) -> np.ndarray:
    if path is None:
        return np.zeros((1, 1, 3), np.float32)
    with Image.open(root / path) as image:
        return np.asarray(image.convert("RGB"), np.float32)


def facts_of(path: str) -> dict[str, Any]:
    """The facts in a TFLite file."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("facts.json"))


@pytest.fixture(scope="module")
def asked(models: dict[str, Recorded], exported: Any, conformance: Path) -> dict[str, list[Any]]:
    """The calls of each model."""
    paths = exported("tflite")
    return {name: calls(facts_of(paths[name]), one.points, conformance) for name, one in models.items()}


def runtime(to_format: str) -> Any:
    """The function of the most independent consumer of a format; a test that wants it is skipped without it."""
    consumer = FORMATS[to_format].consumers[0]
    if not consumer.is_installed() or (to_format == "onnx" and not is_importable("tf2onnx")):
        pytest.skip(f"what writes {to_format}, or {consumer.name}, which runs it, is not installed")
    return consumer.run


def check(models: dict[str, Recorded], answers: dict[str, list[dict[str, np.ndarray]]]) -> None:
    for name, one in models.items():
        given = np.concatenate([answer["output"] for answer in answers[name]])
        np.testing.assert_allclose(given, one.outputs, rtol=0, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("to_format", ["tflite", "onnx"])
def test_runtimes_of_single_files_say_what_was_recorded(models, exported, asked, to_format):
    run = runtime(to_format)
    paths = exported(to_format)
    check(models, {name: run(paths[name], asked[name]) for name in models})


def test_settings_are_part_of_what_is_exported(files, conformance, tmp_path):
    """One format says it for all: they hold the same function."""
    run = runtime("tflite")
    document, said = files[IMAGES]
    for settings, cases in groupby(said["with_settings"], key=itemgetter("settings")):
        one = recorded(document, list(cases))
        path = sensenet.convert(document, settings, tmp_path / "model.tflite", "tflite")
        answers = run(path, calls(facts_of(path), one.points, conformance))
        check({str(settings): one}, {str(settings): answers})


def test_tensorflow_js_says_what_was_recorded(models, exported, asked):
    runtime("tfjs")
    paths = exported("tfjs")
    # on one processor, in JavaScript, a picture of 256 x 256 pixels takes seconds
    some = {**models, IMAGES: models[IMAGES]._replace(outputs=models[IMAGES].outputs[:1])}
    requests = [(name, call) for name, one in some.items() for call in asked[name][: len(one.outputs)]]
    given = node_predictions((paths[name], call) for name, call in requests)
    answers = {name: [] for name in models}
    for (name, _), answer in zip(requests, given, strict=True):
        answers[name].append(answer)
    check(some, answers)


def test_tensorflow_without_our_packages_says_what_was_recorded(models, exported, asked, tmp_path):
    jobs = []
    for number, name in enumerate(models):
        inputs = {f"{i}/{key}": array for i, call in enumerate(asked[name]) for key, array in call.items()}
        np.savez(tmp_path / f"{number}.npz", **inputs)
        for to_format, kind in BY_TENSORFLOW.items():
            path = exported(to_format)[name]
            if to_format == "smbundle":
                path = read_bundle(path, tmp_path / f"{number}.files")
            elif to_format == "frozen_graph":
                path += "/frozen_inference_graph.pb"
            jobs.append([kind, path, f"{number}.npz", f"{number}.{to_format}.npz", "output"])
    done = subprocess.run(
        [sys.executable, "-P", "-c", ONE_PROCESS, PLAIN_TENSORFLOW],
        input="".join(f"{json.dumps(job, default=os.fspath)}\n" for job in jobs),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    for to_format in BY_TENSORFLOW:
        answers = {}
        for number, name in enumerate(models):
            with np.load(tmp_path / f"{number}.{to_format}.npz") as arrays:
                answers[name] = [{"output": arrays[f"{i}/output"]} for i in range(len(asked[name]))]
        check(models, answers)


def test_models_of_no_weights_say_what_was_recorded_with_those_of_a_file(models, exported, conformance):
    """Keras' own reading of such files has tests of its own: weights alone predict nothing."""
    answers = {}
    for name, path in exported("h5").items():
        one = models[name]
        network = one.document["deepnet"]["network"] if "deepnet" in one.document else one.document
        model = sensenet.create_model(shorten(network), {"image_path_prefix": str(conformance)})
        assert abs(model(one.points) - one.outputs).max() > 1e-3
        model.load_weights(path)
        answers[name] = [{"output": model(one.points)}]
    check(models, answers)


def test_what_classifies_no_pixels_is_refused_as_documented(models, tmp_path):
    for name, one in models.items():
        with pytest.raises(SettingsError, match="to_format: czmodel takes classifiers of images only: "):
            sensenet.convert(one.document, None, tmp_path / "model", "czmodel")
        assert not list(tmp_path.iterdir()), name
