"""How many images a second are augmented: `python benchmarks/augmentation.py`.

Images are 224 x 224 x 3 bytes, on two threads. The same transforms are made by the preprocessing layers of Keras and,
if ALBUMENTATIONS_PYTHON names the interpreter of a virtualenv that has it, by albumentations, whose contrast is about
0 and not about the mean, which spares it a pass. The contestants take turns, and each waits until the batches that
another one was still making ahead are done. The limit beside them is decoding one JPEG of that size.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from timing import interleaved, print_table

from pyramid.images.augment import AUGMENTATIONS, augment, parse_augmentations

SIDE, BATCH, THREADS, SECONDS, ROUNDS = 224, 32, 2, 0.4, 5
GEOMETRIC = [name for name, spec in AUGMENTATIONS.items() if spec.kind == "geometric" and name != "deform"]
CASES = {
    "a none": [],
    "b flip, brightness, contrast": ["horizontal_flip", "brightness", "contrast"],
    "c all geometric": GEOMETRIC,
    "d all": [name for name in AUGMENTATIONS if name != "deform"],
}
# ours over theirs, at least
GOALS = {
    "keras": {"b flip, brightness, contrast": 4.0, "c all geometric": 4.0, "d all": 4.0},
    "albumentations": {"b flip, brightness, contrast": 1.0, "c all geometric": 0.6, "d all": 0.7},
}


def build_images() -> np.ndarray:
    """(batch, side, side, 3) uint8: smooth colours with a little grain, as photographs have."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (BATCH, 14, 14, 3)).astype(np.float32)
    grain = rng.normal(0, 6, (BATCH, SIDE, SIDE, 3))
    return np.clip(tf.image.resize(coarse, (SIDE, SIDE)).numpy() + grain, 0, 255).astype(np.uint8)


def settle() -> None:
    """Wait until the pipelines of this process rest: they go on making batches ahead after they were measured."""
    while True:
        before = time.process_time()
        time.sleep(0.1)
        if time.process_time() - before < 0.01:
            return


def batches_per_second(iterator: Iterator[object], seconds: float = SECONDS) -> float:
    """Images a second; what was made ahead while others were measured is taken out first."""
    for _ in range(4):
        next(iterator)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        next(iterator)
        count += 1
    return count * BATCH / (time.perf_counter() - start)


def stream(make_batch: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[], float]:
    dataset = tf.data.Dataset.range(2**40).map(make_batch, num_parallel_calls=THREADS)
    iterator = iter(dataset)
    next(iterator)
    return partial(batches_per_second, iterator)


def ours(names: list[str], images: tf.Tensor) -> Callable[[], float]:
    augmentations = parse_augmentations(names, None)
    return stream(lambda epoch: augment(images, 1, epoch, tf.range(BATCH), augmentations))


def keras_layers(names: list[str], images: tf.Tensor) -> Callable[[], float]:
    """The layers that do the same; Keras has none for a cut out in the mean colour, for tint and for glare."""
    layers = keras.layers
    known = {
        "blur": lambda: layers.RandomGaussianBlur(1.0, 3, 1.0),
        "brightness": lambda: layers.RandomBrightness(0.1),
        "color_invert": lambda: layers.RandomInvert(0.5),
        "contrast": lambda: layers.RandomContrast(0.25),
        "cutout": lambda: layers.RandomErasing(0.5, scale=(0.0625, 0.0626)),
        "gaussian_noise": lambda: layers.GaussianNoise(1.0),
        "height_shift": lambda: layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
        "horizontal_flip": lambda: layers.RandomFlip("horizontal"),
        "rotation": lambda: layers.RandomRotation(10 / 360, fill_mode="nearest"),
        "shear": lambda: layers.RandomShear(0.18, 0.0, fill_mode="nearest"),
        "vertical_flip": lambda: layers.RandomFlip("vertical"),
        "zoom": lambda: layers.RandomZoom(0.1, fill_mode="nearest"),
    }
    chosen = [known[name]() for name in names if name in known]

    def run(epoch: tf.Tensor) -> tf.Tensor:
        batch = tf.cast(images, tf.float32)
        for layer in chosen:
            batch = layer(batch, training=True)
        return tf.cast(tf.clip_by_value(batch, 0.0, 255.0), tf.uint8)

    return stream(run)


def decoding(images: np.ndarray) -> Callable[[], float]:
    encoded = tf.constant([tf.io.encode_jpeg(image).numpy() for image in images])

    def run(epoch: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(tf.io.decode_jpeg, encoded, fn_output_signature=tf.uint8)

    return stream(run)


class Albumentations:
    """A process of its own that measures a case whenever it is asked."""

    def __init__(self, python: str, images: np.ndarray):
        """Start it, with the images in a file beside this one's temporary ones."""
        script = Path(__file__).with_name("albumentations_peer.py")
        self._process = subprocess.Popen(
            [python, str(script), str(THREADS), str(SECONDS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._write(images.tobytes())

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def measure(self, case: str) -> float:
        self._write(case[0].encode() + b"\n")
        assert self._process.stdout is not None
        return float(self._process.stdout.readline())


def main() -> None:
    images = build_images()
    batch = tf.constant(images)
    contestants: dict[tuple[str, str], Callable[[], float]] = {("", "limit: decoding"): decoding(images)}
    peer_python = os.environ.get("ALBUMENTATIONS_PYTHON")
    peer = Albumentations(peer_python, images) if peer_python else None
    for case, names in CASES.items():
        contestants[case, "ours"] = ours(names, batch)
        if names:
            contestants[case, "keras"] = keras_layers(names, batch)
            if peer is not None:
                contestants[case, "albumentations"] = partial(peer.measure, case)

    def settled(measure: Callable[[], float]) -> float:
        settle()
        return measure()

    rates = interleaved({str(key): partial(settled, measure) for key, measure in contestants.items()}, ROUNDS)
    rows = []
    for case, who in contestants:
        rate = rates[str((case, who))]
        ratio = rates[str((case, "ours"))] / rate if case and who != "ours" else None
        goal = GOALS.get(who, {}).get(case)
        rows.append(
            [case, who, f"{rate:,.0f}", f"{ratio:.2f}" if ratio else "", f"{goal:.1f}" if goal else ""]
        )
    print_table(["case", "contestant", "images/s", "ours over it", "goal"], rows)


if __name__ == "__main__":
    sys.exit(main())
