"""The vectors of a training in pieces: each large array alone, what is small and stands side by side together.

A step on one long vector copies it, cuts it into arrays and joins their gradients again, all in memory. Pieces spare it
that, but each has operations of its own, which cost small networks more than they gain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import tensorflow as tf

from pyramid.train.optimizers import Optimizer

LARGE = 1 << 16
"""Numbers from which on an array is a piece of its own."""

Shape = tuple[int, ...]
Pieces = tuple[tf.Tensor, ...]


@dataclass(frozen=True)
class Cuts:
    """How a vector of arrays end to end is cut into pieces.

    Attributes:
        shapes: of the arrays of each piece.
    """

    shapes: tuple[tuple[Shape, ...], ...]

    @classmethod
    def of(cls, shapes: Sequence[Shape]) -> Cuts:
        """The cuts around the large ones of arrays of some shapes."""

        def run(numbered: tuple[int, Shape]) -> int:
            return numbered[0] if math.prod(numbered[1]) >= LARGE else -1

        runs = groupby(enumerate(shapes), key=run)
        return cls(tuple(tuple(shape for _, shape in numbered) for _, numbered in runs) or ((),))

    @property
    def sizes(self) -> list[int]:
        """How many numbers each piece has."""
        return [sum(map(math.prod, shapes)) for shapes in self.shapes]

    def pieces(self, vector: tf.Tensor) -> Pieces:
        """A vector in pieces: tall matrices turned, all else as vectors."""
        parts = zip(tf.split(vector, self.sizes), self.shapes, strict=True)
        return tuple(
            tf.transpose(tf.reshape(part, shapes[0])) if _is_turned(shapes) else part
            for part, shapes in parts
        )

    def arrays(self, pieces: Pieces) -> list[tf.Tensor]:
        """The arrays of all pieces."""
        return [
            array
            for piece, shapes in zip(pieces, self.shapes, strict=True)
            for array in ([tf.transpose(piece)] if _is_turned(shapes) else _arrays(piece, shapes))
        ]


def _is_turned(shapes: tuple[Shape, ...]) -> bool:
    """Whether a piece is a large matrix that has more rows than columns.

    The gradient of a turned one is a product that has its long side last, which libraries are a third faster with.
    """
    (first, *others) = shapes or ((),)
    return not others and math.prod(first) >= LARGE and len(first) == 2 and first[0] > first[1]


def _arrays(piece: tf.Tensor, shapes: tuple[Shape, ...]) -> list[tf.Tensor]:
    if not shapes:
        return []
    parts = tf.split(piece, [math.prod(shape) for shape in shapes])
    return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def piecewise(optimizers: Sequence[Optimizer]) -> Optimizer:
    """One optimiser for each piece, of the same slots, as one whose vectors are `Pieces`."""

    def update(
        gradients: Pieces,
        parameters: Pieces,
        slots: tuple[Pieces, ...],
        iteration: tf.Tensor,
        rate: tf.Tensor,
    ) -> tuple[Pieces, tuple[Pieces, ...]]:
        updated = [
            optimizer.update(gradient, piece, tuple(slot[place] for slot in slots), iteration, rate)
            for place, (optimizer, gradient, piece) in enumerate(
                zip(optimizers, gradients, parameters, strict=True)
            )
        ]
        moved = tuple(piece for piece, _ in updated)
        return moved, tuple(tuple(of_piece[slot] for _, of_piece in updated) for slot in range(len(slots)))

    return Optimizer(optimizers[0].slots, update)
