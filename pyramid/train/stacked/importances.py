"""What each of many networks looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from pyramid.tables.layout import Layout
from pyramid.train.column_strengths import output_blocks, strengths
from pyramid.train.importances import attributions_of, field_importances
from pyramid.train.stacked.architecture import Architecture, Weights
from pyramid.train.stacked.forward import predict_forward

MAX_GRADIENTS = 1 << 14
"""Of one network: their mean has the gradients of all of them."""


class NetImportances:
    """The importances of networks of one architecture, one after the other; it is traced once."""

    def __init__(self, networks: Architecture, points: np.ndarray):
        """Explain what networks say of (points, columns) float32 `points`."""
        self._points = points
        self._parameters = tf.Variable(tf.zeros((1, networks.n_parameters)))
        self._statistics = tf.Variable(tf.zeros((1, networks.n_statistics)))

        def predict(inputs: tf.Tensor) -> tf.Tensor:
            weights = self._parameters.value(), self._statistics.value()
            return predict_forward(networks, *weights, inputs[None]).predictions

        blocks = output_blocks(networks.n_outputs, networks.final_activation, points)
        self._attributes = [attributions_of(predict, points.shape[1], outputs=some) for some in blocks]

    def of(
        self, weights: Weights, layout: Layout, trees: Sequence[Mapping[str, float]] | None, seed: int
    ) -> list[list[float]]:
        """One share per input field, for each network.

        Args:
            trees: see `field_importances`.
            seed: draws the paths.
        """
        shares = []
        for net in range(len(weights.parameters)):
            one = weights.take([net])
            self._parameters.assign(one.parameters)
            self._statistics.assign(one.statistics)
            of_columns = np.zeros(self._points.shape[1])
            for attribute in self._attributes:
                of_columns += strengths(attribute(self._points, self._points, seed, MAX_GRADIENTS))
            shares.append(field_importances(of_columns, layout, trees))
        return shares
