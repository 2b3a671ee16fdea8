"""What networks side by side say of rows, without learning: in blocks, by functions that nobody compiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from pyramid.train.dataset import Dataset
from pyramid.train.losses import Outputs, crossentropy, mean_squared_error
from pyramid.train.stacked.architecture import Architecture, Weights
from pyramid.train.stacked.forward import predict_forward

MOST_NUMBERS = 1 << 22
"""That one layer gives for a block: 16 MB."""


class Judge:
    """Predicts rows with networks of one architecture, and judges what they say of them.

    It lives as long as a job, and is traced once for each of the two.
    """

    def __init__(self, networks: Architecture, dataset: Dataset):
        """Speak of the rows of `dataset`."""
        self._dataset, self._n_outputs = dataset, networks.n_outputs
        self._widest = max([dataset.inputs.shape[1], *(shape[-1] for shape in networks.parameter_shapes)])
        self._predict, self._losses = _functions(networks, dataset)

    def predict(self, weights: Weights, rows: np.ndarray) -> np.ndarray:
        """(nets, rows, outputs) float32: what each network says of rows, by their numbers."""
        nets = len(weights.parameters)
        answers = np.empty((nets, len(rows), self._n_outputs), np.float32)
        for block in self._blocks(nets, len(rows)):
            inputs = self._dataset.inputs[rows[block]]
            every = np.broadcast_to(inputs, (nets, *inputs.shape))
            answers[:, block] = self._predict(weights.parameters, weights.statistics, every).numpy()
        return answers

    def losses(self, weights: Weights, rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """(nets,) float64: the loss that trainings are judged by, summed over each network's own rows.

        It is the log loss of classes, and the squared error of numbers: both are smooth.

        Args:
            rows: (nets, rows) numbers.
            shares: (nets, rows) float32, what each counts.
        """
        total = np.zeros(len(rows))
        for block in self._blocks(len(rows), rows.shape[1]):
            chosen = rows[:, block]
            losses = self._losses(
                weights.parameters,
                weights.statistics,
                self._dataset.inputs[chosen],
                self._dataset.targets[chosen],
            )
            total += (losses.numpy() * shares[:, block]).sum(axis=1)
        return total

    def _blocks(self, nets: int, n_rows: int) -> list[slice]:
        size = max(1, MOST_NUMBERS // (nets * self._widest))
        return [slice(start, start + size) for start in range(0, n_rows, size)]


def _functions(networks: Architecture, dataset: Dataset) -> tuple[Any, Any]:
    """(nets, rows, outputs) predictions, and (nets, rows) losses."""
    judging = crossentropy if dataset.objective.has_classes else mean_squared_error
    weights = [tf.TensorSpec((None, size)) for size in (networks.n_parameters, networks.n_statistics)]
    inputs = tf.TensorSpec((None, None, dataset.inputs.shape[1]))
    targets = tf.TensorSpec((None, None, networks.n_outputs))

    def forward(parameters: tf.Tensor, statistics: tf.Tensor, rows: tf.Tensor) -> Outputs:
        return predict_forward(networks, parameters, statistics, rows)

    def by_net(values: tf.Tensor, rows: tf.Tensor, *shape: int) -> tf.Tensor:
        return tf.reshape(values, (*tf.unstack(tf.shape(rows)[:2]), *shape))

    @tf.function(input_signature=[*weights, inputs], autograph=False)
    def predict(parameters: tf.Tensor, statistics: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        return by_net(forward(parameters, statistics, rows).predictions, rows, networks.n_outputs)

    @tf.function(input_signature=[*weights, inputs, targets], autograph=False)
    def losses(parameters: tf.Tensor, statistics: tf.Tensor, rows: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(truth, (-1, networks.n_outputs))
        return by_net(judging(flat, forward(parameters, statistics, rows)), rows)

    return predict, losses
