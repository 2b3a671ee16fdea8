"""What a search of `pyramid_fit` gets done, what it needs, and what interrupting it leaves.

python benchmarks/search.py candidates [SECONDS]     # tried on breast cancer by 2 workers, beside a job a network
python benchmarks/search.py memory [ROWS] [SECONDS]  # peak of all its processes on ROWS x 20 fields; is time kept?
python benchmarks/search.py interrupts [TIMES]       # at random moments: a model that predicts each time?
python benchmarks/search.py noise [SEEDS]            # on labels that are drawn: is the AUC of the final model 0.5?
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
from sklearn.datasets import load_breast_cancer
from timing import print_table

import sensenet
from pyramid.search.local import JOBS_FOLDER
from pyramid.search.worker_client import Worker

SECONDS = 60.0
FOLDS = 5
WORKERS = 2
FIELDS = 20
MEGABYTE = 2**20
OF_FOLDS = ("folds", "refit", "variants", "max_training_time")
"""Keys of a search's jobs that a job of one network has not."""


def fit_command(table: Path, output: Path, *options: str) -> list[str]:
    """`pyramid_fit` of a table whose objective is called so."""
    command = [sys.executable, "-m", "pyramid.commands.fit", str(table), "--objective", "objective"]
    return [*command, "--output", str(output), *options]


def write_cancer(path: Path) -> Path:
    """scikit-learn's breast cancer as CSV."""
    loaded = load_breast_cancer()
    frame = pl.DataFrame({f"x{i}": column for i, column in enumerate(loaded.data.T)})
    frame.with_columns(pl.Series("objective", loaded.target_names[loaded.target])).write_csv(path)
    return path


def candidates(seconds: float) -> None:
    """Candidates of five folds in some time, and in as much time by a job for each of their networks."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        table, model = write_cancer(root / "cancer.csv"), root / "model"
        options = ("--time", str(seconds), "--workers", str(WORKERS), "--folds", str(FOLDS))
        began = time.perf_counter()
        subprocess.run(fit_command(table, model, *options), check=True, capture_output=True)
        taken = time.perf_counter() - began
        done = pl.read_csv(model / "leaderboard.csv").filter(pl.col("status") == "done")
        networks = done.filter(pl.col("kind") == "network").height
        each = seconds_of_a_network(model)
    by_jobs = WORKERS * seconds / (FOLDS * each)
    print_table(
        ["candidates of 5 folds", f"in {seconds:.0f} s", "goal"],
        [
            ["pyramid_fit", done.height, "60"],
            [f"networks alone, a job for each ({each:.2f} s)", f"{by_jobs:.1f}", ""],
            ["ratio", f"{networks / by_jobs:.1f}", "4"],
            ["time taken", f"{taken:.1f} s", ""],
        ],
    )


def seconds_of_a_network(model: Path) -> float:
    """What a network of a search takes on the average where it has a job of its own, as jobs without folds do.

    Each structure of the search is trained once, by a warm worker that has the processor to itself.
    """
    taken = []
    worker = Worker(threads=1)
    try:
        for number, path in enumerate(sorted((model / JOBS_FOLDER).glob("job_*.json"))):
            job = json.loads(path.read_text())
            plain = {name: value for name, value in job.items() if name not in OF_FOLDS}
            plain |= {"job_id": f"n{number}", "output_directory": str(model)}
            began = time.perf_counter()
            run(worker, model, plain)
            taken.append(time.perf_counter() - began)
    finally:
        worker.end()
    return float(np.mean(taken[1:]))


def run(worker: Worker, directory: Path, job: dict[str, Any]) -> dict[str, Any]:
    """The result of a job."""
    path = directory / f"{job['job_id']}.json"
    path.write_text(json.dumps(job))
    return worker.run(job["job_id"], path)


def memory(n_rows: int, seconds: float) -> None:
    """Peak memory of the driver and its workers, summed over the processes, each page counted once."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(n_rows, FIELDS)).astype(np.float32)
    signal_ = inputs[:, 0] * inputs[:, 1] + np.sin(2 * inputs[:, 2]) + rng.normal(size=n_rows)
    with tempfile.TemporaryDirectory() as directory:
        table = Path(directory) / "rows.csv"
        frame = pl.DataFrame({f"x{i}": column for i, column in enumerate(inputs.T)})
        frame.with_columns(pl.Series("objective", np.where(signal_ > 0, "yes", "no"))).write_csv(table)
        began = time.perf_counter()
        command = fit_command(table, Path(directory) / "model", "--time", str(seconds))
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            peaks: list[int] = []
            watching = threading.Thread(target=watch, args=(process, peaks))
            watching.start()
            said = process.communicate()[0]
            watching.join()
        taken = time.perf_counter() - began
    print(said)
    print_table(
        ["", "measured", "goal"],
        [
            ["peak memory", f"{max(peaks) / MEGABYTE:.0f} MiB", "6144 MiB"],
            ["time", f"{taken:.1f} s of {seconds:.0f}", f"{1.05 * seconds:.0f} s"],
        ],
    )


def watch(process: subprocess.Popen[str], peaks: list[int]) -> None:
    """Add up the proportional memory of a process and all below it, until it ends."""
    peaks.append(0)
    while process.poll() is None:
        total = 0
        try:
            root = psutil.Process(process.pid)
            for one in (root, *root.children(recursive=True)):
                total += one.memory_full_info().pss
        except psutil.Error:
            continue
        peaks.append(total)
        time.sleep(0.25)


def interrupts(times: int, seconds: float = 40.0) -> None:
    """SIGINT at random moments."""
    rng = random.Random(0)
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        table = write_cancer(root / "cancer.csv")
        for number in range(times):
            output, wait = root / f"model{number}", rng.uniform(1, seconds)
            process = subprocess.Popen(
                fit_command(table, output, "--time", str(seconds)),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            time.sleep(wait)
            process.send_signal(signal.SIGINT)
            began = time.perf_counter()
            said = process.communicate()[1].strip().splitlines()
            rows.append(
                [f"{wait:.1f}", process.returncode, f"{time.perf_counter() - began:.1f}", left(output, said)]
            )
    print_table(["interrupted after (s)", "exit code", "ended in (s)", "what is left"], rows)


def noise(seeds: int, n_rows: int = 300) -> None:
    """What the leaderboard says of models of nothing: labels drawn at random, 20 fields."""
    told = []
    with tempfile.TemporaryDirectory() as directory:
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            columns = {f"x{i}": column for i, column in enumerate(rng.normal(size=(FIELDS, n_rows)))}
            table, output = Path(directory) / "noise.csv", Path(directory) / str(seed)
            pl.DataFrame(columns | {"objective": rng.choice(["no", "yes"], n_rows)}).write_csv(table)
            options = ("--max-candidates", "24", "--seed", str(seed))
            subprocess.run(fit_command(table, output, *options), check=True, capture_output=True)
            told.append(json.loads((output / "selection.json").read_text())["metrics"]["auc"])
            print(f"seed {seed}: {told[-1]:.3f}", flush=True)
    print_table(
        ["mean AUC", "goal"],
        [[f"{np.mean(told):.3f} ± {np.std(told) / len(told) ** 0.5:.3f}", "0.47 to 0.53"]],
    )


def left(output: Path, said: list[str]) -> str:
    """What an interrupted fit left: a model that predicts, or what it said."""
    document = output / "final_model.json"
    if not document.exists():
        return said[-1] if said else "nothing was said"
    model = sensenet.create_model(str(document))
    networks = len(json.loads(document.read_text()).get("networks", [0]))
    point = dict.fromkeys((field.name for field in model.fields), 1.0)
    return f"a model of {networks} networks, which predicts {np.round(model([point])[0], 3).tolist()}"


if __name__ == "__main__":
    what, *numbers = sys.argv[1:] or ["candidates"]
    if what == "candidates":
        candidates(float(numbers[0]) if numbers else SECONDS)
    elif what == "memory":
        memory(int(numbers[0]) if numbers else 1_000_000, float(numbers[1]) if len(numbers) > 1 else SECONDS)
    elif what == "noise":
        noise(int(numbers[0]) if numbers else 20)
    elif what == "interrupts":
        interrupts(int(numbers[0]) if numbers else 10)
    else:
        raise SystemExit(__doc__)
