"""TensorFlow.js in Node, as a reader of our models that has nothing of ours: what confirms them."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from sensenet.errors import SettingsError, WeightsError
from sensenet.formats.base import MAX_SECONDS, Arrays, PathLike
from sensenet.formats.tfjs.files import MODEL_FILE
from sensenet.formats.tfjs.runtime import find_runtime


def has_node() -> bool:
    """Whether Node and TensorFlow.js are here."""
    try:
        find_runtime()
    except SettingsError:
        return False
    return shutil.which("node") is not None


def run_node(
    path: str, calls: Sequence[Arrays], max_seconds: float = MAX_SECONDS
) -> list[dict[str, np.ndarray]]:
    """What a model says in Node, on the processor.

    Args:
        path: its directory.
        calls: the inputs of each call by name.
        max_seconds: after which it is ended.

    Returns:
        Of each call the outputs by name.

    Raises:
        SettingsError: there is no Node, or no TensorFlow.js: says how to get it.
        WeightsError: the model cannot be loaded, fails or takes longer; says why.
    """
    return node_predictions([(path, call) for call in calls], max_seconds)


def node_predictions(
    requests: Iterable[tuple[PathLike, Arrays]], max_seconds: float = MAX_SECONDS
) -> list[dict[str, np.ndarray]]:
    """`run_node` of calls of several models, in one process.

    Args:
        requests: a model's directory and its inputs by name.
        max_seconds: after which it is ended.
    """
    node, runtime = shutil.which("node"), find_runtime()
    if node is None:
        raise SettingsError("there is no command node: install Node.js 18 or newer")
    asked = "".join(f"{json.dumps(_request(path, inputs))}\n" for path, inputs in requests)
    script = resources.files("sensenet.formats.tfjs").joinpath("predict.js")
    with resources.as_file(script) as file:
        command = [node, str(file), str(runtime)]
        try:
            done = subprocess.run(
                command, input=asked, capture_output=True, text=True, check=False, timeout=max_seconds
            )
        except subprocess.TimeoutExpired as error:
            raise WeightsError(f"TensorFlow.js in Node has not ended within {max_seconds:.3g} s") from error
    if done.returncode != 0:
        raise WeightsError(f"TensorFlow.js in Node fails: {done.stderr.strip()[-500:]}")
    return [_answer(json.loads(line)) for line in done.stdout.splitlines()]


def _request(path: PathLike, inputs: Arrays) -> dict[str, Any]:
    tensors = {
        name: {"shape": array.shape, "data": base64.b64encode(array.astype(np.float32).tobytes()).decode()}
        for name, array in inputs.items()
    }
    return {"model": str(Path(path).absolute() / MODEL_FILE), "inputs": tensors}


def _answer(answer: dict[str, Any]) -> dict[str, np.ndarray]:
    if "error" in answer:
        raise WeightsError(f"TensorFlow.js in Node fails: {answer['error']}")
    return {
        name: np.frombuffer(base64.b64decode(given["data"]), given["dtype"]).reshape(given["shape"])
        for name, given in answer["outputs"].items()
    }
