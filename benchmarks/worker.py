"""The worker's promises, measured on spawned workers: `python benchmarks/worker.py [--jobs 100] [--per-child 32]`.

Ready line, answer to a wrong job, what the supervisor adds to a job, and a hundred small training jobs in one worker:
memory of parent and child, and whether a job pays for the replacement of a child.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from timing import print_table

from pyramid.tables.recipe import categorical_field, numeric_field, readout_layers, tabular_jobs

sys.path.append(str(Path(__file__).parents[1] / "tests" / "pyramid"))
from worker_client import FAKE_WORKER, Worker

ROUNDS = 5
MEGABYTE = 1e6
WARM_UP_JOBS = 5


@dataclass(frozen=True)
class Served:
    """One training job: the child that ran it, resident bytes after it, and the seconds until the answer.

    `beside_warming` says whether another child warmed up meanwhile.
    """

    child: int
    child_bytes: int
    parent_bytes: int
    seconds: float
    beside_warming: bool


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, 0 when it has ended (Linux)."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0


def small_jobs(directory: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A caching job of 500 rows with 8 numeric inputs and 2 classes, and a training job of 200 iterations on it."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(500, 8))
    rows = np.column_stack([inputs, inputs[:, 0] + inputs[:, 1] > 0]).astype(float)
    fields = [numeric_field(i, column) for i, column in enumerate(inputs.T)]
    fields.append(categorical_field(8, ["no", "yes"]))
    layers = readout_layers([16], fields[-1])
    caching, training, _ = tabular_jobs(
        directory, rows, fields, tree_embedding=False, logging_level=None, max_iterations=200, layers=layers
    )
    return caching, training


def no_operation(directory: Path) -> dict[str, Any]:
    """A job of the fake child that does nothing."""
    field = {"type": "numeric", "mean": 0, "stdev": 1}
    return {
        "job_type": "finalize_output",
        "job_id": "nothing",
        "is_search": False,
        "objective_type": "numeric",
        "output_directory": str(directory),
        "info_list": [{"index": index, **field} for index in range(20)],
        "training_options": {"do": "succeed"},
    }


def seconds_to_answer(worker: Worker, path: Path) -> float:
    """From the line of a job to its closing line."""
    sent = time.monotonic()
    worker.send(path)
    worker.closing(60)
    return time.monotonic() - sent


def ready_seconds() -> float:
    """From the spawning of a worker to its ready line."""
    with Worker() as worker:
        return worker.ready.at - worker.started


def serve_many(jobs: int, per_child: int, directory: Path) -> list[Served]:
    """Run the small training job again and again in one worker."""
    caching, training = small_jobs(directory)
    served = []
    with Worker(environment={"PYRAMID_JOBS_PER_CHILD": str(per_child)}) as worker:
        closing = worker.run(caching)
        assert "error" not in closing, closing["error"]
        path = worker.job_file(training)
        for _ in range(jobs):
            children = worker.children()
            oldest, warming = min(children), len(children) > 1
            seconds = seconds_to_answer(worker, path)
            sizes = resident_bytes(oldest), resident_bytes(worker.pid)
            served.append(Served(oldest, *sizes, seconds, warming or len(worker.children()) > 1))
    return served


def summary(served: list[Served]) -> list[tuple[object, ...]]:
    """The rows of the table about many jobs."""
    children = list(dict.fromkeys(job.child for job in served))
    by_child = {child: [job for job in served if job.child == child] for child in children}
    rows: list[tuple[object, ...]] = [
        ("parent's memory after job 5 / the last", _span([job.parent_bytes for job in served[4:]]), "flat")
    ]
    for number, jobs in enumerate(by_child.values()):
        sizes = [job.child_bytes for job in jobs if job.child_bytes]
        settled = sizes[WARM_UP_JOBS:] or sizes
        growth = (settled[-1] - settled[0]) / max(1, len(settled) - 1) / MEGABYTE
        rows.append((f"child {number}: {len(jobs)} jobs, memory", _span(sizes), "bounded"))
        rows.append(
            (f"child {number}: growth per job after its first {WARM_UP_JOBS}", f"{growth:.2f} MB", "")
        )
        first = [f"{job.seconds:.2f}" for job in jobs[:3]]
        rows.append((f"child {number}: seconds of its first jobs", ", ".join(first), "as the others"))
    for what, beside in (("alone", False), ("while a successor warms up", True)):
        seconds = [job.seconds for job in served[WARM_UP_JOBS:] if job.beside_warming is beside]
        if seconds:
            told = f"{statistics.median(seconds):.2f} / {max(seconds):.2f}"
            rows.append((f"job {what}: median / slowest seconds", told, "alike" if beside else ""))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--per-child", type=int, default=32)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        with Worker(command=FAKE_WORKER) as worker:
            wrong = worker.job_file({**no_operation(directory), "seed": -1})
            right = worker.job_file(no_operation(directory))
            seconds_to_answer(worker, right)
            rejections = [seconds_to_answer(worker, wrong) for _ in range(100)]
            overheads = [seconds_to_answer(worker, right) for _ in range(100)]
        rows: list[tuple[object, ...]] = [
            ("ready line (median of 5)", _milliseconds([ready_seconds() for _ in range(ROUNDS)]), "500 ms"),
            ("answer to a wrong job (median of 100)", _milliseconds(rejections), "50 ms"),
            ("supervisor's overhead of a job (median of 100)", _milliseconds(overheads), "20 ms"),
            *summary(serve_many(arguments.jobs, arguments.per_child, directory)),
        ]
    print_table(("what", "measured", "goal"), rows)


def _milliseconds(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.1f} ms (worst {max(seconds) * 1000:.1f})"


def _span(sizes: list[int]) -> str:
    return f"{sizes[0] / MEGABYTE:.1f} / {sizes[-1] / MEGABYTE:.1f} MB"


if __name__ == "__main__":
    main()
