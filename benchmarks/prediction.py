"""How fast a loaded model predicts: `python benchmarks/prediction.py`.

The models are a search document of about 5 MB with tree features, a small one, and one with 20 MB of trees: made here
from a seed, so that every machine measures the same ones. Each process-wide figure (loading, first prediction) is taken
in a fresh process. If PEER_PYTHON names the interpreter of a virtualenv with the public package, it is measured side by
side.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import image_prediction
import numpy as np
import orjson
from timing import in_a_process, interleaved, median_seconds

N_FIELDS = 20
N_ROWS = 100_000
MEGABYTE = 1_000_000
GOALS = {
    "load_seconds": ("loading the document", "s", 0.5),
    "first_seconds": ("first prediction", "s", 1.0),
    "row_seconds": ("one row (median)", "s", 0.002),
    "rows_seconds": (f"{N_ROWS:,} rows", "s", None),
    "numpy_seconds": ("the same matrix products in NumPy", "s", None),
}


def build_tree(rng: np.random.Generator, depth: int, outputs: int) -> list[Any]:
    if depth == 0:
        return [rng.dirichlet(np.ones(outputs)).round(6).tolist(), None]
    children = [build_tree(rng, depth - 1, outputs) for _ in range(2)]
    return [int(rng.integers(5)), float(np.float32(rng.normal())), *children]


def n_outputs(forest: list[Any]) -> int:
    node = forest[1][0]
    while node[1] is not None:
        node = node[2]
    return len(node[0])


def windowed_trees(rng: np.random.Generator, classes: int) -> list[Any]:
    return [[[4 * i, 4 * i + 5], [build_tree(rng, 5, classes) for _ in range(8)]] for i in range(4)]


def whole_row_trees(rng: np.random.Generator, _: int) -> list[Any]:
    """Three forests of 200 trees with 512 leaves each, as they are learnt of many rows and two classes."""
    return [[[0, N_FIELDS], [build_tree(rng, 9, 1) for _ in range(200)]] for _ in range(3)]


def build_document(
    networks: int,
    width: int,
    depth: int,
    make_trees: Callable[[np.random.Generator, int], list[Any]] | None,
    classes: int = 3,
) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    trees = [] if make_trees is None else make_trees(rng, classes)

    def numbers(*shape: int) -> list[Any]:
        scale = np.sqrt(shape[0]) if len(shape) > 1 else 10
        return (rng.normal(size=shape) / scale).astype(np.float32).astype(float).tolist()

    size = N_FIELDS + sum(n_outputs(forest) for forest in trees)

    def layers() -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        for columns in [size, *[width] * (depth - 1)]:
            weights = {"type": "dense", "weights": numbers(columns, width), "offset": numbers(width)}
            statistics_ = {name: numbers(width) for name in ("beta", "mean")}
            variance = (1 + np.square(numbers(width))).tolist()
            normalization = {"gamma": variance, "variance": variance, **statistics_}
            made += [weights, {"type": "batch_normalization", **normalization}]
            made += [{"type": "activation", "activation_function": "relu"}]
        last = {"weights": numbers(width, classes), "offset": numbers(classes)}
        return [*made, {"type": "dense", **last, "activation_function": "softmax"}]

    return {
        "preprocess": [{"type": "numeric", "index": i, "mean": 1.0, "stdev": 2.0} for i in range(N_FIELDS)],
        "output_exposition": {"type": "categorical", "values": [f"class {i}" for i in range(classes)]},
        "networks": [{"layers": layers(), "trees": bool(trees)} for _ in range(networks)],
        "trees": trees or None,
        "image_network": None,
    }


def numpy_products(document: dict[str, Any], rows: int) -> Callable[[], None]:
    """The matrix products of the document's dense layers, and nothing else."""
    networks = [
        [np.asarray(layer["weights"], np.float32) for layer in network["layers"] if "weights" in layer]
        for network in document["networks"]
    ]
    inputs = np.random.default_rng(1).normal(size=(rows, networks[0][0].shape[0])).astype(np.float32)

    def multiply() -> None:
        for matrices in networks:
            hidden = inputs
            for matrix in matrices:
                hidden = hidden @ matrix

    return multiply


def measure_ours(path: str) -> dict[str, float]:
    """In a process of its own: loading, first prediction, one row, many rows."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from sensenet.models.wrappers import create_model

    points = np.random.default_rng(2).normal(size=(N_ROWS, N_FIELDS))
    row = points[0].tolist()
    start = time.perf_counter()
    model = create_model(path)
    loaded = time.perf_counter()
    model(row)
    first = time.perf_counter()
    model(points)
    products = numpy_products(orjson.loads(Path(path).read_bytes()), N_ROWS)
    many = {"rows_seconds": lambda: model(points), "numpy_seconds": products}
    return {
        "load_seconds": loaded - start,
        "first_seconds": first - loaded,
        "row_seconds": median_seconds(lambda: model(row), 300),
        **interleaved({name: partial(median_seconds, call, 1) for name, call in many.items()}),
    }


PEER_PROGRAM = """
import json, os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
from sensenet.models.wrappers import create_model
points = np.random.default_rng(2).normal(size=(10_000, int(sys.argv[2]))).tolist()
start = time.perf_counter(); model = create_model(sys.argv[1]); loaded = time.perf_counter()
model(points[0]); first = time.perf_counter()
taken = []
for _ in range(30):
    begun = time.perf_counter(); model(points[0]); taken.append(time.perf_counter() - begun)
begun = time.perf_counter(); model(points); many = time.perf_counter() - begun
figures = {"load_seconds": loaded - start, "first_seconds": first - loaded,
           "row_seconds": sorted(taken)[15], "rows_seconds": many * 10}
print(json.dumps(figures), file=sys.stderr)
"""


def report(title: str, ours: dict[str, float], peers: dict[str, float]) -> None:
    print(f"\n{title}")
    print(f"{'':36}{'ours':>12}{'goal':>12}{'public':>12}{'times':>8}")
    for key, (label, unit, goal) in GOALS.items():
        wanted = f"<= {goal:g} {unit}" if goal else ""
        peer = f"{peers[key]:.4f} s" if key in peers else ""
        ratio = f"{peers[key] / ours[key]:.0f}x" if key in peers else ""
        print(f"{label:36}{ours[key]:>10.4f} s{wanted:>12}{peer:>12}{ratio:>8}")
    share = ours["numpy_seconds"] / ours["rows_seconds"]
    print(f"{'speed of many rows against NumPy':36}{share:>11.2f}x{'>= 0.5x':>12}")


def main() -> None:
    cases = {
        "search model of 5 MB: 8 networks of 3 x 112, with trees": build_document(8, 112, 3, windowed_trees),
        "small model: 1 network of 2 x 64, no trees": build_document(1, 64, 2, None),
        "selected model: 40 networks of 2 x 64, 600 trees": build_document(40, 64, 2, whole_row_trees, 2),
    }
    peer_python = os.environ.get("PEER_PYTHON")
    with tempfile.TemporaryDirectory() as folder:
        for number, (title, document) in enumerate(cases.items()):
            path = Path(folder) / f"{number}.json"
            path.write_bytes(orjson.dumps(document))
            ours = in_a_process([sys.executable, str(Path(__file__).resolve()), str(path)], "stdout")
            peers = {}
            if peer_python:
                program = [peer_python, "-c", PEER_PROGRAM, str(path), str(N_FIELDS)]
                peers = in_a_process(program, "stderr")
            report(f"{title} ({path.stat().st_size / MEGABYTE:.1f} MB of JSON)", ours, peers)
    image_prediction.main()
    if not peer_python:
        print("\n(the public package is not measured: set PEER_PYTHON to an interpreter that has it)")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure_ours(sys.argv[1])))
    else:
        main()
