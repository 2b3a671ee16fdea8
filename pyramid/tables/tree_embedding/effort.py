"""How much work cross-fitted trees are worth: bounded by the size of the document, and by time where it is bounded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.tree import DecisionTreeRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

FOREST_BYTES = 8_000_000
BOOSTING_BYTES = 2_500_000
LEAF_BYTES, NUMBER_BYTES = 26, 9
"""JSON of a leaf and of the node above it, and of each number that the leaf answers."""

FEWEST_TREES = 100
MAX_DEPTH = 28
MAX_CELLS = 20_000_000
MOST_CLASSES_BOOSTED, MOST_COLUMNS_BOOSTED = 30, 1000
MOST_BOOSTING_LEAVES = 63

PROBE_ROWS, PROBE_ITERATIONS, BOOSTING_ROWS = 2000, 4, 10_000
SHARE_OF_TIME = 0.6
SECONDS_PER_CELL = 1.5e-7
SECONDS_PER_STEP = 4e-9
USUAL_SECONDS = 120
SECONDS_PER_TRIED_CELL, SECONDS_PER_BOOSTED_COLUMN = 1.5e-8, 1e-4


@dataclass(frozen=True)
class Effort:
    """What is fitted.

    Attributes:
        learning_rows: the most rows that trees learn from.
        trees: of a final forest.
        fold_trees: of a forest without one fold.
        screened_trees: of a forest that shows how large leaves should be; 0: no such forests.
        leaves: the most of a tree of a forest.
        iterations: of boosting, at most; 0: no boosting.
    """

    learning_rows: int
    trees: int
    fold_trees: int
    screened_trees: int
    leaves: int
    iterations: int


EFFORTS = (
    Effort(100_000, 250, 75, 25, 4096, 400),
    Effort(100_000, 150, 60, 0, 2048, 200),
    Effort(100_000, 80, 40, 0, 1024, 120),
    Effort(50_000, 40, 20, 0, 512, 80),
    Effort(20_000, 24, 12, 0, 256, 60),
    Effort(10_000, 16, 8, 0, 128, 40),
    Effort(4_000, 8, 6, 0, 64, 25),
)
"""From the best to the cheapest."""


@dataclass(frozen=True)
class Table:
    """What the cost depends on: the rows that will be described, and those that are there to learn from."""

    n_rows: int
    learning_rows: int
    columns: int
    n_outputs: int
    n_folds: int

    @property
    def can_boost(self) -> bool:
        """Whether boosting is worth it: an iteration has a tree for each class, and looks at every column."""
        return self.columns <= MOST_COLUMNS_BOOSTED and self.n_outputs <= MOST_CLASSES_BOOSTED


def bounded(effort: Effort, table: Table) -> Effort:
    """`effort` with no more leaves, iterations and rows than documents and memory have room for."""
    leaves = FOREST_BYTES // (LEAF_BYTES + NUMBER_BYTES * table.n_outputs)
    boosted = BOOSTING_BYTES // ((LEAF_BYTES + NUMBER_BYTES) * MOST_BOOSTING_LEAVES * table.n_outputs)
    trees = min(effort.trees, max(1, leaves // 64))
    return replace(
        effort,
        learning_rows=min(effort.learning_rows, MAX_CELLS // max(table.columns, table.n_outputs)),
        trees=trees,
        fold_trees=min(effort.fold_trees, trees),
        screened_trees=min(effort.screened_trees, trees // 3),
        leaves=min(effort.leaves, leaves // min(trees, FEWEST_TREES)),
        iterations=min(effort.iterations, max(1, boosted)) if table.can_boost else 0,
    )


def final_size(effort: Effort, leaves_of_folds: float, n_outputs: int) -> tuple[int, int]:
    """Trees and leaves a tree of a final forest: as many trees as there is room for, but rather fewer than cut ones.

    Args:
        leaves_of_folds: the mean number of leaves of a tree that was learnt without a fold.
    """
    room = FOREST_BYTES // (LEAF_BYTES + NUMBER_BYTES * n_outputs)
    fewest = min(effort.trees, FEWEST_TREES)
    trees = int(np.clip(room / max(leaves_of_folds, 1), fewest, effort.trees))
    return trees, max(2, min(effort.leaves, room // trees))


def chosen_effort(table: Table) -> Effort:
    """The best effort that takes two minutes or less of a usual processor's time, at worst the cheapest."""
    return _best(table, _Pace.usual(table), USUAL_SECONDS)


def affordable(table: Table, inputs: np.ndarray, numbers: np.ndarray, seconds: float) -> Effort:
    """The best effort that takes no more than `seconds`, as far as small fits tell; at worst the cheapest.

    Args:
        inputs: (learning rows, columns) float32.
        numbers: (learning rows,) what they learn; classes may be taken as numbers, which cost about as much.
        seconds: from now on, for all that the job still has to do.
    """
    start = time.perf_counter()
    pace = _Pace.measure(table, inputs, numbers)
    left = seconds - (time.perf_counter() - start) - table.n_rows * table.columns * SECONDS_PER_CELL
    return _best(table, pace, SHARE_OF_TIME * left * (os.cpu_count() or 1))


def _best(table: Table, pace: _Pace, seconds: float) -> Effort:
    efforts = [bounded(effort, table) for effort in EFFORTS]
    return next((effort for effort in efforts if pace.seconds(effort, table) <= seconds), efforts[-1])


@dataclass(frozen=True)
class _Pace:
    """Seconds that work takes one processor.

    Attributes:
        tree: of a tree of a forest, for each row and level.
        iteration: of an iteration of boosting with up to `BOOSTING_ROWS`; with more, in proportion.
    """

    tree: float
    iteration: float

    @classmethod
    def usual(cls, table: Table) -> _Pace:
        """That of a usual processor: the same everywhere, so that no clock matters."""
        tried = max(1.0, table.columns**0.5)
        return cls(SECONDS_PER_TRIED_CELL * tried, SECONDS_PER_BOOSTED_COLUMN * (table.columns + 10))

    @classmethod
    def measure(cls, table: Table, inputs: np.ndarray, numbers: np.ndarray) -> _Pace:
        """That of this machine now, on rows that are spread evenly."""
        rows = np.linspace(0, len(inputs) - 1, min(PROBE_ROWS, len(inputs))).astype(np.int64)
        inputs, numbers = inputs[rows], numbers[rows]
        tree = DecisionTreeRegressor(max_features="sqrt", random_state=0)
        boosting = HistGradientBoostingRegressor(
            max_iter=PROBE_ITERATIONS, early_stopping=False, random_state=0
        )
        with threadpool_limits(1, "openmp"):
            per_tree = _seconds(lambda: tree.fit(inputs, numbers, check_input=False))
            fitting = _seconds(lambda: boosting.fit(inputs, numbers)) if table.can_boost else 0.0
        return cls(per_tree / (len(rows) * np.log2(len(rows) + 1)), fitting / PROBE_ITERATIONS)

    def seconds(self, effort: Effort, table: Table) -> float:
        """What all of `effort` takes, and the answers for the rows that do not learn."""
        rows = min(effort.learning_rows, table.learning_rows)
        levels = float(np.log2(min(rows, effort.leaves) + 1))
        trees = 2 * (effort.trees + table.n_folds * (effort.fold_trees + 2 * effort.screened_trees))
        # of several classes every iteration has a tree for each
        iterations = (table.n_folds + 1) * effort.iterations * table.n_outputs
        fitting = trees * self.tree * rows * levels + iterations * self.iteration * max(
            1.0, rows / BOOSTING_ROWS
        )
        steps = (2 * effort.trees * levels + 5 * effort.iterations * table.n_outputs) * (table.n_rows - rows)
        return fitting + steps * SECONDS_PER_STEP


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
