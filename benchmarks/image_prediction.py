"""How fast image models load and predict: `python benchmarks/image_prediction.py` (`prediction.py` runs it, too).

mobilenetv2 and tinyyolov4 with weights drawn at random, each figure of a process in a fresh one. The limit of a
prediction is the bare network, compiled, on pixels that are ready; the plain way to load is `json.load`, `numpy.array`
and Keras' `set_weights`. If PEER_PYTHON names the interpreter of a virtualenv with the public package, it is measured
side by side.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from timing import in_a_process, interleaved, median_seconds, print_table

NETWORKS = ("mobilenetv2", "tinyyolov4")
PICTURE = (700, 500)
N_IMAGES = 64
REPEATS = 15
KILOBYTE = 1024


def write_document(name: str, path: Path) -> None:
    """A document with numbers as long as those of BigML's: about 80 MB for mobilenetv2."""
    import numpy as np

    from sensenet.document.model import dump_model, parse_model
    from sensenet.models.predict.tables import initialize_model
    from sensenet.pretrained import network_document

    spec = parse_model(network_document(name))
    assert spec.image_network is not None
    if spec.image_network.branches is None:
        document = dump_model(initialize_model(spec, seed=1))
    else:
        document = dump_model(replace(spec, image_network=spec.image_network.initialize(seed=1)))
    encode = lambda array: array.astype(np.float64).tolist()  # noqa: E731
    path.write_text(json.dumps(document, default=encode), encoding="utf-8")


def write_picture(path: Path) -> None:
    """A picture with structure at every scale, as JPEG."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    width, height = PICTURE
    picture = np.zeros((height, width, 3))
    for size in (4, 16, 64):
        small = Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8))
        picture += np.asarray(small.resize(PICTURE, Image.Resampling.BICUBIC), np.float64)
    noisy = picture / 3 + rng.normal(scale=8, size=picture.shape)
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path, quality=90)


def peak_bytes() -> int:
    """The most memory that this process has held since it began, or since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * KILOBYTE


def forget_peak() -> int:
    """Begin a new peak; gives what the process holds now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def measure_plain(path: str, picture: str) -> dict[str, float]:
    """The document into the weights of a Keras model that is there already, as anyone would write it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np

    import sensenet
    from sensenet.pretrained import network_document

    keras_model = sensenet.create_model(network_document(Path(path).stem)).keras_model()
    weighted = [layer for layer in keras_model.layers if layer.weights]
    before, start = forget_peak(), time.perf_counter()
    with Path(path).open(encoding="utf-8") as file:
        document = json.load(file)
    layers = iter(weighted)
    for raw in [*document["image_network"]["layers"], *document["layers"]]:
        names = ("kernel", "weights", "bias", "offset", "gamma", "beta", "mean", "variance")
        arrays = [np.array(raw[name], np.float32) for name in names if isinstance(raw.get(name), list)]
        if arrays:
            next(layers).set_weights(arrays)
    return {"load_seconds": time.perf_counter() - start, "load_bytes": peak_bytes() - before}


def measure_ours(path: str, picture: str) -> dict[str, float]:
    """In a process of its own: loading, first prediction, one image, many images."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from sensenet.models.wrappers import create_model

    before, start = forget_peak(), time.perf_counter()
    model = create_model(path)
    loaded = time.perf_counter()
    memory = peak_bytes() - before
    model(picture)
    first = time.perf_counter()
    ready, many = _ready(model, [picture]), _ready(model, [picture] * N_IMAGES)
    bare = _bare(model)
    keras_model = model.keras_model()
    # the document's inputs are pixels of the network's size: the same work as the bare network's
    contestants: dict[str, Callable[[], float]] = {
        "path_seconds": lambda: median_seconds(lambda: model(picture), REPEATS),
        "bare_seconds": lambda: median_seconds(lambda: bare(ready), REPEATS),
        "keras_seconds": lambda: median_seconds(lambda: keras_model.predict(ready, verbose=0), REPEATS),
    }
    batch = {
        "batch_seconds": lambda: _seconds(lambda: model([[picture]] * N_IMAGES)),
        "bare_batch_seconds": lambda: _seconds(
            lambda: [bare(many[i : i + 32]) for i in range(0, N_IMAGES, 32)]
        ),
    }
    for call in (*contestants.values(), *batch.values()):
        call()
    return {
        "load_seconds": loaded - start,
        "load_bytes": memory,
        "first_seconds": first - loaded,
        **interleaved(contestants),
        **interleaved(batch),
    }


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _part(model: Any) -> Any:
    """What reads images and computes from their pixels."""
    return model._source.images if hasattr(model, "_source") else model._finder


def _ready(model: Any, pictures: list[str]) -> Any:
    return _part(model).loader.load(pictures, str).pixels


def _bare(model: Any) -> Callable[[Any], Any]:
    """The compiled network without anything around it, from ready pixels to NumPy arrays."""
    function = _part(model).function
    if not hasattr(model, "_source"):
        return lambda pixels: [tensor.numpy() for tensor in function(pixels).values()]
    readout = model._source.compiled
    return lambda pixels: readout(function(pixels)).numpy()


PEER_PROGRAM = """
import json, os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import re
from sensenet.models.wrappers import create_model
peak = lambda: int(re.search("VmHWM:[^0-9]*([0-9]+)", open("/proc/self/status").read())[1]) * 1024
open("/proc/self/clear_refs", "w").write("5")
before, start = peak(), time.perf_counter()
model = create_model(sys.argv[1]); loaded = time.perf_counter(); memory = peak() - before
model(sys.argv[2]); first = time.perf_counter()
taken = []
for _ in range(30):
    begun = time.perf_counter(); model(sys.argv[2]); taken.append(time.perf_counter() - begun)
begun = time.perf_counter(); model([[sys.argv[2]]] * 64); many = time.perf_counter() - begun
figures = {"load_seconds": loaded - start, "load_bytes": memory, "first_seconds": first - loaded,
           "path_seconds": sorted(taken)[15], "batch_seconds": many}
print(json.dumps(figures), file=sys.stderr)
"""


def report(name: str, ours: dict[str, float], plain: dict[str, float], peers: dict[str, float]) -> None:
    def peer(key: str) -> str:
        return f"{peers[key]:.3f} s" if key in peers else ""

    def memory(figures: dict[str, float]) -> str:
        return f"{figures['load_bytes'] / 1e6:.0f} MB" if "load_bytes" in figures else ""

    def rate(key: str, figures: dict[str, float]) -> str:
        return f"{N_IMAGES / figures[key]:.0f}/s" if key in figures else ""

    def line(label: str, key: str, beside: str, ratio: float, goal: str) -> tuple[str, ...]:
        return label, f"{ours[key]:.3f} s", beside, f"{ratio:.2f}x", goal, peer(key)

    bare, keras = ours["bare_seconds"], ours["keras_seconds"]
    rows = [
        line("loading", "load_seconds", f"plain {plain['load_seconds']:.3f} s",
             ours["load_seconds"] / plain["load_seconds"], "<= 0.5x"),
        ("memory of loading", memory(ours), f"plain {memory(plain)}",
         f"{ours['load_bytes'] / plain['load_bytes']:.2f}x", "<= 1x", memory(peers)),
        ("first prediction", f"{ours['first_seconds']:.3f} s", "", "", "<= 1.5 s", peer("first_seconds")),
        line("one image from a path", "path_seconds", f"bare network {bare:.3f} s",
             ours["path_seconds"] / bare, "<= 1.5x"),
        line("", "path_seconds", f"keras predict {keras:.3f} s", ours["path_seconds"] / keras, ""),
        (f"{N_IMAGES} images from paths", rate("batch_seconds", ours),
         f"bare network {rate('bare_batch_seconds', ours)}",
         f"{ours['batch_seconds'] / ours['bare_batch_seconds']:.2f}x", "", rate("batch_seconds", peers)),
    ]  # fmt: skip
    print(f"\n{name}")
    print_table(("", "ours", "beside", "ratio", "goal", "public"), rows)


def main() -> None:
    peer_python = os.environ.get("PEER_PYTHON")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.jpg"
        write_picture(picture)
        for name in NETWORKS:
            path = Path(folder) / f"{name}.json"
            write_document(name, path)
            command = [sys.executable, str(Path(__file__).resolve())]
            ours = in_a_process([*command, "ours", str(path), str(picture)], "stdout")
            plain = in_a_process([*command, "plain", str(path), str(picture)], "stdout")
            peers = {}
            if peer_python:
                peers = in_a_process([peer_python, "-c", PEER_PROGRAM, str(path), str(picture)], "stderr")
            size = path.stat().st_size / 1e6
            report(
                f"{name} ({size:.0f} MB of JSON), an image of {PICTURE[0]}x{PICTURE[1]}", ours, plain, peers
            )
    if not peer_python:
        print("(the public package is not measured: set PEER_PYTHON to an interpreter that has it)")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measures = {"ours": measure_ours, "plain": measure_plain}
        print(json.dumps(measures[sys.argv[1]](*sys.argv[2:])))
    else:
        main()
