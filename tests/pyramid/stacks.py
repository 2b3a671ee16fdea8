"""Small tables and networks that stand side by side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pyramid.fields.objectives import CategoricalObjective, NumericObjective
from pyramid.settings.options import (
    FitOptions,
    LimitOptions,
    LossOptions,
    OptimizerOptions,
    ReadoutOptions,
    SamplingOptions,
)
from pyramid.train.dataset import Dataset
from pyramid.train.stacked.training import FoldRows, Variant

COLUMNS, CLASSES, FOLDS, ROWS = 5, 3, 3, 60
ADAM = {
    "descent_algorithm": "adam",
    "beta1": 0.9,
    "beta2": 0.999,
    "epsilon": 1e-7,
    "init_accumulator": 0.1,
    "learning_rate_power": -0.5,
}
DENSE = {"type": "dense", "weights": "glorot_uniform", "offset": "zeros"}
NORMALIZATION = {
    "type": "batch_normalization",
    **{"gamma": "ones", "beta": "zeros", "mean": "zeros", "variance": "ones"},
}
LAYERS = [
    {**DENSE, "number_of_nodes": 6},
    NORMALIZATION,
    {"type": "activation", "activation_function": "relu"},
    {"type": "dropout", "dropout_type": "zero", "rate": 0.3},
]


def table(numeric: bool = False, weighted: bool = False, n_rows: int = ROWS, seed: int = 0) -> FoldRows:
    """Rows whose first column decides the objective, in folds of equal size."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n_rows, COLUMNS)).astype(np.float32)
    objective = NumericObjective(index=9, mean=0.0, stdev=1.0)
    truth = inputs[:, 0].copy()
    if not numeric:
        objective = CategoricalObjective(index=9, values=("a", "b", "c"))
        truth = np.digitize(inputs[:, 0], [-0.5, 0.5])
    weights = rng.uniform(0.5, 2, n_rows).astype(np.float32) if weighted else None
    dataset = Dataset(inputs, truth, weights, objective)
    return FoldRows(dataset, np.arange(n_rows) % FOLDS, FOLDS, most_checked=4096)


def variant(
    rows: FoldRows, layers: list[dict] | None = None, seed: int = 0, loss: str | None = None, **options
) -> Variant:
    """A network for the table; `options` are keys of jobs."""
    answers = {"number_of_nodes": rows.dataset.targets.shape[1]}
    answers["activation_function"] = "softmax" if rows.dataset.objective.has_classes else None
    fit = FitOptions(
        optimizer=OptimizerOptions(**ADAM | {"learning_rate": 0.01} | _some(options, OptimizerOptions)),
        limits=LimitOptions(
            **{"batch_size": 16, "patience": 4, "max_seconds_per_update": 60} | _some(options, LimitOptions)
        ),
        sampling=SamplingOptions(**{"seed": seed, "batch_size": 16} | _some(options, SamplingOptions)),
        loss=LossOptions(
            **{"loss_function": loss or rows.dataset.objective.losses[0]} | _some(options, LossOptions)
        ),
    )
    chosen = LAYERS if layers is None else layers
    return Variant(ReadoutOptions(layers=[*chosen, {**DENSE, **answers}], seed=seed), fit)


def with_rate(one: Variant, rate: float) -> Variant:
    """The variant with another learning rate."""
    options = replace(one.options, optimizer=replace(one.options.optimizer, learning_rate=rate))
    return replace(one, options=options)


def _some(options: dict, kind: type) -> dict:
    return {key: value for key, value in options.items() if key in kind.__dataclass_fields__}
