"""The demo behind bin/demo: python bin/demo.py PYRAMID [DIRECTORY].

Feeds a spawned worker over stdin with the jobs for three tables that scikit-learn bundles, and for two image networks
on its scanned digits, then looks at what it left: metrics on rows and images that the jobs never saw, importances, and
predictions made with sensenet.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image
from sklearn import datasets

import sensenet
from pyramid.tables.recipe import categorical_field, numeric_field, readout_layers, tabular_jobs
from pyramid.train.metrics import evaluate_classes, evaluate_numbers
from pyramid.worker import protocol

SEED = 1
TEST_SHARE = 0.2
IDLE_SECONDS = 60
COMPLETE = protocol.COMPLETE.decode()


@dataclass(frozen=True)
class Table:
    """A data set: what its fields are called, and its rows, the objective last."""

    title: str
    names: list[str]
    info_list: list[dict[str, Any]]
    rows: np.ndarray
    test: np.ndarray


def load_tables() -> Iterator[Table]:
    """Breast cancer (2 classes), wine (3 classes) and diabetes (a number; its sex is a category)."""
    for title, bunch in (
        ("breast cancer, 2 classes", datasets.load_breast_cancer()),
        ("wine, 3 classes", datasets.load_wine()),
        ("diabetes, a number", datasets.load_diabetes(scaled=False)),
    ):
        classes = getattr(bunch, "target_names", None)
        yield make_table(title, list(bunch.feature_names), bunch.data.astype(float), bunch.target, classes)


def make_table(title: str, names: list[str], data: np.ndarray, target: np.ndarray, classes: Any) -> Table:
    """Split the rows and describe the fields by what the training rows show."""
    order = np.random.default_rng(SEED).permutation(len(data))
    test, training = np.split(order, [round(TEST_SHARE * len(data))])
    if "sex" in names:
        sex = names.index("sex")
        data[:, sex] -= 1  # 1 and 2 become positions in the field's values
    info_list = [
        categorical_field(i, ["1", "2"]) if name == "sex" else numeric_field(i, data[training, i])
        for i, name in enumerate(names)
    ]
    objective = (
        numeric_field(len(names), target[training])
        if classes is None
        else categorical_field(len(names), list(classes))
    )
    rows = np.column_stack([data, target.astype(float)])
    return Table(title, names, [*info_list, objective], rows[training], rows[test])


class Worker:
    """A spawned pyramid, as an orchestrator sees it."""

    def __init__(self, command: str):
        """Start it and wait until it is ready."""
        self._process = subprocess.Popen(
            [command, str(IDLE_SECONDS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        print(self._read_line())

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Write the job's file, send its path, show the progress lines, give the result."""
        path = Path(job["output_directory"]) / f"{job['job_type']}.json"
        path.write_text(json.dumps(job))
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        while True:
            line = self._read_line()
            if line.startswith(COMPLETE):
                result = json.loads(line.removeprefix(COMPLETE))
                if "error" in result:
                    sys.exit(f"{job['job_type']} failed: {result['error_message']}\n{result['error']}")
                print(f"  {job['job_type']} done in {result['job_time']:.2f} s")
                return result
            print(f"  {line if len(line) < 150 else line[:147] + '...'}")

    def close(self) -> None:
        """Let it end."""
        self._process.stdin.write("terminate\n")
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _read_line(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"the worker ended with exit code {self._process.wait()}")
        return line.rstrip("\n")


@dataclass(frozen=True)
class Scans:
    """Scanned digits as PNG files, those to learn from and those to test on."""

    directory: Path
    training: list[dict[str, Any]]
    test: list[dict[str, Any]]
    info_list: list[dict[str, Any]]


def write_scans(directory: Path) -> Scans:
    """scikit-learn's 1,797 scans of handwritten digits, 8 x 8 pixels of 17 greys, as PNG files."""
    digits = datasets.load_digits()
    directory.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (scan, label) in enumerate(zip(digits.images, digits.target.tolist(), strict=True)):
        rows.append({"file": f"{number:04d}.png", "label": label, "weight": 1.0})
        Image.fromarray((scan * 255 / 16).astype(np.uint8)).save(directory / rows[-1]["file"])
    order = np.random.default_rng(SEED).permutation(len(rows))
    test, training = np.split(order, [round(TEST_SHARE * len(rows))])
    info_list = [{"index": 0, "type": "image"}, categorical_field(1, digits.target_names)]
    return Scans(directory, [rows[i] for i in training], [rows[i] for i in test], info_list)


def image_job(scans: Scans, network: str, directory: Path) -> dict[str, Any]:
    """The job that trains an image network from scratch."""
    directory.mkdir(parents=True, exist_ok=True)
    return {
        "job_type": "image_training",
        "objective_type": "categorical",
        "output_directory": str(directory),
        "info_list": scans.info_list,
        "seed": SEED,
        "logging_level": 2,
        "image_root": str(scans.directory),
        "image_training_data": scans.training,
        "input_image_shape": [16, 16, 3],
        "rescale_type": "warp",
        "max_data_size": 100_000_000,
        "base_image_network": network,
        "image_training_type": "randomly_initialize",
        "layers": readout_layers([], scans.info_list[-1], seed=SEED),
        "batch_size": 32,
        "descent_algorithm": "adam",
        "learning_rate": 0.003,
        "loss_function": "crossentropy",
        "max_iterations": 600,
        "max_training_time": 120,
    }


def show_scans(scans: Scans, final: dict[str, Any], report_page: Path) -> None:
    """Test metrics, paths, and a prediction."""
    model = sensenet.create_model(final["final_model_path"], {"image_path_prefix": str(scans.directory)})
    predictions = model([[row["file"]] for row in scans.test])
    metrics = evaluate_classes(np.array([row["label"] for row in scans.test]), predictions)
    print(f"  On {len(scans.test)} scans that the jobs never saw:")
    for name, value in metrics.items():
        print(f"    {name:24s} {value:.4f}")
    print(f"  How the training went: {report_page}")
    print("  A prediction:")
    first = scans.test[0]
    print(f"    >>> sensenet.create_model('{Path(final['final_model_path']).name}')('{first['file']}')")
    print(f"    {model(first['file']).round(3)}")
    print(f"    the truth: {first['label']}\n")


def show(table: Table, final: dict[str, Any]) -> None:
    """Test metrics, importances, paths, and a prediction."""
    model = sensenet.create_model(final["final_model_path"])
    points = as_points(table)
    objective = table.info_list[-1]
    truth = table.test[:, -1]
    predictions = model(points)
    if objective["type"] == "categorical":
        metrics = evaluate_classes(truth.astype(int), predictions)
    else:
        metrics = evaluate_numbers(truth, predictions[:, 0])
    print(f"  On {len(truth)} rows that the jobs never saw:")
    for name, value in metrics.items():
        print(f"    {name:24s} {value:.4f}")
    importances = json.loads(Path(final["final_model_path"]).read_text())["importances"]
    print("  Importances, the five largest:")
    for share, name in sorted(zip(importances, table.names, strict=True), reverse=True)[:5]:
        print(f"    {name:24s} {share:.1%}")
    print("  Results:")
    for key in ("final_model_path", "short_model_path", "weight_path", "bundle_path"):
        print(f"    {final[key]}")
    print("  A prediction:")
    print(f"    >>> sensenet.create_model('{Path(final['final_model_path']).name}')({points[0]})")
    print(f"    {model(points[0])}")
    print(f"    the truth: {describe(objective, truth[0])}\n")


def as_points(table: Table) -> list[list[Any]]:
    """The test rows as people pass them: numbers, and categories by name."""
    points = []
    for row in table.test:
        fields = zip(table.info_list[:-1], row, strict=False)
        points.append([describe(field, value) for field, value in fields])
    return points


def describe(field: dict[str, Any], value: float) -> Any:
    """A raw value as people write it."""
    return field["values"][int(value)] if field["type"] == "categorical" else float(value)


def main() -> None:
    """Run the demo."""
    command = sys.argv[1]
    root = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="pyramid-demo-"))
    worker = Worker(command)
    for table in load_tables():
        print(f"\n== {table.title}: {len(table.rows)} rows to learn from, {len(table.test)} to test on")
        directory = root / table.title.split(",")[0].replace(" ", "_")
        caching, training, finalizing = tabular_jobs(directory, table.rows, table.info_list, SEED)
        cached = worker.run(caching)
        worker.run(training | {"tree_inputs": cached["tree_inputs"]})
        show(table, worker.run(finalizing))
    scans = write_scans(root / "digits" / "scans")
    for network in ("simple", "simple_residual"):
        print(
            f"\n== digits with {network}: {len(scans.training)} scans to learn from, {len(scans.test)} to test on"
        )
        job = image_job(scans, network, root / "digits" / network)
        trained = worker.run(job)
        finalizing = {**job, "job_type": "finalize_output", "job_id": trained["job_id"], "is_search": False}
        show_scans(scans, worker.run(finalizing), root / "digits" / network / "report.html")
    worker.close()


if __name__ == "__main__":
    main()
