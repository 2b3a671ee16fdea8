"""How fast image networks train, how well, and in how much memory.

    python benchmarks/image_training.py speed      # images/s beside keras.Model.fit on ready arrays
    python benchmarks/image_training.py quality    # digits: classes, ink share, fine_tune, a number beside the image
    python benchmarks/image_training.py memory     # 20,000 images of 640x480 from disk

Keras trains the same network twice: of its own layers, as people write it, and of ours.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sensenet.tensorflow_setup import tensorflow_environment

os.environ.update(tensorflow_environment(os.environ))

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits
from timing import in_a_process, interleaved, print_table

from pyramid.fields.objectives import CategoricalObjective
from pyramid.images.store import ImageStore
from pyramid.jobs import dataset_caching, finalizing, image_training, training
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.submodels.image_model import image_document
from pyramid.tables.ser import write_ser
from pyramid.train.dataset import Dataset
from pyramid.train.fit import fit
from pyramid.train.image_loop import ImageTask, batch_maker, compile_image_steps, compile_predict, joined
from pyramid.train.limits import TrainingLimits
from pyramid.train.loop import FlatNetwork, State
from pyramid.train.losses import crossentropy
from pyramid.train.metrics import evaluate_classes
from pyramid.train.optimizers import adam
from pyramid.train.prefetch import Prefetcher
from pyramid.train.sampling import make_sampler
from pyramid.workspace import Workspace
from sensenet.document.image_network import parse_image_network
from sensenet.document.model import dumps
from sensenet.layers import parse_layers
from sensenet.layers.fused import BatchNormalization
from sensenet.models.image import image_model
from sensenet.models.wrappers import create_model
from sensenet.network import build_network
from sensenet.preprocess.image import normalize
from sensenet.pretrained import image_network

CLASSES, ROUNDS = 10, 5
ADAM = SimpleNamespace(beta1=0.9, beta2=0.999, epsilon=1e-7)
SIDE = 16  # of the digits' images


def dense(nodes: int, activation: str) -> dict[str, Any]:
    arrays = {"weights": "glorot_uniform", "offset": "zeros"}
    return {"type": "dense", "number_of_nodes": nodes, **arrays, "activation_function": activation}


class Contest:
    """One network on random images of one size: our steps, and Keras' fit."""

    def __init__(self, name: str, side: int, batch: int, steps: int):
        self.batch, self.steps = batch, steps
        spec = parse_image_network(image_network(name, side, side))
        self.metadata = spec.metadata
        self.image = build_network(spec.layers, spec.input_shape, 0)
        readout = parse_layers([dense(CLASSES, "softmax")])
        self.readout = build_network(readout, self.image.model.output_shape[-1], 0)
        rng = np.random.default_rng(0)
        rows = batch * 8
        self.pixels = rng.integers(0, 256, (rows, side, side, 3), np.uint8)
        self.targets = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, rows)]

    def prepare(self, pixels: tf.Tensor) -> tf.Tensor:
        return normalize(pixels, self.metadata.loading_method)

    def parts(self) -> tuple[ImageTask, Callable[[int], Any], State]:
        store = ImageStore((), None, self.pixels)  # type: ignore[arg-type]
        sampler = make_sampler(self.targets.argmax(1), 0, 1, self.batch, False, 0.0)
        task = ImageTask(FlatNetwork(joined(self.image, self.readout)), self.prepare, crossentropy)
        parameters, buffers = task.network.read()
        state = State(parameters, buffers, adam(ADAM).initial_slots(parameters))
        return task, batch_maker(store, np.arange(len(self.pixels)), self.targets, None, sampler, None), state

    def ours(self) -> Callable[[], float]:
        task, make, state = self.parts()
        batches = Prefetcher(make)
        steps = compile_image_steps(task, batches, adam(ADAM), lambda _: tf.constant(0.001), 0)
        state, _, _ = steps(state, 0, 1)

        def measure() -> float:
            nonlocal state
            began = time.perf_counter()
            state, loss, _ = steps(state, 1, self.steps)
            float(loss)
            return self.steps * self.batch / (time.perf_counter() - began)

        return measure

    def keras(self, own_layers: bool) -> Callable[[], float]:
        model = keras.Model(
            *(lambda source: (source, self.readout.model(self.image.model(source))))(self.source())
        )
        if own_layers:
            image = keras.models.clone_model(self.image.model, clone_function=_own_layer)
            source = self.source()
            model = keras.Model(source, self.readout.model(image(source)))
        model.compile(keras.optimizers.Adam(0.001), "categorical_crossentropy")
        images = self.prepare(tf.constant(self.pixels)).numpy()
        repeats = -(-self.steps * self.batch // len(images))
        x, y = (
            np.concatenate([part] * repeats)[: self.steps * self.batch] for part in (images, self.targets)
        )
        model.fit(x[: self.batch], y[: self.batch], batch_size=self.batch, verbose=0)

        def measure() -> float:
            began = time.perf_counter()
            model.fit(x, y, batch_size=self.batch, verbose=0)
            return len(x) / (time.perf_counter() - began)

        return measure

    def source(self) -> Any:
        return keras.Input(self.pixels.shape[1:])

    def share_outside(self, iterations: int) -> float:
        """The share of a fit that is not spent in steps: waits for batches, holdout checks."""
        task, make, state = self.parts()
        size = SimpleNamespace(height=self.pixels.shape[1], width=self.pixels.shape[2])
        store = ImageStore((), size, self.pixels)  # type: ignore[arg-type]
        objective = CategoricalObjective(values=tuple(map(str, range(CLASSES))))
        rows = np.arange(len(self.pixels) // 5)
        held_out = Dataset(rows, self.targets[rows].argmax(1), None, objective)
        predict = compile_predict(task, store, held_out)
        truth, inside = self.targets[held_out.inputs].argmax(1), 0.0
        with Prefetcher(make, stop=iterations + 1) as batches:
            steps = compile_image_steps(task, batches, adam(ADAM), lambda _: tf.constant(1e-3), 0)
            steps(state, 0, 1)
            predict(state)

            def timed(*arguments: Any) -> Any:
                nonlocal inside
                began, waited = time.perf_counter(), batches.waited_seconds
                state, loss, outcome = steps(*arguments)
                float(loss)
                inside += time.perf_counter() - began - (batches.waited_seconds - waited)
                return state, loss, outcome

            limits = TrainingLimits(len(held_out), self.batch, 8192, iterations, 0.0, None, 1e9, 0)
            began = time.perf_counter()
            fit(state, timed, lambda state: evaluate_classes(truth, predict(state)), limits, ignore)
        return 1 - inside / (time.perf_counter() - began)


def _own_layer(layer: Any) -> Any:
    if isinstance(layer, BatchNormalization):
        return keras.layers.BatchNormalization.from_config(layer.get_config())
    return layer.__class__.from_config(layer.get_config())


def speed() -> None:
    rows = []
    for name, side, batch, steps, goal in (
        ("simple", 32, 32, 32, 1.2),
        ("simple", 32, 128, 8, 1.2),
        ("mobilenetv2", 96, 32, 8, 0.95),
    ):
        contest = Contest(name, side, batch, steps)
        rates = interleaved(
            {"ours": contest.ours(), "keras": contest.keras(True), "fused": contest.keras(False)}, ROUNDS
        )
        outside = contest.share_outside(steps * 4)
        rows.append(
            (
                f"{name} {side}x{side}, batch {batch}",
                *(f"{rate:,.0f}" for rate in rates.values()),
                f"{rates['ours'] / rates['keras']:.2f}x",
                goal,
                f"{rates['ours'] / rates['fused']:.2f}x",
                f"{outside:.1%}",
            )
        )
    header = ("images/s", "ours", "keras fit", "on our layers", "ours is", "goal at least", "and")
    print_table((*header, "outside of steps (goal < 10%)"), rows)


def digit_job(directory: Path, rows: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    fields = [
        {"index": 0, "type": "image"},
        {"index": 1, "type": "categorical", "values": list("0123456789")},
    ]
    return {
        "job_type": "image_training",
        "objective_type": "categorical",
        "output_directory": str(directory / "out"),
        "info_list": fields,
        "seed": 0,
        "layers": [dense(256, "relu"), dense(CLASSES, "softmax")],
        "batch_size": 64,
        "descent_algorithm": "adam",
        "learning_rate": 0.001,
        "loss_function": "crossentropy",
        "base_image_network": "simple",
        "image_training_type": "randomly_initialize",
        "input_image_shape": [SIDE, SIDE, 3],
        "image_root": str(directory),
        "image_training_data": rows,
        "max_training_time": 300,
        "patience": 12,
    } | changes


def run_job(job: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """The result, the document, and the progress lines of a job."""
    lines: list[dict[str, Any]] = []
    settings = BaseSettings(job)
    workspace = Workspace.create(settings.output_directory)
    result = image_training.run(settings, workspace, lambda progress, **facts: lines.append(facts))
    return result, image_document(workspace.submodel(settings.job_id)), lines


def quality() -> None:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    unseen, seen = order[:360], order[360:]
    table = []
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        for number, scan in enumerate(digits.images):
            pixels = np.kron(scan, np.ones((2, 2))) * 15.9
            Image.fromarray(pixels.astype(np.uint8)).save(directory / f"{number}.png")
        paths = [str(directory / f"{i}.png") for i in unseen]
        rows = [{"file": f"{i}.png", "label": int(digits.target[i])} for i in seen]
        result, document, lines = run_job(digit_job(directory, rows))
        accuracy = (image_model(document)(paths).argmax(1) == digits.target[unseen]).mean()
        table.append(_told("digits, accuracy", accuracy, ">= 0.98", result))
        model = directory / "final_model.json"
        model.write_bytes(dumps(document))
        start = {"base_image_network": "initial_model_0", "initial_model": str(model)}
        most = next(line["iterations"] for line in lines if line.get("accuracy", 0) >= 0.98) // 3
        job = digit_job(
            directory, rows, **start, image_training_type="fine_tune", max_iterations=max(1, most)
        )
        result, document, _ = run_job(job)
        accuracy = (image_model(document)(paths).argmax(1) == digits.target[unseen]).mean()
        table.append(_told("fine_tune, accuracy", accuracy, ">= 0.98 in a third of the iterations", result))
        table.append(_ink_share(directory, digits, seen, unseen))
        table += _both_fields(directory, digits.target, seen, unseen, start)
    print_table(("on images never seen", "is", "goal", "iterations", "seconds"), table)


def _ink_share(directory: Path, digits: Any, seen: np.ndarray, unseen: np.ndarray) -> tuple[object, ...]:
    ink = digits.images.mean((1, 2)) / 16
    mean, stdev = float(ink[seen].mean()), float(ink[seen].std())
    fields = [{"index": 0, "type": "image"}, {"index": 1, "type": "numeric", "mean": mean, "stdev": stdev}]
    rows = [{"file": f"{i}.png", "label": (ink[i] - mean) / stdev} for i in seen]
    layers = [dense(256, "relu"), dense(1, "linear")]
    numeric = {"objective_type": "numeric", "info_list": fields, "layers": layers}
    result, document, _ = run_job(digit_job(directory, rows, **numeric, loss_function="mean_squared_error"))
    predictions = image_model(document)([str(directory / f"{i}.png") for i in unseen])[:, 0]
    r_squared = 1 - ((predictions - ink[unseen]) ** 2).mean() / ink[unseen].var()
    return _told("ink share, R²", r_squared, ">= 0.95", result)


def _both_fields(
    directory: Path, digits: np.ndarray, seen: np.ndarray, unseen: np.ndarray, start: dict[str, Any]
) -> Iterator[tuple[object, ...]]:
    """A label that a scan and a number tell together: whether both are large, or neither.

    The image network is that of `start`, which knows digits: alone, a scan says next to nothing of this label.
    """
    rng = np.random.default_rng(1)
    numbers = np.where(rng.random(len(digits)) < 0.4, 1, -1) + 0.3 * rng.normal(size=len(digits))
    labels = ((digits >= 5) == (numbers > 0)).astype(int)
    image, number, label = (
        {"index": 0, "type": "image"},
        {"index": 1, "type": "numeric", "mean": 0.0, "stdev": 1.0},
        {"index": 2, "type": "categorical", "values": ["no", "yes"]},
    )
    values = {0: [f"{i}.png" for i in range(len(digits))], 1: numbers.tolist(), 2: labels.tolist()}
    for name, fields, goal in (
        ("image and number", [image, number], ">= 0.95"),
        ("image alone", [image], "<= 0.75"),
        ("number alone", [number], "<= 0.75"),
    ):
        info_list = [*fields, label]
        rows = [[values[field["index"]][i] for field in info_list] for i in range(len(digits))]
        began = time.perf_counter()
        final = _pipeline(directory / name, [rows[i] for i in seen], info_list, directory, start)
        model = create_model(str(final), {"image_path_prefix": str(directory)})
        points = [[values[0][i], values[1][i]] for i in unseen]
        accuracy = (model(points).argmax(1) == labels[unseen]).mean()
        yield f"{name}, accuracy", f"{accuracy:.4f}", goal, "", f"{time.perf_counter() - began:.0f}"


def _pipeline(
    out: Path, rows: list[list[Any]], info_list: list[dict[str, Any]], images: Path, start: dict[str, Any]
) -> Path:
    """All jobs of a training on a table, and the final model."""
    out.mkdir()
    write_ser(out / "rows.ser", rows, info_list)
    job = digit_job(images, [], info_list=info_list, layers=[dense(64, "relu"), dense(2, "softmax")]) | {
        "output_directory": str(out),
        "image_training_data": None,
        "cache_rows": len(rows),
        "max_data_size": 10**9,
        "parallelism": 1,
        "tree_embedding": False,
        "is_search": False,
        **start,
        "image_training_type": "use_pretrained",
    }
    workspace = Workspace.create(out)
    if info_list[0]["type"] == "image":
        image_training.run(BaseSettings(job | {"cache_file": str(out / "rows.ser")}), workspace, ignore)
    job["job_id"] = "readout"
    caching = job | {"job_type": "dataset_caching", "cache_file": str(out / "rows.ser")}
    cached = dataset_caching.run(BaseSettings(caching), workspace, ignore)
    readout = job | {"job_type": "standard_training", "cache_file": cached["datasets"][0], "tree_inputs": 0}
    training.run(BaseSettings(readout), workspace, ignore)
    finalizing.run(BaseSettings(job | {"job_type": "finalize_output"}), workspace, ignore)
    return workspace.final_model


def _told(name: str, value: float, goal: str, result: dict[str, Any]) -> tuple[object, ...]:
    return name, f"{value:.4f}", goal, result["iterations"], f"{result['elapsed_time']:.0f}"


def _photos(directory: Path, count: int) -> Iterator[str]:
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = rng.integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC).save(directory / f"{number}.jpg")
        yield f"{number}.jpg"


def memory_job(batch: str) -> None:
    """20,000 rows of 200 different photos: what is read again is decoded again."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        names = list(_photos(directory, 200))
        rows = [{"file": names[i % len(names)], "label": i % CLASSES} for i in range(20_000)]
        job = digit_job(directory, rows, input_image_shape=[128, 128, 3], max_data_size=100_000_000)
        settings = BaseSettings(
            job | {"max_iterations": 12, "holdout_set_size": 256, "batch_size": int(batch)}
        )
        peaks: list[float] = []
        image_training.run(
            settings,
            Workspace.create(settings.output_directory),
            lambda progress, message="", **facts: (
                peaks.append(_peak_mb()) if message.startswith("phase") else None
            ),
        )
    print(json.dumps({"read": peaks[0], "trained": _peak_mb()}))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux


def memory_keras(batch: str) -> None:
    """Keras' fit of the same network, on a few images that are ready in memory."""
    Contest("simple", 128, int(batch), 2).keras(True)()
    print(json.dumps({"trained": _peak_mb()}))


def memory() -> None:
    rows = []
    for batch in ("32", "64"):
        ours, keras_fit = (
            in_a_process([sys.executable, str(Path(__file__)), who, batch], "stdout")
            for who in ("memory_job", "memory_keras")
        )
        peaks = (ours["read"], ours["trained"], keras_fit["trained"])
        rows.append((f"batch {batch}", *(f"{peak:,.0f} MB" for peak in peaks)))
    print("Peak resident memory: 20,000 images of 640x480 on disk, simple at 128x128 (goal: below 1,500 MB)")
    print_table(("", "when all are read", "in the end", "keras fit, images in memory"), rows)


COMMANDS: dict[str, Callable[..., None]] = {
    "speed": speed,
    "quality": quality,
    "memory": memory,
    "memory_job": memory_job,
    "memory_keras": memory_keras,
}

if __name__ == "__main__":
    if sys.argv[1:2] in (["memory_job"], ["memory_keras"]):
        COMMANDS[sys.argv[1]](sys.argv[2])
    else:
        for chosen in sys.argv[1:] or ("speed", "quality", "memory"):
            COMMANDS[chosen]()
