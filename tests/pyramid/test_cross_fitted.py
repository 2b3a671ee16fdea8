from __future__ import annotations

from collections import Counter

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.metrics import roc_auc_score
from test_dataset_caching import CLASSES, NUMBER, Case, rows_of

import sensenet
from pyramid.fields import Fields
from pyramid.tables.layout import Layout
from pyramid.tables.splits import stratified_folds
from pyramid.tables.tree_embedding import cross_fitted
from pyramid.tables.tree_embedding.boosting import boosted_trees
from pyramid.tables.tree_embedding.cross_fitted import TableToLearn, learn_cross_fitted
from pyramid.tables.tree_embedding.effort import EFFORTS, FOREST_BYTES, Table, affordable, bounded, final_size
from pyramid.tables.tree_embedding.ensembles import Lesson
from pyramid.tables.tree_embedding.forests import forest_trees
from pyramid.tables.tree_embedding.learn import Embedding, to_forest
from pyramid.tables.tree_embedding.readouts import tree_readout
from pyramid.tables.tree_embedding.shap import Tree
from sensenet.forest import dump_forests, parse_forests, tree_features

LEAST_EFFORT = 0.0
"""Seconds that leave time for the smallest ensembles only: tests want to be quick."""

FLOAT32_MAX = float(np.finfo(np.float32).max)


def fields_of(n_inputs: int, n_classes: int | None) -> list[dict]:
    inputs = [{"index": i, "type": "numeric", "mean": 0, "stdev": 1} for i in range(n_inputs)]
    if n_classes is None:
        objective = {"index": n_inputs, "type": "numeric", "mean": 0, "stdev": 1}
    else:
        objective = {"index": n_inputs, "type": "categorical", "values": [str(i) for i in range(n_classes)]}
    return [*inputs, objective]


def learn(inputs, labels, n_classes=None, seed=0, n_folds=5) -> Embedding:
    layout = Layout.of(Fields.parse(fields_of(inputs.shape[1], n_classes)))
    strata = np.zeros(len(labels), int) if n_classes is None else labels
    folds = stratified_folds(strata, n_folds, np.random.default_rng(seed))
    table = TableToLearn(inputs, labels, strata, folds, layout, n_classes is not None)
    return learn_cross_fitted(table, len(inputs), LEAST_EFFORT, np.random.default_rng(seed))


def noise(n_rows=600, n_inputs=5, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_rows, n_inputs)).astype(np.float32)


def names(embedding: Embedding) -> list[str]:
    return [one["name"] for one in embedding.ensembles]


def test_features_of_noise_know_nothing_of_their_own_rows():
    aucs, leaky = [], []
    for seed in range(3):
        inputs = noise(800, seed=seed)
        labels = np.random.default_rng(seed + 100).integers(0, 2, len(inputs))
        embedding = learn(inputs, labels, 2, seed)
        aucs.append([roc_auc_score(labels, column) for column in embedding.features.T])
        seen = tree_features(embedding.forests, inputs).numpy()
        leaky.append([roc_auc_score(labels, column) for column in seen.T])
    assert names(embedding) == ["random_forest", "extra_trees", "boosting"]
    assert (np.mean(leaky, axis=0) > 0.6).all()
    assert (np.abs(np.mean(aucs, axis=0) - 0.5) < 0.05).all()


def test_the_label_of_a_row_does_not_change_its_own_features_of_a_number():
    inputs = noise(200)
    labels = inputs[:, 0].astype(np.float64)
    before = learn(inputs, labels)
    changed = labels.copy()
    changed[7] += 3.0
    after = learn(inputs, changed)
    forests = [0, 1]  # how long boosting goes on is chosen by all folds together
    np.testing.assert_array_equal(after.features[7, forests], before.features[7, forests])
    assert not np.array_equal(after.features, before.features)


@pytest.mark.parametrize("n_classes", [2, 4, None])
def test_ensembles_say_what_stands_in_which_columns(n_classes):
    inputs = noise(300)
    score = inputs[:, 0] + 0.3 * inputs[:, 1]
    labels = (
        score
        if n_classes is None
        else np.digitize(score, np.quantile(score, np.arange(1, n_classes) / n_classes))
    )
    embedding = learn(inputs, labels, n_classes)
    outputs = n_classes if n_classes and n_classes > 2 else 1
    assert [(one["name"], one["first"], one["outputs"]) for one in embedding.ensembles] == [
        ("random_forest", 0, outputs),
        ("extra_trees", outputs, outputs),
        ("boosting", 2 * outputs, outputs),
    ]
    forest_gives, boosting_gives = ("probabilities", "logits") if n_classes else ("numbers", "numbers")
    assert [one["gives"] for one in embedding.ensembles] == [forest_gives, forest_gives, boosting_gives]
    assert embedding.n_features == len(embedding.importances) == 3 * outputs
    assert all((forest.start, forest.end) == (0, 5) for forest in embedding.forests)
    assert Counter(forest.n_outputs for forest in embedding.forests) == (
        {1: 3} if outputs == 1 else {outputs: 2, 1: outputs}
    )
    assert embedding.features[:, 2 * outputs :].std() == pytest.approx(1, rel=1e-4)
    for one in embedding.ensembles:
        columns = embedding.features[:, one["first"] : one["first"] + one["outputs"]] * one["scale"]
        assert one["out_of_fold_loss"] == pytest.approx(
            loss(columns, labels, n_classes, one["gives"]), rel=1e-4
        )
        assert one["out_of_fold_loss"] < 0.9 * (np.log(n_classes) if n_classes else labels.var())


def loss(columns: np.ndarray, labels: np.ndarray, n_classes: int | None, gives: str) -> float:
    if n_classes is None:
        return float(np.mean((columns[:, 0] - labels) ** 2))
    if gives == "logits":
        columns = softmax(np.hstack([np.zeros_like(columns), columns]) if n_classes == 2 else columns, axis=1)
    elif n_classes == 2:
        columns = np.hstack([1 - columns, columns])
    return float(-np.log(columns[np.arange(len(labels)), labels]).mean())


def test_a_signal_is_credited_to_its_field():
    inputs = noise(500)
    for shares in learn(inputs, (inputs[:, 3] > 0).astype(int), 2).importances:
        assert shares["3"] > 0.7
        assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("n_classes", [2, 3, None])
def test_the_document_answers_as_scikit_learn(n_classes):
    inputs = noise(700)
    score = inputs[:, 0] * inputs[:, 1] + inputs[:, 2]
    labels = (
        score.astype(np.float64) if n_classes is None else np.digitize(score, [0.0, 1.0][: n_classes - 1])
    )
    lesson = Lesson(inputs, labels, np.zeros(700, int), n_classes or 0)
    rows = np.concatenate([inputs, noise(5000, seed=1)])
    if n_classes is None:
        forest = ExtraTreesRegressor(9, random_state=0).fit(inputs, labels)
        boosting = HistGradientBoostingRegressor(max_iter=20).fit(inputs, labels)
        said, raw = forest.predict(rows)[:, None], boosting.predict(rows)
    else:
        forest = RandomForestClassifier(9, random_state=0).fit(inputs, labels)
        boosting = HistGradientBoostingClassifier(max_iter=20).fit(inputs, labels)
        shares = np.bincount(labels) / len(labels)
        said = (9 * forest.predict_proba(rows) + shares) / 10  # no probability is 0
        raw = boosting.decision_function(rows)
        said = said[:, 1:] if n_classes == 2 else said
    trees = [forest_trees(forest.estimators_, lesson), *boosted_trees(boosting, 2.5, lesson)]
    document = orjson.loads(orjson.dumps(dump_forests([to_forest(one, 0, 5) for one in trees])))
    features = tree_features(parse_forests(document), rows).numpy()
    np.testing.assert_allclose(features[:, : said.shape[1]], said, atol=1e-5)
    np.testing.assert_allclose(2.5 * features[:, said.shape[1] :], raw.reshape(len(rows), -1), atol=2e-5)


def test_learning_repeats_with_a_seed():
    inputs = noise(200)
    labels = (inputs[:, 1] > 0.3).astype(int)
    first, again, other = (learn(inputs, labels, 2, seed) for seed in (1, 1, 2))
    assert dump_forests(first.forests) == dump_forests(again.forests) != dump_forests(other.forests)
    np.testing.assert_array_equal(first.features, again.features)
    assert (first.importances, first.ensembles) == (again.importances, again.ensembles)


@pytest.mark.parametrize(
    ("inputs", "labels", "n_classes"),
    [
        (noise(33), np.arange(33) % 2, 2),
        (noise(33), noise(33)[:, 0].astype(float), None),
        (noise(100, 1), np.arange(100) % 3, 3),
        (np.zeros((60, 2), np.float32), np.arange(60) % 2, 2),
        (np.zeros((60, 2), np.float32), np.zeros(60), None),
        (noise(60) * np.float32(1e38), np.arange(60) % 2, 2),
        (np.where(noise(60) > 0, FLOAT32_MAX, -FLOAT32_MAX).astype(np.float32), np.arange(60.0), None),
        (noise(103), np.append(np.arange(100) % 3, [3, 3, 4]), 6),
        (noise(61), np.append(np.arange(60) % 2, 2), 3),
    ],
    ids=[
        "few",
        "few numbers",
        "one input",
        "constant",
        "all constant",
        "huge",
        "largest",
        "rare",
        "two of three",
    ],
)
def test_odd_tables_have_finite_features(inputs, labels, n_classes):
    embedding = learn(inputs, labels, n_classes, n_folds=10)
    assert embedding.n_features > 0
    assert embedding.features.shape == (len(inputs), sum(one["outputs"] for one in embedding.ensembles))
    assert np.isfinite(embedding.features).all()
    final = tree_features(parse_forests(dump_forests(embedding.forests)), inputs).numpy()
    assert final.shape == embedding.features.shape and np.isfinite(final).all()


@pytest.mark.parametrize(
    ("inputs", "labels", "n_classes"),
    [
        (noise(50), np.zeros(50, int), 1),
        (noise(50), np.zeros(50, int), 2),
        (noise(50), np.arange(50), 50),
        (noise(1), np.array([0.5]), None),
        (noise(50, 0), np.arange(50) % 2, 2),
    ],
)
def test_nothing_to_learn_from_gives_no_tree_features(inputs, labels, n_classes):
    embedding = learn(inputs, labels, n_classes)
    assert embedding.features.shape == (len(labels), 0)
    assert (embedding.forests, embedding.importances, embedding.ensembles) == ((), [], ())


@pytest.mark.parametrize("rare", [0, 1])
def test_boosting_of_two_classes_is_left_out_where_a_fold_has_all_rows_of_one(rare):
    inputs, labels = noise(200), np.full(200, 1 - rare)
    labels[:2] = rare
    folds = np.arange(200) // 2 % 5  # both rows in one fold
    table = TableToLearn(inputs, labels, labels, folds, Layout.of(Fields.parse(fields_of(5, 2))), True)
    embedding = learn_cross_fitted(table, len(inputs), LEAST_EFFORT, np.random.default_rng(0))
    assert names(embedding) == ["random_forest", "extra_trees"]
    shares = np.where(rare, embedding.features, 1 - embedding.features)
    assert shares.max() < 1


@pytest.mark.parametrize("rare", [0, 1])
def test_a_sample_in_which_a_class_has_one_row_teaches_nothing(rare, monkeypatch):
    monkeypatch.setattr("pyramid.tables.tree_embedding.effort.MAX_CELLS", 100)  # of 20 rows
    labels = np.full(200, 1 - rare)
    labels[:2] = rare
    assert learn(noise(200), labels, 2).forests == ()


def weighted_rows(objective: dict) -> np.ndarray:
    rows = rows_of(300, objective, weight=True)
    rows[:, -2] = np.arange(300) % 3
    return rows


@pytest.mark.parametrize("objective", [CLASSES, NUMBER])
def test_a_row_of_weight_0_changes_no_trees(tmp_path, objective):
    settings = {**CROSS_FITTED, "instance_weights": True}
    rows = weighted_rows(objective)
    before = Case(tmp_path / "a", rows, objective, **settings)
    before.run()
    changed = rows.copy()
    is_nothing = rows[:, -2] == 0
    changed[is_nothing, :-2] = rows[is_nothing, :-2][::-1]
    after = Case(tmp_path / "b", changed, objective, **settings)
    after.run()
    assert before.workspace.trees.read_bytes() == after.workspace.trees.read_bytes()
    inputs = [one.load("full_dataset")[~is_nothing] for one in (before, after)]
    np.testing.assert_array_equal(*inputs)


def test_rows_count_as_much_as_their_weights():
    """Half of the rows say the opposite of the other half, and those of weight 9 prevail."""
    inputs = noise(800)
    is_heavy = np.arange(800) % 2 == 0
    labels = np.where(is_heavy, inputs[:, 0] > 0, inputs[:, 0] <= 0).astype(int)
    weights = np.where(is_heavy, 9.0, 1.0)
    folds = stratified_folds(labels, 5, np.random.default_rng(0))
    layout = Layout.of(Fields.parse(fields_of(5, 2)))
    table = TableToLearn(inputs, labels, labels, folds, layout, True, weights)
    embedding = learn_cross_fitted(table, 800, LEAST_EFFORT, np.random.default_rng(0))
    for column in embedding.features.T:
        assert roc_auc_score(inputs[:, 0] > 0, column) > 0.8
    random_forest, extra_trees, boosting = embedding.ensembles
    for one in (random_forest, extra_trees, boosting):
        assert one["out_of_fold_loss"] < 0.62  # log(2) if rows counted alike


def test_an_ensemble_whose_sums_are_no_float32_is_left_out():
    embedding = learn(noise(60), np.where(np.arange(60) % 2, 1e38, -1e38))
    assert names(embedding) == ["boosting"]
    assert embedding.ensembles[0]["first"] == 0
    assert np.isfinite(tree_features(embedding.forests, noise(60))).all()


def test_many_classes_leave_out_boosting_then_extra_trees():
    inputs = noise(600, 2)
    assert names(learn(inputs, np.arange(600) % 40, 40)) == ["random_forest", "extra_trees"]
    assert names(learn(inputs, np.arange(600) % 150, 150)) == ["random_forest"]


def test_rows_that_do_not_learn_are_described_by_the_final_trees(monkeypatch):
    inputs = noise(300)
    labels = (inputs[:, 0] > 0).astype(int)
    monkeypatch.setattr("pyramid.tables.tree_embedding.effort.MAX_CELLS", 1000)
    embedding = learn(inputs, labels, 2)
    final = tree_features(embedding.forests, inputs).numpy()
    assert np.count_nonzero((embedding.features == final).all(axis=1)) >= 100


def test_forests_of_a_document_that_would_be_too_large_are_cut_and_no_boosted_sum(monkeypatch):
    inputs = noise(600)
    labels = (inputs[:, 0] + inputs[:, 1] > 0).astype(int)
    whole = learn(inputs, labels, 2)
    monkeypatch.setattr(cross_fitted, "FOREST_BYTES", 4000)
    embedding = learn(inputs, labels, 2)
    *forests, boosted = embedding.forests
    for forest in forests:
        assert len(orjson.dumps(dump_forests([forest]))) <= 4000
    assert dump_forests([boosted]) == dump_forests(whole.forests[2:])
    assert len(orjson.dumps(dump_forests([boosted]))) > 4000
    assert embedding.ensembles[0]["trees"] == len(embedding.forests[0].roots) < EFFORTS[-1].trees + 1


def test_boosting_is_not_timed_where_there_is_none(monkeypatch):
    fit = HistGradientBoostingRegressor.fit
    timed = []
    monkeypatch.setattr(
        HistGradientBoostingRegressor,
        "fit",
        lambda self, *rows: timed.append(len(rows[0])) or fit(self, *rows),
    )
    for columns in (3, 1001):
        inputs = noise(50, columns)
        effort = affordable(Table(50, 50, columns, 1, 5), inputs, inputs[:, 0].astype(float), 60.0)
        assert (effort.iterations > 0) == (columns == 3)
    assert timed == [50]


@given(
    st.sampled_from(EFFORTS),
    st.integers(1, 1000),
    st.integers(1, 20_000),
    st.integers(1, 10**7),
    st.floats(1, 1e6),
)
def test_no_effort_is_larger_than_its_document_may_be(effort, n_outputs, columns, n_rows, leaves_of_folds):
    least = bounded(effort, Table(n_rows, min(n_rows, 100_000), columns, n_outputs, 5))
    trees, leaves = final_size(least, leaves_of_folds, n_outputs)
    assert 1 <= trees <= least.trees and leaves >= 2
    assert (
        trees * min(leaves, leaves_of_folds) * (26 + 9 * n_outputs) <= FOREST_BYTES
        or trees * leaves <= 2 * trees
    )
    assert least.learning_rows * max(columns, n_outputs) <= 20_000_000
    assert (least.iterations >= 1) == (columns <= 1000 and n_outputs <= 30)
    assert 3 * least.screened_trees <= max(least.trees, least.fold_trees)


@pytest.mark.parametrize("objective", [CLASSES, NUMBER])
def test_a_caching_job_keeps_folds_and_describes_its_ensembles(tmp_path, objective):
    case = Case(tmp_path, rows_of(420, objective), objective, **CROSS_FITTED)
    result = case.run()
    folds = case.load("folds")
    assert (folds.dtype, folds.shape) == (np.int8, (420,))
    assert np.bincount(folds).tolist() == [42] * 10
    if objective is CLASSES:
        for label in range(3):
            counts = np.bincount(folds[case.rows[:, -1] == label], minlength=10)
            assert counts.max() - counts.min() <= 1
    assert not (case.workspace.root / "full_rows.npy").exists()
    assert "folds.npy" in orjson.loads(case.workspace.dataset_info.read_bytes())["digests"]
    ensembles = result["tree_ensembles"]
    assert sum(one["outputs"] for one in ensembles) == result["tree_inputs"]
    again = case.run()
    assert again == result and np.array_equal(case.load("folds"), folds)


CROSS_FITTED = {"tree_embedding": True, "tree_kind": "cross_fitted", "max_training_time": 0}


def test_folds_alone_are_kept_and_a_later_job_without_removes_them(tmp_path):
    case = Case(tmp_path, rows_of(100, CLASSES))
    result = case.run(folds=4)
    assert np.bincount(case.load("folds")).tolist() == [25] * 4
    assert "tree_ensembles" not in result
    case.run()
    assert not (case.workspace.root / "folds.npy").exists()


def test_the_rows_of_a_sample_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr("pyramid.jobs.dataset_caching.MAX_FULL_BYTES", 128 + 60 * 12 * 4)
    case = Case(tmp_path, rows_of(100, CLASSES))
    case.run(folds=2)
    rows, folds = case.load("full_rows"), case.load("folds")
    assert (rows.dtype, rows.shape, folds.shape) == (np.int64, (60,), (60,))
    np.testing.assert_array_equal(case.load("full_dataset")[:, -3:].argmax(axis=1), case.rows[rows, -1])


@pytest.mark.parametrize("n_classes", [2, 3, None])
def test_a_tree_readout_passes_ensembles_through(n_classes):
    inputs = noise(200)
    labels = (
        inputs[:, 0].astype(float)
        if n_classes is None
        else np.digitize(inputs[:, 0], [0, 0.7][: n_classes - 1])
    )
    embedding = learn(inputs, labels, n_classes)
    fields = Fields.parse(fields_of(5, n_classes))

    def predictions(*chosen: str) -> np.ndarray:
        layers = tree_readout(embedding.ensembles, chosen, embedding.n_features, 5, fields.objective)
        document = {
            "preprocess": [field.dump() for field in fields.inputs],
            "output_exposition": fields.objective.dump_output(),
            "layers": layers,
            "trees": dump_forests(embedding.forests),
        }
        return sensenet.create_model(document)(inputs.tolist())

    features = tree_features(embedding.forests, inputs).numpy()
    width = embedding.ensembles[0]["outputs"]
    forest, extra, boosting = (features[:, i * width : (i + 1) * width] for i in range(3))
    boosting = boosting * embedding.ensembles[2]["scale"]
    if n_classes == 2:
        forest, extra = (np.hstack([1 - one, one]) for one in (forest, extra))
        boosting = np.hstack([np.zeros_like(boosting), boosting])
    if n_classes:
        boosting = softmax(boosting, axis=1)
    np.testing.assert_allclose(predictions("random_forest"), forest, atol=1e-6)
    np.testing.assert_allclose(predictions("random_forest", "extra_trees"), (forest + extra) / 2, atol=1e-6)
    np.testing.assert_allclose(predictions("boosting"), boosting, atol=1e-5)


def test_readouts_refuse_what_cannot_be_passed_through():
    ensembles = [
        {"name": "random_forest", "first": 0, "outputs": 1, "gives": "probabilities", "scale": 1.0},
        {"name": "boosting", "first": 1, "outputs": 1, "gives": "logits", "scale": 2.0},
    ]
    objective = Fields.parse(fields_of(1, 2)).objective
    for chosen, message in (
        ([], "none"),
        (["extra_trees"], "extra_trees"),
        (["random_forest", "boosting"], "logits"),
    ):
        with pytest.raises(ValueError, match=message):
            tree_readout(ensembles, chosen, 2, 1, objective)


def test_trees_of_one_leaf_have_no_depth():
    leaf = Tree(
        np.zeros(1, int), np.zeros(1), np.zeros(1, int), np.zeros(1, int), np.ones(1), np.ones((1, 1))
    )
    assert to_forest([leaf], 0, 3).depth == 0
