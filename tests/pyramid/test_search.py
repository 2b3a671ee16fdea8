from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyramid.errors import DataError
from pyramid.submodels.ranking import keep_best, rank_submodels


def test_a_model_scores_what_its_worst_sample_scores():
    scores = rank_submodels(
        {
            "steady": [{"accuracy": 0.7}, {"accuracy": 0.8}],
            "moody": [{"accuracy": 0.6}, {"accuracy": 0.9}],
        }
    )
    assert scores == {"steady": 2 / 4, "moody": 1 / 4}


def test_metrics_count_equally_whatever_their_scale():
    scores = rank_submodels(
        {
            "a": [{"r_squared": 0.9, "mean_squared_error": -1e6}],
            "b": [{"r_squared": 0.8, "mean_squared_error": -1.0}],
            "c": [{"r_squared": 0.7, "mean_squared_error": -2e6}],
        }
    )
    assert scores == pytest.approx({"a": (1 + 2 / 3) / 2, "b": (2 / 3 + 1) / 2, "c": 1 / 3})


def test_equal_results_share_their_mean_rank_and_the_largest_rank_scales():
    scores = rank_submodels({"a": [{"auc": 0.5}], "b": [{"auc": 0.9}], "c": [{"auc": 0.9}]})
    assert scores == pytest.approx({"a": 1 / 2.5, "b": 1.0, "c": 1.0})


@pytest.mark.parametrize(
    ("fraction", "kept"),
    [(0.0, ["b"]), (0.3, ["b"]), (0.5, ["b", "a"]), (0.99, ["b", "a", "c"]), (1.0, ["b", "a", "c", "d"])],
)
def test_a_fraction_of_the_models_is_kept_but_at_least_one(fraction, kept):
    assert keep_best({"d": 0.1, "c": 0.4, "a": 0.4, "b": 0.9}, fraction) == kept


@pytest.mark.parametrize(
    ("evaluations", "message"),
    [
        ({}, "no evaluated submodels"),
        ({"a": []}, "submodel a was evaluated on no samples"),
        (
            {"a": [{"auc": 0.5}], "b": [{"r_squared": 0.5}]},
            "b, sample 0: expected the metrics auc, got r_squ",
        ),
        ({"a": [{}]}, "a, sample 0: expected the metrics"),
        ({"a": [{"auc": 0.5}, {"auc": None}]}, "a, sample 1: auc is None, expected a finite number"),
        ({"a": [{"auc": float("inf")}]}, "a, sample 0: auc is inf"),
    ],
)
def test_evaluations_that_cannot_be_ranked_are_refused(evaluations, message):
    with pytest.raises(DataError, match=message):
        rank_submodels(evaluations)


samples = st.lists(
    st.fixed_dictionaries({"x": st.floats(-1, 1), "y": st.floats(-1, 1)}), min_size=1, max_size=4
)


@given(st.dictionaries(st.sampled_from("abcdef"), samples, min_size=1))
def test_scores_lie_in_their_range_and_do_not_depend_on_the_order_of_jobs(evaluations):
    scores = rank_submodels(evaluations)
    assert all(0 < score <= 1 for score in scores.values())
    turned = rank_submodels(dict(reversed(evaluations.items())))
    assert turned == pytest.approx(scores)


@given(samples, st.floats(0.01, 0.5))
def test_a_model_that_is_better_everywhere_scores_higher(evaluations, gain):
    better = [{name: value + gain for name, value in sample.items()} for sample in evaluations]
    worse = [min(evaluations, key=lambda sample: sample["x"] + sample["y"])] * len(better)
    scores = rank_submodels(
        {"worse": worse, "better": [{**s, "x": s["x"] + 2, "y": s["y"] + 2} for s in better]}
    )
    assert scores["better"] > scores["worse"]
    assert keep_best(scores, 0.5) == ["better"]
