"""From a table in memory to job files: for orchestrators written in Python, the demo, benchmarks and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.fields import Fields, parse_objective
from pyramid.tables.ser import write_ser

Field = dict[str, Any]
Job = dict[str, Any]
Layer = dict[str, Any]

# small tables overfit: strong dropout and a modest rate did best on scikit-learn's data sets (benchmarks/quality.py)
HIDDEN_NODES = (64, 64)
BATCH_SIZE = 128
DROPOUT_RATE = 0.5
LEARNING_RATE = 0.001


def numeric_field(index: int, column: np.ndarray) -> Field:
    """The `info_list` entry of a numeric column; NaN is a missing value."""
    return {
        "index": index,
        "type": "numeric",
        "mean": float(np.nanmean(column)),
        "stdev": float(np.nanstd(column)),
    }


def categorical_field(index: int, values: Sequence[str]) -> Field:
    """The `info_list` entry of a column that holds positions in `values`."""
    return {"index": index, "type": "categorical", "values": [str(value) for value in values]}


def readout_layers(
    hidden: Sequence[int],
    objective: Mapping[str, Any],
    activation_function: str = "relu",
    batch_normalization: bool = True,
    dropout_rate: float = 0.0,
    seed: int = 0,
) -> list[Layer]:
    """Untrained dense layers of the sizes `hidden`, and the output layer that the objective needs."""
    layers: list[Layer] = []
    for position, nodes in enumerate(hidden):
        layers += hidden_layers(
            nodes, activation_function, batch_normalization, dropout_rate or None, seed + position
        )
    answers = parse_objective(objective)
    return [*layers, dense_layer(answers.n_outputs, answers.activation, seed + len(hidden))]


def hidden_layers(
    nodes: int, activation_function: str, batch_normalization: bool, dropout_rate: float | None, seed: int
) -> list[Layer]:
    """An untrained hidden layer with what belongs to it; a dropout layer where there is a rate, be it 0."""
    layers = [dense_layer(nodes, None, seed)]
    if batch_normalization:
        layers.append(
            {
                "type": "batch_normalization",
                "gamma": "ones",
                "beta": "zeros",
                "mean": "zeros",
                "variance": "ones",
            }
        )
    layers.append({"type": "activation", "activation_function": activation_function})
    if dropout_rate is not None:
        layers.append({"type": "dropout", "dropout_type": "zero", "rate": dropout_rate})
    return layers


def dense_layer(nodes: int, activation_function: str | None, seed: int) -> Layer:
    """An untrained dense layer."""
    return {
        "type": "dense",
        "number_of_nodes": nodes,
        "weights": "glorot_uniform",
        "offset": "zeros",
        "activation_function": activation_function,
        "seed": seed,
    }


def tabular_jobs(
    directory: str | Path,
    rows: np.ndarray,
    info_list: Sequence[Field],
    seed: int = 0,
    job_id: str = "model",
    **keys: Any,
) -> list[Job]:
    """Write the rows as `rows.ser` and give the three jobs that make a model of them: cache, train, finalize.

    Args:
        directory: where the rows and the results go; made if absent.
        rows: (rows, fields) float64 in the order of `info_list`: numbers, and for categorical fields positions in
            their `values`; NaN is a missing input.
        info_list: the fields, the objective last.
        keys: other keys of the jobs (docs/settings.md), in place of what is chosen here; `folds=5` trains on folds
            (docs/training.md, "Folds").

    Returns:
        The jobs for `dataset_caching`, `standard_training` and `finalize_output`. The training job's `tree_inputs`
        is 0: put there what caching reports.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    ser = directory / "rows.ser"
    write_ser(ser, rows, info_list)
    objective = Fields.parse(info_list, bool(keys.get("instance_weights"))).objective
    shared = {
        "job_id": job_id,
        "objective_type": objective.kind,
        "output_directory": str(directory),
        "info_list": list(info_list),
        "seed": seed,
        "is_search": False,
        "tree_embedding": True,
        "logging_level": 2,
    }
    caching = {
        "job_type": "dataset_caching",
        "cache_file": str(ser),
        "cache_rows": len(rows),
        "max_data_size": 512_000_000,
        "parallelism": 1,
    }
    training = {
        "job_type": "standard_training",
        "cache_file": str(directory / "full_dataset.npy"),
        "tree_inputs": 0,
        "layers": readout_layers(HIDDEN_NODES, objective.dump(), dropout_rate=DROPOUT_RATE, seed=seed),
        "batch_size": BATCH_SIZE,
        "descent_algorithm": "adam",
        "learning_rate": LEARNING_RATE,
        "loss_function": objective.losses[0],
    }
    finalizing = {"job_type": "finalize_output"}
    return [shared | job | keys for job in (caching, training, finalizing)]
