"""Which of the networks side by side is which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Stack:
    """Which network is which: variant after variant, in each the networks of the folds and then the refitted one.

    Attributes:
        variants, folds: how many there are.
        refit: whether each variant has a network that learns from all rows.
    """

    variants: int
    folds: int
    refit: bool

    @property
    def each(self) -> int:
        """Networks of a variant."""
        return self.folds + self.refit

    @property
    def numbers(self) -> np.ndarray:
        """(variants, networks of each) int: their places."""
        return np.arange(self.variants * self.each).reshape(self.variants, self.each)

    @property
    def of_folds(self) -> np.ndarray:
        """(variants, folds) int: the places of those that do not see a fold."""
        return self.numbers[:, : self.folds]
