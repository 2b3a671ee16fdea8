"""Fewer images of a data set: some of them, or so many of each class; a function of the seed."""

from __future__ import annotations

import numpy as np


def sample(n_images: int, n_wanted: int, seed: int) -> np.ndarray:
    """Which of the images are drawn, (at most n_wanted,) int64, ascending; all where there are no more."""
    if n_images <= n_wanted:
        return np.arange(n_images)
    return np.sort(np.random.default_rng(seed).choice(n_images, n_wanted, replace=False))


def balanced(images: np.ndarray, classes: np.ndarray, n_images: int, per_class: int, seed: int) -> np.ndarray:
    """Images such that each class is on `per_class` of them, or on all that there are of it.

    The rarest class has its images drawn first. Each further class counts those that have been drawn already, and gets
    only as many more as it lacks; where classes are on pictures together the common ones may be on more.

    Args:
        images: (boxes,) the position of each box's image, 0 to n_images - 1.
        classes: (boxes,) the number of each box's class, from 0.
        seed: of the order in which the images of a class are drawn.

    Returns:
        (drawn,) int64: positions, ascending.
    """
    pairs = np.unique(classes.astype(np.int64) * n_images + images)
    classes, images = np.divmod(pairs, n_images)
    n_classes = int(classes[-1]) + 1 if len(classes) else 0
    first = np.searchsorted(classes, np.arange(n_classes + 1))
    by_class = [images[first[i] : first[i + 1]] for i in range(n_classes)]
    order = np.random.default_rng(seed).permutation(n_images)
    is_drawn = np.zeros(n_images, bool)
    for own in sorted(by_class, key=len):
        lacking = per_class - int(np.count_nonzero(is_drawn[own]))
        if lacking > 0:
            free = own[~is_drawn[own]]
            is_drawn[free[np.argsort(order[free])[:lacking]]] = True
    return np.flatnonzero(is_drawn)
