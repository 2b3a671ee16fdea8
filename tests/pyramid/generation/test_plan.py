"""What goes into which image: balanced labels, and plans that hang on nothing but the seed and the number."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from generation_folders import OPTIONS
from hypothesis import given
from hypothesis import strategies as st

from pyramid.generation.plan import label_of, only_used, plan_images
from pyramid.generation.sources import Sources


def sources(counts, n_backgrounds=5):
    labels = [f"label {place}" for place, count in enumerate(counts) for _ in range(count)]
    return Sources(
        tuple(f"{place}.png" for place in range(len(labels))),
        tuple(labels),
        tuple(f"{place}.jpg" for place in range(n_backgrounds)),
    )


@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    seed=st.integers(0, 2**31 - 1),
    empty_rate=st.sampled_from([0.0, 0.3]),
    has_boxes=st.booleans(),
    count=st.integers(1, 60),
)
def test_no_label_is_more_than_one_ahead_of_another(counts, seed, empty_rate, has_boxes, count):
    options = replace(OPTIONS, seed=seed, empty_rate=empty_rate, has_boxes=has_boxes, is_balanced=True)
    files = sources(counts)
    plans = plan_images(options, files, count)
    truths = Counter(dict.fromkeys(files.labels, 0))
    for plan in plans:
        counted = plan.pastes if has_boxes else plan.pastes[-1:]
        truths.update(files.labels[paste.foreground] for paste in counted)
    assert max(truths.values()) - min(truths.values()) <= 1


@given(seed=st.integers(0, 2**31 - 1), few=st.integers(1, 20), is_balanced=st.booleans())
def test_more_images_leave_the_first_as_they_are(seed, few, is_balanced):
    options = replace(OPTIONS, seed=seed, is_balanced=is_balanced)
    assert plan_images(options, sources([2, 3]), 25)[:few] == plan_images(options, sources([2, 3]), few)


def test_everything_is_drawn_evenly():
    options = replace(OPTIONS, empty_rate=0.25, random_background_rate=0.5)
    files = sources([1, 3])
    plans = plan_images(options, files, 4000)
    amounts = np.array([len(plan.pastes) for plan in plans])
    assert np.bincount(amounts) / 4000 == pytest.approx([0.25] + [0.1875] * 4, abs=0.03)
    backgrounds = Counter(plan.background for plan in plans)
    assert backgrounds[None] / 4000 == pytest.approx(0.5, abs=0.03)
    assert all(backgrounds[place] / 4000 == pytest.approx(0.1, abs=0.02) for place in range(5))
    pastes = [paste for plan in plans for paste in plan.pastes]
    chosen = np.bincount([paste.foreground for paste in pastes]) / len(pastes)
    assert chosen == pytest.approx([0.25] * 4, abs=0.03)
    for numbers, low, high in (
        ([paste.occupancy for paste in pastes], 0.25, 0.75),
        ([paste.across for paste in pastes], 0, 1),
        ([paste.down for paste in pastes], 0, 1),
    ):
        quarters = np.histogram(numbers, 4, (low, high))[0] / len(pastes)
        assert quarters == pytest.approx([0.25] * 4, abs=0.03)


def test_two_seeds_give_two_plans():
    assert plan_images(OPTIONS, sources([2]), 5) != plan_images(replace(OPTIONS, seed=1), sources([2]), 5)


def test_the_label_is_that_of_the_last_foreground():
    options, files = replace(OPTIONS, empty_rate=0.5, background_label="nothing"), sources([1, 1])
    for plan in plan_images(options, files, 30):
        expected = files.labels[plan.pastes[-1].foreground] if plan.pastes else "nothing"
        assert label_of(plan, options, files) == expected


@given(seed=st.integers(0, 2**31 - 1), count=st.integers(1, 6), empty_rate=st.sampled_from([0.0, 1.0]))
def test_plans_over_the_files_that_they_use_are_the_same(seed, count, empty_rate):
    options = replace(OPTIONS, seed=seed, empty_rate=empty_rate, random_background_rate=0.5)
    files = sources([4, 5, 6], n_backgrounds=9)
    plans = plan_images(options, files, count)
    used, same = only_used(files, plans)

    def named(sources, plans):
        return [
            (
                plan.number,
                plan.background is not None and sources.backgrounds[plan.background],
                [
                    (sources.foregrounds[paste.foreground], sources.labels[paste.foreground], *paste[1:])
                    for paste in plan.pastes
                ],
            )
            for plan in plans
        ]

    assert named(used, same) == named(files, plans)
    assert set(used.foregrounds) == {file for _, _, pastes in named(files, plans) for file, *_ in pastes}
    assert set(used.backgrounds) == {file for _, file, _ in named(files, plans) if file}
