from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, chisquare, kstest

from pyramid.train.sampling import make_sampler, permute


def drawn(sampler, first_step: int = 0):
    return [None if part is None else part.numpy() for part in sampler(tf.constant(first_step, tf.int64))]


@given(n=st.integers(1, 300), key=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_shuffle_is_a_bijection(n, key):
    shuffled = permute(tf.constant(np.arange(n), tf.uint32), n, tf.constant(key, tf.uint32)).numpy()
    assert sorted(shuffled) == list(range(n))


def test_all_orders_of_four_come_equally_often():
    keys = tf.constant(np.random.default_rng(1).integers(0, 2**32, (24_000, 1)), tf.uint32)
    orders = permute(tf.tile(tf.constant(np.arange(4), tf.uint32)[None], (24_000, 1)), 4, keys).numpy()
    _, counts = np.unique(orders @ (4 ** np.arange(4)), return_counts=True)
    assert len(counts) == 24
    assert chisquare(counts).pvalue > 1e-4


def test_neighbours_are_torn_apart():
    n = 4096
    shuffled = (
        permute(tf.constant(np.arange(n), tf.uint32), n, tf.constant(7, tf.uint32)).numpy().astype(np.int64)
    )
    assert abs(np.corrcoef(shuffled[:-1], shuffled[1:])[0, 1]) < 0.05
    assert abs(np.corrcoef(np.arange(n), shuffled)[0, 1]) < 0.05


def test_every_epoch_takes_each_row_once_in_another_order():
    sampler = make_sampler(np.zeros(96, int), seed=5, steps=6, batch_size=32, balanced=False, mixup_alpha=0)
    rows = drawn(sampler)[0].reshape(2, 96)
    assert sorted(rows[0]) == sorted(rows[1]) == list(range(96))
    assert (rows[0] != rows[1]).any()


def test_a_batch_larger_than_the_data_runs_through_several_epochs():
    sampler = make_sampler(np.zeros(10, int), seed=5, steps=1, batch_size=30, balanced=False, mixup_alpha=0)
    assert np.array_equal(np.bincount(drawn(sampler)[0][0]), np.full(10, 3))


@pytest.mark.parametrize("balanced", [False, True])
def test_draws_depend_on_the_step_and_not_on_how_calls_are_cut(balanced):
    labels = np.arange(50) % 3
    long = make_sampler(labels, seed=1, steps=8, batch_size=16, balanced=balanced, mixup_alpha=0.4)
    short = make_sampler(labels, seed=1, steps=3, batch_size=16, balanced=balanced, mixup_alpha=0.4)
    for whole, part in zip(drawn(long), drawn(short, first_step=4), strict=True):
        assert np.array_equal(whole[4:7], part)


def test_another_seed_draws_other_rows():
    one, other = (
        drawn(make_sampler(np.zeros(500, int), seed, 2, 64, balanced=False, mixup_alpha=0))[0]
        for seed in (0, 1)
    )
    assert (one != other).any()


def test_balanced_batches_hold_every_class_equally_often():
    labels = np.array([0] * 90 + [1] * 9 + [2])
    sampler = make_sampler(labels, seed=0, steps=300, batch_size=30, balanced=True, mixup_alpha=0)
    rows = drawn(sampler)[0]
    for batch in rows:
        assert np.array_equal(np.bincount(labels[batch]), [10, 10, 10])
    counts = np.bincount(rows.ravel(), minlength=100)
    assert chisquare(counts[:90]).pvalue > 1e-4


def test_mixup_pairs_rows_of_different_classes_with_beta_shares():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    sampler = make_sampler(labels, seed=0, steps=100, batch_size=64, balanced=False, mixup_alpha=0.3)
    rows, partners, shares = drawn(sampler)
    assert (labels[rows] != labels[partners]).all()
    first_class = rows == 5
    assert set(labels[partners[first_class]]) == {1, 2}
    assert kstest(shares.ravel(), beta(0.3, 0.3).cdf).pvalue > 1e-4


def test_mixup_of_numbers_pairs_any_rows():
    sampler = make_sampler(
        np.zeros(40, int), seed=0, steps=50, batch_size=64, balanced=False, mixup_alpha=1.0
    )
    _, partners, _ = drawn(sampler)
    assert set(partners.ravel()) == set(range(40))


def test_positions_beyond_32_bits_still_draw_whole_epochs():
    sampler = make_sampler(np.zeros(64, int), seed=0, steps=4, batch_size=16, balanced=False, mixup_alpha=0)
    assert sorted(drawn(sampler, first_step=2**40)[0].ravel()) == list(range(64))
