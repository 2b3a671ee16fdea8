"""SavedModels by the rules of TensorFlow Serving, and the signature that takes images as they are in files.

The server itself is not run. Its documentation says what it loads and how it calls; its loader is TensorFlow's, in a
session, as here.
"""

from __future__ import annotations

import io
import os
import struct
import subprocess
import zlib
from pathlib import Path

import image_documents as images
import model_documents as documents
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.framework import op_def_registry

import sensenet
from sensenet.formats.consumers import PLAIN_TENSORFLOW

TOLERANCE = 1e-5
PREDICT = "tensorflow/serving/predict"
PYTHON_OPERATIONS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
PICTURE = images.picture(40, 60)
MODELS = {
    "table": (documents.search(), {}),
    "image and fields": (images.mixed("size front kind"), {}),
    "image": (images.only_image(), {"color_space": "bgra"}),
    "detector": (images.bright_detector(), {"bounding_box_threshold": 0.3}),
}
VERSIONS = ("7", "11")


def compressed(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def deep_png(pixels):
    """A PNG of 16 bits a channel, which Pillow does not write: pixels (h, w, 3) uint16."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


COLOURS = Image.fromarray(PICTURE)
CLEAR = Image.fromarray(np.dstack([PICTURE, np.full(PICTURE.shape[:2], 90, np.uint8)]))
FILES = {
    "JPEG": compressed(COLOURS, "JPEG", quality=70),
    "JPEG, progressive": compressed(COLOURS, "JPEG", progressive=True, subsampling=0),
    "JPEG, grey": compressed(COLOURS.convert("L"), "JPEG"),
    "PNG": compressed(COLOURS, "PNG"),
    "PNG, grey": compressed(COLOURS.convert("L"), "PNG"),
    "PNG, RGBA": compressed(CLEAR, "PNG"),
    "PNG, palette": compressed(COLOURS.convert("P"), "PNG"),
    "PNG, 16 bits": deep_png(PICTURE.astype(np.uint16) * 257 // 2 + 99),
    "PNG, 16 bits grey": compressed(Image.fromarray(PICTURE[..., 0].astype(np.uint16) * 256 + 17), "PNG"),
    "GIF": compressed(COLOURS.convert("P"), "GIF"),
    "GIF, moving": compressed(
        COLOURS.convert("P"), "GIF", save_all=True, append_images=[CLEAR.rotate(180).convert("P")]
    ),
    "BMP": compressed(COLOURS, "BMP"),
    "BMP, 32 bits": compressed(CLEAR, "BMP"),
    "WebP": compressed(COLOURS, "WEBP"),
}


@pytest.fixture(scope="module")
def models():
    return {name: sensenet.create_model(*given) for name, given in MODELS.items()}


@pytest.fixture(scope="module")
def bases(models, tmp_path_factory):
    """The base path of each model, with its last version."""
    folder = tmp_path_factory.mktemp("serving")
    for name, model in models.items():
        sensenet.convert(model, None, folder / name / VERSIONS[-1], "savedmodel")
    return {name: folder / name for name in models}


def meta_graph(base):
    """The one meta graph of what the server would load from a base path: of the largest number."""
    versions = {int(path.name): path for path in base.iterdir()}
    content = (versions[max(versions)] / "saved_model.pb").read_bytes()
    (found,) = SavedModel.FromString(content).meta_graphs
    return found


def test_versions_are_directories_with_numbers_for_names(models, tmp_path):
    for version in VERSIONS:
        path = sensenet.convert(models["table"], None, tmp_path / "rows" / version, "savedmodel")
        assert Path(path) == tmp_path / "rows" / version
        assert (Path(path) / "saved_model.pb").is_file()
        assert (Path(path) / "variables").is_dir()
    # nothing else stands there: neither temporary names nor what would count as another version
    assert sorted(path.name for path in (tmp_path / "rows").iterdir()) == sorted(VERSIONS)


@pytest.mark.parametrize("name", MODELS)
def test_the_server_finds_its_tag_and_signatures_that_can_be_batched(bases, name):
    graph = meta_graph(bases[name])
    assert list(graph.meta_info_def.tags) == ["serve"]
    signatures = {key: one for key, one in graph.signature_def.items() if not key.startswith("__")}
    expected = {"serving_default"} if name == "table" else {"serving_default", "image_bytes"}
    assert set(signatures) == expected
    nodes = {node.name for node in graph.graph_def.node}
    for signature in signatures.values():
        assert signature.method_name == PREDICT
        for tensor in (*signature.inputs.values(), *signature.outputs.values()):
            assert tensor.name.partition(":")[0] in nodes
            assert tensor.tensor_shape.dim[0].size == -1, "rows of several requests are put together"
    if name != "table":
        # what {"b64": ...} becomes
        bytes_input = signatures["image_bytes"].inputs["image_bytes"]
        assert (bytes_input.dtype, len(bytes_input.tensor_shape.dim)) == (tf.string.as_datatype_enum, 1)


@pytest.mark.parametrize("name", MODELS)
def test_every_operation_is_one_of_tensorflow(bases, name):
    graph = meta_graph(bases[name])
    functions = graph.graph_def.library.function
    nodes = [*graph.graph_def.node, *(node for function in functions for node in function.node_def)]
    used = {node.op for node in nodes} - {function.signature.name for function in functions}
    assert used
    assert not [name for name in used if op_def_registry.get(name) is None]
    assert not used & PYTHON_OPERATIONS
    assert not graph.asset_file_def


def answers(base, signature_name, inputs):
    """What the server's loader and a session make of inputs, by the names of the signature's tensors."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(base / VERSIONS[-1]))
        signature = graph.signature_def[signature_name]
        fed = {signature.inputs[name].name: array for name, array in inputs.items()}
        wanted = {name: tensor.name for name, tensor in signature.outputs.items()}
        return session.run(wanted, fed)


def test_a_session_answers_requests_that_were_put_together(models, bases):
    rows = [[1.5, "a", None, 2.0], [None, "c", None, 1.0]]
    numbers = np.array([[1.5, 0, 2], [np.nan, 2, 1]], np.float32)
    given = answers(bases["table"], "serving_default", {"numeric_inputs": numbers})
    np.testing.assert_allclose(given["output"], models["table"](rows), atol=TOLERANCE)
    contents = np.array([FILES["JPEG"], FILES["PNG"], compressed(COLOURS.resize((9, 30)), "BMP")], object)
    inputs = {"numeric_inputs": np.array([[2, 0, 1]] * 3, np.float32), "image_bytes": contents}
    given = answers(bases["image and fields"], "image_bytes", inputs)
    expected = models["image and fields"]([[content, 2, None, None, "b"] for content in contents])
    np.testing.assert_allclose(given["output"], expected, atol=TOLERANCE)


def test_boxes_of_requests_that_were_put_together_are_those_of_each(models, bases):
    squares = images.painted(64, 96, red=(0, 0, 48, 48), green=(48, 24, 96, 64))
    contents = [compressed(Image.fromarray(one), "PNG") for one in (squares, PICTURE)]
    given = answers(bases["detector"], "image_bytes", {"image_bytes": np.array(contents, object)})
    for place, content in enumerate(contents):
        (kept,) = models["detector"].kept_boxes([content])
        n_boxes = len(kept.scores)
        np.testing.assert_array_equal(given["boxes"][place, :n_boxes], kept.boxes)
        np.testing.assert_array_equal(given["classes"][place, :n_boxes], kept.classes)
        assert not given["scores"][place, n_boxes:].any()
    assert given["scores"][0].any()


def test_images_of_every_kind_of_file_predict_as_here(models, bases):
    """To the last pixel: a difference of one level in a corner would show."""
    for name in ("image", "image and fields"):
        inputs = {"image_bytes": np.array(list(FILES.values()), object)}
        points = [[content, None, None, None, None] for content in FILES.values()]
        if name == "image and fields":
            inputs["numeric_inputs"] = np.array([[np.nan, 0, -1]] * len(FILES), np.float32)
        expected = models[name](points)
        given = answers(bases[name], "image_bytes", inputs)["output"]
        for kind, theirs, ours in zip(FILES, given, expected, strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=1e-6, err_msg=f"{name}, {kind}")


@pytest.mark.parametrize("mode", ["P", "L", "1"])
def test_bitmaps_with_palettes_are_refused(bases, mode):
    """TensorFlow would take the places in a palette for shades of grey."""
    content = compressed(COLOURS.convert(mode), "BMP")
    with pytest.raises(tf.errors.InvalidArgumentError, match="BMP of fewer than 24 bits a pixel"):
        answers(bases["image"], "image_bytes", {"image_bytes": np.array([content], object)})


def test_what_is_no_image_is_refused(bases):
    for content in (b"", b"BM", b"something else", FILES["PNG"][:50]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            answers(bases["image"], "image_bytes", {"image_bytes": np.array([content], object)})


def test_tensorflow_2_16_loads_and_runs_it(consumers_python, models, bases, tmp_path):
    np.savez(tmp_path / "inputs.npz", **{"0/image_pixel_inputs": PICTURE[None].astype(np.float32)})
    arguments = [
        "savedmodel",
        bases["detector"] / VERSIONS[-1],
        tmp_path / "inputs.npz",
        tmp_path / "outputs.npz",
    ]
    unwanted = ("PYTHONPATH", "XLA_FLAGS")  # flags of today, which older versions refuse
    done = subprocess.run(
        [consumers_python, "-P", PLAIN_TENSORFLOW, *arguments],
        env={name: value for name, value in os.environ.items() if name not in unwanted},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (kept,) = models["detector"].kept_boxes([PICTURE])
    with np.load(tmp_path / "outputs.npz") as given:
        # of boxes with equal scores any may be the first
        assert sorted(given["0/boxes"][0].tolist()) == sorted(kept.boxes.tolist())
        np.testing.assert_allclose(given["0/scores"][0], kept.scores, atol=TOLERANCE)
