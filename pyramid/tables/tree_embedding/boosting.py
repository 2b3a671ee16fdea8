"""Boosting over histograms (Ke et al., NeurIPS 2017), cross-fitted."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from pyramid.tables.tree_embedding.effort import MOST_BOOSTING_LEAVES, Effort
from pyramid.tables.tree_embedding.ensembles import Fitted, Lesson, rounded, single_leaf
from pyramid.tables.tree_embedding.shap import Tree

BOOSTING = "boosting"
ITERATIONS_AT_ONCE = 30
MANY_ROWS = 2000
SMALL_BOOSTING = ({"learning_rate": 0.06, "max_leaf_nodes": 15, "max_features": 0.5},)
LARGE_BOOSTING = (
    {"learning_rate": 0.1, "max_leaf_nodes": 15, "max_features": 0.5},
    {"learning_rate": 0.1, "max_leaf_nodes": MOST_BOOSTING_LEAVES, "max_features": 0.5},
)


def fit_boosting(lesson: Lesson, effort: Effort, rng: np.random.Generator, threads: Executor) -> Fitted:
    """Boosting, for the leaves and the number of iterations with the lowest loss on folds not seen."""
    seed = int(rng.integers(2**31))
    settings = (
        SMALL_BOOSTING if len(lesson.labels) < MANY_ROWS or not effort.screened_trees else LARGE_BOOSTING
    )
    tried = [_cross_boost(lesson, effort, one, seed, threads) for one in settings]
    best = min(tried, key=lambda one: one.loss)
    final = _boosting(lesson, best.settings, seed).set_params(max_iter=best.iterations)
    threads.submit(final.fit, lesson.inputs, lesson.labels, lesson.weights).result()
    deviation = float(best.scores.std())
    scale = float(rounded(np.array(deviation))) if 0 < deviation < np.inf else 1.0
    gives = "logits" if lesson.n_classes else "numbers"
    forests = boosted_trees(final, scale, lesson)
    return Fitted(BOOSTING, forests, best.scores / scale, gives, scale, best.loss)


@dataclass(frozen=True)
class _Boosted:
    settings: Mapping[str, Any]
    scores: np.ndarray  # (rows, outputs), raw, of folds not seen
    loss: float
    iterations: int


def _cross_boost(
    lesson: Lesson, effort: Effort, settings: Mapping[str, Any], seed: int, threads: Executor
) -> _Boosted:
    """Boost without each fold, until the loss on the folds not seen has not fallen for a while."""
    splits = lesson.splits()
    models = [_boosting(lesson, settings, seed) for _ in splits]
    best = _Boosted(settings, np.zeros(0), np.inf, 0)
    for first in range(0, effort.iterations, ITERATIONS_AT_ONCE):
        until = min(first + ITERATIONS_AT_ONCE, effort.iterations)
        go_on = partial(_continue, lesson=lesson, first=first, until=until)
        scores = np.zeros((until - first, len(lesson.labels), lesson.n_outputs))
        for (_, unseen), of_fold in zip(
            splits, threads.map(go_on, models, *zip(*splits, strict=True)), strict=True
        ):
            scores[:, unseen] = of_fold
        losses = [lesson.loss(_probabilities(one, lesson)) for one in scores]
        number = int(np.argmin(losses))
        if losses[number] < best.loss:
            best = _Boosted(settings, scores[number].copy(), losses[number], first + number + 1)
        if until - best.iterations >= ITERATIONS_AT_ONCE:
            break
    return best


def _boosting(lesson: Lesson, settings: Mapping[str, Any], seed: int) -> Any:
    make = HistGradientBoostingClassifier if lesson.n_classes else HistGradientBoostingRegressor
    return make(**settings, early_stopping=False, warm_start=True, random_state=seed)


def _continue(
    model: Any, seen: np.ndarray, unseen: np.ndarray, *, lesson: Lesson, first: int, until: int
) -> np.ndarray:
    """(iterations, unseen rows, outputs): raw scores after each of the iterations from `first` to `until`."""
    model.set_params(max_iter=until).fit(lesson.inputs[seen], lesson.labels[seen], lesson.weights_of(seen))
    staged = model.staged_decision_function if lesson.n_classes else model.staged_predict
    outputs = len(model.classes_) if lesson.n_classes > 2 else 1
    scores = np.empty((until - first, len(unseen), outputs))
    for place, stage in enumerate(islice(staged(lesson.inputs[unseen]), first, None)):
        scores[place] = stage.reshape(len(unseen), -1)
    if lesson.n_classes <= 2 or len(model.classes_) == lesson.n_classes:
        return scores
    # a class that the fold alone has
    spread = np.full((*scores.shape[:2], lesson.n_classes), scores.min())
    spread[:, :, model.classes_] = scores
    return spread


def _probabilities(scores: np.ndarray, lesson: Lesson) -> np.ndarray:
    """(rows, outputs): what raw scores say."""
    if not lesson.n_classes:
        return scores
    if lesson.n_classes == 2:
        return 1 / (1 + np.exp(-scores))
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def boosted_trees(model: Any, scale: float, lesson: Lesson) -> tuple[tuple[Tree, ...], ...]:
    """For each output trees whose mean is the raw score: the baseline is shared out over them."""
    n_trees = len(model._predictors)
    seen = model.classes_.tolist() if lesson.n_classes > 2 else [0]
    baseline = np.broadcast_to(np.ravel(model._baseline_prediction), len(seen))
    forests: list[tuple[Tree, ...]] = [
        (single_leaf(np.array([float(baseline.min()) / scale])),)
    ] * lesson.n_outputs
    for column, (output, base) in enumerate(zip(seen, baseline, strict=True)):
        trees = [_boosted_tree(one[column].nodes, n_trees, base, scale) for one in model._predictors]
        forests[output] = tuple(trees)
    return tuple(forests)


def _boosted_tree(nodes: np.ndarray, n_trees: int, baseline: float, scale: float) -> Tree:
    leaf, own = nodes["is_leaf"].astype(bool), np.arange(len(nodes))
    return Tree(
        feature=np.where(leaf, 0, nodes["feature_idx"]),
        threshold=np.where(leaf, 0.0, nodes["num_threshold"]),
        left=np.where(leaf, own, nodes["left"]),
        right=np.where(leaf, own, nodes["right"]),
        cover=nodes["count"].astype(np.float64),
        values=rounded((nodes["value"][:, None] * n_trees + baseline) / scale),
    )
