"""Models are copied, pickled and sent to other processes; what a fork has broken is told."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import image_documents as images
import model_documents as documents
import numpy as np
import pytest

import sensenet
from sensenet.errors import ForkError, SensenetError
from sensenet.models.image import image_model
from sensenet.models.settings import Settings

SIZE = documents.COLUMNS + documents.TREE_OUTPUTS
ROWS = [[image, "a"] for image in images.IMAGES]
UNTRAINED = {"type": "dense", "weights": "glorot_uniform", "number_of_nodes": 1}

MAKERS: dict[str, tuple[Callable[[], Any], Any]] = {
    "classifier": (lambda: sensenet.create_model(documents.classifier()), documents.POINTS),
    "regression": (
        lambda: sensenet.create_model(documents.regression(), {"regression_normalize": True}),
        documents.POINTS,
    ),
    "search": (lambda: sensenet.create_model(documents.search()), documents.POINTS),
    "untrained": (
        lambda: sensenet.create_model(documents.regression(layers=[UNTRAINED])),
        documents.POINTS,
    ),
    "trees": (
        lambda: sensenet.create_model(
            documents.classifier(trees=documents.FOREST, layers=[documents.dense(SIZE, 3)])
        ),
        documents.POINTS,
    ),
    "images": (lambda: sensenet.create_model(images.classifier(), {"rescale_type": "pad"}), ROWS),
    "one image": (lambda: image_model(images.flat()), images.IMAGES),
    "detector": (
        lambda: sensenet.create_model(images.detector(), {"bounding_box_threshold": 0.1}),
        images.IMAGES,
    ),
    "extractor": (lambda: sensenet.create_image_feature_extractor(images.classifier()), images.IMAGES),
}
COPIERS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


def said(model: Any, points: Any) -> Any:
    """What a model predicts, in lists and exactly."""
    predicted = model(points)
    return predicted.tobytes() if isinstance(predicted, np.ndarray) else str(predicted)


@pytest.mark.parametrize("how", COPIERS)
@pytest.mark.parametrize("name", MAKERS)
def test_copies_predict_the_same_numbers(name: str, how: str) -> None:
    make, points = MAKERS[name]
    model = make()
    copied = COPIERS[how](model)
    assert type(copied) is type(model)
    assert said(copied, points) == said(model, points)
    if hasattr(model, "settings"):
        assert dict(copied.settings) == dict(model.settings)


@pytest.mark.parametrize("name", ["classifier", "images", "detector"])
def test_models_of_bundles_are_copied(name: str, tmp_path: Path) -> None:
    make, points = MAKERS[name]
    settings = {"rescale_type": "crop"}
    model = sensenet.create_model(make().save_bundle(tmp_path / "model"), settings)
    copied = pickle.loads(pickle.dumps(model))
    assert said(copied, points) == said(model, points)
    assert copied.settings.rescale_type == "crop"
    assert said(copy.deepcopy(copied), points) == said(model, points)


@pytest.mark.parametrize("name", ["classifier", "detector"])
def test_copies_have_the_weights_that_were_loaded(name: str, tmp_path: Path) -> None:
    make, points = MAKERS[name]
    model = make()
    before = said(model, points)
    network = model.keras_model()
    network.set_weights([weight * 1.5 + 0.01 for weight in network.get_weights()])
    sensenet.formats.h5.write_weights(network, tmp_path / "weights.h5")
    model.load_weights(tmp_path / "weights.h5")
    copied = pickle.loads(pickle.dumps(model))
    assert said(copied, points) == said(model, points) != before
    copied.save_weights(tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "weights.h5").read_bytes()


def test_a_copy_changes_by_itself(tmp_path: Path) -> None:
    model = sensenet.create_model(documents.classifier())
    before = said(model, documents.POINTS)
    copied = copy.deepcopy(model)
    network = copied.keras_model()
    network.set_weights([weight + 1 for weight in network.get_weights()])
    sensenet.formats.h5.write_weights(network, tmp_path / "weights.h5")
    copied.load_weights(tmp_path / "weights.h5")
    assert said(model, documents.POINTS) == before != said(copied, documents.POINTS)


def test_settings_are_copied() -> None:
    settings = Settings({"rescale_type": "pad"})
    assert dict(pickle.loads(pickle.dumps(settings))) == dict(copy.deepcopy(settings)) == dict(settings)


# --- forks -------------------------------------------------------------------------------------------------------

PROGRAM = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import model_documents as documents
import sensenet
{before}
child = os.fork()
if child == 0:
    signal.alarm(30)
    try:
        {inside}
    except sensenet.errors.ForkError as error:
        print(error)
        os._exit(7)
    except BaseException as error:
        print(repr(error))
        os._exit(8)
    os._exit(0)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""
MAKE = "model = sensenet.create_model(documents.classifier())"
PREDICT = "model(documents.POINTS)"


def forked(before: str, inside: str) -> int:
    program = PROGRAM.format(tests=str(Path(__file__).parent), before=before, inside=inside)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode != 7 or "spawn" in done.stdout
    return done.returncode


@pytest.mark.parametrize(
    "before",
    [
        "import sensenet.models.wrappers",
        pytest.param("", marks=pytest.mark.slow),
        pytest.param("import tensorflow", marks=pytest.mark.slow),
    ],
)
def test_models_made_after_a_fork_predict(before: str) -> None:
    assert forked(before, f"{MAKE}; {PREDICT}") == 0


@pytest.mark.parametrize(
    ("before", "inside"),
    [
        (MAKE, PREDICT),
        pytest.param(f"{MAKE}; {PREDICT}", PREDICT, marks=pytest.mark.slow),
        pytest.param(f"{MAKE}; {PREDICT}", "model.keras_model()", marks=pytest.mark.slow),
        (f"{MAKE}; import pickle; content = pickle.dumps(model)", "pickle.loads(content)(documents.POINTS)"),
        ("import tensorflow; tensorflow.constant(1)", MAKE),
    ],
    ids=range(5),
)
def test_a_fork_after_tensorflow_was_used_is_an_error(before: str, inside: str) -> None:
    assert forked(before, inside) == 7


@pytest.mark.slow
def test_a_fork_that_nobody_saw_is_an_error() -> None:
    before = "import tensorflow; tensorflow.constant(1)"
    program = PROGRAM.replace("import model_documents as documents\nimport sensenet\n", "").format(
        tests=str(Path(__file__).parent),
        before=before,
        inside=f"import sensenet, sensenet.errors, model_documents as documents; {MAKE}",
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, "spawn" in done.stdout) == (7, True)


def predict_here(model: Any) -> bytes:
    return model(documents.POINTS).tobytes()


def test_pools_of_forked_processes_tell_and_spawned_ones_predict() -> None:
    model = sensenet.create_model(documents.classifier())
    expected = predict_here(model)
    with multiprocessing.get_context("fork").Pool(1) as pool, pytest.raises(ForkError):
        pool.apply_async(predict_here, [model]).get(timeout=30)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply_async(predict_here, [model]).get(timeout=60) == expected


def test_fork_errors_are_in_the_tree() -> None:
    assert issubclass(ForkError, SensenetError) and issubclass(ForkError, RuntimeError)
