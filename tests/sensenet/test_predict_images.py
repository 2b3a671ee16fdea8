"""sensenet_predict with images: any model file, files and addresses, boxes and probabilities as lines of JSON."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import image_documents as images
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from raw_bundles import raw_bundle

import sensenet
from sensenet.commands import predict
from sensenet.document.model import dumps
from sensenet.errors import InputError
from sensenet.preprocess.remote_images import FetchPolicy, fetch_image

PICTURE = images.painted(64, 48, red=(0, 16, 16, 32), green=(16, 32, 32, 48))
EXPORTS = ("savedmodel", "frozen_graph", "tflite", "onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A detector, a classifier and a regression in every format, and images."""
    path = tmp_path_factory.mktemp("models")
    Image.fromarray(PICTURE).save(path / "boxes.png")
    Image.fromarray(PICTURE).save(path / "boxes.jpg", quality=100, subsampling=0)
    (path / "none.png").write_text("no image")
    (path / "empty.png").write_bytes(b"")
    models = {
        "detector": images.bright_detector(),
        "classifier": images.only_image(),
        "regression": images.regression(),
        "table": images.classifier(),
    }
    for name, document in models.items():
        (path / f"{name}.json").write_bytes(dumps(document))
    for name in ("detector", "classifier"):
        made = sensenet.create_model(models[name])
        for to_format in ("smbundle", *EXPORTS):
            sensenet.convert(made, None, path / f"{name}.{to_format}", to_format)
    sensenet.convert(models["table"], None, path / "table.tflite", "tflite")
    return path


@pytest.fixture
def run(folder, monkeypatch, capsysbinary):
    """Runs the command in the folder: (exit code, lines, what it says on standard error)."""
    monkeypatch.chdir(folder)

    def call(*arguments):
        code = predict.main(list(map(str, arguments)))
        out, err = capsysbinary.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err.decode()

    return call


def expected_boxes(folder, **settings):
    found = sensenet.create_model(folder / "detector.json", settings)(str(folder / "boxes.png"))
    return [
        {
            "coordinates": dict(zip(("x0", "y0", "x1", "y1"), box["box"], strict=True)),
            "label": box["label"],
            "confidence": pytest.approx(box["score"], abs=1e-5),
        }
        for box in found
    ]


def test_the_command_finds_boxes_and_draws_them_in_a_process_of_its_own(folder, tmp_path):
    command = [
        sys.executable,
        "-m",
        "sensenet.commands.predict",
        folder / "detector.json",
        folder / "boxes.png",
    ]
    command += ["missing.png", "boxes.jpg", "--draw", tmp_path / "drawn", "--isolate"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["warning", "sensenet_predict"]
    png, jpeg = map(json.loads, done.stdout.splitlines())
    assert list(png) == ["file", "boxes", "image"]
    assert png["file"] == str(folder / "boxes.png")
    assert png["boxes"] == expected_boxes(folder)
    assert len(png["boxes"]) > 1
    assert png["image"] == str(tmp_path / "drawn" / "0_boxes.png")
    assert (jpeg["file"], jpeg["image"]) == ("boxes.jpg", str(tmp_path / "drawn" / "2_boxes.jpeg"))
    drawn = np.asarray(Image.open(png["image"]))
    assert drawn.shape == PICTURE.shape
    assert (drawn != PICTURE).any()


def test_a_process_of_its_own_imports_nothing_from_where_it_is_called(folder, run, tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    code, (line,), _ = run(folder / "detector.json", folder / "boxes.png", "--isolate")
    assert (code, line["boxes"]) == (0, expected_boxes(folder))


@pytest.mark.parametrize("to_format", ["smbundle", *EXPORTS])
def test_every_format_finds_the_boxes_of_the_document(folder, run, to_format):
    code, (line,), _ = run(f"detector.{to_format}", "boxes.png")
    assert code == 0
    assert line == {"file": "boxes.png", "boxes": expected_boxes(folder)}


@pytest.mark.parametrize("to_format", ["json", "smbundle", *EXPORTS])
def test_every_format_gives_the_probabilities_of_the_document(folder, run, to_format):
    code, (line,), _ = run(f"classifier.{to_format}", "boxes.png")
    expected = sensenet.create_model(folder / "classifier.json")("boxes.png")[0]
    assert code == 0
    assert line["file"] == "boxes.png"
    assert line["probabilities"] == {
        name: pytest.approx(float(share), abs=1e-5)
        for name, share in zip(images.CLASSES, expected, strict=True)
    }


def test_a_format_is_told_by_content_and_not_by_its_name(folder, run, tmp_path):
    for number, to_format in enumerate(("json", "smbundle", "tflite", "onnx")):
        disguised = tmp_path / f"{number}.pb"
        disguised.write_bytes((folder / f"detector.{to_format}").read_bytes())
        assert run(disguised, "boxes.png")[1][0]["boxes"] == expected_boxes(folder)
    (tmp_path / "spaced.pb").write_bytes(b"\n\n  " + (folder / "detector.json").read_bytes())
    assert run(tmp_path / "spaced.pb", "boxes.png")[0] == 0
    assert run("detector.frozen_graph/frozen_inference_graph.pb", "boxes.png")[0] == 0
    assert run("detector.savedmodel/saved_model.pb", "boxes.png")[0] == 0


def test_a_regression_of_an_image_gives_its_number(folder, run):
    code, (line,), _ = run("regression.json", "boxes.png")
    expected = sensenet.create_model(folder / "regression.json")("boxes.png")
    assert (code, line) == (0, {"file": "boxes.png", "prediction": pytest.approx(float(expected[0, 0]))})


def test_a_bundle_of_the_published_package_finds_boxes(folder, run, tmp_path):
    code, (line,), _ = run(raw_bundle(images.bright_detector(), tmp_path), "boxes.png")
    assert code == 0
    assert [box["label"] for box in line["boxes"]] == [box["label"] for box in expected_boxes(folder)]


@pytest.mark.parametrize("model", ["detector.json", "detector.smbundle", "detector.tflite", "detector.onnx"])
def test_fewer_boxes_have_a_higher_score_and_more_a_lower(folder, run, model):
    for threshold in (0.99, 0.001):
        line = run(model, "boxes.png", "--min-score", threshold)[1][0]
        assert line["boxes"] == expected_boxes(folder, bounding_box_threshold=threshold)


@pytest.mark.parametrize("to_format", ["savedmodel", "frozen_graph"])
def test_files_that_keep_boxes_themselves_have_no_others(folder, run, to_format):
    code, lines, error = run(f"detector.{to_format}", "boxes.png", "--min-score", "0.2")
    assert (code, lines) == (1, [])
    assert "--min-score: this file gives the boxes above 0.5 only, got 0.2" in error
    assert run(f"detector.{to_format}", "boxes.png", "--min-score", "1")[1][0]["boxes"] == []


def test_a_label_map_gives_other_names(run, tmp_path):
    labels = tmp_path / "labels.pbtxt"
    labels.write_text("item { display_name: 'Rot' name: '/m/1' id: 1 } # red")
    for model in ("detector.json", "detector.tflite", "detector.savedmodel"):
        found = run(model, "boxes.png", "--labels", labels)[1][0]["boxes"]
        assert {box["label"] for box in found} == {"Rot", "green"}
    assert list(run("classifier.onnx", "boxes.png", "--labels", labels)[1][0]["probabilities"]) == [
        "Rot",
        "dog",
    ]
    labels.write_text("item { id: 1 name: 'Hund' } item { id: 2 name: '/m/2' display_name: 'Hund' }")
    assert 'two classes are called "Hund"' in run("classifier.json", "boxes.png", "--labels", labels)[2]
    labels.write_text("dog")
    code, _, error = run("classifier.json", "boxes.png", "--labels", labels)
    assert code == 1
    assert "labels.pbtxt: expected a label map" in error


DATA_SET = """
item { id: 1 name: '/m/1' display_name: 'blue' }
item { id: 2 name: '/m/2' display_name: 'green' }
item { id: 3 name: 'red' display_name: 'Rot' }
"""


@pytest.mark.parametrize("model", ["detector.json", "detector.tflite", "detector.frozen_graph"])
def test_the_numbers_of_a_data_set_are_not_taken_for_those_of_a_model(run, tmp_path, model):
    labels = tmp_path / "label_map.pbtxt"
    labels.write_text(DATA_SET)
    own, (code, (line,), error) = run(model, "boxes.png")[1][0], run(model, "boxes.png", "--labels", labels)
    assert code == 0
    assert [box["label"] for box in line["boxes"]] == [
        {"red": "Rot", "green": "green"}[box["label"]] for box in own["boxes"]
    ]
    assert "warning" not in error


def test_a_label_map_that_knows_no_class_of_the_model_names_them_by_number_and_never_silently(run, tmp_path):
    labels = tmp_path / "labels.pbtxt"
    labels.write_text("item { id: 1 name: 'cat' } item { id: 2 name: 'dog' }")
    code, (line,), error = run("detector.json", "boxes.png", "--labels", labels)
    assert (code, {box["label"] for box in line["boxes"]}) == (0, {"cat", "dog"})
    assert (
        'warning: --labels: the classes of the model are "red", "green", and none of them is in it' in error
    )
    labels.write_text(labels.read_text() + "item { id: 3 name: 'eel' }")
    code, lines, error = run("detector.json", "boxes.png", "--labels", labels)
    assert (code, lines) == (1, [])
    assert error.rstrip().endswith("by number it would name them, but it has a class 3")


def test_a_label_map_beside_a_graph_of_ours_may_be_that_of_the_data_set(run, folder, tmp_path):
    graph = shutil.copytree(folder / "detector.frozen_graph", tmp_path / "graph")
    (graph / "label_map.pbtxt").write_text(DATA_SET)
    assert {box["label"] for box in run(graph, "boxes.png")[1][0]["boxes"]} == {"Rot", "green"}
    (graph / "label_map.pbtxt").unlink()
    assert {box["label"] for box in run(graph, "boxes.png")[1][0]["boxes"]} == {"red", "green"}


def stranger(path):
    """A frozen graph as the models repository exports them: it sees boxes everywhere, the best second."""
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.uint8, (None, None, None, 3), name="image_tensor")
        n = tf.shape(image)[0]
        boxes = [[0.25, 0.5, 0.5, 1.0], [0.0, 0.0, 1.0, 0.25], [0.0, 0.0, 0.0, 0.0]]
        mean = tf.reduce_mean(tf.cast(image, tf.float32)) / 255
        outputs = {
            "detection_boxes": tf.constant([boxes]),
            "detection_scores": tf.stack([0.6, 0.9 + 0 * mean, 0.7])[None],
            "detection_classes": tf.constant([[3.0, 17.0, 3.0]]),
            "num_detections": tf.fill([n], 2.0),
        }
        for name, tensor in outputs.items():
            tf.identity(tensor, name=name)
        path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def test_any_detector_of_the_models_repository_finds_boxes(run, tmp_path):
    graph = stranger(tmp_path / "graph.pb")
    code, (line,), _ = run(graph, "boxes.png")
    assert code == 0
    assert line["boxes"] == [
        {
            "coordinates": {"x0": 0, "y0": 0, "x1": 12, "y1": 64},
            "label": "17",
            "confidence": pytest.approx(0.9),
        },
        {
            "coordinates": {"x0": 24, "y0": 16, "x1": 48, "y1": 32},
            "label": "3",
            "confidence": pytest.approx(0.6),
        },
    ]
    (tmp_path / "label_map.pbtxt").write_text('item { id: 3 name: "truck" }')
    found = run(graph, "boxes.png", "--draw", tmp_path / "drawn", "--min-score", "0.55")[1][0]
    assert [box["label"] for box in found["boxes"]] == ["17", "truck"]
    assert Image.open(found["image"]).size == (48, 64)
    (tmp_path / "other.pbtxt").write_text("item { id: 5 name: 'truck' display_name: 'Lastwagen' }")
    found = run(graph, "boxes.png", "--labels", tmp_path / "other.pbtxt")[1][0]
    assert [box["label"] for box in found["boxes"]] == ["17", "Lastwagen"]


def test_boxes_of_strangers_that_are_none_are_left_out_and_others_end_at_the_border(run, tmp_path):
    inf, nan = float("inf"), float("nan")
    corners = {
        "beyond": [-0.5, -9e9, 1.5, 0.25],
        "outside": [1.5, 0.0, 2.0, 1.0],
        "inverted": [0.5, 0.5, 0.25, 1.0],
        "empty": [0.5, 0.5, 0.5, 1.0],
        "nan": [nan, 0.0, 1.0, 1.0],
        "infinite": [0.0, 0.0, inf, 1.0],
        "no score": [0.0, 0.0, 1.0, 1.0],
        "no class": [0.0, 0.0, 1.0, 1.0],
    }
    with tf.Graph().as_default() as graph:
        tf.compat.v1.placeholder(tf.uint8, (None, None, None, 3), name="image_tensor")
        tf.constant([[*corners.values()]], tf.float32, name="detection_boxes")
        tf.constant([[0.9] * 6 + [nan, 0.9]], tf.float32, name="detection_scores")
        tf.constant([[1.0] * 7 + [nan]], tf.float32, name="detection_classes")
        tf.constant([inf], tf.float32, name="num_detections")
        (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    code, (line,), _ = run(tmp_path / "graph.pb", "boxes.png", "--draw", tmp_path)
    assert code == 0
    assert [box["coordinates"] for box in line["boxes"]] == [{"x0": 0, "y0": 0, "x1": 12, "y1": 64}]


@pytest.fixture
def loops_of_tensorflow_1():
    """What the body makes has loops and branches of the kind that the models repository's graphs have."""
    tf.compat.v1.disable_control_flow_v2()
    yield
    tf.compat.v1.enable_control_flow_v2()


def test_a_graph_with_the_loops_of_tensorflow_1_finds_boxes(run, tmp_path, loops_of_tensorflow_1):
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.uint8, (None, None, None, 3), name="image_tensor")
        floats = tf.map_fn(lambda one: tf.cast(one, tf.float32) / 255, image, fn_output_signature=tf.float32)
        mean = tf.reduce_mean(floats)
        score = tf.cond(mean > 2, lambda: mean, lambda: 0.75 + 0 * mean)
        tf.identity([[[0.25, 0.5, 0.5, 1.0]]], name="detection_boxes")
        tf.identity([[score]], name="detection_scores")
        tf.identity([[2.0]], name="detection_classes")
        tf.identity([1.0], name="num_detections")
        definition = graph.as_graph_def()
    assert {"Enter", "Switch"} <= {node.op for node in definition.node}
    (tmp_path / "graph.pb").write_bytes(definition.SerializeToString())
    code, (line,), _ = run(tmp_path / "graph.pb", "boxes.png")
    assert code == 0
    (box,) = line["boxes"]
    assert (box["label"], box["confidence"]) == ("2", 0.75)
    assert box["coordinates"] == {"x0": 24, "y0": 16, "x1": 48, "y1": 32}


@pytest.mark.parametrize("size", [ord("{"), ord("[")])
def test_a_graph_is_none_the_less_where_it_begins_as_json_might(run, tmp_path, size):
    graph = tf.compat.v1.GraphDef.FromString(stranger(tmp_path / "graph.pb").read_bytes())
    first = tf.compat.v1.NodeDef(name="padding", op="NoOp")
    first.name += "_" * (size - first.ByteSize())
    graph.node.insert(0, first)
    (tmp_path / "graph.pb").write_bytes(graph.SerializeToString())
    assert (tmp_path / "graph.pb").read_bytes()[:2] == bytes([ord("\n"), size])
    assert len(run(tmp_path / "graph.pb", "boxes.png")[1][0]["boxes"]) == 2


def test_graphs_and_savedmodels_that_predict_no_images_are_refused(run, tmp_path):
    with tf.Graph().as_default() as graph:
        tf.identity(tf.compat.v1.placeholder(tf.float32, (None, 2), name="columns"), name="output")
        (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    module = tf.Module()
    signature = tf.function(lambda columns: {"sums": columns}, input_signature=[tf.TensorSpec((None, 2))])
    tf.saved_model.save(module, tmp_path / "saved", signatures=signature.get_concrete_function())
    for name, message in (("graph.pb", "expected a graph with image_tensor"), ("saved", "was exported here")):
        code, _, error = run(tmp_path / name, "boxes.png")
        assert code == 1
        assert message in error


def test_images_that_are_none_are_named_and_others_predicted(run):
    code, lines, error = run("detector.json", "none.png", "boxes.png", "missing.png", "empty.png")
    assert code == 1
    assert [line["file"] for line in lines] == ["boxes.png"]
    assert "warning: none.png: expected an image in one of" in error
    assert "warning: missing.png: No such file or directory" in error
    assert "warning: empty.png: expected an image" in error
    assert "error: 3 images of 4 could not be read" in error


def test_lines_go_to_a_file(run, folder, tmp_path):
    code, lines, _ = run("detector.json", "boxes.png", "boxes.jpg", "--output", tmp_path / "found.jsonl")
    assert (code, lines) == (0, [])
    found = (tmp_path / "found.jsonl").read_text().splitlines()
    assert [json.loads(line)["file"] for line in found] == ["boxes.png", "boxes.jpg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table.json", "boxes.png"], "it takes more than one image"),
        (["table.tflite", "boxes.png"], "it takes more than one image"),
        (["classifier.json", "boxes.png", "--draw", "drawn"], "finds no boxes"),
        (["detector.json", "boxes.png", "--draw", "."], "holds images that are drawn on"),
        (["detector.json", "boxes.png", "--probabilities"], "--probabilities: it is for tables"),
        (
            ["detector.tflite", "boxes.png", "--min-score", "nan"],
            "--min-score: expected a number from 0 to 1, got nan",
        ),
        (["table.json", "detector.json", "--min-score", "0.5"], "--min-score: it is for images"),
        (["detector.json", "detector.json"], "expected an image, for detector.json finds boxes"),
        (["detector.tflite", "detector.json"], "is a TFLite file; tables need a document"),
        ([".", "boxes.png"], "a folder with saved_model.pb or frozen_inference_graph.pb"),
        (["boxes.png", "boxes.png"], "boxes.png: "),
        (["missing.json", "boxes.png"], "missing.json: No such file"),
        (["detector.json", "missing.csv"], "missing.csv: No such file"),
    ],
)
def test_what_does_not_fit_is_one_error(run, arguments, message):
    code, lines, error = run(*arguments)
    assert (code, lines) == (1, [])
    assert message in error
    assert "unexpected" not in error


@pytest.mark.parametrize(
    "to_format", ["tflite", "onnx", "savedmodel/saved_model.pb", "frozen_graph/frozen_inference_graph.pb"]
)
def test_damaged_files_are_one_error(folder, run, tmp_path, to_format):
    content = (folder / f"detector.{to_format}").read_bytes()
    damaged = tmp_path / to_format.rpartition("/")[2]
    damaged.write_bytes(content[: len(content) // 2])
    code, _, error = run(damaged, "boxes.png")
    assert code == 1
    assert error.count("\n") == 1
    assert "unexpected" not in error


MOVED = {"file": "file:///etc/passwd", "loop": "/moved/loop", "half": "http://[::1/"}


class Site(BaseHTTPRequestHandler):
    """Paths that go wrong in the ways of real sites."""

    def do_GET(self):
        kind, _, rest = self.path[1:].partition("?")[0].partition("/")
        if kind == "moved":
            self.send_response(302)
            self.send_header("Location", MOVED.get(rest, "/image"))
            self.end_headers()
        elif kind == "image":
            self.answer(self.server.image)
        elif kind == "gzip":
            self.answer(b"\x1f\x8b", Content_Encoding="gzip")
        elif kind == "text":
            self.answer(b"hello")
        elif kind == "slow":
            self.send_response(200)
            self.end_headers()
            while not self.server.ended.wait(0.1):
                self.wfile.write(b"\xff")
        else:
            self.send_error(404)

    def answer(self, content, **headers):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    """The address of a local site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        server.handle_error = lambda *_: None
        server.daemon_threads, server.ended = True, threading.Event()
        file = io.BytesIO()
        Image.fromarray(PICTURE).save(file, "PNG")
        server.image = file.getvalue()
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.ended.set()
        server.shutdown()


def test_images_come_from_addresses(folder, run, site, tmp_path):
    address, moved = f"{site}/image/dog.png?size=1", f"{site}/moved/here"
    code, lines, _ = run("detector.json", address, moved, "--draw", tmp_path / "drawn")
    assert code == 0
    assert [line["file"] for line in lines] == [address, moved]
    assert [line["boxes"] for line in lines] == [expected_boxes(folder)] * 2
    assert lines[0]["image"] == str(tmp_path / "drawn" / "0_dog.png")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/moved/file", "leads to something else than http and https"),
        ("/moved/loop", "is redirected more than 5 times"),
        ("/moved/half", "leads to something else than http and https"),
        ("/gone", "HTTP 404"),
        ("/gzip", "expected bytes as they are, got the encoding gzip"),
        ("/text", "expected an image in one of"),
    ],
)
def test_addresses_without_an_image_are_told(run, site, path, message):
    code, lines, error = run("detector.json", site + path)
    assert (code, lines) == (1, [])
    assert f"warning: {site}{path}" in error
    assert message in error


@pytest.mark.parametrize(
    ("path", "policy", "message"),
    [
        ("/image", FetchPolicy(max_bytes=100), "expected at most 100 bytes"),
        ("/slow", FetchPolicy(max_seconds=0.5), "has not ended within 0.5 s"),
    ],
)
def test_what_an_address_costs_is_bounded(site, path, policy, message):
    start = time.monotonic()
    with pytest.raises(InputError, match=message):
        fetch_image(site + path, policy)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/a.png", "http://[/", "https://nowhere.invalid/a.png"]
)
def test_addresses_that_lead_nowhere_are_one_line(address):
    with pytest.raises(InputError, match=r"cannot be had|leads to") as caught:
        fetch_image(address)
    assert "\n" not in str(caught.value)


def test_certificates_are_verified(site, tmp_path):
    with pytest.raises(InputError, match=r"cannot be had: .*(SSL|ssl)"):
        fetch_image(site.replace("http:", "https:") + "/image")
