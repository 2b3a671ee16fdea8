"""The weights of networks of one architecture as matrices, a row for each network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf

from sensenet.layers import LayerSpec
from sensenet.layers.base import Layers, Shape
from sensenet.layers.dense import Dense
from sensenet.layers.dropout import Dropout
from sensenet.layers.normalization import BatchNormalization
from sensenet.network import Network, initialize_network

STATISTICS = ("mean", "variance")
"""The arrays that training does not descend on."""


@dataclass(frozen=True)
class Weights:
    """The weights of some networks.

    Attributes:
        parameters: (nets, parameters) float32, the trainable arrays end to end.
        statistics: (nets, statistics) float32, the moving means and variances.
    """

    parameters: np.ndarray
    statistics: np.ndarray

    def take(self, nets: Sequence[int] | np.ndarray) -> Weights:
        """Those of some of the networks."""
        return Weights(self.parameters[nets], self.statistics[nets])


@dataclass(frozen=True)
class Architecture:
    """What networks that differ in their weights have in common.

    Attributes:
        layers: initialized specs, the last one without its activation.
        final_activation: the name of that; None is the identity.
        n_outputs: how many numbers a network answers with.
    """

    layers: Layers
    final_activation: str | None
    n_outputs: int

    @classmethod
    def of(cls, layers: Sequence[LayerSpec], columns: int) -> Architecture:
        """The architecture of parsed layers that take rows of `columns` numbers.

        Raises:
            ModelFormatError: layers that do not fit each other; gives the place.
        """
        initialized, n_outputs = initialize_network(layers, columns)
        last, final_activation = initialized[-1].split_activation()
        return cls((*initialized[:-1], last), final_activation, n_outputs)

    @cached_property
    def leaves(self) -> tuple[LayerSpec, ...]:
        """The layers that are not made of layers, as they are come by."""
        return tuple(leaves(self.layers))

    @cached_property
    def parameter_shapes(self) -> list[Shape]:
        """The shapes of the trainable arrays of one network."""
        return [array.shape for _, name, array in _arrays(self.leaves) if name not in STATISTICS]

    @cached_property
    def statistic_shapes(self) -> list[Shape]:
        """The shapes of the moving means and variances of one network."""
        return [array.shape for _, name, array in _arrays(self.leaves) if name in STATISTICS]

    @property
    def n_parameters(self) -> int:
        """Trainable numbers of one network."""
        return sum(math.prod(shape) for shape in self.parameter_shapes)

    @property
    def n_statistics(self) -> int:
        """Moving means and variances of one network."""
        return sum(math.prod(shape) for shape in self.statistic_shapes)

    @property
    def dropouts(self) -> list[Dropout]:
        """The dropout layers, as they are come by."""
        return [leaf for leaf in self.leaves if isinstance(leaf, Dropout)]

    @property
    def kernels(self) -> np.ndarray:
        """(parameters,) float32: 1 in the kernels of dense layers, 0 elsewhere."""
        arrays = [(leaf, name, array) for leaf, name, array in _arrays(self.leaves) if name not in STATISTICS]
        marks = [
            np.full(array.size, isinstance(leaf, Dense) and name == "weights", np.float32)
            for leaf, name, array in arrays
        ]
        return np.concatenate([*marks, np.zeros(0, np.float32)])

    @property
    def fresh(self) -> np.ndarray:
        """(statistics,) bool: those of normalisations that have not seen a batch yet."""
        normalizations = [leaf for leaf in self.leaves if isinstance(leaf, BatchNormalization)]
        marks = [
            np.full(2 * len(leaf.mean), not np.any(leaf.mean) and bool(np.all(leaf.variance == 1)))
            for leaf in normalizations
        ]
        return np.concatenate([*marks, np.zeros(0, bool)])

    def split_parameters(self, parameters: tf.Tensor) -> list[tf.Tensor]:
        """(nets, parameters) as the arrays of the layers, (nets, *shape) each."""
        return _split(parameters, self.parameter_shapes)

    def split_statistics(self, statistics: tf.Tensor) -> list[tf.Tensor]:
        """(nets, statistics) as the arrays of the layers, (nets, *shape) each."""
        return _split(statistics, self.statistic_shapes)

    def fill(self, network: Network, weights: Weights) -> None:
        """Put the weights of one network, (1, ...) each, into a connected one of the same layers."""
        parameters = iter(_arrays_in(weights.parameters[0], self.parameter_shapes))
        statistics = iter(_arrays_in(weights.statistics[0], self.statistic_shapes))
        connected = iter([layer for layer in keras.tree.flatten(network.parts) if layer.weights])
        for leaf in self.leaves:
            if leaf.parameters:
                arrays = [next(statistics if name in STATISTICS else parameters) for name in leaf.arrays()]
                next(connected).set_weights(arrays)


def initial_weights(layers: Sequence[LayerSpec], columns: int, seeds: Sequence[int]) -> Weights:
    """The weights that networks of parsed layers begin with: drawn from each one's seed, given ones as they are."""
    parameters, statistics = [], []
    for seed in seeds:
        initialized, _ = initialize_network(layers, columns, seed)
        arrays = list(_arrays(tuple(leaves(initialized))))
        parameters.append(_flat([array for _, name, array in arrays if name not in STATISTICS]))
        statistics.append(_flat([array for _, name, array in arrays if name in STATISTICS]))
    return Weights(np.stack(parameters), np.stack(statistics))


def leaves(layers: Layers) -> Iterator[LayerSpec]:
    """The layers that are not made of layers, as they are come by."""
    for layer in layers:
        if not layer.paths:
            yield layer
        for path in layer.paths:
            yield from leaves(getattr(layer, path))


def _arrays(leaves: Sequence[LayerSpec]) -> Iterator[tuple[LayerSpec, str, np.ndarray]]:
    for leaf in leaves:
        for name, array in leaf.arrays().items():
            yield leaf, name, array


def _flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.float32), *(array.ravel() for array in arrays)])


def _split(matrix: tf.Tensor, shapes: Sequence[Shape]) -> list[tf.Tensor]:
    if not shapes:
        return []
    parts = tf.split(matrix, [math.prod(shape) for shape in shapes], axis=1)
    return [tf.reshape(part, (-1, *shape)) for part, shape in zip(parts, shapes, strict=True)]


def _arrays_in(vector: np.ndarray, shapes: Sequence[Shape]) -> list[np.ndarray]:
    ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(vector, ends), shapes, strict=False)]
