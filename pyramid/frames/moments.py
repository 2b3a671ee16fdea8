"""Mean, spread and range of numbers that are seen some at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

DIGITS = 12


@dataclass
class Moments:
    """What is known of numbers; they are put together as in Chan, Golub and LeVeque (1983).

    Attributes:
        count: how many there are.
        mean: of them.
        squares: the sum of their squared distances from the mean.
        low, high: the least and the greatest; infinite where there is none.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    @property
    def stdev(self) -> float:
        """The standard deviation; 0 where there is no number, or always the same."""
        return math.sqrt(self.squares / self.count) if self.low < self.high else 0.0

    @property
    def statistics(self) -> dict[str, float]:
        """`mean` and `stdev`, which numbers are standardised with; without the last digits, in which numbers that come
        in other pieces differ."""
        return {name: float(f"{getattr(self, name):.{DIGITS}g}") for name in ("mean", "stdev")}

    def add(self, other: Moments) -> None:
        """See the numbers of `other`, too."""
        if not other.count:
            return
        count, distance = self.count + other.count, other.mean - self.mean
        self.squares += other.squares + distance * distance * (self.count * other.count / count)
        self.mean += distance * (other.count / count)
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.count = count


def column_moments(values: np.ndarray) -> list[Moments]:
    """The moments of each column.

    Args:
        values: (rows, columns) float64, NaN where one is missing; none is infinite.
    """
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    means = filled.sum(axis=0) / np.maximum(counts, 1)
    squares = np.square(np.where(known, values - means, 0.0)).sum(axis=0)
    low = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
    columns = (array.tolist() for array in (counts, means, squares, low, high))
    return [Moments(*of_one) for of_one in zip(*columns, strict=True)]
