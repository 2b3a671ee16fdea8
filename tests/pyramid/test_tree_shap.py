from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from pyramid.tables.tree_embedding.shap import Tree, expected_values, shap_values


def trees_of(n_features: int, n_classes: int, seed: int, **options) -> tuple[list[Tree], object, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(300, n_features)).astype(np.float32)
    score = rows[:, 0] + rows[:, 1] * rows[:, -1] + 0.3 * rng.normal(size=300)
    if n_classes:
        labels = np.digitize(score, np.quantile(score, np.linspace(0, 1, n_classes + 1)[1:-1]))
        forest = RandomForestClassifier(3, random_state=seed, class_weight="balanced", **options)
    else:
        labels, forest = score, RandomForestRegressor(3, random_state=seed, **options)
    forest.fit(rows, labels)
    outputs = max(1, n_classes)
    return [Tree.from_sklearn(e.tree_, range(outputs), outputs) for e in forest.estimators_], forest, rows


def value_of_coalition(tree: Tree, row: np.ndarray, known: tuple[int, ...], node: int = 0) -> np.ndarray:
    """The paper's EXPVALUE: follow known features, weigh the children where a feature is unknown."""
    left, right = tree.left[node], tree.right[node]
    if left == node:
        return tree.values[node]
    if tree.feature[node] in known:
        child = left if row[tree.feature[node]] <= tree.threshold[node] else right
        return value_of_coalition(tree, row, known, child)
    answers = [tree.cover[child] * value_of_coalition(tree, row, known, child) for child in (left, right)]
    return sum(answers) / tree.cover[node]


def brute_force(tree: Tree, row: np.ndarray) -> np.ndarray:
    n = len(row)
    phi = np.zeros((n, tree.values.shape[1]))
    for j in range(n):
        others = [i for i in range(n) if i != j]
        for size in range(n):
            share = factorial(size) * factorial(n - size - 1) / factorial(n)
            for known in combinations(others, size):
                with_j = value_of_coalition(tree, row, (*known, j))
                phi[j] += share * (with_j - value_of_coalition(tree, row, known))
    return phi


@pytest.mark.parametrize("n_classes", [0, 2, 4])
@pytest.mark.parametrize("n_features", [2, 5])
def test_values_are_the_shapley_values_by_definition(n_classes, n_features):
    trees, _, rows = trees_of(n_features, n_classes, seed=3, min_samples_leaf=8)
    found = shap_values(trees, rows[:6])
    expected = [np.mean([brute_force(tree, row) for tree in trees], axis=0) for row in rows[:6]]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("n_classes", [0, 3])
def test_values_add_up_to_the_answer_also_in_deep_trees(n_classes):
    trees, forest, rows = trees_of(30, n_classes, seed=5)
    answers = forest.predict_proba(rows) if n_classes else forest.predict(rows)[:, None]
    sums = shap_values(trees, rows).sum(axis=1) + expected_values(trees)
    np.testing.assert_allclose(sums, answers, atol=1e-9)


def test_a_tree_without_a_split_explains_nothing():
    leaf = Tree(
        np.zeros(1, int), np.zeros(1), np.zeros(1, int), np.zeros(1, int), np.ones(1), np.full((1, 2), 0.5)
    )
    assert not shap_values([leaf], np.zeros((4, 3))).any()
    np.testing.assert_array_equal(expected_values([leaf]), [0.5, 0.5])
