"""Whether the public package and we read each other's files: `PEER_PYTHON=... python benchmarks/compatibility.py`.

PEER_PYTHON names the interpreter of a virtualenv with `bigml-sensenet`. Models are those of
`../shared/conformance/models/regression.json.gz` where it is there, a search model and image models made here, and
models on cross-fitted trees and image models that jobs have just trained. Each line says which files were written by
whom and read by whom, and the largest difference from the expected predictions, of large numbers relative to the
largest.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CONFORMANCE = ROOT.parent / "shared" / "conformance"
AGNOSTIC = {"bounding_box_threshold": 0.1, "class_agnostic_nms": True}
TOLERANCE = 5e-6  # what float32 loses over the layers of an image network

PEER_PROGRAM = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its mish fails where oneDNN fuses it with a normalisation
import numpy as np
from sensenet.models.wrappers import create_model
folder, points, result = sys.argv[1], json.load(open(sys.argv[1] + "/points.json")), {}
settings = json.load(open(folder + "/settings.json"))
def numbers(predicted):  # of boxes a list, best first; where there are no boxes, what numpy makes of it
    if not (isinstance(predicted, list) and predicted and isinstance(predicted[0], dict)):
        return np.asarray(predicted).tolist()
    return [[*one["box"], one["score"]] for one in predicted]
def attempt(name, predict):
    try:
        result[name] = numbers(predict())
    except Exception as error:
        result[name] = type(error).__name__ + ": " + str(error)[:90]
def load(name):
    return create_model(json.load(open(f"{folder}/{name}")), settings)
def weighted():
    model = load("short.json")
    model._model.load_weights(f"{folder}/ours.h5")
    return model(points)
attempt("original", lambda: load("original.json")(points))
attempt("dumped", lambda: load("dumped.json")(points))
if os.path.exists(f"{folder}/legacy.json"):
    attempt("legacy", lambda: load("legacy.json")(points))
attempt("weights", weighted)
attempt("bundle", lambda: create_model(f"{folder}/ours.smbundle", settings)(points))
model = load("original.json")
model.save_weights(f"{folder}/peer.h5")
model.save_bundle(f"{folder}/peer")
json.dump(result, open(f"{folder}/result.json", "w"))
"""


def recorded_models(folder: Path) -> list[tuple[str, dict[str, Any], Any]]:
    """(name, document, points) of each model; what their points need is written into `folder`."""
    sys.path.insert(0, str(ROOT / "tests" / "sensenet"))
    import model_documents

    models = []
    if CONFORMANCE.is_dir():
        with gzip.open(CONFORMANCE / "models" / "regression.json.gz") as file:
            entries = json.load(file)
        for number, entry in enumerate(entries):
            points = [case["input"] for case in entry["validation"]]
            models.append((f"regression {number}", entry["model"], points))
    # the public package takes neither numeric strings in lists of points nor nulls of binary fields
    points = [[1.5, "a", None, 2.0], [-3.0, "c", None, 1.0], [0.25, None, None, 1.5]]
    return [
        *models,
        ("search", model_documents.search(), points),
        *tree_models(folder),
        *image_models(folder),
        *trained_models(folder),
        trained_detector(folder),
    ]


def tree_models(folder: Path) -> list[tuple[str, dict[str, Any], list[Any]]]:
    """As `recorded_models`: networks on cross-fitted trees, of two classes, of three, and of a number."""
    import numpy as np
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

    from pyramid.jobs import load_job
    from pyramid.progress import ignore
    from pyramid.settings.base_settings import BaseSettings
    from pyramid.tables.recipe import categorical_field, numeric_field, tabular_jobs
    from pyramid.workspace import Workspace

    models = []
    for name, table in (
        ("trees, two classes", load_breast_cancer()),
        ("trees, three classes", load_iris()),
        ("trees, a number", load_diabetes()),
    ):
        fields = [numeric_field(i, column) for i, column in enumerate(table.data.T)]
        classes = getattr(table, "target_names", None)
        last = len(fields)
        fields.append(
            numeric_field(last, table.target) if classes is None else categorical_field(last, classes)
        )
        jobs = tabular_jobs(
            folder / name,
            np.column_stack([table.data, table.target]),
            fields,
            tree_kind="cross_fitted",
            max_iterations=50,
        )
        workspace, tree_inputs = Workspace.create(folder / name), 0
        for job in jobs:
            settings = BaseSettings(job | {"tree_inputs": tree_inputs})
            result = load_job(job["job_type"])(settings, workspace, ignore)
            tree_inputs = result.get("tree_inputs", tree_inputs)
        models.append((name, json.loads(workspace.final_model.read_bytes()), table.data[::10].tolist()))
    return models


def image_models(folder: Path) -> list[tuple[str, dict[str, Any], list[Any]]]:
    """As `recorded_models`; pictures are written into `folder`. The public package takes one size a call."""
    import image_documents
    import model_documents
    import numpy as np
    from PIL import Image

    def picture(name: str) -> str:
        rng = np.random.default_rng(len(name))
        path = folder / f"{name}.png"
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)
        return str(path)

    first, second = picture("one"), picture("another")
    classifier = named(image_documents.classifier())
    models = [("image, category", classifier, [[first, "a"], [second, None]])]
    fields = [*classifier["preprocess"], {"type": "image", "index": 2}]
    layers = [model_documents.dense(10, 2, "softmax")]
    two = named(image_documents.classifier(preprocess=fields, layers=layers))
    models.append(("two images", two, [[first, "b", second], [second, "a", first]]))
    if CONFORMANCE.is_dir():
        with gzip.open(CONFORMANCE / "models" / "image_and_category.json.gz") as file:
            old = json.load(file)["deepnet"]["network"]
        models.append(("regression", old, [[first, "f1"], [second, None]]))
    return models


def trained_models(folder: Path) -> list[tuple[str, dict[str, Any], list[Any]]]:
    """As `recorded_models`: digits that image jobs have learnt, alone and beside a number that counts, too."""
    sys.path.insert(0, str(ROOT / "tests" / "pyramid"))
    import image_jobs
    import numpy as np

    digits = image_jobs.write_digits(folder, 200)
    numbers = np.random.default_rng(0).normal(size=len(digits)).tolist()
    paths = [str(folder / f"{number}.png") for number in range(len(digits))]
    models = []
    for network in ("simple", "simple_residual"):
        options = {
            "base_image_network": network,
            "output_directory": str(folder / network),
            "max_iterations": 60,
        }
        alone, beside = trained_documents(image_jobs.image_job(folder, digits, **options), numbers)
        models.append((f"trained {network}", alone, [[path] for path in paths[:8]]))
        points = [[path, number] for path, number in zip(paths[:8], numbers, strict=False)]
        models.append((f"{network}, number", beside, points))
    return models


def trained_detector(folder: Path) -> tuple[str, dict[str, Any], str]:
    """A detector that has learnt where digits are on larger pictures, and one of these: a call takes one."""
    import image_jobs
    import numpy as np
    from PIL import Image

    from pyramid.jobs import load_job
    from pyramid.progress import ignore
    from pyramid.settings.base_settings import BaseSettings
    from pyramid.workspace import Workspace

    rng, rows = np.random.default_rng(0), []
    labels = image_jobs.write_digits(folder, 100)
    for number, label in enumerate(labels):
        x, y = rng.integers(0, 64, 2).tolist()
        picture = Image.new("RGB", (96, 96))
        picture.paste(Image.open(folder / f"{number}.png").resize((32, 32)), (x, y))
        picture.save(folder / f"placed{number}.png")
        rows.append({"file": f"placed{number}.png", "boxes": [[x, y, x + 32, y + 32, str(int(label) % 2)]]})
    job = image_jobs.image_job(folder, []) | {
        "objective_type": "bounding_box",
        "info_list": [
            {"index": 0, "type": "image"},
            {"index": 1, "type": "bounding_box", "values": ["0", "1"]},
        ],
        "base_image_network": "tinyyolov4",
        "layers": [],
        "learning_rate": 0.001,
        "input_image_shape": [96, 96, 3],
        "image_training_data": rows,
        "max_iterations": 150,
        "output_directory": str(folder / "detector"),
    }
    del job["loss_function"]
    workspace = Workspace.create(job["output_directory"])
    load_job("image_training")(BaseSettings(job), workspace, ignore)
    final = {"job_type": "finalize_output", "job_id": "tinyyolov4_randomly_initialize", "is_search": False}
    load_job("finalize_output")(BaseSettings({**job, **final}), workspace, ignore)
    return "trained tinyyolov4", json.loads(workspace.final_model.read_bytes()), str(folder / "placed0.png")


def trained_documents(job: dict[str, Any], numbers: list[float]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The final model of an image job, and one whose readout takes a number, too."""
    from image_jobs import dense

    from pyramid.jobs import load_job
    from pyramid.progress import ignore
    from pyramid.settings.base_settings import BaseSettings
    from pyramid.tables.ser import write_ser
    from pyramid.workspace import Workspace

    workspace = Workspace.create(job["output_directory"])

    def run(job_type: str, **changes: Any) -> dict[str, Any]:
        settings = BaseSettings(
            {**job, "is_search": False, "tree_embedding": False, "job_type": job_type, **changes}
        )
        load_job(job_type)(settings, workspace, ignore)
        return json.loads(workspace.final_model.read_bytes()) if job_type == "finalize_output" else {}

    run("image_training")
    alone = run("finalize_output", job_id=f"{job['base_image_network']}_randomly_initialize")
    info_list = [
        {"index": 0, "type": "image"},
        {"index": 1, "type": "numeric", "mean": 0.0, "stdev": 1.0},
        {"index": 2, "type": "categorical", "values": ["small", "large"]},
    ]
    rows = [
        [row["file"], number, int(row["label"] + number > 4.5)]
        for row, number in zip(job["image_training_data"], numbers, strict=True)
    ]
    cache = workspace.root / "rows.ser"
    write_ser(cache, rows, info_list)
    table = {"job_id": "readout", "info_list": info_list, "layers": [dense(2, "softmax")], "tree_inputs": 0}
    of_cache = {"cache_rows": len(rows), "max_data_size": 10**9, "parallelism": 1}
    run("dataset_caching", **table, **of_cache, cache_file=str(cache))
    run("standard_training", **table, cache_file=str(workspace.full_dataset))
    return alone, run("finalize_output", **table)


def named(document: dict[str, Any]) -> dict[str, Any]:
    """The public package wants the name of a topology."""
    network = document["image_network"]
    metadata = {**network["metadata"], "base_image_network": "simple"}
    return {**document, "image_network": {**network, "metadata": metadata}}


def numbers(predicted: Any) -> Any:
    """Of boxes their corners and scores, best first; all else as it is."""
    if not isinstance(predicted, list):
        return predicted
    return [[*one["box"], one["score"]] for one in predicted]


def check(peer_python: str, document: dict[str, Any], points: Any, folder: Path) -> list[tuple[str, str]]:
    import numpy as np

    import sensenet
    from sensenet.document.model import dump_model, dumps, parse_model, shorten
    from sensenet.errors import ModelFormatError
    from sensenet.layers import to_legacy

    spec = parse_model(document)
    finds_boxes = spec.image_network is not None and spec.image_network.branches is not None
    settings = AGNOSTIC if finds_boxes else None
    # what the public package calls suppression is that of all classes together
    peer_settings = {key: value for key, value in AGNOSTIC.items() if key != "class_agnostic_nms"}
    (folder / "settings.json").write_text(json.dumps(peer_settings if finds_boxes else None))
    ours = sensenet.create_model(document, settings)
    (folder / "points.json").write_text(json.dumps(points))
    (folder / "original.json").write_text(json.dumps(document))
    (folder / "dumped.json").write_bytes(dumps(dump_model(spec)))
    (folder / "short.json").write_bytes(dumps(shorten(document)))
    if not spec.is_search and not finds_boxes:
        columns = spec.input_size + (spec.tree_outputs if spec.networks[0].uses_trees else 0)
        legacy = {**document, "layers": to_legacy(spec.networks[0].layers, columns)}
        (folder / "legacy.json").write_bytes(dumps(legacy))
    ours.save_weights(folder / "ours.h5")
    ours.save_bundle(folder / "ours")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [peer_python, "-c", PEER_PROGRAM, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
    if done.returncode:
        raise SystemExit(f"the public package failed:\n{done.stderr[-2000:]}")
    theirs = json.loads((folder / "result.json").read_text())
    expected = np.array(theirs["original"])
    unit = 1.0 if finds_boxes else max(1.0, float(np.abs(expected).max()))

    def verdict(predict: Callable[[], Any]) -> str:
        try:
            difference = float(np.abs(np.asarray(numbers(predict())) - expected).max()) / unit
        except ModelFormatError as error:
            return f"refused: {str(error).rsplit('/', 1)[-1]:.90}"
        except ValueError as error:
            return f"WRONG: not as many boxes: {error}"
        return f"{difference:.1e} {'ok' if difference <= TOLERANCE else 'WRONG'}"

    def weighted() -> Any:
        model = sensenet.create_model(folder / "short.json", settings)
        model.load_weights(folder / "peer.h5")
        return model(points)

    def peers(name: str) -> str:
        found = theirs[name]
        return f"refused: {found}" if isinstance(found, str) else verdict(lambda: np.asarray(found))

    lines = [("the same document, both", verdict(lambda: ours(points)))]
    names = {"dumped": "document", "legacy": "legacy document", "weights": "weights", "bundle": "bundle"}
    lines += [
        (f"our {label}, read by theirs", peers(name)) for name, label in names.items() if name in theirs
    ]
    lines += [("their weights, read by ours", verdict(weighted))]
    bundle = verdict(lambda: sensenet.create_model(folder / "peer.smbundle")(points))
    return [*lines, ("their bundle, read by ours", bundle)]


def main() -> int:
    peer_python = os.environ.get("PEER_PYTHON")
    if not peer_python:
        print("skipped: set PEER_PYTHON to the interpreter of a virtualenv with bigml-sensenet")
        return 0
    wrong = 0
    with tempfile.TemporaryDirectory() as pictures:
        for name, document, points in recorded_models(Path(pictures)):
            with tempfile.TemporaryDirectory() as folder:
                for label, outcome in check(peer_python, document, points, Path(folder)):
                    wrong += "WRONG" in outcome
                    print(f"{name:26}{label:36}{outcome}")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
