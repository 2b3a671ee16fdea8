"""TensorFlow.js itself, in Node, says what our models say."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import image_documents as images
import layer_documents as layer_examples
import model_documents as documents
import numpy as np
import pytest
import tensorflow as tf
from test_layers import behind_another
from tfjs_runtime import needs_node

import sensenet
from sensenet.errors import WeightsError
from sensenet.formats.tfjs.files import model_files
from sensenet.formats.tfjs.node import node_predictions, run_node
from sensenet.formats.tfjs.runtime import find_runtime
from sensenet.layers import parse_layers
from sensenet.layers.activations import ACTIVATIONS
from sensenet.layers.base import forward_layers, initialize_layers

pytestmark = needs_node

Inputs = dict[str, np.ndarray]
NUMBERS = np.array(
    [[1.5, 0, 2], [-3, 2, 1], [0.25, 1, 1.5], [np.nan, 0, 2], [4, -1, 1], [2.5, np.nan, np.nan]], np.float32
)
ROWS = [
    [size, None if not kind >= 0 else "abc"[int(kind)], None, old] for size, kind, old in NUMBERS.tolist()
]


def chain(depth: int) -> list[Any]:
    node: list[Any] = [[1.0, 0.0], None]
    for level in range(depth):
        node = [0, -0.01 * level, [[0.01 * level, 1.0], None], node]
    return node


def with_deep_tree() -> dict[str, Any]:
    trees = [[[0, 5], [chain(60), chain(3)]]]
    return documents.classifier(layers=[documents.dense(7, 3, "softmax")], trees=trees)


def pixels(*pictures: np.ndarray) -> Inputs:
    return {"image_pixel_inputs": np.stack(pictures).astype(np.float32)}


PICTURE = images.picture(40, 50)
NUMERIC_INPUTS = {"numeric_inputs": NUMBERS}
CASES: dict[str, tuple[Callable[[], dict[str, Any]], Any, Inputs]] = {
    "regression": (documents.regression, ROWS, NUMERIC_INPUTS),
    "a deep tree": (with_deep_tree, ROWS, NUMERIC_INPUTS),
    "crop": (images.regression, [[PICTURE]], pixels(PICTURE)),
}


def test_models_answer_in_node_as_in_python(tmp_path: Path) -> None:
    expected, requests = {}, []
    for name, (make, points, inputs) in CASES.items():
        model = sensenet.create_model(make())
        model.save_tfjs(tmp_path / name)
        expected[name] = model(points)
        requests.append((tmp_path / name, inputs))
    for name, answer in zip(CASES, node_predictions(requests), strict=True):
        np.testing.assert_allclose(answer["output"], expected[name], atol=1e-5, rtol=1e-5, err_msg=name)
    assert np.ptp(expected["a deep tree"], axis=0).max() > 0.05, "rows that differ"


def test_what_node_cannot_load_is_told(tmp_path: Path) -> None:
    sensenet.create_model(documents.classifier()).save_tfjs(tmp_path / "model")
    (tmp_path / "model" / "group1-shard1of1.bin").unlink()
    with pytest.raises(WeightsError, match=r"Node fails: .*no such file"):
        run_node(str(tmp_path / "model"), [NUMERIC_INPUTS])


def test_a_prediction_in_node_is_ended_after_the_time_given(tmp_path: Path) -> None:
    sensenet.create_model(documents.classifier()).save_tfjs(tmp_path / "model")
    with pytest.raises(WeightsError, match=r"has not ended within 0\.001 s"):
        run_node(str(tmp_path / "model"), [NUMERIC_INPUTS], max_seconds=0.001)


LEAKS = """
globalThis.tf = { ...require(process.argv[1]) };
const facts = { image: null, inputs: [{ name: "numeric_inputs", shape: [null, 1] }], fields: [] };
const predictAsync = async () => { throw new Error("no kernel"); };
tf.loadGraphModel = async () => ({ metadata: { sensenet: facts }, predictAsync });
const source = require("fs").readFileSync(process.argv[2], "utf8");
import(`data:text/javascript,${encodeURIComponent(source)}`).then(async ({ loadModel }) => {
  const model = await loadModel("model.json");
  const before = tf.memory().numTensors;
  await model.predict(new Map()).catch((error) => process.stdout.write(error.message));
  process.stdout.write(` ${tf.memory().numTensors - before}`);
});
"""


def test_a_prediction_of_the_page_that_fails_leaves_no_tensors() -> None:
    page = resources.files("sensenet.formats.tfjs").joinpath("page", "model.js")
    command = ["node", "-e", LEAKS, str(find_runtime()), str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "no kernel 0"


def overlapping(height: int, width: int) -> np.ndarray:
    """Bright rectangles at random."""
    rng = np.random.default_rng(0)
    image = np.zeros((height, width, 3), np.uint8)
    for _ in range(6):
        y, x = rng.integers(height - 9), rng.integers(width - 9)
        image[y : y + 9, x : x + 9] = list(images.COLOURS.values())[rng.integers(2)]
    return image


def wide_boxes() -> dict[str, Any]:
    """Boxes that are wider than the cells around which they stand: those of neighbours overlap."""
    document = images.bright_detector()
    (branch,) = document["image_network"]["metadata"]["outputs"]
    branch["anchors"] = [[14, 11], [12, 12]]
    head = document["image_network"]["layers"][1]
    head["kernel"], head["bias"] = np.tile(head["kernel"], 2).tolist(), [*head["bias"], *head["bias"]]
    return document


STRICT = {
    "iou_threshold": 0.1,
    "bounding_box_threshold": 0.01,
    "max_objects": 5,
    "class_agnostic_nms": True,
    "color_space": "bgra",
}
DETECTOR_SETTINGS = [{"rescale_type": name} for name in ("warp", "pad", "crop")] + [STRICT]


def test_detectors_find_the_same_boxes_in_node(tmp_path: Path) -> None:
    pictures = [overlapping(32, 32), overlapping(50, 80), np.zeros((20, 20, 3), np.uint8)]
    expected, requests = [], []
    for number, settings in enumerate(DETECTOR_SETTINGS):
        detector = sensenet.create_model(wide_boxes(), settings)
        detector.save_tfjs(tmp_path / str(number))
        channels = [0, 1, 2, 0][: len(settings.get("color_space", "rgb"))]
        for picture in pictures:
            expected.append(detector.arrays(picture[..., channels]))
            requests.append((tmp_path / str(number), pixels(picture[..., channels])))
    for answer, arrays in zip(node_predictions(requests), expected, strict=True):
        np.testing.assert_array_equal(answer["boxes"][0], arrays.boxes)
        np.testing.assert_array_equal(answer["classes"][0], arrays.classes)
        np.testing.assert_allclose(answer["scores"][0], arrays.scores, atol=1e-6)
    counts = [len(arrays.boxes) for arrays in expected]
    assert max(counts) > 2
    assert counts[2::3] == [0] * len(DETECTOR_SETTINGS)


@pytest.mark.parametrize("overlap", [0.5, 0.25])
def test_boxes_that_overlap_by_just_the_threshold_are_both_kept(tmp_path: Path, overlap: float) -> None:
    boxes = tf.constant([[0.0, 0, 4, 4], [0, 0, 4, 4 * overlap], [8, 8, 12, 12]])

    def kept(scores: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"kept": tf.image.non_max_suppression(boxes, scores, 5, overlap)}

    write(tmp_path, kept, tf.TensorSpec((3,), name="scores"))
    (answer,) = node_predictions([(tmp_path, {"scores": np.array([0.9, 0.8, 0.7], np.float32)})])
    assert answer["kept"].tolist() == [0, 1, 2]


def write(directory: Path, function: Any, spec: tf.TensorSpec) -> None:
    concrete = tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
    for name, content in model_files(concrete, {}).items():
        (directory / name).write_bytes(content)


EXAMPLES = {
    "table": (layer_examples.TABLE_EXAMPLES, (layer_examples.COLUMNS,)),
    "image": (layer_examples.IMAGE_EXAMPLES, layer_examples.IMAGE),
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_layer_type_answers_in_node_as_in_python(tmp_path: Path, kind: str) -> None:
    examples, shape = EXAMPLES[kind]
    networks = {
        f"{name}_{i}": initialize_layers(parse_layers(behind_another(shape, raw)), shape, (0,), "layers")[0]
        for name, several in examples.items()
        for i, raw in enumerate(several)
    }

    def answers(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: forward_layers(layers, inputs) for name, layers in networks.items()}

    compare(tmp_path, answers, np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32))


def test_every_activation_answers_in_node_as_in_python(tmp_path: Path) -> None:
    def answers(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: function(inputs) for name, function in ACTIVATIONS.items() if name != "sparsemax"}

    compare(tmp_path, answers, np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32) * 3)


def compare(directory: Path, function: Any, inputs: np.ndarray) -> None:
    write(directory, function, tf.TensorSpec((None, *inputs.shape[1:]), name="inputs"))
    (answer,) = node_predictions([(directory, {"inputs": inputs})])
    for name, expected in function(tf.constant(inputs)).items():
        np.testing.assert_allclose(answer[name], expected, atol=1e-5, rtol=1e-5, err_msg=name)
