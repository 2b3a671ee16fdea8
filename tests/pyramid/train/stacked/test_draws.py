"""Which rows networks side by side train on."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pyramid.train.stacked.sampling import NO_FOLD, StackedSampler, purpose_keys, training_rows

BATCH = 8


def drawn(labels, folds, fold_of_net, steps: int, balanced: bool = False, mixup: float = 0.0, first: int = 0):
    """(steps, nets, batch) rows, partners and shares."""
    sampler = StackedSampler(
        training_rows(labels, folds, fold_of_net),
        tf.constant(labels, tf.int32),
        purpose_keys(range(len(fold_of_net))),
        BATCH,
        balanced,
        mixup,
    )
    draws = [sampler.draw(sampler.place(step)) for step in range(first, first + steps)]
    return [None if one[0] is None else np.stack(one) for one in zip(*draws, strict=True)]


def three_folds(n_rows: int, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, n_classes, n_rows), rng.permutation(n_rows) % 3


@settings(max_examples=10, deadline=None)
@given(st.integers(4, 40), st.integers(1, 4), st.integers(0, 99))
def test_an_epoch_has_each_row_outside_of_the_fold_once(n_rows, n_classes, seed):
    labels, folds = three_folds(n_rows, n_classes, seed)
    nets = [0, 1, 2, NO_FOLD]
    rows, *_ = drawn(labels, folds, nets, 2 * n_rows // BATCH + 1)
    for net, fold in enumerate(nets):
        own = np.flatnonzero(folds != fold)
        epochs = rows[:, net].ravel()[: 2 * len(own)].reshape(2, -1)
        for epoch in epochs:
            np.testing.assert_array_equal(np.sort(epoch), own)


@settings(max_examples=10, deadline=None)
@given(st.integers(6, 40), st.integers(1, 4), st.integers(0, 99))
def test_balanced_batches_go_round_the_classes_that_the_net_sees(n_rows, n_classes, seed):
    labels, folds = three_folds(n_rows, n_classes, seed)
    rows, *_ = drawn(labels, folds, [0, 1, 2, NO_FOLD], 3, balanced=True)
    for net, fold in enumerate([0, 1, 2, NO_FOLD]):
        seen = np.unique(labels[folds != fold])
        assert (folds[rows[:, net]] != fold).all()
        expected = seen[np.arange(3 * BATCH) % len(seen)]
        np.testing.assert_array_equal(labels[rows[:, net].ravel()], expected)


@pytest.mark.parametrize("balanced", [False, True])
@settings(max_examples=10, deadline=None)
@given(n_rows=st.integers(6, 40), n_classes=st.integers(1, 4), seed=st.integers(0, 99))
def test_partners_are_of_other_classes_and_never_of_the_fold(balanced, n_rows, n_classes, seed):
    labels, folds = three_folds(n_rows, n_classes, seed)
    rows, partners, shares = drawn(labels, folds, [0, 1, 2], 3, balanced, mixup=0.5)
    assert ((shares >= 0) & (shares <= 1)).all()
    for net in range(3):
        assert (folds[partners[:, net]] != net).all()
        if len(np.unique(labels[folds != net])) > 1:
            assert (labels[partners[:, net]] != labels[rows[:, net]]).all()


def test_nets_of_the_same_fold_draw_by_their_own_seeds_and_later_steps_go_on():
    labels, folds = three_folds(30, 3, 1)
    rows, *_ = drawn(labels, folds, [0, 0], 4)
    assert not np.array_equal(rows[:, 0], rows[:, 1])
    later, *_ = drawn(labels, folds, [0, 0], 2, first=2)
    np.testing.assert_array_equal(later, rows[2:])


def test_rows_are_drawn_beyond_32_bits():
    labels, folds = three_folds(30, 3, 1)
    rows, *_ = drawn(labels, folds, [0, 1], 2, balanced=True, mixup=0.2, first=2**40)
    assert (folds[rows[:, 1]] != 1).all()
