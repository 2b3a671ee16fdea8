"""How well detectors are trained in little time, how fast, and in how much memory.

    python benchmarks/detection.py quality DIRECTORY [MINUTES]  # pictures with boxes: train.json, val.json
    python benchmarks/detection.py generated [MINUTES]          # digits pasted on photographs by pyramid_generate
    python benchmarks/detection.py speed                        # images/s beside the bare training step
    python benchmarks/detection.py memory                       # 20,000 pictures of 640x480 from disk
    python benchmarks/detection.py curves                       # seconds an iteration over sizes and boxes

DIRECTORY has rows of pyramid_train in `train.json` and `val.json`, whose files are relative to it. Where
ULTRALYTICS_PYTHON is the interpreter of an environment with ultralytics 8, quality and speed are measured beside it,
quality by the same metrics.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sensenet.tensorflow_setup import tensorflow_environment

os.environ.update(tensorflow_environment(os.environ))

import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images
from timing import in_a_process, interleaved, print_table

from pyramid.commands import generate, train
from pyramid.fields.boxes import ScoredBoxes
from pyramid.jobs import image_training
from pyramid.jobs.image_beginning import begin, fit_options
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.options import NetworkOptions
from pyramid.train.box_matching import TrueBoxes
from pyramid.train.box_metrics import BoxMetrics, evaluate_boxes
from pyramid.train.image_loop import compile_image_steps, compile_predict
from pyramid.train.images import batches_of_steps, make_task
from pyramid.train.limits import training_limits
from pyramid.train.loop import State
from pyramid.train.optimizers import make_optimizer
from pyramid.train.prefetch import Prefetcher
from pyramid.workspace import Workspace
from sensenet import create_model
from sensenet.document.image_network import layer_shapes, parse_image_network
from sensenet.pretrained import image_network

SIDE = 256
BATCH, PEER_BATCH = 8, 16
MINUTES = 10.0
PEER = os.environ.get("ULTRALYTICS_PYTHON")
FOUND = {"bounding_box_threshold": 0.001, "max_objects": 100}
CONFIG = {
    "batch_size": BATCH,
    "descent_algorithm": "adam",
    "learning_rate": 0.001,
    "learning_rate_warmup_iterations": 100,
    "balance_objective": False,
    "patience": 1000,
    "holdout_set_size": 4096,
    "image_network_candidates": [["tinyyolov4", "randomly_initialize"]],
}
CELLS = {
    # a cell may lie any way up
    "augmentation_ranges": {
        "horizontal_flip": True,
        "vertical_flip": True,
        "zoom": 0.25,
        "width_shift": None,
        "height_shift": None,
        "brightness": None,
        "contrast": None,
    },
    # two hundred pictures are too few to spare some
    "cheat_on_validation": True,
    "max_seconds_per_update": 60,
}
DIGITS = {
    "augmentation_ranges": {"zoom": 0.25, "width_shift": None, "height_shift": None, "brightness": None}
}


def main() -> None:
    """Measure what the arguments ask for."""
    what, arguments = sys.argv[1], sys.argv[2:]
    if what == "quality":
        quality(Path(arguments[0]), float(arguments[1]) if len(arguments) > 1 else MINUTES)
    else:
        OTHERS[what](*arguments)


def quality(directory: Path, minutes: float) -> None:
    """Train on train.json alone, and find the boxes of val.json."""
    rows = {part: json.loads((directory / f"{part}.json").read_text()) for part in ("train", "val")}
    with tempfile.TemporaryDirectory() as scratch:
        model = trained(rows["train"], directory, SIDE, minutes, Path(scratch), CELLS)
        lines = [measured_line("pyramid", measure(model, rows["val"], directory), model.classes)]
        if PEER is not None:
            metrics = peer_quality(rows, directory, minutes, model.classes, Path(scratch))
            lines.append(measured_line("ultralytics yolov8n", metrics, model.classes))
    print_table(["", "mAP_50", "mAP_50_95", *model.classes], lines)


def trained(
    rows: Sequence[dict[str, Any]],
    directory: Path,
    side: int,
    minutes: float,
    output: Path,
    more: dict[str, Any],
) -> Any:
    """The detector that pyramid_train makes in so many minutes."""
    config = {
        **CONFIG,
        **more,
        "image_root": str(directory),
        "input_image_shape": [side, side, 3],
        "max_total_time": minutes * 60,
        "output_directory": str(output / "trained"),
        "training_data": list(rows),
    }
    path = output / "config.json"
    path.write_text(json.dumps(config))
    if train.main([str(path)]):
        raise SystemExit("pyramid_train failed")
    return create_model(output / "trained" / "final_model.json", FOUND)


def measure(model: Any, rows: Sequence[dict[str, Any]], directory: Path) -> BoxMetrics:
    """How good the boxes are that a detector finds, in pixels of the files."""
    found = [model.arrays(str(directory / row["file"])) for row in rows]
    return compared(rows, [ScoredBoxes(*each) for each in found], model.classes)


def compared(
    rows: Sequence[dict[str, Any]], found: Sequence[ScoredBoxes], classes: Sequence[str]
) -> BoxMetrics:
    truth = []
    for row in rows:
        corners = np.array([box[:4] for box in row["boxes"]], np.float64).reshape(-1, 4)
        truth.append(TrueBoxes(corners, np.array([classes.index(box[4]) for box in row["boxes"]], np.int64)))
    return evaluate_boxes(truth, found, len(classes))


def measured_line(name: str, metrics: BoxMetrics, classes: Sequence[str]) -> list[str]:
    """One row of the table."""
    numbers = (metrics.map_50, metrics.map_50_95, *metrics.ap_50.tolist())
    return [name, *(f"{number:.3f}" for number in numbers[: 2 + len(classes)])]


def peer_quality(
    rows: dict[str, Any], directory: Path, minutes: float, classes: Sequence[str], scratch: Path
) -> BoxMetrics:
    """The same of Ultralytics' smallest model, trained from random weights for as long."""
    output = scratch / "found.json"
    request = {"minutes": minutes, "output": str(output)}
    ask_peer("quality", peer_request(rows["train"], rows["val"], directory, classes, **request), scratch)
    found = [
        ScoredBoxes(np.array(corners).reshape(-1, 4), np.array(scores), np.array(labels, np.int64))
        for corners, scores, labels in json.loads(output.read_text())
    ]
    return compared(rows["val"], found, classes)


def peer_request(
    training: Sequence[Any],
    test: Sequence[Any],
    directory: Path,
    classes: Sequence[str],
    model: str = "yolov8n.yaml",
    **more: Any,
) -> dict[str, Any]:
    shared = {"directory": str(directory), "classes": list(classes), "side": SIDE, "batch": PEER_BATCH}
    return {**shared, "train": list(training), "test": list(test), "model": model, **more}


def ask_peer(what: str, request: dict[str, Any], scratch: Path) -> dict[str, float]:
    path = scratch / "request.json"
    path.write_text(json.dumps(request))
    assert PEER is not None
    script = Path(__file__).with_name("ultralytics_peer.py")
    return in_a_process([PEER, str(script), what, str(path)], "stdout")


def generated(minutes: str = "8") -> None:
    """Digits pasted on two photographs: 512 images of 128x128 to train on, 128 of other scans to find them in."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        parts = {}
        for part, first, count, seed in (("train", 0, 512, 1), ("test", 1, 128, 2)):
            write_scans(root / part / "scans", slice(first, None, 2))
            parts[part] = generate_images(root / part, root / "photographs", count, seed)
        rows, directory = parts["train"]
        model = trained(rows, directory, 128, float(minutes), root, DIGITS)
        metrics = measure(model, *parts["test"])
    print_table(
        ["", "mAP_50", "mAP_50_95", *model.classes], [measured_line("pyramid", metrics, model.classes)]
    )


def write_scans(directory: Path, chosen: slice) -> None:
    """Some of scikit-learn's scans of three digits, their ink on transparent ground."""
    digits = load_digits()
    for place in np.flatnonzero(digits.target < 3)[chosen].tolist():
        ink = Image.fromarray((digits.images[place] * 255 / 16).astype(np.uint8)).resize((64, 64))
        colour = Image.new("L", ink.size, 255 * (place % 2))
        path = directory / str(digits.target[place]) / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.merge("RGBA", (colour, colour, colour, ink)).save(path)


def generate_images(
    directory: Path, photographs: Path, count: int, seed: int
) -> tuple[list[dict[str, Any]], Path]:
    """The rows of a generated set, and where its images are."""
    if not photographs.exists():
        photographs.mkdir()
        for place, image in enumerate(load_sample_images().images):
            Image.fromarray(image).save(photographs / f"{place}.png")
    config = {
        "objective_type": "bounding_box",
        "foreground_image_root": str(directory / "scans"),
        "foreground_image_augmentations": ["rotation", "zoom"],
        "background_image_root": str(photographs),
        "background_image_augmentations": ["horizontal_flip", "zoom", "brightness"],
        "max_foreground_images": 4,
        "occupancy_range": [0.15, 0.45],
        "generated_dataset_size": count,
        "input_image_shape": [128, 128, 3],
        "output_directory": str(directory / "made"),
        "balance_objective": True,
        "seed": seed,
    }
    path = directory / "generation.json"
    path.write_text(json.dumps(config))
    if generate.main([str(path)]):
        raise SystemExit("pyramid_generate failed")
    made = json.loads((directory / "made" / "config.json").read_text())
    return made["training_data"], Path(made["image_root"])


def box_job(directory: Path, rows: Sequence[dict[str, Any]], side: int, **more: Any) -> dict[str, Any]:
    """The settings of an image job that trains tinyyolov4."""
    names = sorted({box[4] for row in rows for box in row["boxes"]})
    return {
        "job_type": "image_training",
        "objective_type": "bounding_box",
        "info_list": [{"type": "image", "index": 0}, {"type": "bounding_box", "index": 1, "values": names}],
        "seed": 1,
        "layers": [],
        "base_image_network": "tinyyolov4",
        "image_training_type": "randomly_initialize",
        "image_root": str(directory),
        "image_training_data": list(rows),
        "input_image_shape": [side, side, 3],
        "output_directory": str(directory / "out"),
        **{key: CONFIG[key] for key in ("batch_size", "descent_algorithm", "learning_rate", "patience")},
        **more,
    }


def write_pictures(
    directory: Path, count: int, boxes: int, size: tuple[int, int] = (640, 480), files: int = 100
) -> list[dict[str, Any]]:
    """Rows of pictures of noise with so many boxes each; there are `files` different files of them at most."""
    rng = np.random.default_rng(0)
    width, height = size
    for place in range(min(count, files)):
        noise = Image.fromarray(rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8))
        noise.resize(size).save(directory / f"{place}.jpg")
    corners = rng.uniform(0, (width - 80, height - 80), (count, boxes, 2))
    sizes = rng.uniform(20, 80, (count, boxes, 2))
    both = np.concatenate([corners, corners + sizes], axis=2).tolist()
    return [
        {"file": f"{place % files}.jpg", "boxes": [[*box, "ab"[i % 2]] for i, box in enumerate(each)]}
        for place, each in enumerate(both)
    ]


class Ready:
    """A batch that is always ready, in the place of a `Prefetcher`."""

    def __init__(self, batch: Any):
        """Keep the batch."""
        self._batch = batch

    def take(self) -> Any:
        """The batch."""
        return self._batch


def speed() -> None:
    """Images/s of a job's steps, batches and augmentation included, beside the same step on one ready batch."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        rows = write_pictures(directory, 400, 12, files=400)
        settings = BaseSettings(
            box_job(directory, rows, SIDE, augmentation_ranges=CELLS["augmentation_ranges"])
        )
        ours = step_seconds(settings, 24)
        gflop = detector_gflop(SIDE)
        lines = [
            ["bare step on a ready batch", f"{BATCH / ours['bare']:.1f}", "", ""],
            [
                "job",
                f"{BATCH / ours['job']:.1f}",
                f"{ours['bare'] / ours['job']:.2f} (goal 0.85)",
                f"{gflop:.2f}",
            ],
            ["holdout checks", "", f"{ours['checks']:.3f} of the time (goal below 0.05)", ""],
        ]
        if PEER is not None:
            peer = ask_peer(
                "speed",
                peer_request(rows, rows[:16], directory, ["a", "b"], "yolov3-tiny.yaml"),
                directory,
            )
            ratio = BATCH / ours["job"] * gflop / (peer["images"] * peer["gflop"])
            shown = [f"{peer['images']:.1f}", f"{ratio:.2f} of its images x GFLOP by the job (goal 1)"]
            lines.append(["ultralytics yolov3-tiny", *shown, f"{peer['gflop']:.2f}"])
    print_table(["", "images/s", "ratio", "GFLOP an image"], lines)


def step_seconds(settings: BaseSettings, steps: int) -> dict[str, float]:
    """Seconds of a step, with batches as the job makes them and with one that is ready; the share of checks."""
    begun = begin(settings, NetworkOptions.of(settings), ignore)
    options = fit_options(settings, begun.fields.objective)
    phase = options.phases[0]
    task = make_task(begun.start, phase, begun.fields.objective, options.fit.loss)
    optimizer = make_optimizer(options.fit.optimizer)
    parameters, buffers = task.network.read()
    state = State(parameters, buffers, optimizer.initial_slots(parameters))
    make = batches_of_steps(begun.images, options)

    def rate(_: tf.Tensor) -> tf.Tensor:
        return tf.constant(1e-4)

    with Prefetcher(make) as batches:
        contestants = {"job": batches, "bare": Ready(make(0))}
        run = {name: compile_image_steps(task, one, optimizer, rate, 0) for name, one in contestants.items()}  # type: ignore[arg-type]
        after = {name: one(state, 0, 1)[0] for name, one in run.items()}

        def seconds(name: str) -> float:
            began = time.perf_counter()
            after[name], loss, _ = run[name](after[name], 1, steps)
            float(loss)
            return (time.perf_counter() - began) / steps

        measured = interleaved({name: lambda name=name: seconds(name) for name in contestants}, 5)  # type: ignore[misc]
    predict = compile_predict(task, begun.images.store, begun.images.holdout)
    objective, holdout = begun.fields.objective, begun.images.holdout
    checks = []
    for _ in range(4):
        began = time.perf_counter()
        objective.evaluate(holdout.truth, predict(after["job"].judged))
        checks.append(time.perf_counter() - began)
    between = (
        training_limits(options.fit.limits, holdout, time.time()).least_steps_per_check * measured["job"]
    )
    return {**measured, "checks": min(checks) / (min(checks) + between)}


def detector_gflop(side: int) -> float:
    """GFLOP (two a multiply-add) of the convolutions of tinyyolov4 for one image."""
    spec = parse_image_network(image_network("tinyyolov4", side, side, 2)).initialize()
    shapes = layer_shapes(spec.layers, spec.input_shape)
    kernels = [
        (layer.arrays()["kernel"].size, shape)
        for layer, shape in zip(spec.layers, shapes, strict=True)
        if "kernel" in layer.arrays()
    ]
    return sum(2 * size * rows * columns for size, (rows, columns, _) in kernels) / 1e9


def memory() -> None:
    """Peak memory of a job on 20,000 pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        rows = write_pictures(directory, 20_000, 12, files=1000)
        (directory / "rows.json").write_text(json.dumps(rows))
        peak = own_process("peak", directory, SIDE, 20)
    lines = [[f"{SIDE}x{SIDE}", f"{peak['megabytes']:.0f} (goal 2000)", f"{peak['seconds']:.1f}"]]
    print_table(["20,000 pictures", "peak MB", "seconds"], lines)


def curves() -> None:
    """Seconds an iteration and peak memory over the size of the images and the boxes in them."""
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        for side, boxes in ((128, 12), (256, 12), (320, 12), (416, 12), (256, 1), (256, 32), (256, 128)):
            directory = Path(scratch) / f"{side}_{boxes}"
            directory.mkdir()
            (directory / "rows.json").write_text(json.dumps(write_pictures(directory, 64, boxes)))
            peak, step = (own_process(what, directory, side, 20) for what in ("peak", "step"))
            lines.append([side, boxes, f"{step['job']:.3f}", f"{peak['megabytes']:.0f}"])
    print_table(["side", "boxes an image", "seconds an iteration", "peak MB"], lines)


def own_process(what: str, *arguments: object) -> dict[str, float]:
    return in_a_process([sys.executable, __file__, what, *map(str, arguments)], "stdout")


def written_job(directory: str, side: str, iterations: str) -> BaseSettings:
    """The job on the rows that are in a directory."""
    root = Path(directory)
    job = box_job(
        root,
        [{"boxes": [[0, 0, 1, 1, "a"], [0, 0, 1, 1, "b"]]}],
        int(side),
        max_iterations=int(iterations),
        holdout_set_size=64,
        augmentation_ranges=CELLS["augmentation_ranges"],
        cache_file=str(root / "rows.json"),
    )
    del job["image_training_data"]
    return BaseSettings(job)


def step(directory: str, side: str, steps: str) -> None:
    """Print the seconds of a step, see `step_seconds`."""
    print(json.dumps(step_seconds(written_job(directory, side, steps), int(steps))))


def peak(directory: str, side: str, iterations: str) -> None:
    """Train in this process, and print the most memory that it ever had."""
    settings = written_job(directory, side, iterations)
    began = time.perf_counter()
    image_training.run(settings, Workspace.create(Path(directory) / "out"), ignore)
    measured = {
        "seconds": time.perf_counter() - began,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(measured))


OTHERS = {
    "generated": generated,
    "speed": speed,
    "memory": memory,
    "curves": curves,
    "peak": peak,
    "step": step,
}

if __name__ == "__main__":
    main()
