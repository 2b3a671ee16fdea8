"""What networks side by side say of rows, without learning: in blocks, by a function that nobody compiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from pyramid.train.dataset import Dataset
from pyramid.train.stacked.architecture import Architecture, Weights
from pyramid.train.stacked.forward import predict_forward

MOST_NUMBERS = 1 << 22
"""That one layer gives for a block: 16 MB."""


class Judge:
    """Predicts rows with networks of one architecture, and judges what they say of them.

    It lives as long as a job, and is traced once.
    """

    def __init__(self, networks: Architecture, dataset: Dataset):
        """Speak of the rows of `dataset`."""
        self._dataset, self._n_outputs = dataset, networks.n_outputs
        self._widest = max([dataset.inputs.shape[1], *(shape[-1] for shape in networks.parameter_shapes)])
        self._answers = _function(networks, dataset)

    def predict(self, weights: Weights, rows: np.ndarray) -> np.ndarray:
        """(nets, rows, outputs) float32: what each network says of rows, by their numbers."""
        nets = len(weights.parameters)
        said = np.empty((nets, len(rows), self._n_outputs), np.float32)
        for block in self._blocks(nets, len(rows)):
            inputs = self._dataset.inputs[rows[block]]
            every = np.broadcast_to(inputs, (nets, *inputs.shape))
            predictions, _ = self._answers(weights.parameters, weights.statistics, every)
            said[:, block] = predictions.numpy().reshape(*every.shape[:2], -1)
        return said

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
            _, compared = self._answers(weights.parameters, weights.statistics, self._dataset.inputs[chosen])
            losses = self._loss_of(self._dataset.truth[chosen], compared.numpy())
            total += (losses * shares[:, block]).sum(axis=1)
        return total

    def _loss_of(self, truth: np.ndarray, compared: np.ndarray) -> np.ndarray:
        """(nets, rows): that of rows with (nets, rows) `truth`."""
        answers = compared.reshape(*truth.shape, -1)
        if not self._dataset.objective.has_classes:
            return np.square(truth - answers[:, :, 0])
        return -np.take_along_axis(answers, truth[:, :, None], axis=2)[:, :, 0]

    def _blocks(self, nets: int, n_rows: int) -> list[slice]:
        size = max(1, MOST_NUMBERS // (nets * self._widest))
        return [slice(start, start + size) for start in range(0, n_rows, size)]


def _function(networks: Architecture, dataset: Dataset) -> Any:
    """(nets * rows, outputs) predictions, and what is compared with the truth: of classes their logarithms."""
    weights = [tf.TensorSpec((None, size)) for size in (networks.n_parameters, networks.n_statistics)]
    inputs = tf.TensorSpec((None, None, dataset.inputs.shape[1]))

    @tf.function(input_signature=[*weights, inputs], autograph=False)
    def answers(parameters: tf.Tensor, statistics: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = predict_forward(networks, parameters, statistics, rows)
        predictions = outputs.predictions
        return predictions, outputs.log_probabilities if dataset.objective.has_classes else predictions

    return answers
