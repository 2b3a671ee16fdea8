"""Which points are compared with which baselines: the paths that gradients are integrated along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# fractional part of the golden ratio: shifts of neighbouring paths that fill [0, 1) evenly
GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class IntegrationPaths:
    """Straight paths from baselines to points; `weights` are their shares in the mean of their points.

    Where `two_way`, a path also counts from its end to its start, and indices of both mean the same rows.
    """

    n_points: int
    starts: np.ndarray  # (paths,) int
    ends: np.ndarray  # (paths,) int
    weights: np.ndarray  # (paths,) float64
    shifts: np.ndarray  # (paths,) float32 in [0, 1), where between its neighbours a node stands
    two_way: bool

    def __len__(self) -> int:
        """How many paths there are."""
        return len(self.starts)

    def shares(self, chosen: np.ndarray) -> np.ndarray:
        """(points, chosen paths) float32: what is added of the change along each path to the mean of each point."""
        paths, weights = np.arange(len(chosen)), self.weights[chosen]
        shares = np.zeros((self.n_points, len(chosen)), np.float32)
        shares[self.ends[chosen], paths] = weights
        if self.two_way:
            # the direction and the difference both turn round, so a change only changes its sign
            shares[self.starts[chosen], paths] -= weights
        return shares


def draw_paths(
    points: np.ndarray, baselines: np.ndarray, most: int, rng: np.random.Generator
) -> IntegrationPaths:
    """All pairs, or about `most` of them in which every point and every baseline is as frequent as others.

    The rows stand on a ring in a random order, and each point takes the baselines at the same distances from it.
    """
    n_points, n_baselines = len(points), len(baselines)
    if n_points == n_baselines and n_points > 1 and np.array_equal(points, baselines):
        distances = np.arange(1, min(n_points // 2, max(1, most // n_points)) + 1)
        # half way round an even ring each path is met from both ends
        weights = np.where(2 * distances == n_points, 0.5, 1.0)
        # a point is among its own baselines: that path has no length, and only its share is missing here
        weights *= (1 - 1 / n_points) / (2 * weights.sum())
        two_way = True
    else:
        distances = np.arange(min(n_baselines, max(1, most // n_points)))
        weights = np.full(len(distances), 1 / len(distances))
        two_way = False
    ring = rng.permutation(n_baselines)
    places = np.arange(n_points)[:, None]
    starts = ring[(places + distances) % n_baselines].ravel()
    ends = np.repeat(ring if two_way else np.arange(n_points), len(distances))
    shifts = (rng.random() + GOLDEN * np.arange(len(starts))) % 1.0
    return IntegrationPaths(
        n_points, starts, ends, np.tile(weights, n_points), shifts.astype(np.float32), two_way
    )
