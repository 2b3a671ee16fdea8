"""Programs that run exported files without us: how each is called."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from sensenet.errors import WeightsError
from sensenet.formats.base import MAX_SECONDS, Arrays, Consumer
from sensenet.formats.plain_tensorflow import run

PLAIN_TENSORFLOW = Path(__file__).with_name("plain_tensorflow.py")


def is_importable(module: str) -> bool:
    """Whether a module is installed; it is not imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it is in
        return False


def run_plain_tensorflow(
    kind: str, path: str, calls: Sequence[Arrays], outputs: Sequence[str] = ()
) -> list[dict[str, np.ndarray]]:
    """What TensorFlow says in a process of its own that cannot import our packages.

    Args:
        kind: savedmodel or frozen_graph.
        path: of the directory, or of the graph's file.
        calls: the inputs of each call by name.
        outputs: the names of the outputs of a graph; a SavedModel tells them.

    Raises:
        WeightsError: it fails, or takes more than ten minutes; says why.
    """
    with tempfile.TemporaryDirectory(prefix="sensenet.") as folder:
        given, answered = Path(folder) / "inputs.npz", Path(folder) / "outputs.npz"
        named = {f"{i}/{name}": array for i, call in enumerate(calls) for name, array in call.items()}
        np.savez(given, **named)  # type: ignore[arg-type]
        command = [sys.executable, "-P", str(PLAIN_TENSORFLOW), kind, path, str(given), str(answered)]
        try:
            done = subprocess.run(
                [*command, *outputs], capture_output=True, text=True, check=False, timeout=MAX_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise WeightsError(f"{path}: TensorFlow has not ended within {MAX_SECONDS:g} s") from error
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise WeightsError(f"{path}: TensorFlow cannot run it: {said[-1]:.500}")
        answers: list[dict[str, np.ndarray]] = [{} for _ in calls]
        with np.load(answered) as arrays:
            for key in arrays:
                number, name = key.split("/", 1)
                answers[int(number)][name] = arrays[key]
        return answers


def run_tensorflow_here(
    kind: str, path: str, calls: Sequence[Arrays], outputs: Sequence[str] = ()
) -> list[dict[str, np.ndarray]]:
    """What TensorFlow's own loader says in this process, which is there at once: see `run_plain_tensorflow`."""
    return [dict(answer) for answer in run(kind, path, calls, outputs)]


def tensorflow_consumers(
    run_with: Callable[[Callable[..., Any], str, Sequence[Arrays]], list[dict[str, np.ndarray]]],
) -> tuple[Consumer, ...]:
    """TensorFlow as a consumer, in a process of its own, and where time is short in this one.

    Args:
        run_with: `Consumer.run` with one of the two functions above before its arguments.
    """
    return (
        Consumer("tensorflow", 15.0, lambda: True, partial(run_with, run_plain_tensorflow)),
        Consumer("tensorflow in this process", 0.0, lambda: True, partial(run_with, run_tensorflow_here)),
    )


def run_litert(path: str, calls: Sequence[Arrays]) -> list[dict[str, np.ndarray]]:
    """What `ai-edge-litert` says of a TFLite file."""
    return run_interpreter(import_module("ai_edge_litert.interpreter").Interpreter, path, calls)


def run_tensorflow_lite(path: str, calls: Sequence[Arrays]) -> list[dict[str, np.ndarray]]:
    """What TensorFlow's own interpreter says of a TFLite file."""
    return run_interpreter(import_module("tensorflow").lite.Interpreter, path, calls)


def run_interpreter(
    interpreter: Callable[..., Any], path: str, calls: Sequence[Arrays]
) -> list[dict[str, np.ndarray]]:
    """What a TFLite interpreter says: `interpreter` is its class."""
    predict = interpreter(model_path=path).get_signature_runner()
    # what a call gives stands in memory of the interpreter, which the next call overwrites
    return [{name: np.array(array) for name, array in predict(**call).items()} for call in calls]


def run_onnxruntime(path: str, calls: Sequence[Arrays]) -> list[dict[str, np.ndarray]]:
    """What `onnxruntime` says of an ONNX file, on the processor."""
    session = import_module("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return [dict(zip(names, session.run(names, dict(call)), strict=True)) for call in calls]
