"""Speed and memory of caching: a `.ser` file to `full_dataset.npy`, against NumPy and scikit-learn.

    python benchmarks/caching.py [--rows 1000000] [--rounds 5]

The peer reads the file with NumPy, standardises and one-hot encodes with a ColumnTransformer, and saves the same
float32 matrix. It is measured twice: `transform` was fitted before the clock starts, as the job is told means and
values; `fit_transform` is what people write. Every run is a process of its own (imports do not count), the kinds
interleaved; memory is the growth of the resident set at its peak over the run. The job also syncs its files to disk
and writes the evaluation and importance sets, and that counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

N_NUMERIC, N_CATEGORICAL, N_VALUES = 15, 5, 4
MEAN, STDEV = 3.0, 2.0
KINDS = ("pyramid", "transform", "fit_transform", "pyramid with trees")
MOST_TIMES_PEER, MOST_TIMES_MATRIX = 1.0, 2.5

INFO_LIST = [
    *({"index": i, "type": "numeric", "mean": MEAN, "stdev": STDEV} for i in range(N_NUMERIC)),
    *(
        {"index": N_NUMERIC + i, "type": "categorical", "values": [f"v{k}" for k in range(N_VALUES)]}
        for i in range(N_CATEGORICAL)
    ),
    {"index": N_NUMERIC + N_CATEGORICAL, "type": "numeric", "mean": 0.0, "stdev": 1.5},
]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", choices=KINDS)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child, options.directory, options.rows)))
        return 0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for rows in {options.rows, warm_rows(options.rows)}:
            write_rows(directory, rows)
        runs: dict[str, list[dict]] = {kind: [] for kind in KINDS}
        for _ in range(options.rounds):
            for kind in KINDS:
                runs[kind].append(in_own_process(kind, directory, options.rows))
        check_same(directory, options.rows)
    return print_table(runs, options.rows)


def warm_rows(rows: int) -> int:
    return min(rows, 20_000)


def ser_path(directory: Path, rows: int) -> Path:
    return directory / f"{rows}.ser"


def write_rows(directory: Path, rows: int) -> None:
    from pyramid.tables.ser import write_ser

    rng = np.random.default_rng(rows)
    numbers = rng.normal(MEAN, STDEV, (rows, N_NUMERIC))
    codes = rng.integers(0, N_VALUES, (rows, N_CATEGORICAL))
    objective = (numbers[:, 0] * (codes[:, 0] == 1) + rng.normal(size=rows)) / 2
    write_ser(ser_path(directory, rows), np.column_stack([numbers, codes, objective]), INFO_LIST)


def in_own_process(kind: str, directory: Path, rows: int) -> dict:
    command = [sys.executable, __file__, "--child", kind, "--directory", str(directory), "--rows", str(rows)]
    finished = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    return json.loads(finished.stdout.splitlines()[-1])


def measure(kind: str, directory: Path, rows: int) -> dict:
    if kind.startswith("pyramid"):
        prepare = prepare_job
    else:
        prepare = prepare_peer
    prepare(kind, directory, warm_rows(rows))()
    run = prepare(kind, directory, rows)
    reset_peak()
    before = memory("VmRSS")
    start = time.perf_counter()
    steps = run()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "growth_mb": (memory("VmHWM") - before) / 1e6, "steps": steps}


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def memory(name: str) -> int:
    """Bytes of a line of /proc/self/status, which counts in kB of 1024 bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def prepare_job(kind: str, directory: Path, rows: int):
    from pyramid.jobs import dataset_caching
    from pyramid.settings.base_settings import BaseSettings
    from pyramid.workspace import Workspace

    output = directory / kind.replace(" ", "_")
    settings = BaseSettings(
        {
            "job_type": "dataset_caching",
            "job_id": "caching",
            "objective_type": "numeric",
            "output_directory": str(output),
            "info_list": INFO_LIST,
            "seed": 1,
            "is_search": False,
            "cache_file": str(ser_path(directory, rows)),
            "cache_rows": rows,
            "max_data_size": 10**9,
            "parallelism": 1,
            "tree_embedding": kind == "pyramid with trees",
        }
    )

    def run() -> dict[str, float]:
        steps: dict[str, float] = {}
        last = [time.perf_counter(), ""]

        def report(progress: float, message: str = "") -> None:
            now = time.perf_counter()
            steps[last[1]] = steps.get(last[1], 0.0) + now - last[0]
            last[:] = [now, "encoding" if message.startswith("encoded") else message]

        dataset_caching.run(settings, Workspace.create(output), report)
        report(1.0)
        return {step: seconds for step, seconds in steps.items() if step}

    return run


def prepare_peer(kind: str, directory: Path, rows: int):
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    path = ser_path(directory, rows)
    n_inputs = N_NUMERIC + N_CATEGORICAL
    values = [np.arange(float(N_VALUES))] * N_CATEGORICAL
    one_hot = OneHotEncoder(categories=values, sparse_output=False, dtype=np.float32, handle_unknown="ignore")
    transformer = ColumnTransformer(
        [
            ("numeric", StandardScaler(), slice(0, N_NUMERIC)),
            ("categorical", one_hot, slice(N_NUMERIC, n_inputs)),
            ("objective", StandardScaler(), slice(n_inputs, n_inputs + 1)),
        ],
        sparse_threshold=0,
    )

    def read() -> np.ndarray:
        return np.fromfile(path, "<f8", offset=1).reshape(-1, n_inputs + 1)

    if kind == "transform":
        transformer.fit(read()[:1000])
        for name, mean, stdev in (("numeric", MEAN, STDEV), ("objective", 0.0, 1.5)):
            scaler = transformer.named_transformers_[name]
            scaler.mean_[:], scaler.scale_[:] = mean, stdev

    def run() -> dict[str, float]:
        encode = transformer.transform if kind == "transform" else transformer.fit_transform
        np.save(directory / f"{kind}.npy", encode(read()).astype(np.float32))
        return {}

    return run


def check_same(directory: Path, rows: int) -> None:
    ours = np.load(directory / "pyramid" / "full_dataset.npy", mmap_mode="r")
    peer = np.load(directory / "transform.npy", mmap_mode="r")
    if ours.shape != peer.shape or len(ours) != rows or not np.allclose(ours, peer, atol=1e-6):
        raise SystemExit("the two matrices differ")


def print_table(runs: dict[str, list[dict]], rows: int) -> int:
    matrix_mb = rows * (N_NUMERIC + N_CATEGORICAL * N_VALUES + 1) * 4 / 1e6
    print(
        f"{rows:,} rows, matrix of {matrix_mb:.0f} MB, medians of {len(runs['pyramid'])} interleaved rounds"
    )
    print(f"{'':20}{'seconds':>10}{'peak MB':>10}{'x matrix':>10}")
    seconds, growth = {}, {}
    for kind, measured in runs.items():
        seconds[kind] = statistics.median(run["seconds"] for run in measured)
        growth[kind] = statistics.median(run["growth_mb"] for run in measured)
        print(f"{kind:20}{seconds[kind]:10.2f}{growth[kind]:10.0f}{growth[kind] / matrix_mb:10.2f}")
    print("with trees, seconds of each step:")
    for step in runs["pyramid with trees"][0]["steps"]:
        print(f"  {step:48}{statistics.median(r['steps'][step] for r in runs['pyramid with trees']):8.2f}")
    times_peer = seconds["pyramid"] / seconds["transform"]
    times_matrix = growth["pyramid"] / matrix_mb
    print(f"seconds / those of transform:     {times_peer:.2f} (at most {MOST_TIMES_PEER})")
    print(f"seconds / those of fit_transform: {seconds['pyramid'] / seconds['fit_transform']:.2f}")
    print(f"peak memory / matrix:             {times_matrix:.2f} (less than {MOST_TIMES_MATRIX})")
    return int(times_peer > MOST_TIMES_PEER or times_matrix >= MOST_TIMES_MATRIX)


if __name__ == "__main__":
    sys.exit(main())
