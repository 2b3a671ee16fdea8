"""Which classes are taken for which."""

from __future__ import annotations

import numpy as np


def count_confusions(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """(classes, classes) int64: for each true class how many rows were predicted as each class.

    Args:
        truth, predicted: (rows,) positions of classes.
    """
    pairs = truth.astype(np.int64) * n_classes + predicted
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def largest_confusions(counts: np.ndarray, most: int) -> list[tuple[int, int, int]]:
    """The most frequent errors: true class, predicted class, rows; the largest first, and at most `most`."""
    wrong = counts - np.diag(np.diag(counts))
    largest = np.argsort(-wrong, axis=None, kind="stable")[:most].tolist()
    pairs = [divmod(place, len(counts)) for place in largest if wrong.flat[place]]
    return [(true, predicted, int(wrong[true, predicted])) for true, predicted in pairs]
