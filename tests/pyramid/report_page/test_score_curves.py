"""Curves of quantised scores, compared with scikit-learn's of the scores themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, roc_auc_score
from told_searches import guesses

from pyramid.report_page.tables.score_curves import CALIBRATION_BINS, Calibration, ScoreCounts, drawn

CLOSE = 2e-3


def counted(truth: np.ndarray, shares: np.ndarray, n_parts: int = 1) -> ScoreCounts:
    parts = zip(np.array_split(truth, n_parts), np.array_split(shares, n_parts), strict=True)
    return ScoreCounts.of(parts, shares.shape[1])


@pytest.mark.parametrize("n_classes", [2, 5, 40])
@pytest.mark.parametrize("strength", [0.0, 1.5, 6.0])
def test_areas_are_those_of_the_scores(n_classes, strength):
    truth = np.random.default_rng(1).integers(0, n_classes, 3_000)
    shares = guesses(truth, n_classes, strength)
    scores = counted(truth, shares, n_parts=7)
    for one in range(n_classes):
        of_class = truth == one
        assert scores.auc[one] == pytest.approx(roc_auc_score(of_class, shares[:, one]), abs=CLOSE)
        precision = average_precision_score(of_class, shares[:, one])
        assert scores.average_precision[one] == pytest.approx(precision, abs=5 * CLOSE)


def test_scores_near_the_ends_are_told_apart():
    shares = np.array([1e-6, 2e-6, 4e-6, 1 - 4e-6, 1 - 2e-6, 1 - 1e-6], np.float32)
    truth = np.array([0, 1, 0, 1, 0, 1])
    scores = counted(truth, np.stack([1 - shares, shares], axis=1))
    assert scores.auc[1] == pytest.approx(roc_auc_score(truth, shares))


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1, width=32)), min_size=1, max_size=60))
def test_curves_rise_from_nothing_to_everything(rows):
    truth = np.array([label for label, _ in rows])
    first = np.array([share for _, share in rows], np.float32)
    scores = counted(truth, np.stack([first, 1 - first, np.zeros_like(first)], axis=1))
    for one in scores.defined:
        for shares in scores.roc(one):
            assert (shares[0], shares[-1]) == (0.0, 1.0)
            assert (np.diff(shares) >= 0).all()
        assert np.trapezoid(*scores.roc(one)[::-1]) == pytest.approx(scores.auc[one])
        recall, precision = scores.precision_recall(one)
        assert recall[-1] == 1.0
        assert precision[-1] == pytest.approx((truth == one).mean())


def test_a_class_that_no_row_or_every_row_has_is_not_defined():
    scores = counted(np.zeros(4, np.int64), np.full((4, 2), 0.5, np.float32))
    assert len(scores.defined) == 0
    assert np.isnan(scores.auc).all()
    assert np.isnan(scores.average_precision[1])


def test_the_mean_curve_has_the_mean_area():
    truth = np.random.default_rng(2).integers(0, 8, 4_000)
    scores = counted(truth, guesses(truth, 8, 1.5))
    across, up = scores.mean_roc()
    assert np.trapezoid(up, across) == pytest.approx(scores.auc.mean(), abs=CLOSE)


def test_calibration_is_that_of_scikit_learn():
    rng = np.random.default_rng(3)
    said = rng.random(5_000)
    came_true = rng.random(5_000) < said**2
    found = Calibration.of(said, came_true)
    shares, means = calibration_curve(came_true, said, n_bins=CALIBRATION_BINS)
    assert found.found == pytest.approx(shares)
    assert found.said == pytest.approx(means)
    assert found.counts.sum() == 5_000
    assert found.error == pytest.approx(np.abs(shares - means) @ found.counts / 5_000)


def test_few_points_of_a_line_keep_its_shape():
    across, up = np.linspace(0, 1, 5_000), np.linspace(0, 1, 5_000) ** 8
    points = drawn(across, up, most=50)
    assert len(points) <= 51
    assert (points[0], points[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert np.abs(np.interp(across, *zip(*points, strict=True)) - up).max() < 0.01
