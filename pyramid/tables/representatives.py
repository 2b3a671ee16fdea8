"""A few rows that stand for many: the points at which feature importances are measured."""

from __future__ import annotations

import hashlib

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pyramid.tables.splits import allocate

MAX_REPRESENTATIVES = 128


def representatives(
    points: np.ndarray,
    classes: np.ndarray,
    rng: np.random.Generator,
    size: int = MAX_REPRESENTATIVES,
    equal_classes: bool = False,
) -> np.ndarray:
    """Rows that represent all of them: of each k-means cluster the member nearest to its centre.

    Each class is clustered on its own, into a share of `size` that is in proportion to its rows, or equal.
    One thread, so that sums come out in one order and one seed gives one result.

    Args:
        points: (rows, columns), what is clustered and compared; of equal rows only the first is ever taken.
        classes: (rows,) int; all the same where there are no classes.

    Returns:
        The sorted indices of at most `size` different rows: of all of them where there are no more.
    """
    distinct = _distinct(points, classes)
    if len(distinct) <= size:
        return distinct
    labels, counts = np.unique(classes[distinct], return_counts=True)
    places = allocate_equally(counts, size) if equal_classes else allocate(counts, size)
    chosen = []
    with threadpool_limits(1):
        for label, n_clusters in zip(labels, places, strict=True):
            members = distinct[classes[distinct] == label]
            chosen.append(members[_central_members(points[members], int(n_clusters), rng)])
    return np.sort(np.concatenate(chosen))


def allocate_equally(counts: np.ndarray, size: int) -> np.ndarray:
    """How many of `size` places each stratum gets: all the same, but none more than its `counts` rows."""
    places = np.zeros_like(counts)
    left = min(size, int(counts.sum()))
    for done, stratum in enumerate(np.argsort(counts, kind="stable")):
        places[stratum] = min(counts[stratum], left // (len(counts) - done))
        left -= places[stratum]
    return places


def _distinct(points: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The sorted indices of the rows that no other row before is equal to, in point and class."""
    first: dict[tuple[int, bytes], int] = {}
    for row, (point, class_) in enumerate(zip(points, classes.tolist(), strict=True)):
        # + 0.0, as -0.0 is equal to 0.0; a digest, as a row can be long
        first.setdefault((class_, hashlib.blake2b((point + 0.0).tobytes()).digest()), row)
    return np.fromiter(first.values(), np.int64)


def _central_members(points: np.ndarray, n_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """The index of the member nearest to the centre of each cluster; clusters share no member."""
    if n_clusters == 0:
        return np.zeros(0, np.int64)
    if n_clusters >= len(points):
        return np.arange(len(points))
    points = points.astype(np.float64)
    clusters = KMeans(n_clusters, n_init=1, random_state=int(rng.integers(2**31))).fit(points)
    distances = np.linalg.norm(points - clusters.cluster_centers_[clusters.labels_], axis=1)
    nearest_first = np.lexsort((distances, clusters.labels_))
    _, first = np.unique(clusters.labels_[nearest_first], return_index=True)
    return nearest_first[first]
