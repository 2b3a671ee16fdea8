"""TensorFlow.js in Node, as a reader of our models that has nothing of ours: what confirms them."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from sensenet.errors import SettingsError, WeightsError
from sensenet.formats.tfjs.files import MODEL_FILE
from sensenet.formats.tfjs.runtime import find_runtime

SECONDS = 600


def node_predictions(
    requests: Iterable[tuple[str | os.PathLike[str], Mapping[str, np.ndarray]]],
) -> list[dict[str, np.ndarray]]:
    """What models say in Node, on the processor.

    Args:
        requests: a model's directory and its inputs by name, float32.

    Returns:
        Of each request the outputs by name.

    Raises:
        SettingsError: there is no Node, or no TensorFlow.js: says how to get it.
        WeightsError: a model cannot be loaded, or fails; says why.
    """
    node, runtime = shutil.which("node"), find_runtime()
    if node is None:
        raise SettingsError("there is no command node: install Node.js 18 or newer")
    asked = "".join(f"{json.dumps(_request(path, inputs))}\n" for path, inputs in requests)
    script = resources.files("sensenet.formats.tfjs").joinpath("predict.js")
    with resources.as_file(script) as file:
        done = subprocess.run(
            [node, str(file), str(runtime)], input=asked, capture_output=True, text=True, timeout=SECONDS
        )
    if done.returncode != 0:
        raise WeightsError(f"TensorFlow.js in Node failed: {done.stderr.strip()[-2000:]}")
    return [_answer(json.loads(line)) for line in done.stdout.splitlines()]


def _request(path: str | os.PathLike[str], inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    tensors = {
        name: {"shape": array.shape, "data": base64.b64encode(array.astype(np.float32).tobytes()).decode()}
        for name, array in inputs.items()
    }
    return {"model": str(Path(path).absolute() / MODEL_FILE), "inputs": tensors}


def _answer(answer: dict[str, Any]) -> dict[str, np.ndarray]:
    if "error" in answer:
        raise WeightsError(f"TensorFlow.js in Node failed: {answer['error']}")
    return {
        name: np.frombuffer(base64.b64decode(given["data"]), given["dtype"]).reshape(given["shape"])
        for name, given in answer["outputs"].items()
    }
