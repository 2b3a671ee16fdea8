"""What a search tries: its first networks, the space of the others, and the numbers of a training.

Plain data and the layers that follow from it; nothing here knows how jobs are run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pyramid.fields.objective import Objective
from pyramid.tables.recipe import Layer, dense_layer, hidden_layers


@dataclass(frozen=True)
class Structure:
    """What the variants of one job share, so that one compiled program trains them all.

    Attributes:
        layers: hidden layers, or residual blocks after a first hidden layer; 0 is a linear model.
        width: nodes of a hidden layer.
        residual: whether the layers after the first are blocks that add to what comes in.
        trees: whether the network looks at the tree features.
    """

    layers: int
    width: int = 0
    activation_function: str = "relu"
    residual: bool = False
    batch_normalization: bool = True
    descent_algorithm: str = "adam"
    batch_size: int = 128
    mixup_alpha: float = 0.0
    learning_rate_schedule: str = "constant"
    trees: bool = True


@dataclass(frozen=True)
class Numbers:
    """What the variants of one job differ in."""

    learning_rate: float
    dropout_rate: float = 0.0
    weight_decay: float = 0.0
    label_smoothing_factor: float = 0.0


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`; with `log` its logarithm is drawn evenly."""

    low: float
    high: float
    log: bool = False


Space = Mapping[str, Choice | Range]

VARIANTS = 4
"""Candidates that share a job."""

REFIT = False
MAX_NETWORKS = 120
"""Entries of a final model; a candidate of five networks takes five."""

PATIENCE = 16

_LINEAR = tuple(Numbers(rate, weight_decay=decay) for rate in (0.01, 0.002) for decay in (0.0, 0.03))
_SMALL = (
    Numbers(0.001, dropout_rate=0.3),
    Numbers(0.001, dropout_rate=0.5),
    Numbers(0.003, dropout_rate=0.25, weight_decay=0.01),
    Numbers(0.0003, dropout_rate=0.1, weight_decay=0.03),
)
_SMOOTH = (
    Numbers(0.003, dropout_rate=0.15, weight_decay=0.02),
    Numbers(0.001, dropout_rate=0.4, weight_decay=0.02),
    Numbers(0.003, dropout_rate=0.4, weight_decay=0.1),
    Numbers(0.001, dropout_rate=0.15, weight_decay=0.02),
)
_WIDE = (
    Numbers(0.001, dropout_rate=0.5, weight_decay=0.01),
    Numbers(0.0003, dropout_rate=0.3),
    Numbers(0.003, dropout_rate=0.5, weight_decay=0.03),
    Numbers(0.001, dropout_rate=0.1, weight_decay=0.03),
)

_MISH = Structure(2, 128, "mish", batch_normalization=False, learning_rate_schedule="cosine")
_SELU = replace(_MISH, activation_function="selu")
_RELU = Structure(2, 64, batch_normalization=False, learning_rate_schedule="cosine")

PORTFOLIO: tuple[tuple[Structure, tuple[Numbers, ...]], ...] = (
    (_MISH, _SMOOTH),
    (replace(_MISH, trees=False), _SMOOTH),
    (replace(_RELU, trees=False), _SMALL),
    (_RELU, _SMALL),
    (Structure(0, trees=False), _LINEAR),
    (replace(_SELU, trees=False), _SMOOTH),
    (Structure(2, 64), _SMALL),
    (Structure(3, 128, "swish", residual=True, trees=False), _WIDE),
    (Structure(0), _LINEAR),
    (Structure(2, 256, trees=False), _WIDE),
    (Structure(3, 128, "swish", residual=True), _WIDE),
)
"""Networks that are good at many tables, in the order in which they are tried."""

STRUCTURE_SPACE: Space = MappingProxyType(
    {
        "layers": Choice((0, 1, 2, 3, 4)),
        "width": Choice((16, 32, 64, 128, 256)),
        "activation_function": Choice(("relu", "mish", "swish", "selu", "tanh")),
        "residual": Choice((False, True)),
        "batch_normalization": Choice((False, True)),
        "descent_algorithm": Choice(("adam", "nadam", "rms_prop", "momentum")),
        "batch_size": Choice((32, 64, 128, 256)),
        "mixup_alpha": Choice((0.0, 0.2, 0.5)),
        "learning_rate_schedule": Choice(("constant", "cosine")),
        "trees": Choice((False, True)),
    }
)
NUMBER_SPACE: Space = MappingProxyType(
    {
        "learning_rate": Range(1e-4, 3e-2, log=True),
        "dropout_rate": Range(0.0, 0.6),
        "weight_decay": Range(0.0, 0.1),
        "label_smoothing_factor": Range(0.0, 0.15),
    }
)

HALVING_SHARE = 4
"""One of so many candidates is trained on, for so many times the iterations."""

_RUNG_EPOCHS = (15.0, 60.0, 240.0)
_HALVING_ROWS = 3000
_FEWEST_ITERATIONS, _MOST_ITERATIONS = 200, 40_000
_FALLING_SHARE = 0.25


def rung_iterations(rung: int, n_rows: int, structure: Structure) -> int:
    """The `max_iterations` of a training: rung 0 of the successive halving is the shortest.

    A rate that falls makes the most of a quarter of them: networks overfit before a longer fall ends.

    Args:
        n_rows: that all folds together have.
    """
    steps = math.ceil(_RUNG_EPOCHS[rung] * n_rows / structure.batch_size)
    least = _FEWEST_ITERATIONS * HALVING_SHARE**rung
    share = 1 if structure.learning_rate_schedule == "constant" else _FALLING_SHARE
    return math.ceil(min(max(steps, least), _MOST_ITERATIONS) * share)


LAST_RUNG = len(_RUNG_EPOCHS) - 1


def first_rung(n_rows: int) -> int:
    """Where proposed candidates begin: where rows are few, compiling a longer training costs more than the training."""
    return 0 if n_rows >= _HALVING_ROWS else LAST_RUNG


def network_layers(structure: Structure, dropout_rate: float, objective: Objective, seed: int) -> list[Layer]:
    """The untrained layers of a candidate.

    Args:
        dropout_rate: of each hidden layer; 0 keeps the dropout layers, whose rate variants replace.
    """
    layers: list[Layer] = []
    if structure.layers:
        layers += _hidden(structure, dropout_rate, seed)
    for position in range(1, structure.layers):
        path = _hidden(structure, dropout_rate, seed + position)
        layers += [_residual_block(path)] if structure.residual else path
    return [*layers, dense_layer(objective.n_outputs, objective.activation, seed + structure.layers)]


def _hidden(structure: Structure, dropout_rate: float, seed: int) -> list[Layer]:
    return hidden_layers(
        structure.width, structure.activation_function, structure.batch_normalization, dropout_rate, seed
    )


def _residual_block(path: list[Layer]) -> Layer:
    return {
        "type": "dense_residual_block",
        "dense_path": path,
        "identity_path": [],
        "activation_function": None,
    }
