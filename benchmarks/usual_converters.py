"""The usual ways from a Keras model to other formats: what people call where there is no `sensenet_convert`.

The commands take a SavedModel that `keras_model.export` has written; what that took is not in their seconds, what
starting them takes is.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

SECONDS = 150


class Converted(NamedTuple):
    """What a converter wrote, where, and how long it took."""

    path: Path
    seconds: float


def from_keras_model(keras_model: Any, folder: Path) -> Converted:
    import tensorflow as tf

    path = folder / "usual.tflite"
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):  # Keras tells at length where its own export is
        path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(keras_model).convert())
    return Converted(path, time.perf_counter() - start)


def tf2onnx_from_keras(keras_model: Any, folder: Path) -> Converted:
    import tf2onnx

    path = folder / "usual.onnx"
    start = time.perf_counter()
    model, _ = tf2onnx.convert.from_keras(keras_model, opset=18)
    path.write_bytes(model.SerializeToString())
    return Converted(path, time.perf_counter() - start)


def tf2onnx_command(keras_model: Any, folder: Path) -> Converted:
    path = folder / "command.onnx"
    command = [sys.executable, "-m", "tf2onnx.convert", "--opset", "18", "--output", str(path)]
    return _run([*command, "--saved-model", _saved(keras_model, folder)], path)


def tensorflowjs_command(python: str, keras_model: Any, folder: Path) -> Converted:
    """`python` is that of a virtual environment which has `tensorflowjs`, as it cannot be installed beside ours."""
    path = folder / "usual_tfjs"
    command = [python, "-m", "tensorflowjs.converters.converter", "--input_format=tf_saved_model"]
    return _run([*command, "--output_format=tfjs_graph_model", _saved(keras_model, folder), str(path)], path)


def why(convert: Callable[[], Converted]) -> Converted | str:
    """What it has converted, or why it could not."""
    try:
        return convert()
    except Exception as error:  # converters raise errors of any type
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return f"{type(error).__name__}: {lines[-1]:.80}"


def _saved(keras_model: Any, folder: Path) -> str:
    path = folder / "usual_saved_model"
    if not path.exists():
        keras_model.export(path, verbose=False)
    return str(path)


def _run(command: list[str], path: Path) -> Converted:
    start = time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SECONDS, env=environment
    )
    if done.returncode or not path.exists():
        raise RuntimeError(done.stderr.strip()[-2000:])
    return Converted(path, time.perf_counter() - start)
