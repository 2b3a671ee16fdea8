"""Anchors: the sizes that a detector's boxes begin with, fitted to those of the training's boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

MOST_SIZES = 20_000
RESTARTS = 4

Anchor = tuple[int, int]


def fit_anchors(sizes: np.ndarray, count: int, seed: int) -> list[Anchor]:
    """The centres of `count` clusters of box sizes, by area; the clusters are those of k-means.

    Distances are between the logarithms, so that it is the ratio of two sizes that counts, as it does for how much
    boxes overlap. Where there are fewer distinct sizes than anchors, they are repeated.

    Args:
        sizes: (boxes, 2) widths and heights in pixels, of at least one box; sides below a pixel count as one.
        seed: of the clustering, and of the sample of 20,000 boxes that is clustered where there are more.
    """
    rng = np.random.default_rng(seed)
    if len(sizes) > MOST_SIZES:
        sizes = sizes[np.sort(rng.choice(len(sizes), MOST_SIZES, replace=False))]
    logs = np.log(np.maximum(sizes, 1.0, dtype=np.float64))
    n_clusters = min(count, len(np.unique(logs, axis=0)))
    with threadpool_limits(1):  # sums come out in one order, and one seed gives one result
        clusters = KMeans(n_clusters, n_init=RESTARTS, random_state=int(rng.integers(2**31))).fit(logs)
    anchors = sort_anchors(np.exp(clusters.cluster_centers_))
    return sort_anchors(np.array([anchors[place % n_clusters] for place in range(count)]))


def sort_anchors(sizes: np.ndarray | Sequence[Sequence[float]]) -> list[Anchor]:
    """Anchors in whole pixels, at least one, by area."""
    whole = np.maximum(np.rint(np.asarray(sizes, np.float64)), 1).astype(int)
    order = np.lexsort((whole[:, 0], whole.prod(axis=1)))
    return [(int(width), int(height)) for width, height in whole[order]]
