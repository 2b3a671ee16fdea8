"""How much work cross-fitted trees are worth: bounded by the size of the document, and by time where it is bounded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.tree import DecisionTreeRegressor

FOREST_BYTES = 8_000_000
BOOSTING_BYTES = 2_500_000
LEAF_BYTES, NUMBER_BYTES = 26, 9
"""JSON of a leaf and of the node above it, and of each number that the leaf answers."""

FEWEST_TREES = 100
MAX_DEPTH = 18
MAX_CELLS = 20_000_000
MOST_BOOSTING_LEAVES = 63

PROBE_ROWS, PROBE_ITERATIONS = 2000, 4
SHARE_OF_TIME = 0.6
SECONDS_PER_CELL = 1.5e-7
SECONDS_PER_STEP = 4e-9


@dataclass(frozen=True)
class Effort:
    """What is fitted.

    Attributes:
        learning_rows: the most rows that trees learn from.
        trees: of a final forest.
        fold_trees: of a forest without one fold.
        screened_trees: of a forest that shows how large leaves should be; 0: no such forests.
        leaves: the most of a tree of a forest.
        iterations: of boosting, at most.
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
        leaves=min(effort.leaves, leaves // min(trees, FEWEST_TREES)),
        iterations=min(effort.iterations, max(1, boosted)),
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


def affordable(table: Table, inputs: np.ndarray, numbers: np.ndarray, seconds: float) -> Effort:
    """The best effort that takes no more than `seconds`, as far as small fits tell; at worst the cheapest.

    Args:
        inputs: (learning rows, columns) float32.
        numbers: (learning rows,) what they learn; classes may be taken as numbers, which cost about as much.
        seconds: from now on, for all that the job still has to do.
    """
    start = time.perf_counter()
    pace = _Pace.measure(inputs, numbers)
    left = seconds - (time.perf_counter() - start) - table.n_rows * table.columns * SECONDS_PER_CELL
    fitting = (
        effort for effort in EFFORTS if pace.seconds(bounded(effort, table), table) <= SHARE_OF_TIME * left
    )
    return bounded(next(fitting, EFFORTS[-1]), table)


@dataclass(frozen=True)
class _Pace:
    """Seconds that work takes one processor.

    Attributes:
        tree: of a tree of a forest, for each row and level.
        iteration: of an iteration of boosting, for each row of the small fit and more.
    """

    tree: float
    iteration: float
    rows: int

    @classmethod
    def measure(cls, inputs: np.ndarray, numbers: np.ndarray) -> _Pace:
        inputs, numbers = inputs[:PROBE_ROWS], numbers[:PROBE_ROWS]
        tree = DecisionTreeRegressor(max_features="sqrt", random_state=0)
        boosting = HistGradientBoostingRegressor(
            max_iter=PROBE_ITERATIONS, early_stopping=False, random_state=0
        )
        per_tree = _seconds(lambda: tree.fit(inputs, numbers, check_input=False))
        per_iteration = _seconds(lambda: boosting.fit(inputs, numbers)) / PROBE_ITERATIONS
        rows = len(inputs)
        return cls(per_tree / (rows * np.log2(rows + 1)), per_iteration, rows)

    def seconds(self, effort: Effort, table: Table) -> float:
        rows = min(effort.learning_rows, table.learning_rows)
        levels = np.log2(min(rows, effort.leaves) + 1)
        trees = 2 * (effort.trees + table.n_folds * (effort.fold_trees + 3 * effort.screened_trees))
        # of several classes every iteration has a tree for each
        iterations = (table.n_folds + 1) * effort.iterations * table.n_outputs
        per_iteration = self.iteration * max(1.0, rows / self.rows)
        fitting = trees * self.tree * rows * levels + iterations * per_iteration
        steps = (2 * effort.trees * levels + effort.iterations * table.n_outputs * 4) * table.n_rows
        return float(fitting + steps * SECONDS_PER_STEP) / (os.cpu_count() or 1)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
