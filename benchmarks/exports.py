"""What exports cost and how fast they are: `python benchmarks/exports.py [NETWORK...]` (default: mobilenetv2).

Of each format: size, seconds to convert, and the latency of one image of 700 x 500 pixels that is in memory, in the
runtime that reads the format, beside `create_model` and the bare network (compiled, on pixels of its size). `h5` and
`czmodel` have no runtime of their own here. Beside them the usual ways on the bare Keras model (`usual_converters`),
which takes pixels of its size and leaves reading, rescaling, boxes and classes to its user. LiteRT has a thread for
each processor, as the others have by themselves; WebAssembly has one.

Node and Chromium run where they and TensorFlow.js are found (docs/tensorflow-js.md), by WebAssembly where the npm
package `@tensorflow/tfjs-backend-wasm` stands beside it, else in JavaScript. `--tfjs-python`, or the environment
variable TFJS_PYTHON, names the Python of a virtual environment with the package `tensorflowjs`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from javascript_runtimes import javascript_runtimes
from timing import interleaved, median_seconds, print_table
from usual_converters import (
    Converted,
    from_keras_model,
    tensorflowjs_command,
    tf2onnx_command,
    tf2onnx_from_keras,
    why,
)

REPEATS = 9
JAVASCRIPT_SECONDS = 8
HEIGHT, WIDTH = 500, 700
# of a network that was never published
SIDE, CLASSES = 128, 10
THREADS = os.cpu_count() or 1
INPUT = "image_pixel_inputs"

Call = Callable[[], Any]


def litert(path: str, pixels: np.ndarray) -> Call:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=THREADS)
    taken = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(taken, pixels.shape)
    interpreter.allocate_tensors()
    given = [output["index"] for output in interpreter.get_output_details()]

    def call() -> Any:
        interpreter.set_tensor(taken, pixels)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in given]

    return call


def onnxruntime(path: str, pixels: np.ndarray) -> Call:
    import onnxruntime as runtime

    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: pixels})


def savedmodel(path: str, pixels: np.ndarray) -> Call:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    function = loaded.signatures["serving_default"]
    tensor = tf.constant(pixels)
    return lambda: (loaded, [given.numpy() for given in function(**{INPUT: tensor}).values()])


def smbundle(path: str, pixels: np.ndarray) -> Call:
    import sensenet

    model = sensenet.create_model(path)
    return lambda: model([pixels[0]])


def frozen_graph(path: str, pixels: np.ndarray) -> Call:
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString((Path(path) / "frozen_inference_graph.pb").read_bytes())
    with tf.Graph().as_default() as graph:
        tf.compat.v1.import_graph_def(definition, name="")
    session = tf.compat.v1.Session(graph=graph)
    placeholder = next(node for node in definition.node if node.op == "Placeholder")
    is_detector = placeholder.name == "image_tensor"
    outputs = ["detection_boxes:0"] if is_detector else ["output:0"]
    given = pixels.astype(np.uint8 if is_detector else np.float32)
    return lambda: session.run(outputs, {f"{placeholder.name}:0": given})


EXPORTS: Mapping[str, tuple[str, dict[str, Any], Callable[[str, np.ndarray], Call] | None]] = {
    "tflite": ("tflite", {}, litert),
    "tflite float16": ("tflite", {"quantize": "float16"}, litert),
    "tflite int8": ("tflite", {"quantize": "int8"}, litert),
    "onnx": ("onnx", {}, onnxruntime),
    "savedmodel": ("savedmodel", {}, savedmodel),
    "frozen_graph": ("frozen_graph", {}, frozen_graph),
    "smbundle": ("smbundle", {}, smbundle),
    "h5": ("h5", {}, None),
    "czmodel": ("czmodel", {}, None),
    "tfjs": ("tfjs", {}, None),
}


def size_bytes(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def document(name: str) -> dict[str, Any]:
    from sensenet.pretrained import NETWORKS, image_network, network_document

    if NETWORKS[name].version is not None:
        return network_document(name)
    readout = {"type": "dense", "number_of_nodes": CLASSES, "weights": "glorot_uniform", "offset": "zeros"}
    return {
        "preprocess": [{"type": "image", "index": 0}],
        "output_exposition": {"type": "categorical", "values": [str(i) for i in range(CLASSES)]},
        "layers": [{**readout, "activation_function": "softmax"}],
        "trees": None,
        "image_network": image_network(name, SIDE, SIDE),
    }


def converted(model: Any, folder: Path) -> dict[str, Converted | str]:
    import sensenet

    def convert(title: str) -> Converted:
        to_format, options, _ = EXPORTS[title]
        start = time.perf_counter()
        path = sensenet.convert(model, None, folder / f"{title}.{to_format}", to_format, **options)
        return Converted(Path(path), time.perf_counter() - start)

    return {title: why(partial(convert, title)) for title in EXPORTS}


def usually_converted(keras_model: Any, folder: Path, tfjs_python: str | None) -> dict[str, Converted | str]:
    usual = {
        "from_keras_model": from_keras_model,
        "tf2onnx.from_keras": tf2onnx_from_keras,
        "python -m tf2onnx.convert": tf2onnx_command,
    }
    found = {title: why(partial(convert, keras_model, folder)) for title, convert in usual.items()}
    command = partial(tensorflowjs_command, tfjs_python, keras_model, folder) if tfjs_python else None
    found["tensorflowjs_converter"] = "not tried: see --tfjs-python" if command is None else why(command)
    return found


def javascript_milliseconds(
    made: Mapping[str, Converted | str], inputs: Mapping[str, np.ndarray], folder: Path
) -> dict[str, dict[str, float | str]]:
    """Of each runtime the milliseconds of each model in `inputs`, on these pixels, or why there are none."""
    requests = []
    for title, pixels in inputs.items():
        file = folder / f"{title}.pixels"
        file.write_bytes(pixels.astype(np.uint8).tobytes())
        request = {"model": str(made[title].path), "pixels": str(file), "shape": pixels.shape}
        requests.append({**request, "repeats": REPEATS, "seconds": JAVASCRIPT_SECONDS})
    found: dict[str, dict[str, float | str]] = {}
    for name, run in javascript_runtimes().items():
        try:
            found[name] = dict(zip(inputs, run(requests), strict=True))
        except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
            found[name] = dict.fromkeys(inputs, str(error))
    return found or {"in Node, in Chromium": {"tfjs": "not tried: there is no TensorFlow.js here"}}


def measure(name: str, folder: Path, tfjs_python: str | None) -> None:
    from image_prediction import _bare, _ready

    import sensenet

    model = sensenet.create_model(document(name))
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    pixels = picture[None].astype(np.float32)
    ready, bare = _ready(model, [picture]), _bare(model)
    contestants: dict[str, Call] = {
        "create_model": lambda: model([picture]),
        "bare network": lambda: bare(ready),
    }
    ours = converted(model, folder)
    usual = usually_converted(model.keras_model(), folder, tfjs_python)
    runtimes = {title: (runtime, pixels) for title, (_, _, runtime) in EXPORTS.items()}
    runtimes |= {
        "from_keras_model": (litert, ready.numpy()),
        "tf2onnx.from_keras": (onnxruntime, ready.numpy()),
    }
    for title, found in {**ours, **usual}.items():
        runtime, taken = runtimes.get(title, (None, pixels))
        if isinstance(found, Converted) and runtime is not None:
            contestants[title] = runtime(str(found.path), taken)
    for call in contestants.values():
        call()
    seconds = interleaved(
        {title: partial(median_seconds, call, REPEATS) for title, call in contestants.items()}
    )
    models = {"tfjs": pixels, "tensorflowjs_converter": ready.numpy()}
    inputs = {
        title: each for title, each in models.items() if isinstance({**ours, **usual}[title], Converted)
    }
    print(name)
    print_table(
        ["", "size", "to convert", "one image"],
        rows({**ours, **usual}, seconds, javascript_milliseconds({**ours, **usual}, inputs, folder)),
    )


def rows(
    made: Mapping[str, Converted | str],
    seconds: Mapping[str, float],
    javascript: Mapping[str, Mapping[str, float | str]],
) -> list[list[str]]:
    milliseconds = {title: f"{1000 * value:.1f} ms" for title, value in seconds.items()}
    table = [[title, "", "", milliseconds[title]] for title in seconds if title not in made]
    for title, found in made.items():
        if isinstance(found, str):
            table.append([title, "", "", found])
            continue
        size = f"{size_bytes(found.path) / 1e6:.2f} MB"
        table.append([title, size, f"{found.seconds:.1f} s", milliseconds.get(title, "")])
        for runtime, answers in javascript.items():
            if title in answers:
                answer = answers[title]
                told = f"{answer:.60}" if isinstance(answer, str) else f"{answer:.1f} ms"
                table.append([f"  {runtime}", "", "", told])
    return table


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(description="What exports cost and how fast they are.")
    parser.add_argument("networks", nargs="*", default=["mobilenetv2"])
    parser.add_argument("--tfjs-python", default=os.environ.get("TFJS_PYTHON"))
    parsed = parser.parse_args()
    for network in parsed.networks:
        with tempfile.TemporaryDirectory() as made:
            measure(network, Path(made), parsed.tfjs_python)
