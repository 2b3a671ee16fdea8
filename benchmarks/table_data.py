"""The tables that `tables.py` measures on, and their seeded splits, as CSV files that every rival reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from sklearn import datasets
from sklearn.model_selection import train_test_split

TEST_SHARE = 0.2
OBJECTIVE = "objective"
MISSING = ["", "?", "NA"]

CLASSES_OF_SKLEARN = ("iris", "wine", "breast_cancer", "digits")
NUMBERS_OF_SKLEARN = ("diabetes",)
NUMBERS_OF_FILES = ("abalone", "winequality-white")
OBJECTIVE_COLUMNS = {"horse-colic": 23}
LEFT_OUT_COLUMNS = {"horse-colic": (2, 24, 25, 26, 27)}


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        frame: its columns, the last one called `objective`.
        has_classes: whether the objective is a class.
    """

    name: str
    frame: pl.DataFrame
    has_classes: bool

    @property
    def task(self) -> str:
        """What `pyramid_fit` calls it."""
        return "classification" if self.has_classes else "regression"


def load_tables(directory: Path | None) -> Iterator[Table]:
    """Those that scikit-learn bundles, and the CSV files without header of `directory` (the objective comes last)."""
    for name in (*CLASSES_OF_SKLEARN, *NUMBERS_OF_SKLEARN):
        loaded = getattr(datasets, f"load_{name}")()
        frame = pl.DataFrame({f"x{i}": column for i, column in enumerate(loaded.data.T)})
        has_classes = name in CLASSES_OF_SKLEARN
        target = [f"c{label}" for label in loaded.target] if has_classes else loaded.target
        yield Table(name, frame.with_columns(pl.Series(OBJECTIVE, target)), has_classes)
    for path in sorted(directory.glob("*.csv")) if directory else ():
        yield _of_file(path)


def _of_file(path: Path) -> Table:
    frame = pl.read_csv(path, has_header=False, null_values=MISSING, infer_schema_length=None)
    place = OBJECTIVE_COLUMNS.get(path.stem, frame.width - 1)
    inputs = [i for i in range(frame.width) if i not in (place, *LEFT_OUT_COLUMNS.get(path.stem, ()))]
    has_classes = path.stem not in NUMBERS_OF_FILES
    target = frame.to_series(place)
    if has_classes:
        target = "c" + target.cast(pl.String)
    columns = [frame.to_series(i).rename(f"x{i}") for i in inputs]
    frame = pl.DataFrame([*columns, target.rename(OBJECTIVE)])
    return Table(path.stem, frame.drop_nulls(OBJECTIVE), has_classes)


def write_split(table: Table, seed: int, directory: Path) -> tuple[Path, Path]:
    """The files of the rows to learn from and of those to be measured on, a fifth; stratified by class."""
    strata = table.frame[OBJECTIVE].to_numpy() if table.has_classes else None
    rows = train_test_split(
        np.arange(table.frame.height), test_size=TEST_SHARE, random_state=seed, stratify=strata
    )
    paths = directory / f"{table.name}_{seed}_train.csv", directory / f"{table.name}_{seed}_test.csv"
    for part, path in zip(rows, paths, strict=True):
        table.frame[part].write_csv(path)
    return paths
