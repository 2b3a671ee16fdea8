from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, RandomForestRegressor

from sensenet.errors import ModelFormatError
from sensenet.forest import (
    Forest,
    block_transform,
    dump_forests,
    floor_float32,
    parse_forests,
    tree_features,
)

LEAF = [[1.0], None]


def sklearn_document(forest, start: int, end: int) -> list:
    """The JSON form of a fitted scikit-learn forest, written by plain recursion."""

    def node(tree, i):
        if tree.children_left[i] < 0:
            return [tree.value[i, 0].tolist(), None]
        threshold = float(floor_float32(tree.threshold[i]))
        children = [node(tree, tree.children_left[i]), node(tree, tree.children_right[i])]
        return [int(tree.feature[i]), threshold, *children]

    return [[start, end], [node(estimator.tree_, 0) for estimator in forest.estimators_]]


def walk(node, row: np.ndarray) -> list[float]:
    """The answer of one tree by hand: thresholds are compared in float32."""
    while node[1] is not None:
        node = node[2] if np.float32(row[node[0]]) <= np.float32(node[1]) else node[3]
    return node[0]


@pytest.mark.parametrize("kind", [RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier])
def test_decisions_equal_those_of_scikit_learn_also_on_thresholds(kind):
    rng = np.random.default_rng(1)
    learnt_from = rng.normal(size=(2000, 4)).astype(np.float32)
    labels = (learnt_from[:, 0] + learnt_from[:, 1] * learnt_from[:, 2] > 0).astype(int)
    peer = kind(8, min_samples_leaf=4, random_state=0).fit(learnt_from, labels)
    rows = rng.normal(size=(100_000, 5)).astype(np.float32)
    thresholds = np.concatenate([e.tree_.threshold[e.tree_.children_left >= 0] for e in peer.estimators_])
    on_threshold = np.concatenate([thresholds.astype(np.float32), floor_float32(thresholds)])
    rows[:50_000] = rng.choice(on_threshold, (50_000, 5))

    compiled = tf.function(
        lambda inputs: tree_features(parse_forests([sklearn_document(peer, 1, 5)]), inputs), jit_compile=True
    )
    expected = peer.predict(rows[:, 1:]) if kind is RandomForestRegressor else peer.predict_proba(rows[:, 1:])
    np.testing.assert_allclose(compiled(rows).numpy(), expected.reshape(len(rows), -1), atol=1e-6)


@pytest.mark.parametrize("number", [1, 4, 5])
def test_trees_of_published_models_answer_as_a_walk_by_hand(conformance, number):
    with gzip.open(conformance / "models" / "regression.json.gz") as file:
        raw = json.load(file)[number]["model"]["trees"]
    forests = parse_forests(raw)
    rows = np.random.default_rng(number).normal(size=(200, max(f.end for f in forests))).astype(np.float32)
    expected = [
        np.concatenate(
            [np.mean([walk(tree, row[start:end]) for tree in trees], axis=0) for (start, end), trees in raw]
        )
        for row in rows
    ]
    np.testing.assert_allclose(tree_features(forests, tf.constant(rows)), expected, atol=1e-6)


def test_forests_of_different_sizes_stand_side_by_side():
    small = [[0, 1], [[0, 0.0, [[1.0], None], [[2.0], None]]]]
    large = [[1, 2], [[0, 0.5, [[0.0, 4.0], None], [[2.0, 0.0], None]], [[2.0, 2.0], None]]]
    forests = parse_forests([small, large])
    features = tree_features(forests, tf.constant([[-1.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(features, [[1, 1, 3], [2, 2, 1]])


def test_no_forest_gives_no_columns():
    assert tree_features((), tf.zeros((3, 2))).shape == (3, 0)
    assert parse_forests(None) == ()


@pytest.mark.parametrize("rows", [1, 7, 16])
def test_blocks_shorter_than_the_compiled_ones_are_transformed_too(rows):
    forests = parse_forests([[[0, 2], [[1, 0.25, [[1.0], None], [0, 0.0, [[2.0], None], [[3.0], None]]]]]])
    inputs = np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32)
    np.testing.assert_array_equal(
        block_transform(forests, 2, 16)(inputs), tree_features(forests, tf.constant(inputs))
    )


def deep_tree(depth: int) -> list:
    node = [[float(depth)], None]
    for level in reversed(range(depth)):
        node = [0, float(level), [[float(level)], None], node]
    return node


@pytest.mark.parametrize("depth", [0, 1, 47, 48, 49, 300])
def test_deep_trees_are_followed_to_their_last_leaf(depth):
    forests = parse_forests([[[0, 1], [deep_tree(depth)]], [[0, 1], [deep_tree(depth // 3)]]])
    inputs = np.array([[-1.0], [depth / 2], [1000.0]], np.float32)
    expected = [[walk(deep_tree(d), row) for d in (depth, depth // 3)] for row in inputs]
    np.testing.assert_allclose(tree_features(forests, tf.constant(inputs)), np.squeeze(expected, 2))


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=6))
def test_forests_of_any_depths_answer_in_the_order_in_which_they_are_given(depths):
    raw = [[[0, 1], [deep_tree(depth) for depth in of_forest]] for of_forest in depths]
    inputs = np.arange(-0.5, 10, dtype=np.float32)[:, None]
    expected = [[np.mean([walk(tree, row)[0] for tree in trees]) for _, trees in raw] for row in inputs]
    np.testing.assert_allclose(tree_features(parse_forests(raw), tf.constant(inputs)), expected, rtol=1e-6)


def test_a_window_beyond_the_inputs_is_refused():
    with pytest.raises(ModelFormatError, match=r"trees\[0\]\[0\].*3 inputs.*5"):
        tree_features(parse_forests([[[2, 5], [LEAF]]]), tf.zeros((1, 3)))


def cyclic_tree() -> list:
    tree: list = [0, 0.0, LEAF, None]
    tree[3] = tree
    return tree


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ({}, r"trees: "),
        ([1], r"trees\[0\]: "),
        ([[[0, 1]]], r"trees\[0\]: "),
        ([[[1, 1], [LEAF]]], r"trees\[0\]\[0\]: "),
        ([[[-1, 1], [LEAF]]], r"trees\[0\]\[0\]: "),
        ([[[0, 1.5], [LEAF]]], r"trees\[0\]\[0\]: "),
        ([[[0, 1], []]], r"trees\[0\]\[1\]: "),
        ([[[0, 1], [None]]], r"trees\[0\]\[1\]\[0\]: "),
        ([[[0, 1], [LEAF, [[], None]]]], r"trees\[0\]\[1\]\[1\]: "),
        ([[[0, 1], [[[], None]]]], r"trees\[0\]\[1\]\[0\]: "),
        ([[[0, 1], [[["a"], None]]]], r"trees\[0\]\[1\]\[0\]: "),
        ([[[0, 1], [[[float("nan")], None]]]], r"trees\[0\]\[1\]\[0\]: "),
        ([[[0, 1], [[[1e39], None]]]], r"trees\[0\]\[1\]\[0\]: .*float32"),
        ([[[0, 1], [[1, 0.0, LEAF, LEAF]]]], r"trees\[0\]\[1\]\[0\]: .*0 to 0"),
        ([[[0, 1], [[0, "x", LEAF, LEAF]]]], r"trees\[0\]\[1\]\[0\]: .*threshold"),
        ([[[0, 1], [[0, 10**400, LEAF, LEAF]]]], r"trees\[0\]\[1\]\[0\]: .*threshold"),
        ([[[0, 1], [LEAF, [0, 0.0, LEAF, [0, 0.5, [[True], None], LEAF]]]]], r"\[1\]\[1\]\.right\.left: "),
        ([[[0, 1], [[[1.0, 2.0], None], [0, 0.0, LEAF, LEAF]]]], r"\[1\]\[1\]\.left: expected 2 numbers"),
        ([[[0, 1], [[0, 0.0, LEAF, [True, 0.0, LEAF, LEAF]]]]], r"trees\[0\]\[1\]\[0\]\.right: "),
        (
            [[[0, 1], [[0, 0.0, [0, 0.0, LEAF, [[1.0, 2.0], None]], LEAF]]]],
            r"trees\[0\]\[1\]\[0\]\.left\.right: ",
        ),
        ([[[0, 1], [cyclic_tree()]]], r"512 levels"),
        ([[[0, 1], [deep_tree(513)]]], r"512 levels"),
    ],
)
def test_malformed_trees_are_refused_with_their_place(raw, place):
    with pytest.raises(ModelFormatError, match=place):
        parse_forests(raw)


floats32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


def trees(width: int, outputs: int) -> st.SearchStrategy:
    leaves = st.lists(floats32, min_size=outputs, max_size=outputs).map(lambda values: [values, None])
    return st.recursive(
        leaves,
        lambda node: st.tuples(st.integers(0, width - 1), floats32, node, node).map(list),
        max_leaves=12,
    )


@st.composite
def documents(draw) -> list:
    def forest():
        start, width, outputs = draw(st.integers(0, 9)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
        return [[start, start + width], draw(st.lists(trees(width, outputs), min_size=1, max_size=3))]

    return [forest() for _ in range(draw(st.integers(0, 3)))]


def of_float32(value):
    """`value` with every float as a reader has it that reads float32."""
    if isinstance(value, list):
        return [of_float32(inner) for inner in value]
    return float(np.float32(value)) if isinstance(value, float) else value


@given(documents())
def test_what_was_parsed_is_written_back_unchanged(document):
    forests = parse_forests(document)
    dumped = dump_forests(forests)
    assert of_float32(dumped) == document
    assert len(json.dumps(dumped)) <= len(json.dumps(document))
    assert all(isinstance(forest, Forest) for forest in forests)
    for forest, (_, raw_trees) in zip(forests, document, strict=True):
        assert len(forest.roots) == len(raw_trees)


@given(st.floats(-1e30, 1e30), floats32)
def test_floored_thresholds_decide_as_the_exact_ones(threshold, value):
    floored = floor_float32(np.array([threshold]))[0]
    assert floored.dtype == np.float32
    for near in (value, floored, np.nextafter(floored, np.float32(np.inf))):
        assert (np.float32(near) <= floored) == (np.float64(near) <= threshold)
