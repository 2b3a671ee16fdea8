"""How strongly a network's outputs hang on each of its columns, whatever the number of either."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np

from pyramid.train.importances import expected_gradients
from pyramid.train.path_changes import FirstProduct, Predict
from sensenet.layers.dense import Dense
from sensenet.network import Network

# numbers of (points, columns, outputs)
ATTRIBUTIONS_AT_ONCE = 1 << 24
# from so many columns on the first matrix product of a network is worth being kept out of the paths
WIDE_COLUMNS = 1024


def column_strengths(network: Network, points: np.ndarray, seed: int) -> np.ndarray:
    """(columns,): the `strengths` of a network's `expected_gradients`, the points being their own baselines.

    Of many outputs it takes some at a time, as all their attributions can be gigabytes; of two probabilities one.
    """
    predict, first = _without_first_product(network, points.shape[1])
    total = np.zeros(points.shape[1])
    for some in output_blocks(network.model.output_shape[-1], network.final_activation, points):
        total += strengths(expected_gradients(predict, points, points, seed, first=first, outputs=some))
    return total


def output_blocks(n_outputs: int, final_activation: str | None, points: np.ndarray) -> list[slice]:
    """The outputs in blocks whose attributions to (points, columns) have a bearable size.

    Of two probabilities, which sum to 1, only the first: the other's attributions are the same, with the other sign.
    """
    if n_outputs == 2 and final_activation == "softmax":
        n_outputs = 1
    at_once = max(1, ATTRIBUTIONS_AT_ONCE // points.size)
    return [slice(start, min(start + at_once, n_outputs)) for start in range(0, n_outputs, at_once)]


def strengths(attributions: np.ndarray) -> np.ndarray:
    """(columns,): the mean absolute attribution of each column, summed over outputs.

    Args:
        attributions: (points, columns, outputs).
    """
    sums: np.ndarray = np.mean(np.abs(attributions), axis=0).sum(axis=1)
    return sums


def _without_first_product(network: Network, n_columns: int) -> tuple[Predict, FirstProduct | None]:
    """What a wide network does behind its first matrix product, and that product; else all, and None."""
    layer = network.layers[0]
    if n_columns < WIDE_COLUMNS or not isinstance(layer, Dense) or layer.activation_function is not None:
        return partial(network.model, training=False), None
    dense = network.parts[0][0]
    behind = keras.Model(dense.output, network.model.output)
    return partial(behind, training=False), FirstProduct(*map(np.asarray, dense.get_weights()))
