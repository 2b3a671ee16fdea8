"""What exports cost and how fast they are: `python benchmarks/exports.py [NETWORK...]` (default: mobilenetv2).

Of each format: size, seconds to convert, and the latency of one image of 700 x 500 pixels that is in memory, in the
runtime that reads the format, beside `create_model` and the bare network (compiled, on pixels of its size). Beside them
the usual ways on the bare Keras model, which takes pixels of its size and leaves reading, rescaling and classes to its
user: `TFLiteConverter.from_keras_model`, and `tf2onnx.convert.from_keras`. LiteRT has a thread for each processor, as
the others have by themselves.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from timing import interleaved, median_seconds, print_table

REPEATS = 9
HEIGHT, WIDTH = 500, 700
THREADS = os.cpu_count() or 1
INPUT = "image_pixel_inputs"


def litert(content: bytes, **inputs: np.ndarray) -> Callable[[], Any]:
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_content=content, num_threads=THREADS).get_signature_runner()
    return lambda: run(**inputs)


def onnxruntime(content: bytes, **inputs: np.ndarray) -> Callable[[], Any]:
    import onnxruntime as runtime

    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, inputs)


def savedmodel(path: str, **inputs: np.ndarray) -> Callable[[], Any]:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    function = loaded.signatures["serving_default"]
    tensors = {name: tf.constant(array) for name, array in inputs.items()}
    return lambda: (loaded, {name: tensor.numpy() for name, tensor in function(**tensors).items()})


def frozen_graph(path: str, **inputs: np.ndarray) -> Callable[[], Any]:
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString((Path(path) / "frozen_inference_graph.pb").read_bytes())
    with tf.Graph().as_default() as graph:
        tf.compat.v1.import_graph_def(definition, name="")
    session = tf.compat.v1.Session(graph=graph)
    placeholder = next(node for node in definition.node if node.op == "Placeholder")
    is_detector = placeholder.name == "image_tensor"
    outputs = ["detection_boxes:0"] if is_detector else ["output:0"]
    pixels = inputs[INPUT].astype(np.uint8 if is_detector else np.float32)
    return lambda: session.run(outputs, {f"{placeholder.name}:0": pixels})


EXPORTS: dict[str, tuple[str, dict[str, Any], Callable[..., Callable[[], Any]]]] = {
    "tflite": ("tflite", {}, lambda path, **inputs: litert(Path(path).read_bytes(), **inputs)),
    "tflite float16": (
        "tflite",
        {"quantize": "float16"},
        lambda path, **inputs: litert(Path(path).read_bytes(), **inputs),
    ),
    "tflite int8": (
        "tflite",
        {"quantize": "int8"},
        lambda path, **inputs: litert(Path(path).read_bytes(), **inputs),
    ),
    "onnx": ("onnx", {}, lambda path, **inputs: onnxruntime(Path(path).read_bytes(), **inputs)),
    "savedmodel": ("savedmodel", {}, savedmodel),
    "frozen_graph": ("frozen_graph", {}, frozen_graph),
}


def usual_tflite(keras_model: Any, pixels: np.ndarray) -> tuple[int, Callable[[], Any]]:
    import tensorflow as tf

    content = tf.lite.TFLiteConverter.from_keras_model(keras_model).convert()
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=THREADS)
    taken = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(taken, pixels.shape)
    interpreter.allocate_tensors()
    given = interpreter.get_output_details()[0]["index"]

    def call() -> Any:
        interpreter.set_tensor(taken, pixels)
        interpreter.invoke()
        return interpreter.get_tensor(given)

    return len(content), call


def usual_onnx(keras_model: Any, pixels: np.ndarray) -> tuple[int, Callable[[], Any]]:
    import tf2onnx

    model, _ = tf2onnx.convert.from_keras(keras_model, opset=18)
    content = model.SerializeToString()
    return len(content), onnxruntime(content, **{model.graph.input[0].name: pixels})


USUAL = {"from_keras_model": usual_tflite, "tf2onnx.from_keras": usual_onnx}


def size_bytes(path: str) -> int:
    root = Path(path)
    return (
        root.stat().st_size
        if root.is_file()
        else sum(f.stat().st_size for f in root.rglob("*") if f.is_file())
    )


def measure(name: str, folder: Path) -> None:
    from image_prediction import _bare, _ready

    import sensenet
    from sensenet.pretrained import network_document

    model = sensenet.create_model(network_document(name))
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    inputs = {INPUT: picture[None].astype(np.float32)}
    ready, bare, keras_model = _ready(model, [picture]), _bare(model), model.keras_model()
    contestants = {"create_model": lambda: model([picture]), "bare network": lambda: bare(ready)}
    known: dict[str, tuple[str, str]] = {}
    for title, (to_format, options, runtime) in EXPORTS.items():
        start = time.perf_counter()
        path = sensenet.convert(model, None, folder / f"{name}.{title}", to_format, **options)
        seconds = time.perf_counter() - start
        known[title] = f"{size_bytes(path) / 1e6:.1f} MB", f"{seconds:.1f} s"
        contestants[title] = runtime(path, **inputs)
    for title, convert in USUAL.items():
        start = time.perf_counter()
        try:
            size, call = convert(keras_model, ready.numpy())
        except Exception as error:
            known[title] = "fails", f"{type(error).__name__}: {str(error).splitlines()[0]:.60}"
            continue
        known[title] = f"{size / 1e6:.1f} MB", f"{time.perf_counter() - start:.1f} s"
        contestants[title] = call
    for call in contestants.values():
        call()
    taken = interleaved(
        {title: lambda call=call: median_seconds(call, REPEATS) for title, call in contestants.items()}
    )
    print(name)
    print_table(
        ["", "size", "to convert", "one image"],
        [
            [title, *known.get(title, ("", "")), f"{1000 * taken[title]:.1f} ms" if title in taken else ""]
            for title in dict.fromkeys([*contestants, *known])
        ],
    )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as made:
        for network in sys.argv[1:] or ["mobilenetv2"]:
            measure(network, Path(made))
