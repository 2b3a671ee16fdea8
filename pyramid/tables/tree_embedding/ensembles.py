"""The three ensembles of cross-fitted trees: each fitted by scikit-learn, without each fold and on all rows.

Random forests: Breiman, Machine Learning 45 (2001). Extra trees: Geurts, Ernst, Wehenkel, Machine Learning 63
(2006). Boosting over histograms: Ke et al., NeurIPS 2017. Stacking on what is said of folds not seen: Wolpert, Neural
Networks 5 (1992).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pyramid.tables.tree_embedding.effort import MAX_DEPTH, MOST_BOOSTING_LEAVES, Effort, final_size
from pyramid.tables.tree_embedding.shap import Tree

DIGITS = 6
LEAST_PROBABILITY = float(np.finfo(np.float32).eps)
ITERATIONS_AT_ONCE = 30
MANY_ROWS = 2000
SMALL_BOOSTING = ({"learning_rate": 0.06, "max_leaf_nodes": 15, "max_features": 0.5},)
LARGE_BOOSTING = (
    {"learning_rate": 0.1, "max_leaf_nodes": 15, "max_features": 0.5},
    {"learning_rate": 0.1, "max_leaf_nodes": MOST_BOOSTING_LEAVES, "max_features": 0.5},
)


@dataclass(frozen=True)
class Lesson:
    """What is learnt.

    Attributes:
        inputs: (rows, columns) float32.
        labels: (rows,) class indices, or standardised numbers.
        folds: (rows,) the fold of each row.
        n_classes: 0 of numbers.
    """

    inputs: np.ndarray
    labels: np.ndarray
    folds: np.ndarray
    n_classes: int

    @property
    def n_outputs(self) -> int:
        """How many numbers say all: for two classes the probability of the second."""
        return 1 if self.n_classes <= 2 else self.n_classes

    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The rows that learn and those that do not, for each fold."""
        return [
            (np.flatnonzero(self.folds != fold), np.flatnonzero(self.folds == fold))
            for fold in np.unique(self.folds)
        ]

    def loss(self, outputs: np.ndarray) -> float:
        """Log loss of (rows, n_outputs) probabilities, or the mean squared error of numbers."""
        if not self.n_classes:
            return float(np.mean((outputs[:, 0] - self.labels) ** 2))
        p = np.concatenate([1 - outputs, outputs], axis=1) if self.n_classes == 2 else outputs
        true = np.take_along_axis(p, self.labels[:, None], axis=1)
        return float(-np.log(np.clip(true, LEAST_PROBABILITY, 1.0)).mean())


@dataclass(frozen=True)
class Fitted:
    """One ensemble.

    Attributes:
        forests: the trees of each forest of the document; the answer is the mean over them.
        features: (rows, outputs): what the trees that did not see a row's fold say of it.
        gives: "probabilities", "logits" or "numbers".
        loss: of the features, see `Lesson.loss`.
    """

    name: str
    forests: tuple[tuple[Tree, ...], ...]
    features: np.ndarray
    gives: str
    scale: float
    loss: float


@dataclass(frozen=True)
class ForestKind:
    """A kind of forest.

    Attributes:
        leaf_rows: the least rows of a leaf, to choose from; the middle one where there is no time to.
        columns: what share of them, or how many, a node of a tree that predicts numbers chooses from.
    """

    name: str
    of_classes: Callable[..., Any]
    of_numbers: Callable[..., Any]
    leaf_rows: tuple[int, ...]
    columns: float | str


RANDOM_FOREST = ForestKind("random_forest", RandomForestClassifier, RandomForestRegressor, (1, 3, 8), 0.4)
EXTRA_TREES = ForestKind("extra_trees", ExtraTreesClassifier, ExtraTreesRegressor, (1, 2, 4), 0.6)


def one_thread_each() -> ThreadPoolExecutor:
    """Threads for fits that take one each: sums that several of scikit-learn's threads share hang on their number."""
    return ThreadPoolExecutor(
        os.cpu_count() or 1, initializer=threadpool_limits, initargs=(1, "openmp"), thread_name_prefix="fit"
    )


def fit_forest(
    kind: ForestKind, lesson: Lesson, effort: Effort, rng: np.random.Generator, threads: Executor
) -> Fitted:
    """A forest whose least rows in a leaf are those with the lowest loss on folds not seen."""
    cross_fit = partial(_cross_fit, kind, lesson, most_leaves=effort.leaves, rng=rng, threads=threads)
    leaf_rows = kind.leaf_rows[len(kind.leaf_rows) // 2]
    said, n_said = np.zeros((len(lesson.labels), lesson.n_outputs)), 0
    if n_screened := effort.screened_trees:
        tried = [cross_fit(n_screened, rows)[0] for rows in kind.leaf_rows]
        losses = [lesson.loss(_with_prior(sums, n_screened, lesson)) for sums in tried]
        best = int(np.argmin(losses))
        leaf_rows, said, n_said = kind.leaf_rows[best], tried[best], n_screened
    more, n_leaves = cross_fit(effort.fold_trees - n_said, leaf_rows)
    features = _with_prior(said + more, effort.fold_trees, lesson)
    n_trees, most_leaves = final_size(effort, n_leaves, lesson.n_outputs)
    final = _forest(kind, lesson, n_trees, leaf_rows, most_leaves, rng).set_params(n_jobs=-1)
    final.fit(lesson.inputs, lesson.labels)
    trees = [_leaf(_prior(lesson))] if lesson.n_classes else []
    trees += [_tree(one, final, lesson) for one in final.estimators_]
    gives = "probabilities" if lesson.n_classes else "numbers"
    return Fitted(kind.name, (tuple(trees),), features, gives, 1.0, lesson.loss(features))


def _cross_fit(
    kind: ForestKind,
    lesson: Lesson,
    n_trees: int,
    leaf_rows: int,
    *,
    most_leaves: int,
    rng: np.random.Generator,
    threads: Executor,
) -> tuple[np.ndarray, float]:
    """(rows, outputs): the sum of what trees say of rows that they have not seen; and the leaves of a tree."""

    def of_fold(forest: Any, seen: np.ndarray, unseen: np.ndarray) -> tuple[np.ndarray, float]:
        forest.fit(lesson.inputs[seen], lesson.labels[seen])
        n_leaves = float(np.mean([tree.get_n_leaves() for tree in forest.estimators_]))
        return n_trees * _answers(forest, lesson.inputs[unseen], lesson), n_leaves

    splits = lesson.splits()
    forests = [_forest(kind, lesson, n_trees, leaf_rows, most_leaves, rng) for _ in splits]
    sums, leaves = np.zeros((len(lesson.labels), lesson.n_outputs)), []
    for (_, unseen), (said, n_leaves) in zip(
        splits, threads.map(of_fold, forests, *zip(*splits, strict=True)), strict=True
    ):
        sums[unseen] = said
        leaves.append(n_leaves)
    return sums, float(np.mean(leaves))


def _forest(
    kind: ForestKind,
    lesson: Lesson,
    n_trees: int,
    leaf_rows: int,
    most_leaves: int,
    rng: np.random.Generator,
) -> Any:
    make = kind.of_classes if lesson.n_classes else kind.of_numbers
    return make(
        n_estimators=n_trees,
        min_samples_leaf=leaf_rows,
        max_features="sqrt" if lesson.n_classes else kind.columns,
        max_leaf_nodes=most_leaves if most_leaves < len(lesson.labels) else None,
        max_depth=MAX_DEPTH,
        random_state=int(rng.integers(2**31)),
    )


def _answers(forest: Any, inputs: np.ndarray, lesson: Lesson) -> np.ndarray:
    if not lesson.n_classes:
        return forest.predict(inputs)[:, None]
    return _outputs(forest.predict_proba(inputs), forest.classes_, lesson)


def _outputs(probabilities: np.ndarray, classes: np.ndarray, lesson: Lesson) -> np.ndarray:
    """(rows, n_outputs) of (rows, classes seen)."""
    spread = np.zeros((len(probabilities), lesson.n_classes))
    spread[:, classes] = probabilities
    return spread[:, 1:] if lesson.n_classes == 2 else spread


def _prior(lesson: Lesson) -> np.ndarray:
    shares = np.bincount(lesson.labels, minlength=lesson.n_classes) / len(lesson.labels)
    return _rounded(shares[1:] if lesson.n_classes == 2 else shares)


def _with_prior(sums: np.ndarray, n_trees: int, lesson: Lesson) -> np.ndarray:
    """The mean over `n_trees`, of classes with one more that always gives their shares: no probability is 0."""
    return (sums + _prior(lesson)) / (n_trees + 1) if lesson.n_classes else sums / n_trees


def _tree(estimator: Any, forest: Any, lesson: Lesson) -> Tree:
    classes = forest.classes_.tolist() if lesson.n_classes else [0]
    tree = Tree.from_sklearn(estimator.tree_, classes, max(lesson.n_classes, 1))
    values = tree.values[:, 1:] if lesson.n_classes == 2 else tree.values
    return Tree(tree.feature, tree.threshold, tree.left, tree.right, tree.cover, _rounded(values))


def _leaf(values: np.ndarray) -> Tree:
    own = np.zeros(1, np.int64)
    return Tree(own, np.zeros(1), own, own, np.ones(1), values[None])


def _rounded(values: np.ndarray) -> np.ndarray:
    """Values of six significant digits."""
    sizes = np.floor(np.log10(np.abs(values), out=np.zeros(values.shape), where=values != 0))
    digits = 10.0 ** (DIGITS - 1 - sizes)
    return np.where(np.isfinite(digits), np.rint(values * digits) / digits, 0.0)


def fit_boosting(lesson: Lesson, effort: Effort, rng: np.random.Generator, threads: Executor) -> Fitted:
    """Boosting, for the leaves and the number of iterations with the lowest loss on folds not seen."""
    seed = int(rng.integers(2**31))
    settings = (
        SMALL_BOOSTING if len(lesson.labels) < MANY_ROWS or not effort.screened_trees else LARGE_BOOSTING
    )
    tried = [_cross_boost(lesson, effort, one, seed, threads) for one in settings]
    best = min(tried, key=lambda one: one.loss)
    final = _boosting(lesson, best.settings, seed).set_params(max_iter=best.iterations)
    threads.submit(final.fit, lesson.inputs, lesson.labels).result()
    deviation = float(best.scores.std())
    scale = float(_rounded(np.array(deviation))) if 0 < deviation < np.inf else 1.0
    gives = "logits" if lesson.n_classes else "numbers"
    forests = _boosted_trees(final, scale, lesson)
    return Fitted("boosting", forests, best.scores / scale, gives, scale, best.loss)


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
    model.set_params(max_iter=until).fit(lesson.inputs[seen], lesson.labels[seen])
    staged = model.staged_decision_function if lesson.n_classes else model.staged_predict
    scores = np.stack(list(staged(lesson.inputs[unseen]))[first:])
    scores = scores.reshape(until - first, len(unseen), -1)
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


def _boosted_trees(model: Any, scale: float, lesson: Lesson) -> tuple[tuple[Tree, ...], ...]:
    """For each output trees whose mean is the raw score: the baseline is shared out over them."""
    n_trees = len(model._predictors)
    seen = model.classes_.tolist() if lesson.n_classes > 2 else [0]
    baseline = np.broadcast_to(np.ravel(model._baseline_prediction), len(seen))
    forests: list[tuple[Tree, ...]] = [(_leaf(np.array([float(baseline.min()) / scale])),)] * lesson.n_outputs
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
        values=_rounded((nodes["value"][:, None] * n_trees + baseline) / scale),
    )
