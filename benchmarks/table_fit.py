"""`pyramid_fit` as a contestant: python table_fit.py TRAIN.csv TEST.csv TASK SECONDS TREES [--quick] OUTPUT.npy."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from table_data import OBJECTIVE

import sensenet


def main(train: str, test: str, task: str, seconds: str, trees: str, *rest: str) -> None:
    """Fit with the command, predict with the document."""
    *options, output = rest
    with tempfile.TemporaryDirectory() as directory:
        command = [
            sys.executable,
            "-m",
            "pyramid.commands.fit",
            train,
            "--objective",
            OBJECTIVE,
            "--task",
            task,
        ]
        command += ["--time", seconds, "--trees", trees, "--output", directory, *options]
        subprocess.run(command, check=True)
        model = sensenet.create_model(str(Path(directory) / "final_model.json"))
        rows = pl.read_csv(test, infer_schema_length=None).drop(OBJECTIVE).to_dicts()
        predicted = np.asarray(model(rows), np.float64)
    if model.classes is None:
        np.save(output, predicted[:, 0])
        return
    order = np.argsort(model.classes)
    np.save(output, predicted[:, order])


if __name__ == "__main__":
    main(*sys.argv[1:])
