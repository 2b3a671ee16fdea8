from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    matthews_corrcoef,
    mean_absolute_error,
    mean_squared_error,
    median_absolute_error,
    ndcg_score,
    r2_score,
    roc_auc_score,
)

from pyramid.errors import DataError
from pyramid.train import metrics
from pyramid.train.metrics import CLASS_METRICS, evaluate_classes, evaluate_numbers


def random_classes(
    seed: int, n_rows: int, n_classes: int, decimals: int = 9
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of every class, and probabilities that know something of them; few `decimals` make ties."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n_rows - n_classes)])
    scores = rng.gamma(1.0, size=(n_rows, n_classes)) + 1.2 * (truth[:, None] == np.arange(n_classes))
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    return truth, np.round(probabilities, decimals).astype(np.float32)


def best_phi(is_class: np.ndarray, scores: np.ndarray) -> float:
    return max(matthews_corrcoef(is_class, scores >= threshold) for threshold in np.unique(scores))


@pytest.mark.parametrize("decimals", [9, 1])
@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_categorical_metrics_are_those_of_scikit_learn(n_classes, decimals):
    truth, probabilities = random_classes(n_classes, 60, n_classes, decimals)
    one_hot = np.eye(n_classes)[truth]
    found = evaluate_classes(truth, probabilities)
    expected = {
        "auc": roc_auc_score(one_hot, probabilities, average="macro"),
        "ndcg": ndcg_score(one_hot.T, probabilities.T),
        "max_phi": np.mean([best_phi(truth == c, probabilities[:, c]) for c in range(n_classes)]),
    }
    if decimals == 9:  # rounded probabilities have ties, and do not sum to 1
        expected["accuracy"] = accuracy_score(truth, probabilities.argmax(axis=1))
        expected["likelihood"] = math.exp(-log_loss(truth, probabilities))
    else:
        del found["accuracy"], found["likelihood"]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_numeric_metrics_are_those_of_scikit_learn_and_scipy(seed):
    rng = np.random.default_rng(seed)
    truth = np.round(rng.normal(size=80), 1).astype(np.float32)
    predictions = np.round(truth + rng.normal(size=80), 1).astype(np.float32)
    metrics = evaluate_numbers(truth, predictions)
    wide = truth.astype(np.float64), predictions.astype(np.float64)
    assert metrics == pytest.approx(
        {
            "mean_squared_error": -mean_squared_error(*wide),
            "mean_absolute_error": -mean_absolute_error(*wide),
            "median_absolute_error": -median_absolute_error(*wide),
            "r_squared": r2_score(*wide),
            "spearman_r": spearmanr(*wide).statistic,
        }
    )


def test_metrics_do_not_depend_on_how_many_classes_are_ranked_at_once(monkeypatch):
    truth, probabilities = random_classes(1, 60, 7, decimals=2)
    whole = evaluate_classes(truth, probabilities)
    monkeypatch.setattr(metrics, "CELLS_SORTED_AT_ONCE", 1)
    assert evaluate_classes(truth, probabilities) == whole


def test_a_tie_at_the_top_is_a_miss():
    predictions = np.array([[0.4, 0.4, 0.2], [0.5, 0.3, 0.2], [0.2, 0.4, 0.4]])
    assert evaluate_classes(np.array([0, 0, 0]), predictions)["accuracy"] == pytest.approx(1 / 3)


def test_perfect_predictions_are_worth_one():
    metrics = evaluate_classes(np.array([0, 1, 2, 1]), np.eye(3)[[0, 1, 2, 1]])
    assert metrics == pytest.approx(dict.fromkeys(CLASS_METRICS, 1.0))
    metrics = evaluate_numbers(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 4.0]))
    errors = {name for name in metrics if name.endswith("error")}
    assert {name: metrics[name] for name in errors} == dict.fromkeys(errors, 0.0)
    assert metrics["r_squared"] == metrics["spearman_r"] == pytest.approx(1.0)


def test_one_class_only_is_always_right():
    metrics = evaluate_classes(np.zeros(5, int), np.full((5, 1), 0.3))
    assert metrics == dict.fromkeys(CLASS_METRICS, 1.0)


def test_a_class_without_rows_counts_nothing_in_what_needs_rows_of_it():
    metrics = evaluate_classes(np.array([0, 1, 0]), np.eye(3)[[0, 1, 0]])
    assert metrics == pytest.approx(
        {"accuracy": 1.0, "likelihood": 1.0, "auc": 2 / 3, "max_phi": 2 / 3, "ndcg": 2 / 3}
    )


def test_a_probability_of_zero_for_the_truth_leaves_the_likelihood_above_zero():
    metrics = evaluate_classes(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert 0.0 < metrics["likelihood"] < 0.01


@pytest.mark.parametrize(
    ("truth", "predictions", "r_squared"),
    [
        ([3.0], [3.0], 1.0),
        ([3.0], [4.0], 0.0),
        ([0.1, 0.1, 0.1], [0.1, 0.1, 0.2], 0.0),
        ([1.0, 2.0, 3.0], [2.0, 2.0, 2.0], 0.0),
    ],
)
def test_numbers_without_variance_give_finite_metrics(truth, predictions, r_squared):
    metrics = evaluate_numbers(np.array(truth), np.array(predictions))
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["r_squared"] == pytest.approx(r_squared)
    assert metrics["spearman_r"] == 0.0


@pytest.mark.parametrize("n_rows", [1, 5])
def test_constant_predictions_of_classes_give_finite_metrics(n_rows):
    metrics = evaluate_classes(np.arange(n_rows) % 2, np.full((n_rows, 2), 0.5))
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["likelihood"] == pytest.approx(0.5)
    assert metrics["max_phi"] == metrics["accuracy"] == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_shows_in_every_metric(bad):
    numeric = evaluate_numbers(np.array([1.0, 2.0]), np.array([1.0, bad]))
    categorical = evaluate_classes(np.array([0, 1]), np.array([[0.5, 0.5], [bad, 0.5]]))
    single = evaluate_classes(np.array([0]), np.array([[bad]]))
    assert all(math.isnan(value) for metrics in (numeric, categorical, single) for value in metrics.values())


@pytest.mark.parametrize("evaluate", [evaluate_classes, evaluate_numbers])
def test_no_rows_is_an_error(evaluate):
    with pytest.raises(DataError, match="no rows"):
        evaluate(np.zeros(0, int), np.zeros((0, 2)))


@st.composite
def categorical_cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n_rows, n_classes = draw(st.integers(1, 12)), draw(st.integers(2, 4))
    truth = draw(st.lists(st.integers(0, n_classes - 1), min_size=n_rows, max_size=n_rows))
    # few distinct values: ties are what goes wrong
    scores = draw(
        st.lists(
            st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]),
            min_size=n_rows * n_classes,
            max_size=n_rows * n_classes,
        )
    )
    return np.array(truth), np.array(scores, np.float32).reshape(n_rows, n_classes)


@given(categorical_cases())
def test_categorical_metrics_stay_in_their_range(case):
    metrics = evaluate_classes(*case)
    assert all(0.0 <= value <= 1.0 + 1e-12 for value in metrics.values())


@given(categorical_cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_no_categorical_metric(case, random):
    truth, predictions = case
    order = list(range(len(truth)))
    random.shuffle(order)
    assert evaluate_classes(truth[order], predictions[order]) == pytest.approx(
        evaluate_classes(truth, predictions)
    )


@given(categorical_cases())
def test_a_monotone_transform_of_the_scores_changes_nothing_that_ranks(case):
    truth, predictions = case
    transformed = np.expm1(3 * predictions.astype(np.float64)) - 5
    before, after = (evaluate_classes(truth, scores) for scores in (predictions, transformed))
    ranking = ("accuracy", "auc", "max_phi", "ndcg")
    assert [after[name] for name in ranking] == [before[name] for name in ranking]


finite_floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(finite_floats, finite_floats), min_size=1, max_size=12))
def test_numeric_metrics_are_finite_and_in_their_range(pairs):
    truth, predictions = np.array(pairs, np.float32).T
    metrics = evaluate_numbers(truth, predictions)
    assert all(math.isfinite(value) for value in metrics.values())
    assert all(value <= 0 for name, value in metrics.items() if name.endswith("error"))
    assert metrics["r_squared"] <= 1.0
    assert -1.0 <= metrics["spearman_r"] <= 1.0
