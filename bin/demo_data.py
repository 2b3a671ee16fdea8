"""The data sets of the demo, which scikit-learn bundles, and the jobs that learn them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn import datasets

from pyramid.tables.recipe import categorical_field, numeric_field, readout_layers, tabular_jobs

SEED = 1
TEST_SHARE = 0.2
SCANNED_NETWORKS = ("simple", "simple_residual")


@dataclass(frozen=True)
class Table:
    """A data set: what its fields are called, and its rows to learn from and to test on, the objective last."""

    title: str
    names: list[str]
    info_list: list[dict[str, Any]]
    rows: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Scans:
    """Scanned digits as PNG files, those to learn from and those to test on."""

    directory: Path
    training: list[dict[str, Any]]
    test: list[dict[str, Any]]
    info_list: list[dict[str, Any]]


def load_tables() -> list[Table]:
    """Breast cancer (2 classes), wine (3 classes) and diabetes (a number; its sex is a category)."""
    tables = []
    for title, bunch in (
        ("breast cancer", datasets.load_breast_cancer()),
        ("wine", datasets.load_wine()),
        ("diabetes", datasets.load_diabetes(scaled=False)),
    ):
        classes = getattr(bunch, "target_names", None)
        names = list(bunch.feature_names)
        tables.append(_make_table(title, names, bunch.data.astype(float), bunch.target, classes))
    return tables


def _make_table(title: str, names: list[str], data: np.ndarray, target: np.ndarray, classes: Any) -> Table:
    """Split the rows and describe the fields by what the training rows show."""
    test, training = _split(len(data))
    if "sex" in names:
        data[:, names.index("sex")] -= 1  # 1 and 2 become positions in the field's values
    info_list = [
        categorical_field(i, ["1", "2"]) if name == "sex" else numeric_field(i, data[training, i])
        for i, name in enumerate(names)
    ]
    objective = (
        numeric_field(len(names), target[training])
        if classes is None
        else categorical_field(len(names), list(classes))
    )
    named = [field | {"name": name} for field, name in zip(info_list, names, strict=True)]
    rows = np.column_stack([data, target.astype(float)])
    return Table(title, names, [*named, objective], rows[training], rows[test])


def table_jobs(table: Table, root: Path) -> list[dict[str, Any]]:
    """The jobs that cache, train and finalize, in a directory called after the table."""
    return tabular_jobs(root / table.title.replace(" ", "_"), table.rows, table.info_list, SEED)


def write_scans(directory: Path) -> Scans:
    """scikit-learn's 1,797 scans of handwritten digits, 8 x 8 pixels of 17 greys, as PNG files."""
    digits = datasets.load_digits()
    directory.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (scan, label) in enumerate(zip(digits.images, digits.target.tolist(), strict=True)):
        rows.append({"file": f"{number:04d}.png", "label": label, "weight": 1.0})
        Image.fromarray((scan * 255 / 16).astype(np.uint8)).save(directory / rows[-1]["file"])
    test, training = _split(len(rows))
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


def _split(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions to test on and to learn from."""
    order = np.random.default_rng(SEED).permutation(count)
    test, training = np.split(order, [round(TEST_SHARE * count)])
    return test, training
