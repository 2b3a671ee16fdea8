"""Readouts that pass the answers of cross-fitted ensembles through: networks that need no training."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from pyramid.fields import Objective

LOGITS = "logits"


def tree_readout(
    ensembles: Sequence[Mapping[str, Any]],
    names: Collection[str],
    n_tree_inputs: int,
    n_inputs: int,
    objective: Objective,
) -> list[dict[str, Any]]:
    """The layers of a network that answers what one ensemble says, or the mean of several.

    Args:
        ensembles: `tree_ensembles` of a caching job's result.
        names: of those that count; several of them have to give probabilities, or numbers.
        n_tree_inputs, n_inputs: columns of a cached row: tree features, and encoded inputs behind them.

    Returns:
        One dense layer that holds its weights: with softmax where the ensemble gives logits, else the identity.

    Raises:
        ValueError: no ensemble of such a name, or several that cannot be averaged before their softmax.
    """
    chosen = [one for one in ensembles if one["name"] in names]
    if missing := set(names) - {one["name"] for one in chosen}:
        there = ", ".join(one["name"] for one in ensembles)
        raise ValueError(f"expected names among {there or 'none'}, got {', '.join(sorted(missing))}")
    if not chosen:
        raise ValueError("expected the name of one ensemble or more, got none")
    has_logits = [one["gives"] == LOGITS for one in chosen]
    if any(has_logits) and len(chosen) > 1:
        raise ValueError(f"expected ensembles that give probabilities or numbers, got {LOGITS} among several")
    is_binary = objective.has_classes and objective.n_outputs == 2
    weights = np.zeros((n_tree_inputs + n_inputs, objective.n_outputs))
    for one in chosen:
        columns = np.arange(one["first"], one["first"] + one["outputs"])
        outputs = np.array([1]) if is_binary else np.arange(objective.n_outputs)
        weights[columns, outputs] = one["scale"] / len(chosen)
    offset = np.zeros(objective.n_outputs)
    if is_binary and not any(has_logits):  # of two classes the forests give the second one's probability
        weights[:, 0], offset[0] = -weights[:, 1], 1.0
    return [
        {
            "type": "dense",
            "weights": weights.tolist(),
            "offset": offset.tolist(),
            "activation_function": "softmax" if any(has_logits) else "identity",
        }
    ]
