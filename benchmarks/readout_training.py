"""Optimiser steps per second of the readout training, beside what people use instead.

    python benchmarks/readout_training.py            # TORCH_PYTHON=/path/to/python adds the PyTorch loop

Batch 128, 20 inputs, two hidden layers of 64 with batch normalisation and relu, 3 classes, 4096 rows.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from sensenet.tensorflow_setup import tensorflow_environment

os.environ.update(tensorflow_environment(os.environ))

import keras
import numpy as np
import tensorflow as tf
from timing import interleaved, print_table

from pyramid.jobs import training
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.train.fit import fit
from pyramid.train.limits import MAX_STEPS_PER_CALL, TrainingLimits
from pyramid.train.loop import FlatNetwork, State, Steps, compile_steps
from pyramid.train.losses import crossentropy
from pyramid.train.metrics import evaluate_classes
from pyramid.train.optimizers import adam
from pyramid.train.sampling import Rows, make_sampler
from pyramid.workspace import Workspace, write_array, write_json
from sensenet.layers import parse_layers
from sensenet.network import build_network

ROWS, INPUTS, WIDTH, CLASSES, BATCH = 4096, 20, 64, 3, 128
ADAM = SimpleNamespace(beta1=0.9, beta2=0.999, epsilon=1e-7)
ROUNDS = 5

rng = np.random.default_rng(0)
x = rng.standard_normal((ROWS, INPUTS)).astype(np.float32)
y = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, ROWS)]


def job_layers() -> list[dict]:
    hidden = [
        {"type": "dense", "number_of_nodes": WIDTH, "weights": "glorot_uniform", "offset": "zeros"},
        {
            "type": "batch_normalization",
            "gamma": "ones",
            "beta": "zeros",
            "mean": "zeros",
            "variance": "ones",
        },
        {"type": "activation", "activation_function": "relu"},
    ]
    output = {"type": "dense", "number_of_nodes": CLASSES, "weights": "glorot_uniform", "offset": "zeros"}
    return [*hidden, *hidden, output | {"activation_function": "softmax"}]


def compiled(steps_per_call: int, training: slice, holdout_inputs: np.ndarray) -> tuple[Steps, State]:
    """The compiled loop on some of the rows, and the state it begins with."""
    flat = FlatNetwork(build_network(parse_layers(job_layers()), INPUTS, 0))
    optimizer = adam(ADAM)
    sampler = make_sampler(y[training].argmax(1), 0, steps_per_call, BATCH, False, 0.0)
    rows = Rows(tf.constant(x[training]), tf.constant(y[training]), None)
    steps = compile_steps(
        flat, rows, sampler, crossentropy, optimizer, lambda _: tf.constant(0.001), holdout_inputs
    )
    return steps, steps(flat.start(optimizer), 0, 1)[0]


def ours(steps_per_round: int, steps_per_call: int = MAX_STEPS_PER_CALL) -> Callable[[], float]:
    steps, state = compiled(steps_per_call, slice(None), x[:1])

    def measure() -> float:
        nonlocal state
        began = time.perf_counter()
        for first in range(0, steps_per_round, steps_per_call):
            state, loss, _ = steps(state, first, steps_per_call)
            float(loss)
        return steps_per_round / (time.perf_counter() - began)

    return measure


def ours_with_checks(steps_per_round: int) -> Callable[[], float]:
    """As a job does it: a fifth of the rows is held out, predicted and measured at every check."""
    held_out = ROWS // 5
    limits = TrainingLimits(held_out, BATCH, 8192, steps_per_round, 0.0, None, 16.0, 0)
    steps, state = compiled(limits.steps_per_call, slice(held_out, None), x[:held_out])
    truth = y[:held_out].argmax(1)

    def measure() -> float:
        began = time.perf_counter()
        fit(
            state,
            steps,
            lambda predictions: evaluate_classes(truth, predictions.numpy()),
            limits,
            ignore,
        )
        return steps_per_round / (time.perf_counter() - began)

    return measure


def keras_model(**options: object) -> keras.Model:
    layers = [keras.Input((INPUTS,))]
    for _ in range(2):
        layers += [keras.layers.Dense(WIDTH), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    model = keras.Sequential([*layers, keras.layers.Dense(CLASSES, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.001), "categorical_crossentropy", **options)
    return model


def batches(repeat: bool) -> tf.data.Dataset:
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(ROWS).batch(BATCH)
    return (data.repeat() if repeat else data).prefetch(tf.data.AUTOTUNE)


def keras_fit(steps_per_round: int, **options: object) -> Callable[[], float]:
    model = keras_model(**({"jit_compile": False} | options))
    data = batches(repeat=True)
    model.fit(data, epochs=1, steps_per_epoch=128, verbose=0)

    def measure() -> float:
        began = time.perf_counter()
        model.fit(data, epochs=1, steps_per_epoch=steps_per_round, verbose=0)
        return steps_per_round / (time.perf_counter() - began)

    return measure


def keras_fit_as_written(steps_per_round: int) -> Callable[[], float]:
    model = keras_model()
    data = batches(repeat=False)
    model.fit(data, epochs=2, verbose=0)
    epochs = steps_per_round * BATCH // ROWS

    def measure() -> float:
        began = time.perf_counter()
        model.fit(data, epochs=epochs, verbose=0)
        return epochs * ROWS / BATCH / (time.perf_counter() - began)

    return measure


def matrix_products() -> Callable[[], float]:
    """The eight products of a step, forward and backward, and nothing else."""
    batch, hidden, output = (
        rng.standard_normal((BATCH, n)).astype(np.float32) for n in (INPUTS, WIDTH, CLASSES)
    )
    first, second, third = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((INPUTS, WIDTH), (WIDTH, WIDTH), (WIDTH, CLASSES))
    )

    def measure(steps: int = 4000) -> float:
        began = time.perf_counter()
        for _ in range(steps):
            batch @ first
            hidden @ second
            hidden @ third
            hidden.T @ output
            output @ third.T
            hidden.T @ hidden
            hidden @ second.T
            batch.T @ hidden
        return steps / (time.perf_counter() - began)

    return measure


@contextlib.contextmanager
def torch_loop(steps_per_round: int):
    """The PyTorch contestant, or None where there is no PyTorch."""
    python = os.environ.get("TORCH_PYTHON", shutil.which("torch-python"))
    if not python:
        print("PyTorch: left out (TORCH_PYTHON names no interpreter that has it)\n")
        yield None
        return
    script = Path(__file__).with_name("torch_loop.py")
    with subprocess.Popen(
        [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        process.stdout.readline()

        def measure() -> float:
            process.stdin.write(f"{steps_per_round}\n")
            return float(process.stdout.readline())

        yield measure
        process.stdin.close()


def steps_per_second() -> None:
    with torch_loop(1024) as torch:
        contestants = {
            "ours": ours(4096),
            "ours, in calls of 64 steps": ours(4096, 64),
            "ours, with a check after each 64": ours_with_checks(4096),
            "keras fit": keras_fit_as_written(512),
            "keras fit, 64 steps per execution": keras_fit(1024, steps_per_execution=64),
            "keras fit, 64 steps, XLA": keras_fit(1024, steps_per_execution=64, jit_compile=True),
            "NumPy, matrix products only": matrix_products(),
        }
        if torch:
            contestants["PyTorch loop"] = torch
        speed = interleaved(contestants, ROUNDS)
    goals = {"keras fit": 12, "NumPy, matrix products only": 0.4, "PyTorch loop": 5}
    better = max((name for name in speed if name.startswith("keras fit, 64")), key=speed.__getitem__)
    rows = [
        (name, f"{value:,.0f}", f"{speed['ours'] / value:.2f}x", goals.get(name, 3 if name == better else ""))
        for name, value in speed.items()
    ]
    print_table(("steps per second", "median", "ours is", "goal at least"), rows)
    checked = speed["ours, with a check after each 64"]
    share, lost = (1 - checked / speed[name] for name in ("ours, in calls of 64 steps", "ours"))
    print(f"share of the time in which the holdout is predicted and judged: {share:.1%} (goal: at most 15%)")
    print(f"with the shorter calls that checks need, the throughput falls by {lost:.1%}\n")


def job(directory: Path, iterations: int, holdout: bool) -> BaseSettings:
    fields = [{"index": i, "type": "numeric", "mean": 0.0, "stdev": 1.0} for i in range(INPUTS)]
    objective = {"index": INPUTS, "type": "categorical", "values": [str(i) for i in range(CLASSES)]}
    workspace = Workspace.create(directory)
    matrix = np.concatenate([x, y], axis=1)
    write_array(workspace.full_dataset, matrix)
    write_array(workspace.importance_dataset, matrix[:128])
    write_json(workspace.tree_importances, [])
    return BaseSettings(
        {
            "job_id": "benchmark",
            "job_type": "standard_training",
            "objective_type": "categorical",
            "output_directory": str(directory),
            "info_list": [*fields, objective],
            "seed": 0,
            "cache_file": str(workspace.full_dataset),
            "tree_embedding": False,
            "tree_inputs": 0,
            "layers": job_layers(),
            "batch_size": BATCH,
            "descent_algorithm": "adam",
            "learning_rate": 0.001,
            "loss_function": "crossentropy",
            "max_iterations": iterations,
            "patience": 8192,
            "holdout_rate": 0.2 if holdout else 0.0,
        }
    )


def whole_job(iterations: int) -> Callable[[], float]:
    """Seconds of a whole job: read, build, compile, train with checks, importances, write."""

    def measure() -> float:
        with tempfile.TemporaryDirectory() as directory:
            settings = job(Path(directory), iterations, holdout=True)
            began = time.perf_counter()
            training.run(settings, Workspace(Path(directory)), ignore)
            return time.perf_counter() - began

    return measure


def whole_fit(iterations: int) -> Callable[[], float]:
    """Seconds of building, compiling and fitting a Keras model as people write it."""

    def measure() -> float:
        began = time.perf_counter()
        keras_model().fit(batches(repeat=False), epochs=iterations * BATCH // ROWS, verbose=0)
        return time.perf_counter() - began

    return measure


def wall_times() -> None:
    rows = []
    for iterations, rounds in ((256, ROUNDS), (20_000, 3)):
        seconds = interleaved({"ours": whole_job(iterations), "fit": whole_fit(iterations)}, rounds)
        ratio = seconds["ours"] / seconds["fit"]
        goal = "at most 1.2x" if iterations == 256 else "at most 0.125x"
        rows.append(
            (f"{iterations:,}", f"{seconds['ours']:.2f}", f"{seconds['fit']:.2f}", f"{ratio:.3f}x", goal)
        )
    print_table(("steps in the job", "our whole job, s", "keras fit, s", "ours takes", "goal"), rows)


def main() -> None:
    steps_per_second()
    wall_times()


if __name__ == "__main__":
    main()
