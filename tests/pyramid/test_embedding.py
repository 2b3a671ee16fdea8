from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pyramid.fields import Fields
from pyramid.tables.layout import Layout
from pyramid.tables.tree_embedding.learn import learn_embedding, windows
from sensenet.forest import dump_forests, parse_forests, tree_features


def layout_of(n_inputs: int, n_classes: int | None) -> Layout:
    inputs = [{"index": i, "type": "numeric", "mean": 0, "stdev": 1} for i in range(n_inputs)]
    if n_classes is None:
        objective = {"index": n_inputs, "type": "numeric", "mean": 0, "stdev": 1}
    else:
        objective = {"index": n_inputs, "type": "categorical", "values": [str(i) for i in range(n_classes)]}
    return Layout.of(Fields.parse([*inputs, objective]))


def learn(inputs, labels, n_classes, seed=0):
    strata = labels if n_classes else np.zeros(len(labels), int)
    layout = layout_of(inputs.shape[1], n_classes)
    return learn_embedding(inputs, labels, strata, layout, n_classes is not None, np.random.default_rng(seed))


def noise(n_rows=600, n_inputs=8, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_rows, n_inputs)).astype(np.float32)


@pytest.mark.parametrize(
    ("n_features", "n_outputs", "n_windows", "first", "last"),
    [
        (1, 1, 1, (0, 1), (0, 1)),
        (2, 2, 1, (0, 2), (0, 2)),
        (3, 2, 1, (0, 3), (0, 3)),
        (30, 2, 15, (0, 3), (28, 30)),
        (64, 10, 6, (0, 11), (53, 64)),
        (13, 3, 4, (0, 4), (10, 13)),
        (10, 1, 10, (0, 3), (9, 10)),
        (35, 1, 16, (0, 3), (33, 35)),
        (1000, 2, 16, (0, 63), (938, 1000)),
        (4, 200, 1, (0, 4), (0, 4)),
    ],
)
def test_windows_follow_the_formula(n_features, n_outputs, n_windows, first, last):
    spans = windows(n_features, n_outputs)
    assert (len(spans), spans[0], spans[-1]) == (n_windows, first, last)
    covered = set().union(*(range(start, end) for start, end in spans))
    assert covered == set(range(n_features))


def test_features_of_noise_know_nothing_of_their_own_rows():
    """Random labels: a forest that had seen a row would know its label."""
    inputs, aucs, leaky = noise(1024), [], []
    for seed in range(4):
        labels = np.random.default_rng(seed).integers(0, 2, len(inputs))
        embedding = learn(inputs, labels, 2, seed)
        aucs.append(roc_auc_score(labels, embedding.features[:, 1::2].mean(axis=1)))
        seen = tree_features(embedding.forests, inputs).numpy()
        leaky.append(roc_auc_score(labels, seen[:, 1::2].mean(axis=1)))
    assert np.mean(leaky) > 0.75
    assert abs(np.mean(aucs) - 0.5) < 0.04


def test_the_label_of_a_row_does_not_change_its_own_features():
    inputs = noise(400)
    labels = (inputs[:, 0] > 0).astype(int)
    before = learn(inputs, labels, 2).features
    for row in range(0, 400, 80):
        changed = labels.copy()
        changed[row] = 1 - labels[row]
        same_halves = np.random.default_rng(0)
        after = learn_embedding(inputs, changed, labels, layout_of(8, 2), True, same_halves).features
        np.testing.assert_array_equal(after[row], before[row])
        assert not np.array_equal(after, before)


def test_a_signal_is_found_and_credited_to_its_field():
    inputs = noise(1500, 12)
    labels = (inputs[:, 4] > 0).astype(int)
    embedding = learn(inputs, labels, 2)
    auc = [roc_auc_score(labels, column) for column in embedding.features.T]
    assert max(auc) > 0.99
    for column in np.flatnonzero(np.array(auc) > 0.99):
        assert embedding.importances[column]["4"] > 0.9
    assert all(sum(shares.values()) == pytest.approx(1) for shares in embedding.importances)


@pytest.mark.parametrize("n_classes", [2, 5, None])
def test_there_is_one_feature_and_one_share_list_for_each_output(n_classes):
    inputs = noise(300, 9)
    labels = inputs[:, 0].astype(float) if n_classes is None else np.arange(300) % n_classes
    embedding = learn(inputs, labels, n_classes)
    expected = len(windows(9, n_classes or 1)) * (n_classes or 1)
    assert embedding.features.shape == (300, expected)
    assert embedding.n_features == len(embedding.importances) == expected
    assert sum(forest.n_outputs for forest in embedding.forests) == expected
    assert {len(forest.roots) for forest in embedding.forests} == {8}
    assert np.isfinite(embedding.features).all()


def test_a_class_that_one_half_alone_has_seen_gets_no_probability():
    inputs = noise(101)
    labels = np.append(np.arange(100) % 2, 2)
    embedding = learn(inputs, labels, 3)
    assert embedding.n_features == len(windows(8, 3)) * 3
    assert not embedding.features[:, 2::3].any()
    np.testing.assert_allclose(embedding.features.reshape(101, -1, 3).sum(axis=2), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "n_classes"),
    [
        (np.zeros(50, int), 1),
        (np.zeros(50, int), 2),
        (np.arange(50), 50),
        (np.array([0]), 2),
        (np.array([0.5]), None),
    ],
)
def test_nothing_to_learn_from_gives_no_tree_features(labels, n_classes):
    embedding = learn(noise(len(labels)), labels, n_classes)
    assert embedding.features.shape == (len(labels), 0)
    assert (embedding.forests, embedding.importances) == ((), [])


def test_constant_inputs_give_constant_features_and_equal_shares():
    embedding = learn(np.zeros((100, 2), np.float32), np.arange(100) % 2, 2)
    assert len(np.unique(embedding.features, axis=0)) == 2  # one answer for each half
    assert embedding.importances == [{"0": 0.5, "1": 0.5}] * 2


def test_learning_repeats_with_a_seed_and_its_forests_survive_the_document():
    inputs = noise(300)
    labels = (inputs[:, 1] > 0.3).astype(int)
    first, again, other = (learn(inputs, labels, 2, seed) for seed in (1, 1, 2))
    assert dump_forests(first.forests) == dump_forests(again.forests) != dump_forests(other.forests)
    np.testing.assert_array_equal(first.features, again.features)
    assert first.importances == again.importances
    read_back = parse_forests(dump_forests(first.forests))
    np.testing.assert_array_equal(tree_features(read_back, inputs), tree_features(first.forests, inputs))
