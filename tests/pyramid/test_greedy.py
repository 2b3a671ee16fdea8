from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyramid.fields.objectives import CategoricalObjective
from pyramid.finalize.candidates import Candidates
from pyramid.finalize.out_of_fold import JudgedRows
from pyramid.finalize.readout import Attempt
from pyramid.submodels.greedy import (
    BAG_STEPS,
    MOST_CANDIDATES,
    log_losses,
    mean_answer,
    mean_losses,
    no_worse_than_single,
    repeats,
    rounded_counts,
    select_forward,
    select_shares,
    squared_errors,
)
from pyramid.workspace import Submodel

N_ROWS = 400


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def errors_of(*spreads: float) -> np.ndarray:
    """Errors of candidates that know nothing of each other, each of the given standard deviation."""
    return generator().normal(0, np.array(spreads)[:, None], (len(spreads), N_ROWS)).astype(np.float32)


def test_independent_candidates_that_are_as_good_count_as_much():
    shares = select_shares(errors_of(1.0, 1.0, 4.0), squared_errors, generator())
    np.testing.assert_allclose(shares, [0.5, 0.5, 0], atol=0.05)


def test_a_candidate_that_adds_nothing_is_left_out():
    good = np.full((1, N_ROWS), 0.9, np.float32)
    shares = select_shares(np.concatenate([good, good - 0.5]), log_losses, generator())
    np.testing.assert_allclose(shares, [1, 0], atol=1e-9)


def forward_by_hand(answers: np.ndarray, losses) -> list[int]:
    """Caruana's selection over lists of the candidates that are taken, each mean computed anew."""

    def loss(taken: list[int]) -> float:
        return float(losses(answers[taken].astype(float).mean(axis=0)).mean())

    best = sorted(range(len(answers)), key=lambda one: loss([one]))[:3]
    taken = min((best[:n] for n in range(1, len(best) + 1)), key=loss)
    while len(taken) < BAG_STEPS:
        more = min(([*taken, one] for one in range(len(answers))), key=loss)
        if loss(more) >= loss(taken):
            break
        taken = more
    return np.bincount(taken, minlength=len(answers)).tolist()


@pytest.mark.parametrize("losses", [log_losses, squared_errors])
@pytest.mark.parametrize("seed", [0, 1, 4, 6, 7])
def test_forward_selection_takes_what_lowers_the_loss_of_the_mean_most(losses, seed):
    rng = generator(seed)
    if losses is log_losses:
        answers = rng.beta(3, 1.5, (6, 60)).astype(np.float32)
    else:
        answers = rng.normal(0, rng.uniform(0.5, 1.5, (6, 1)), (6, 60)).astype(np.float32)
    counts = select_forward(answers, losses)
    assert counts.tolist() == forward_by_hand(answers, losses)
    assert counts.max() > 1


def test_of_many_candidates_the_best_alone_are_looked_at():
    answers = errors_of(*np.linspace(1.0, 2.0, 2 * MOST_CANDIDATES))
    single = mean_losses(answers, squared_errors)
    everything = select_shares(answers, squared_errors, generator())
    best = np.flatnonzero(single <= np.sort(single)[MOST_CANDIDATES - 1])
    np.testing.assert_array_equal(everything[best], select_shares(answers[best], squared_errors, generator()))
    assert everything[best].sum() == pytest.approx(1)


def test_errors_that_cancel_out_are_joined_however_large_they_are():
    one = errors_of(1.0)
    shares = select_shares(np.concatenate([one, -one]), squared_errors, generator())
    np.testing.assert_allclose(shares, [0.5, 0.5])


def test_the_same_seed_selects_the_same():
    answers = generator().uniform(0, 1, (30, N_ROWS)).astype(np.float32)
    first, second = (select_shares(answers, log_losses, generator(3)) for _ in range(2))
    assert first.tolist() == second.tolist()


def test_a_probability_of_zero_costs_as_much_as_the_least_that_counts():
    assert log_losses(np.zeros(1, np.float32)) == pytest.approx(-math.log(1e-7), rel=1e-5)


def test_a_mean_that_is_worse_than_the_best_candidate_gives_way_to_it():
    answers = np.array([[0.9, 0.8], [0.5, 0.4]], np.float32)
    assert no_worse_than_single(np.array([1, 1]), answers, log_losses).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("counts", "sizes", "expected"),
    [
        ([1, 1], [1, 1], [1, 1]),
        ([4, 2], [1, 1], [2, 1]),
        ([1, 0, 1], [5, 3, 1], [1, 0, 5]),
        ([2, 3], [2, 3], [1, 1]),
        ([1, 2], [4, 6], [3, 4]),
        ([3], [5], [1]),
    ],
)
def test_networks_are_repeated_so_that_each_candidate_counts_as_it_should(counts, sizes, expected):
    assert repeats(np.array(counts), sizes) == expected


@pytest.mark.parametrize(
    ("shares", "sizes", "most", "expected"),
    [
        ([0.5, 0.5], [1, 1], 16, [1, 1]),
        ([0.7, 0.2, 0.1], [1, 1, 1], 10, [7, 2, 1]),
        ([0.7, 0.2, 0.1], [1, 1, 1], 3, [2, 1, 0]),
        ([0.7, 0.2, 0.1], [1, 1, 1], 1, [1, 0, 0]),
        ([0.6, 0.4], [5, 1], 16, [5, 3]),  # 5 networks, and 3 times 1
        ([0.6, 0.4], [5, 5], 9, [1, 0]),
    ],
)
def test_shares_are_rounded_to_as_many_networks_as_there_may_be(shares, sizes, most, expected):
    assert rounded_counts(np.array(shares), sizes, most).tolist() == expected


def test_candidates_of_too_many_networks_cannot_be_rounded():
    with pytest.raises(ValueError, match="of 4 networks at most"):
        rounded_counts(np.array([1.0]), [5], 4)


@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.integers(1, 6)), min_size=1, max_size=12),
    st.integers(6, 40),
)
def test_a_rounded_selection_is_a_plain_mean_of_at_most_so_many_networks(candidates, most):
    shares, sizes = np.array([share for share, _ in candidates]), [size for _, size in candidates]
    counts = rounded_counts(shares / shares.sum(), sizes, most)
    times = repeats(counts, sizes)
    networks = np.array(times) * sizes
    assert 1 <= networks.sum() <= most
    np.testing.assert_allclose(networks / networks.sum(), counts / counts.sum())


@given(st.integers(0, 2**32), st.integers(1, 15), st.integers(1, 40))
def test_what_is_selected_is_never_worse_than_the_best_candidate(seed, n_candidates, n_rows):
    answers = generator(seed).uniform(0, 1, (n_candidates, n_rows)).astype(np.float32)
    shares = select_shares(answers, log_losses, generator())
    counts = no_worse_than_single(rounded_counts(shares, [1] * n_candidates, 16), answers, log_losses)
    best = mean_losses(answers, log_losses).min()
    assert mean_losses(mean_answer(counts, answers)[None], log_losses)[0] <= best * (1 + 1e-6)


def test_of_noise_the_honest_metrics_promise_nothing():
    attempt = Attempt(Submodel(Path("submodel_none")), {})
    objective = CategoricalObjective(index=0, values=("no", "yes"))
    aucs = []
    for seed in range(20):
        rng = generator(seed)
        truth, sure = rng.integers(0, 2, 300), rng.uniform(0, 1, (60, 300)).astype(np.float32)
        rows = JudgedRows(objective, truth, rng.permutation(300) % 5, np.arange(300))
        candidates = Candidates([attempt] * 60, [*np.stack([1 - sure, sure], axis=-1)], rows)
        chosen = candidates.loss_of_mean(candidates.select(16))
        assert chosen < candidates.losses.min()
        aucs.append(objective.evaluate(truth, candidates.honest_outputs(16))["auc"])
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.03)
