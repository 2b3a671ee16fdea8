"""What cross-fitted ensembles have in common: what they learn, and what is left of them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pyramid.tables.tree_embedding.shap import Tree

DIGITS = 6
LEAST_PROBABILITY = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Lesson:
    """What is learnt.

    Attributes:
        inputs: (rows, columns) float32.
        labels: (rows,) class indices, or standardised numbers.
        folds: (rows,) the fold of each row.
        n_classes: 0 of numbers.
        weights: (rows,) above 0 and of mean 1, how much each row counts; None: alike.
    """

    inputs: np.ndarray
    labels: np.ndarray
    folds: np.ndarray
    n_classes: int
    weights: np.ndarray | None = None

    @property
    def n_outputs(self) -> int:
        """How many numbers say all: for two classes the probability of the second."""
        return 1 if self.n_classes <= 2 else self.n_classes

    def weights_of(self, rows: np.ndarray) -> np.ndarray | None:
        """The weights of some rows; None where all count alike."""
        return None if self.weights is None else self.weights[rows]

    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The rows that learn and those that do not, for each fold."""
        return [
            (np.flatnonzero(self.folds != fold), np.flatnonzero(self.folds == fold))
            for fold in np.unique(self.folds)
        ]

    def loss(self, outputs: np.ndarray) -> float:
        """Weighted mean log loss of (rows, n_outputs) probabilities, or squared error of numbers."""
        if not self.n_classes:
            return float(np.average((outputs[:, 0] - self.labels) ** 2, weights=self.weights))
        p = np.concatenate([1 - outputs, outputs], axis=1) if self.n_classes == 2 else outputs
        true = np.take_along_axis(p, self.labels[:, None], axis=1)
        return float(np.average(-np.log(np.clip(true[:, 0], LEAST_PROBABILITY, 1.0)), weights=self.weights))


@dataclass(frozen=True)
class Fitted:
    """One ensemble.

    Attributes:
        forests: the trees of each forest of the document; the answer is the mean over them.
        features: (rows, outputs): what the trees that did not see a row's fold say of it.
        gives: "probabilities", "logits" or "numbers".
        loss: of the features, see `Lesson.loss`.
    """

    name: str
    forests: tuple[tuple[Tree, ...], ...]
    features: np.ndarray
    gives: str
    scale: float
    loss: float


def one_thread_each() -> ThreadPoolExecutor:
    """Threads for fits that take one each: sums that several of scikit-learn's threads share hang on their number."""
    return ThreadPoolExecutor(
        os.cpu_count() or 1, initializer=threadpool_limits, initargs=(1, "openmp"), thread_name_prefix="fit"
    )


def single_leaf(values: np.ndarray) -> Tree:
    """A tree that answers (outputs,) `values` to every row."""
    own = np.zeros(1, np.int64)
    return Tree(own, np.zeros(1), own, own, np.ones(1), values[None])


def rounded(values: np.ndarray) -> np.ndarray:
    """Values of six significant digits."""
    sizes = np.floor(np.log10(np.abs(values), out=np.zeros(values.shape), where=values != 0))
    digits = 10.0 ** (DIGITS - 1 - sizes)
    return np.where(np.isfinite(digits), np.rint(values * digits) / digits, 0.0)
