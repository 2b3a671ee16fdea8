"""Every kind of model in every format, run by programs of others: `python benchmarks/export_table.py [MODEL...]`.

The models are trained here, for some seconds each. A cell is the largest difference between what `create_model`'s
model says and what the consumer of the format says, of numbers above 1 as a share of them; of detectors beside it how
many boxes were compared, and whether all of them and their classes are identical; or the reason of a refusal.
TensorFlow runs in a process without our packages, TensorFlow.js in Node, and, where there is a Chromium, in a page with
a picture in it. Prints a table in Markdown, and the versions of the runtimes.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

sys.path.extend(str(Path(__file__).parents[1] / "tests" / folder) for folder in ("sensenet", "pyramid"))

import browser
import compatibility
import image_jobs
import numpy as np
from page_server import served
from PIL import Image
from sklearn.datasets import load_diabetes, load_iris

import pyramid
import sensenet
from pyramid.jobs import load_job
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.tables.recipe import categorical_field, numeric_field, tabular_jobs
from pyramid.workspace import Workspace
from sensenet.errors import SensenetError
from sensenet.formats import FORMATS
from sensenet.formats.consumers import run_plain_tensorflow
from sensenet.formats.samples import Call, sample_calls
from sensenet.formats.tfjs.runtime import VERSION

BY_OTHERS = tuple(name for name, one in FORMATS.items() if one.consumers)
PAGE = "tfjs in Chromium"
ROWS, PICTURES = 200, 4
SEARCH_SECONDS = 60.0
SETTINGS = {"bounding_box_threshold": 0.1}


def trained_table(folder: Path, table: Any, **keys: Any) -> dict[str, Any]:
    """What the three jobs of a table make of it."""
    fields = [numeric_field(i, column) for i, column in enumerate(table.data.T)]
    classes = getattr(table, "target_names", None)
    last = len(fields)
    fields.append(numeric_field(last, table.target) if classes is None else categorical_field(last, classes))
    rows = np.column_stack([table.data, table.target])
    workspace, tree_inputs = Workspace.create(folder), 0
    for job in tabular_jobs(folder, rows, fields, max_iterations=100, **keys):
        result = load_job(job["job_type"])(
            BaseSettings(job | {"tree_inputs": tree_inputs}), workspace, ignore
        )
        tree_inputs = result.get("tree_inputs", tree_inputs)
    return dict(json.loads(workspace.final_model.read_bytes()))


def searched(folder: Path) -> dict[str, Any]:
    """What a search leaves: several networks."""
    table = load_diabetes(as_frame=True).frame
    found = pyramid.fit(table, "target", output=folder / "search", time=SEARCH_SECONDS, workers=1)
    document = dict(json.loads(found.workspace.final_model.read_bytes()))
    print(f"the search left {len(document['networks'])} networks", file=sys.stderr)
    return document


def trained_images(folder: Path, network: str, side: int, **more: Any) -> tuple[dict[str, Any], ...]:
    """An image classifier, and a classifier of an image and a number; `more` are keys of the job."""
    digits = image_jobs.write_digits(folder, ROWS)
    numbers = np.random.default_rng(0).normal(size=len(digits)).tolist()
    options = {"base_image_network": network, "input_image_shape": [side, side, 3], **more}
    # a readout without a hidden layer, as classifiers of pixels need it
    options |= {"layers": [image_jobs.dense(10, "softmax")], "output_directory": str(folder / network)}
    return compatibility.trained_documents(image_jobs.image_job(folder, digits, **options), numbers)


MODELS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "table, windowed trees": lambda folder: trained_table(folder, load_diabetes()),
    "table, cross-fitted trees": lambda folder: trained_table(folder, load_iris(), tree_kind="cross_fitted"),
    "table, legacy layers": lambda folder: trained_table(
        folder, load_iris(), tree_embedding=False, deepnet_version="alpha"
    ),
    "search, several networks": searched,
    "`simple`": lambda folder: trained_images(folder, "simple", 16, max_iterations=60)[0],
    "`mobilenetv2`": lambda folder: trained_images(
        folder, "mobilenetv2", 64, max_iterations=80, learning_rate=0.003
    )[0],
    "image and a number": lambda folder: trained_images(folder, "simple", 16, max_iterations=60)[1],
    "`tinyyolov4`": lambda folder: compatibility.trained_detector(folder)[1],
}


def calls_of(model: Any, folder: Path) -> list[Call]:
    """Rows and images that try the model; a detector's are images that it was trained on, for the boxes in them."""
    if not hasattr(model, "all_boxes"):
        return sample_calls(model.facts())
    images = [np.asarray(Image.open(folder / f"placed{i}.png").convert("RGB")) for i in range(PICTURES)]
    return [Call([image], {"image_pixel_inputs": image[None].astype(np.float32)}) for image in images]


def wanted(model: Any, call: Call, keeps_boxes: bool) -> dict[str, np.ndarray]:
    """What the model says of a call."""
    if not hasattr(model, "all_boxes"):
        return {"output": model(call.points)}
    (found,) = (model.kept_boxes if keeps_boxes else model.all_boxes)(call.points)
    return {name: array[None] for name, array in found._asdict().items()}


def cell(model: Any, to_format: str, calls: list[Call], folder: Path) -> str:
    """What came of a format."""
    try:
        path = sensenet.convert(model, None, folder / f"exported.{to_format}", to_format)
    except SensenetError as error:
        return f"refused: {error}".replace("to_format: ", "")
    if to_format == "h5":
        return weights(model, path, calls)
    if to_format == "czmodel":
        return pixels_of(model, path, calls)
    chosen = FORMATS[to_format]
    consumer = next(one for one in chosen.consumers if one.is_installed())
    answers = consumer.run(path, [call.inputs for call in calls])
    pairs = [
        (wanted(model, call, chosen.keeps_boxes), given) for call, given in zip(calls, answers, strict=True)
    ]
    return compared(pairs)


def compared(pairs: list[tuple[dict[str, np.ndarray], Any]]) -> str:
    """What the outputs of several calls have in common."""
    names = ("output",) if "output" in pairs[0][0] else ("scores",)
    difference = max(largest(said[name], given[name]) for said, given in pairs for name in names)
    if "boxes" not in pairs[0][0]:
        return f"{difference:.0e}"
    n_boxes = sum(said["scores"].size for said, _ in pairs)
    others = sum(int((said["classes"] != given["classes"]).sum()) for said, given in pairs)
    moved = np.concatenate(
        [np.abs(said["boxes"] - given["boxes"]).max(axis=2).ravel() for said, given in pairs]
    )
    if others or moved.any():
        told = f"{(moved > 0).sum()} of {n_boxes} boxes up to {moved.max():g} pixels beside, {others} of other classes"
        return f"{difference:.0e}; {told}"
    return f"{difference:.0e}; {n_boxes} boxes identical"


def largest(said: np.ndarray, given: np.ndarray) -> float:
    """The largest difference; infinite where there are more or fewer numbers."""
    if said.shape != given.shape:
        return np.inf
    return float((np.abs(given - said) / np.maximum(1.0, np.abs(said))).max(initial=0.0))


def weights(model: Any, path: str, calls: list[Call]) -> str:
    """What the model says with the weights of the file, read back."""
    before = [wanted(model, call, keeps_boxes=True) for call in calls]
    model.load_weights(path)
    return compared(
        [(said, wanted(model, call, keeps_boxes=True)) for said, call in zip(before, calls, strict=True)]
    )


def pixels_of(model: Any, path: str, calls: list[Call]) -> str:
    """The mean of a CZModel's logits, which are those of the image, as TensorFlow alone computes them."""
    with zipfile.ZipFile(path) as archive:
        (inner,) = [name for name in archive.namelist() if name.endswith(".model")]
        content = archive.read(inner)
    folder = f"{path}.files"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    image = model.facts()["image"]
    picture = next(
        call.points[0][0]
        for call in calls
        if call.points[0][0].shape[:2] == (image["height"], image["width"])
    )
    definition = subprocess.run(
        [sys.executable, "-c", INPUT_NAME, folder], capture_output=True, text=True, check=True
    ).stdout.split()
    (answer,) = run_plain_tensorflow(
        "savedmodel", folder, [{definition[-1]: picture[None, ..., ::-1].astype(np.float32)}]
    )
    (tiles,) = answer.values()
    shares = np.exp(np.log(tiles.astype(np.float64)).mean(axis=(1, 2)))
    said = model([[picture]])
    return f"{largest(said, shares / shares.sum()):.0e} (of the mean)"


INPUT_NAME = """
import sys, tensorflow as tf
print(*tf.saved_model.load(sys.argv[1]).signatures["serving_default"].structured_input_signature[1])
"""


def page_cell(model: Any, calls: list[Call], folder: Path) -> str:
    """What a page says of a picture in an image element, or of a row that is typed in."""
    if browser.CHROMIUM is None:
        return "no Chromium here"
    path, facts = folder / "page", model.facts()
    sensenet.convert(model, None, path, "tfjs", page=True)
    point = list(calls[0].points) if facts["type"] == "detection" else calls[0].points[0]
    asked = typed(facts, point, path)
    with served(path) as address:
        shown = browser.visit(f"{address}?{urlencode(asked)}", folder, "--dump-dom")
    values = {
        name: re.findall(f'data-{name}="([^"]*)"', shown) for name in ("share", "value", "box", "label")
    }
    if facts["type"] == "detection":
        found = model(point[0])
        boxes = [" ".join(map(str, one["box"])) for one in found]
        alike = (values["box"], values["label"]) == (boxes, [one["label"] for one in found])
        return f"{len(found)} boxes {'identical' if alike else 'DIFFER'}"
    (said,) = model([point])
    if facts["type"] == "regression":
        return f"{largest(said, np.array(values['value'], np.float64)):.0e}"
    shares = np.array(values["share"], np.float64)
    # a page shows the likeliest classes
    return f"{largest(np.sort(said)[::-1][: len(shares)], shares):.0e}"


def typed(facts: dict[str, Any], point: Any, page: Path) -> dict[str, Any]:
    """What a person does with a page to ask for a point; a picture is put beside it."""
    asked: dict[str, Any] = {}
    for field in facts["fields"]:
        value = point[field["index"]]
        if field["type"] == "image":
            Image.fromarray(value).save(page / "dropped.png")
            asked["picture"] = "/dropped.png"
        elif value is not None:
            asked[field["name"] or f"Field {field['index']}"] = value
    return asked


def table(names: list[str]) -> Iterator[str]:
    """The rows of the table, as they become known."""
    columns = [*BY_OTHERS, PAGE, "h5", "czmodel"]
    yield f"| model | {' | '.join(f'`{name}`' if name in FORMATS else name for name in columns)} |"
    yield f"| --- {'| --- ' * len(columns)}|"
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            document = MODELS[name](folder)
            detects = document["output_exposition"]["type"] == "bounding_box"
            model = sensenet.create_model(document, SETTINGS if detects else None)
            calls = calls_of(model, folder)
            cells = {to_format: cell(model, to_format, calls, folder) for to_format in FORMATS}
            cells[PAGE] = page_cell(model, calls, folder)
        yield f"| {name} | {' | '.join(cells[column] for column in columns)} |"


def versions() -> str:
    packages = ("ai-edge-litert", "onnxruntime", "tf2onnx", "tensorflow", "keras")
    told = [f"{name} {version(name)}" for name in packages]
    programs = [["node", "--version"], *([[browser.CHROMIUM, "--version"]] if browser.CHROMIUM else [])]
    for command in programs:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        told.append(f"{command[0]} {said}" if said.startswith("v") else said)
    return ", ".join([*told, f"TensorFlow.js {VERSION}"])


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for line in table(sys.argv[1:] or list(MODELS)):
        print(line, flush=True)
    print(f"\n{versions()}")
