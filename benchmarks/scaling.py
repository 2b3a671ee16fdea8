"""How the cost of table jobs grows with rows, fields and classes: `python benchmarks/scaling.py`.

    python benchmarks/scaling.py --curve rows --sizes 10000 4000000
    python benchmarks/scaling.py --curve classes --sizes 1000 --against ../older_checkout

For each size a table is made up, whose classes are clouds around centres of their own, and then cached, trained on
(two layers of 64, batches of 128) and finalized, each job in a process of its own. Measured are processor seconds of
all threads and seconds by the clock, without the imports that a worker has done before, and the largest resident
memory of the process, all its libraries included. `--against` measures another checkout in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sensenet.tensorflow_setup import tensorflow_environment

os.environ.update(tensorflow_environment(os.environ))

import numpy as np
from timing import in_a_process, print_table

from pyramid.tables.recipe import categorical_field, numeric_field, tabular_jobs

HERE = Path(__file__).resolve().parents[1]
INFORMATIVE_FIELDS = 20
ITERATIONS = 2000
STAGES = ("dataset_caching", "standard_training", "finalize_output")


class Size(NamedTuple):
    """The size of a table: its rows, numeric input fields, and classes."""

    rows: int
    fields: int
    classes: int


CURVES = {
    "rows": ([10_000, 100_000, 1_000_000], lambda rows: Size(rows, 20, 2)),
    "fields": ([20, 200, 2000, 10_000], lambda fields: Size(2000, fields, 2)),
    "classes": ([2, 10, 100, 1000], lambda classes: Size(100_000, 20, classes)),
}


def made_up(size: Size) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """(rows, fields + 1) float64 and their `info_list`; the first fields tell the classes apart."""
    rng = np.random.default_rng([*size])
    rows = np.empty((size.rows, size.fields + 1))
    rng.standard_normal(out=rows)
    labels = rng.integers(0, size.classes, size.rows)
    informative = min(size.fields, INFORMATIVE_FIELDS)
    rows[:, :informative] += rng.normal(size=(size.classes, informative))[labels]
    rows[:, -1] = labels
    fields = [numeric_field(index, rows[:, index]) for index in range(size.fields)]
    return rows, [*fields, categorical_field(size.fields, [f"class {i}" for i in range(size.classes)])]


def write_jobs(directory: Path, size: Size, keys: dict[str, Any]) -> list[dict[str, Any]]:
    """The jobs of a table of that size, its rows beside them."""
    rows, info_list = made_up(size)
    return tabular_jobs(directory, rows, info_list, max_iterations=ITERATIONS, **keys)


def run_stages(jobs: Sequence[dict[str, Any]], checkout: Path, directory: Path) -> list[dict[str, float]]:
    """Run the jobs, each in a process that takes the packages of `checkout`; what each took."""
    taken: list[dict[str, float]] = []
    for job in jobs:
        tree_inputs = int(taken[0]["tree_inputs"]) if taken else 0
        file = directory / "job.json"
        file.write_text(json.dumps({**job, "tree_inputs": tree_inputs}))
        command = [sys.executable, str(Path(__file__).resolve()), "--job", str(file)]
        taken.append(in_a_process(command, "stdout", checkout))
    return taken


def run_job(file: Path) -> dict[str, float]:
    """Run one job in this process, as the child of a worker does."""
    from pyramid.jobs import load_job
    from pyramid.progress import ignore
    from pyramid.settings.base_settings import BaseSettings
    from pyramid.workspace import Workspace

    settings = BaseSettings(json.loads(file.read_text()))
    job, workspace = load_job(settings.job_type), Workspace.create(settings.output_directory)
    began, used = time.perf_counter(), processor_seconds()
    result = job(settings, workspace, ignore)
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": processor_seconds() - used,
        "peak_mb": peak_bytes() / 1e6,
        "tree_inputs": result.get("tree_inputs", 0),
    }


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_bytes() -> int:
    """The largest resident memory of this process so far (Linux).

    That of `getrusage` would be at least its parent's when it was started.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def measure(size: Size, checkouts: Sequence[Path], keys: dict[str, Any]) -> list[tuple[object, ...]]:
    """The lines of the table for one size, one a checkout."""
    lines = []
    for checkout in checkouts:
        with tempfile.TemporaryDirectory() as folder:
            taken = run_stages(write_jobs(Path(folder), size, keys), checkout, Path(folder))
        cells = [
            f"{one['processor_seconds']:.1f} / {one['seconds']:.1f} / {one['peak_mb']:.0f}" for one in taken
        ]
        lines.append((*(f"{number:,}" for number in size), checkout.name, *cells))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--curve", choices=CURVES)
    parser.add_argument("--sizes", type=int, nargs="*")
    parser.add_argument("--trees", action="store_true", help="with the tree embedding")
    parser.add_argument("--against", type=Path, help="another checkout to measure in turn")
    parser.add_argument("--job", type=Path, help="run this job file alone")
    options = parser.parse_args()
    if options.job:
        print(json.dumps(run_job(options.job)))
        return
    checkouts = [HERE, *([options.against.resolve()] if options.against else [])]
    print("each job: processor seconds / seconds / largest memory in MB")
    for name in [options.curve] if options.curve else CURVES:
        sizes, size_of = CURVES[name]
        print(name)
        for number in options.sizes or sizes:
            # each as soon as it is known: the largest take minutes
            lines = measure(size_of(number), checkouts, {"tree_embedding": options.trees})
            print_table(("rows", "fields", "classes", "checkout", *STAGES), lines)


if __name__ == "__main__":
    main()
