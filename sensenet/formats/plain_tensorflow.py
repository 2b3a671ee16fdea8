"""TensorFlow alone: a program that runs a SavedModel or a frozen graph, and cannot import anything of ours.

It is started as `python -P plain_tensorflow.py KIND PATH INPUTS OUTPUTS NAME...`: KIND is `savedmodel` or
`frozen_graph`, INPUTS and OUTPUTS are `.npz` files whose arrays are called `CALL/TENSOR`, NAMEs are the outputs of a
graph.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Call = Mapping[str, Any]


def _run_savedmodel(path: str, calls: Iterable[Call], _: Sequence[str]) -> Iterator[Call]:
    import tensorflow as tf

    function = tf.saved_model.load(path).signatures["serving_default"]
    for call in calls:
        found = function(**{name: tf.constant(array) for name, array in call.items()})
        yield {name: tensor.numpy() for name, tensor in found.items()}


def _run_frozen_graph(path: str, calls: Iterable[Call], names: Sequence[str]) -> Iterator[Call]:
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString(Path(path).read_bytes())
    with tf.Graph().as_default() as graph:
        tf.compat.v1.import_graph_def(definition, name="")
    with tf.compat.v1.Session(graph=graph) as session:
        for call in calls:
            inputs = {f"{name}:0": array for name, array in call.items()}
            yield session.run({name: f"{name}:0" for name in names}, inputs)


def run(kind: str, path: str, calls: Iterable[Call], names: Sequence[str]) -> Iterator[Call]:
    """The outputs of each call by name.

    Args:
        kind: savedmodel or frozen_graph.
        path: of the directory, or of the graph's file.
        calls: inputs by name, NumPy arrays.
        names: of the outputs of a graph; a SavedModel tells its own.
    """
    return {"savedmodel": _run_savedmodel, "frozen_graph": _run_frozen_graph}[kind](path, calls, names)


def _main(kind: str, path: str, inputs: str, outputs: str, *names: str) -> None:
    import numpy as np

    calls: dict[int, dict[str, Any]] = defaultdict(dict)
    with np.load(inputs) as arrays:
        for key in arrays:
            number, name = key.split("/", 1)
            calls[int(number)][name] = arrays[key]
    answers = run(kind, path, [calls[number] for number in sorted(calls)], names)
    found = {
        f"{number}/{name}": array for number, given in enumerate(answers) for name, array in given.items()
    }
    np.savez(outputs, **found)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # whoever imports them gets an error, wherever they are installed
    sys.modules.update(dict.fromkeys(("pyramid", "sensenet")))  # type: ignore[arg-type]
    _main(*sys.argv[1:])
