"""How good `pyramid_fit` is, beside scikit-learn's ensembles, AutoGluon and RealMLP, on real tables.

python benchmarks/tables.py fit DIRECTORY RESULTS [SECONDS] [--quick] [--trees none]   # ours, one table after the other
python benchmarks/tables.py rivals DIRECTORY RESULTS [SECONDS]                         # theirs
python benchmarks/tables.py show DIRECTORY RESULTS                                     # all that RESULTS holds

DIRECTORY holds CSV files without header, the objective last; scikit-learn's five are always among the tables. Each
table has three seeded splits of 80 to 20. Every contestant has a process of its own, and writes what it predicts of the
20 into RESULTS; what is there already is not measured again. `AUTOGLUON_PYTHON` and `REALMLP_PYTHON` name Pythons that
have AutoGluon 1.6 and pytabkit; without them they are left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.metrics import log_loss, r2_score, roc_auc_score
from table_data import OBJECTIVE, Table, load_tables, write_split
from timing import print_table

FOLDER = Path(__file__).parent
SPLITS = 3
SMALLEST_PROBABILITY = 1e-7
SKLEARN = ("random_forest", "extra_trees", "hist_gradient_boosting")
OTHERS = {"autogluon": "AUTOGLUON_PYTHON", "realmlp": "REALMLP_PYTHON"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure or show."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("fit", "rivals", "show"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("seconds", type=float, nargs="?", default=60.0)
    parser.add_argument("--quick", action="store_true", help="one network")
    parser.add_argument("--trees", default="cross_fitted", help="cross_fitted, windows or none")
    parser.add_argument("--only", default="", help="names of tables, with commas between")
    parsed = parser.parse_args(arguments)
    parsed.results.mkdir(parents=True, exist_ok=True)
    tables = [
        one for one in load_tables(parsed.directory) if not parsed.only or one.name in parsed.only.split(",")
    ]
    if parsed.what == "show":
        show(tables, parsed.results)
        return
    with tempfile.TemporaryDirectory() as directory:
        for seed, table in ((seed, table) for seed in range(SPLITS) for table in tables):
            train, test = write_split(table, seed, Path(directory))
            measure(parsed, table, seed, train, test)


def measure(parsed: argparse.Namespace, table: Table, seed: int, train: Path, test: Path) -> None:
    """Let the contestants that are asked for predict one split."""
    for name, command in commands(parsed, table, train, test):
        output = parsed.results / f"{table.name}_{seed}_{name}.npy"
        if output.exists():
            continue
        began = time.perf_counter()
        done = subprocess.run([*command, str(output)], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
        said = f"failed: {done.stderr[-500:]}" if done.returncode else ""
        print(f"{table.name} {seed} {name}: {seconds:.1f} s {said}", flush=True)


def commands(
    parsed: argparse.Namespace, table: Table, train: Path, test: Path
) -> Iterator[tuple[str, list[str]]]:
    """Names and commands of the contestants, without the place for the result."""
    kind = "classes" if table.has_classes else "numbers"
    if parsed.what == "fit":
        variant = ("_quick" if parsed.quick else "") + (
            "" if parsed.trees == "cross_fitted" else f"_{parsed.trees}"
        )
        options = ["--quick"] if parsed.quick else []
        yield (
            f"pyramid{variant}",
            [
                *(sys.executable, str(FOLDER / "table_fit.py"), str(train), str(test), table.task),
                *(str(parsed.seconds), parsed.trees, *options),
            ],
        )
        return
    others = {name: os.environ[variable] for name, variable in OTHERS.items() if variable in os.environ}
    pythons = dict.fromkeys(SKLEARN, sys.executable) | others
    for name, python in pythons.items():
        script = str(FOLDER / "table_rivals.py")
        yield name, [python, script, name, str(train), str(test), kind, str(parsed.seconds)]


def show(tables: Sequence[Table], results: Path) -> None:
    """Mean scores and log losses of each contestant, and how far ours is from the best of the others."""
    found = scores(tables, results)
    names = sorted({name for contestants in found.values() for name in contestants})
    rows = [[table, *(_shown(found[table].get(name)) for name in names)] for table in found]
    print("AUC (one against rest) or R², and log loss: means over the splits")
    print_table(["table", *names], rows)
    whole = [name for name in names if all(name in contestants for contestants in found.values())]
    means = {
        name: np.nanmean([contestants[name] for contestants in found.values()], axis=0) for name in whole
    }
    print_table(["mean", *whole], [["", *(_shown(means[name]) for name in whole)]])
    rivals = [name for name in whole if not name.startswith("pyramid")]
    for ours in (name for name in whole if name.startswith("pyramid")):
        show_gains(ours, rivals, found, means)


def show_gains(
    ours: str,
    rivals: Sequence[str],
    found: Mapping[str, Mapping[str, tuple[float, float]]],
    means: Mapping[str, np.ndarray],
) -> None:
    """How far one of ours is ahead of each rival in the mean, and behind the best of them on each table."""
    gains = [[name, *(f"{gain:+.4f}" for gain in (means[ours] - means[name]) * (1, -1))] for name in rivals]
    print(f"{ours} is ahead by")
    print_table(["of", "score", "log loss"], gains)
    behind = {table: max(each[name][0] for name in rivals) - each[ours][0] for table, each in found.items()}
    worst = sorted(behind.items(), key=lambda pair: -pair[1])
    print("behind the best of them:", ", ".join(f"{table} {gap:+.4f}" for table, gap in worst), "\n")


def scores(tables: Sequence[Table], results: Path) -> Mapping[str, Mapping[str, tuple[float, float]]]:
    """By table and contestant: mean score, and mean log loss (NaN for numbers), where all splits were measured."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as directory:
        tests = {(t.name, s): write_split(t, s, Path(directory))[1] for t in tables for s in range(SPLITS)}
        for table in tables:
            names = {
                path.stem.removeprefix(f"{table.name}_0_") for path in results.glob(f"{table.name}_0_*.npy")
            }
            for name in sorted(names):
                files = [results / f"{table.name}_{seed}_{name}.npy" for seed in range(SPLITS)]
                if not all(file.exists() for file in files):
                    continue
                each = [
                    score(table, pl.read_csv(tests[table.name, seed])[OBJECTIVE], np.load(file))
                    for seed, file in enumerate(files)
                ]
                found.setdefault(table.name, {})[name] = tuple(np.mean(each, axis=0))
    return found


def score(table: Table, truth: pl.Series, predicted: np.ndarray) -> tuple[float, float]:
    """AUC and log loss of probabilities in the order of the classes' names; R² and NaN of numbers."""
    if not table.has_classes:
        return float(r2_score(truth.to_numpy(), predicted)), float("nan")
    classes = sorted(table.frame[OBJECTIVE].unique())
    is_class = truth.to_numpy()[:, None] == np.array(classes)
    scored = range(1, 2) if len(classes) == 2 else np.flatnonzero(is_class.any(axis=0))
    auc = np.mean([roc_auc_score(is_class[:, i], predicted[:, i]) for i in scored])
    clipped = np.clip(predicted, SMALLEST_PROBABILITY, 1)
    return float(auc), float(log_loss(is_class, clipped / clipped.sum(axis=1, keepdims=True)))


def _shown(scores: Sequence[float] | None) -> str:
    if scores is None:
        return "-"
    return f"{scores[0]:.4f}" + ("" if np.isnan(scores[1]) else f" {scores[1]:.3f}")


if __name__ == "__main__":
    main()
