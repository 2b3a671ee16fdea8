"""Which submodels make the final model by the out-of-fold loss of their mean (docs/training.md, "Greedy selection").

Forward selection with replacement (Caruana et al., Ensemble Selection from Libraries of Models, ICML 2004): from the
best few on, over bags of the candidates (their sections 2.2 and 2.3), here also of the rows.

What is chosen from is a float32 matrix of *answers*, (candidates, rows), whose mean over candidates is the answer of
their mean: the probability of the row's class, or how much a number is above the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import numpy as np

RowLosses = Callable[[np.ndarray], np.ndarray]
"""(..., rows) answers -> (..., rows) losses."""

LEAST_PROBABILITY = np.float32(1e-7)
MOST_CANDIDATES = 50
"""The best, which alone are looked at: what a selection costs does not hang on how many were trained."""
BAGS = 20
BAG_STEPS = 8
BEST_FIRST = 3
BAG_CANDIDATES, BAG_ROWS, MOST_BAG_ROWS = 0.75, 0.5, 10_000
BLOCK_NUMBERS = 1 << 15  # that a processor's cache holds
SMALLEST_BAG = 12
"""Of no more candidates than that every bag has all."""


def log_losses(answers: np.ndarray) -> np.ndarray:
    """-log p of each row, for the probabilities p of the classes that are true; below 1e-7 they count as that."""
    return -np.log(np.maximum(answers, LEAST_PROBABILITY))


def squared_errors(answers: np.ndarray) -> np.ndarray:
    """The square of each row's error."""
    return np.square(answers)


def select_shares(answers: np.ndarray, losses: RowLosses, rng: np.random.Generator) -> np.ndarray:
    """How much each candidate should count in the mean: (candidates,) float64, not negative, of sum 1.

    The mean of forward selections, each over a bag of rows and of the best candidates.

    Args:
        answers: (candidates, rows) float32, at least one of each.
        losses: what is to be small in the mean over the rows.
        rng: draws the bags.
    """
    best = np.sort(np.argsort(mean_losses(answers, losses), kind="stable")[:MOST_CANDIDATES])
    n_candidates, n_rows = len(best), answers.shape[1]
    n_bag_rows = min(math.ceil(BAG_ROWS * n_rows), MOST_BAG_ROWS)
    size = max(math.ceil(BAG_CANDIDATES * n_candidates), min(n_candidates, SMALLEST_BAG))
    shares = np.zeros(len(answers))
    for _ in range(BAGS):
        bag = best[rng.permutation(n_candidates)[:size]]
        rows = np.sort(rng.permutation(n_rows)[:n_bag_rows])
        counts = select_forward(answers[np.ix_(bag, rows)], losses)
        shares[bag] += counts / (BAGS * counts.sum())
    return shares


def select_forward(answers: np.ndarray, losses: RowLosses) -> np.ndarray:
    """(candidates,) int64: how often each is taken until nothing lowers the loss any more, or `BAG_STEPS` are.

    Args:
        answers: (candidates, rows) float32.
    """
    counts = np.zeros(len(answers), np.int64)
    order = np.argsort(mean_losses(answers, losses), kind="stable")[:BEST_FIRST]
    loss, first = min(_prefix_losses(answers[order], losses))
    counts[order[:first]] = 1
    total = answers[order[:first]].sum(axis=0)
    for taken in range(first, BAG_STEPS):
        found = _joined_losses(answers, losses, total, taken)
        best = int(found.argmin())
        if found[best] >= loss:
            break
        loss = found[best]
        counts[best] += 1
        total += answers[best]
    return counts


def rounded_counts(shares: np.ndarray, sizes: Sequence[int], most: int) -> np.ndarray:
    """How often each candidate is taken: (candidates,) int64, near `shares`, of networks that are at most `most`.

    The largest remainders are rounded up.

    Args:
        shares: as `select_shares` gives them.
        sizes: how many networks each candidate is the mean of; those of a share above 0 are at most `most`.
        most: how many networks may stand in the final model, see `repeats`.
    """
    for places in range(most, 0, -1):
        counts = _in_lowest_terms(_rounded(shares, places))
        if sum(size * times for size, times in zip(sizes, repeats(counts, sizes), strict=True)) <= most:
            return counts
    raise ValueError(f"no candidate is of {most} networks at most")


def repeats(counts: np.ndarray, sizes: Sequence[int]) -> list[int]:
    """How often the networks of each candidate stand in a model that is the plain mean of its networks.

    Args:
        counts: (candidates,) how much each candidate counts; at least one is above 0.
        sizes: how many networks each candidate is the mean of.
    """
    common = math.lcm(*(size for size, times in zip(sizes, counts.tolist(), strict=True) if times))
    weights = np.array([times * common // size for size, times in zip(sizes, counts.tolist(), strict=True)])
    return _in_lowest_terms(weights).tolist()


def no_worse_than_single(counts: np.ndarray, answers: np.ndarray, losses: RowLosses) -> np.ndarray:
    """`counts`; or the best candidate alone where the loss of their mean is above its own."""
    single = mean_losses(answers, losses)
    if losses(mean_answer(counts, answers)).mean(dtype=np.float64) <= single.min():
        return counts
    return (np.arange(len(counts)) == single.argmin()).astype(np.int64)


def mean_losses(answers: np.ndarray, losses: RowLosses) -> np.ndarray:
    """(candidates,) float64: the mean loss of each."""
    return _joined_losses(answers, losses, np.zeros(1, np.float32), 0)


def mean_answer(counts: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """(rows,) float32: the mean of (candidates, rows) answers in which each counts as often as `counts` say."""
    return np.tensordot((counts / counts.sum()).astype(np.float32), answers, 1)


def _joined_losses(answers: np.ndarray, losses: RowLosses, total: np.ndarray, taken: int) -> np.ndarray:
    """(candidates,) float64: the mean loss of the mean of each and of `taken` others, whose sum is `total`."""
    share = np.float32(1 / (taken + 1))
    size = max(1, BLOCK_NUMBERS // answers.shape[1])
    blocks = (answers[start : start + size] for start in range(0, len(answers), size))
    return np.concatenate(
        [losses((total + block) * share).mean(axis=1, dtype=np.float64) for block in blocks]
    )


def _prefix_losses(answers: np.ndarray, losses: RowLosses) -> Iterator[tuple[float, int]]:
    """The mean loss of the mean of the first, of the first two, ..., and how many they are."""
    for taken, total in zip(count(1), np.cumsum(answers, axis=0), strict=False):
        yield float(losses(total / np.float32(taken)).mean(dtype=np.float64)), taken


def _rounded(shares: np.ndarray, places: int) -> np.ndarray:
    exact = shares * places / shares.sum()
    counts = np.floor(exact).astype(np.int64)
    by_remainder = np.argsort(counts - exact, kind="stable")
    counts[by_remainder[: places - counts.sum()]] += 1
    return counts


def _in_lowest_terms(counts: np.ndarray) -> np.ndarray:
    return counts // np.gcd.reduce(counts)
