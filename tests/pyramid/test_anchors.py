from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pyramid.images.anchors import MOST_SIZES, fit_anchors, sort_anchors


def around(centres, n, seed=0, spread=0.05):
    """`n` sizes around each centre, in any order."""
    rng = np.random.default_rng(seed)
    sizes = np.repeat(np.array(centres, float), n, axis=0)
    return rng.permutation(sizes * np.exp(rng.normal(0, spread, sizes.shape)))


def test_anchors_are_the_geometric_means_of_groups_of_sizes_by_area():
    sizes = [(10, 40), (40, 160), (100, 25), (400, 100)]
    assert fit_anchors(np.array(sizes * 3), 4, seed=0) == [(10, 40), (100, 25), (40, 160), (400, 100)]
    # two groups of two: sqrt(10 * 40) = 20, sqrt(40 * 160) = 80, and 200, 50
    assert fit_anchors(np.array(sizes * 3), 2, seed=0) == [(20, 80), (200, 50)]


def test_groups_are_found_among_many_sizes():
    centres = [(12, 9), (30, 60), (90, 45), (50, 200), (220, 180), (400, 380)]
    found = fit_anchors(around(centres, 40), 6, seed=3)
    np.testing.assert_allclose(found, sorted(centres, key=np.prod), rtol=0.05)


def test_the_same_seed_gives_the_same_anchors():
    sizes = np.exp(np.random.default_rng(0).normal(3, 1, (500, 2)))
    found = [fit_anchors(sizes, 6, seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(("distinct", "count"), [(1, 6), (2, 6), (4, 6), (5, 9)])
def test_fewer_distinct_sizes_than_anchors_are_repeated(distinct, count):
    sizes = np.array([(10 * (i + 1), 20) for i in range(distinct)])
    found = fit_anchors(np.repeat(sizes, 7, axis=0), count, seed=0)
    assert len(found) == count
    assert found == sorted(found)
    times = [found.count(tuple(size)) for size in sizes.tolist()]
    assert sum(times) == count
    assert max(times) - min(times) <= 1


def test_of_very_many_sizes_a_sample_tells():
    centres = [(10, 10), (50, 50), (200, 200)]
    sizes = around(centres, MOST_SIZES)
    found = [fit_anchors(sizes, 3, seed=5) for _ in range(2)]
    assert found[0] == found[1]
    np.testing.assert_allclose(found[0], centres, rtol=0.05)


@pytest.mark.parametrize("size", [(0, 0), (0, 20), (1e-9, 20), (0.4, 0.6)])
def test_sizes_below_a_pixel_count_as_one(size):
    assert fit_anchors(np.array([size, (30, 40)], np.float32), 2, 0) == [
        (1, max(1, round(size[1]))),
        (30, 40),
    ]


def test_anchors_are_whole_pixels_by_area_and_then_by_width():
    found = sort_anchors([(20, 10), (10, 20), (0.2, 300.4), (3.6, 3.4)])
    assert found == [(4, 3), (10, 20), (20, 10), (1, 300)]


positive = st.floats(0.125, 2000, width=32)


@settings(deadline=None, max_examples=30)
@given(
    sizes=arrays.arrays(np.float32, st.tuples(st.integers(1, 30), st.just(2)), elements=positive),
    count=st.integers(1, 9),
    seed=st.integers(0, 9),
)
def test_anchors_are_as_many_as_asked_sorted_and_between_the_sizes(sizes, count, seed):
    found = fit_anchors(sizes, count, seed)
    assert len(found) == count
    assert all(type(side) is int and side >= 1 for anchor in found for side in anchor)
    areas = [width * height for width, height in found]
    assert areas == sorted(areas)
    least = np.maximum(np.rint(sizes.min(axis=0)), 1)
    most = np.maximum(np.rint(sizes.max(axis=0)), 1)
    assert (least <= found).all()
    assert (found <= most).all()
