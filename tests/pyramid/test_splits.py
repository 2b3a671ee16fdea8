from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyramid.tables.representatives import representatives
from pyramid.tables.splits import (
    allocate,
    holdout_split,
    numeric_strata,
    stratified_folds,
    stratified_sample,
)

labels_of = st.lists(st.integers(0, 6), min_size=1, max_size=300).map(np.array)
seeds = st.integers(0, 2**31 - 1)


@given(labels_of, st.floats(0, 1), st.integers(1, 500), seeds)
def test_a_holdout_split_is_complete_and_disjoint(labels, rate, size, seed):
    training, holdout = holdout_split(labels, rate, size, np.random.default_rng(seed))
    everything = np.arange(len(labels))
    if len(labels) <= 32:
        np.testing.assert_array_equal(training, everything)
    if len(training) == len(labels):
        np.testing.assert_array_equal(holdout, everything)
    else:
        np.testing.assert_array_equal(np.sort(np.concatenate([training, holdout])), everything)
        counts = np.bincount(labels)
        assert set(labels[training]) == set(labels)
        assert set(labels[holdout]) == set(np.flatnonzero(counts > 1))


def test_each_class_gives_its_share_to_the_holdout():
    labels = np.repeat([0, 1, 2], [1000, 100, 3])
    rng = np.random.default_rng(0)
    _, holdout = holdout_split(labels, 0.2, 4096, rng)
    np.testing.assert_array_equal(np.bincount(labels[holdout]), [200, 20, 1])
    _, holdout = holdout_split(labels, 0.9, 110, rng)
    np.testing.assert_array_equal(np.bincount(labels[holdout]), [100, 10, 1])


@pytest.mark.parametrize("seed", range(5))
def test_the_only_row_of_a_class_is_never_held_out(seed):
    labels = np.array([0] * 50 + [1] * 2 + [2])
    training, holdout = holdout_split(labels, 0.9, 4096, np.random.default_rng(seed))
    np.testing.assert_array_equal(np.bincount(labels[training]), [5, 1, 1])
    np.testing.assert_array_equal(np.bincount(labels[holdout]), [45, 1])


@pytest.mark.parametrize("rate", [0.5, 1.0])
def test_nothing_left_to_train_on_means_training_rows_validate(rate):
    training, holdout = holdout_split(np.arange(40), rate, 4096, np.random.default_rng(0))
    assert len(training) == len(holdout) == 40


@given(labels_of, st.integers(1, 300), seeds)
def test_a_stratified_sample_has_its_size_and_every_stratum_it_can(labels, size, seed):
    chosen = stratified_sample(labels, size, np.random.default_rng(seed))
    assert len(chosen) == len(np.unique(chosen)) == min(size, len(labels))
    np.testing.assert_array_equal(chosen, np.sort(chosen))
    n_strata = len(np.unique(labels))
    if size >= n_strata:
        assert len(np.unique(labels[chosen])) == n_strata


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20).map(np.array), st.integers(0, 3000))
def test_places_are_allocated_in_proportion_and_add_up(counts, size):
    places = allocate(counts, size)
    assert places.sum() == min(size, counts.sum())
    assert (places >= 0).all() and (places <= counts).all()
    if counts.sum():
        share = counts * (places.sum() / counts.sum())
        # one place for every stratum comes first, and is what the larger ones have less
        assert (np.abs(places - share) <= len(counts) + 1).all()


@given(labels_of, seeds)
def test_halves_divide_every_stratum_evenly(labels, seed):
    halves = stratified_folds(labels, 2, np.random.default_rng(seed))
    for label in np.unique(labels):
        first, second = np.bincount(halves[labels == label], minlength=2)
        assert abs(first - second) <= 1


def test_splits_repeat_with_a_seed_and_differ_without():
    labels = np.random.default_rng(0).integers(0, 3, 500)
    for split in (
        lambda rng: holdout_split(labels, 0.2, 4096, rng)[1],
        lambda rng: stratified_sample(labels, 100, rng),
        lambda rng: stratified_folds(labels, 2, rng),
    ):
        first, again, other = (split(np.random.default_rng(seed)) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)


def test_numeric_strata_are_of_equal_size_where_values_differ():
    values = np.random.default_rng(0).normal(size=1000)
    np.testing.assert_array_equal(np.bincount(numeric_strata(values)), [100] * 10)
    assert set(numeric_strata(np.ones(50))) == {0}


def test_representatives_are_different_members_of_all_clusters():
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=50, size=(40, 3))
    cluster = rng.integers(0, 40, 2000)
    points = centres[cluster] + rng.normal(scale=0.1, size=(2000, 3))
    chosen = representatives(points, np.zeros(2000, int), np.random.default_rng(1))
    assert len(chosen) == len(np.unique(chosen)) == 128
    assert set(cluster[chosen]) == set(range(40))


def test_classes_are_represented_in_proportion_or_equally():
    classes = np.repeat([0, 1, 2], [1600, 390, 10])
    points = np.random.default_rng(0).normal(size=(2000, 2))
    chosen = representatives(points, classes, np.random.default_rng(1))
    np.testing.assert_allclose(np.bincount(classes[chosen]), [102, 25, 1], atol=1)
    chosen = representatives(points, classes, np.random.default_rng(1), equal_classes=True)
    np.testing.assert_array_equal(np.bincount(classes[chosen]), [59, 59, 10])


@pytest.mark.parametrize(("n_distinct", "expected"), [(1, 1), (100, 100), (300, 128)])
def test_equal_rows_represent_only_once(n_distinct, expected):
    points = np.repeat(np.random.default_rng(0).normal(size=(n_distinct, 2)), 5, axis=0)
    chosen = representatives(points, np.zeros(len(points), int), np.random.default_rng(1))
    assert len(chosen) == len(np.unique(points[chosen], axis=0)) == expected


def test_zeros_of_either_sign_are_equal():
    points = np.array([[0.0], [-0.0], [1.0], [0.0]])
    chosen = representatives(points, np.array([0, 0, 0, 1]), np.random.default_rng(1))
    assert chosen.tolist() == [0, 2, 3]


def test_more_classes_than_places_leave_some_out():
    chosen = representatives(np.arange(400.0)[:, None], np.arange(400) // 2, np.random.default_rng(0))
    assert len(np.unique(chosen)) == 128
