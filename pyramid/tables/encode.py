"""Raw rows to the float32 matrix that networks train on: [tree features][inputs][weight][objective].

Numeric columns are standardised, categorical columns one-hot; a missing input is 0 in all of its columns. Images are
features of a network, computed before: a raw row holds the image's position among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyramid.errors import DataError
from pyramid.tables.layout import Layout

__all__ = ["Encoding", "Layout"]

ROWS_AT_ONCE = 4096
COMPARED_VALUES = 8


@dataclass(frozen=True)
class Encoding:
    """How the raw float64 columns of one `.ser` file become the columns of a `Layout`.

    Build it with `Encoding.from_info_list`.
    """

    layout: Layout
    numeric: tuple[_NumericRun, ...]
    categorical: tuple[tuple[int, int, int], ...]  # raw column, first output column, number of values
    images: tuple[tuple[int, int], ...]  # raw column, first output column
    features: np.ndarray | None  # (distinct images, features)
    weight: int | None
    objective: int
    objective_field: Mapping[str, Any]

    @classmethod
    def from_info_list(
        cls,
        info_list: Sequence[Mapping[str, Any]],
        instance_weights: bool = False,
        tree_inputs: int = 0,
        features: np.ndarray | None = None,
    ) -> Encoding:
        """The encoding of rows whose raw columns stand in the order of `info_list`.

        Args:
            features: (distinct images, features) float32 that raw columns of image fields point to; needed where
                there are such fields.

        Raises:
            DataError: a field of a type that is not cached as columns, or no objective.
        """
        image_features = 0 if features is None else features.shape[1]
        layout = Layout.from_info_list(info_list, instance_weights, tree_inputs, image_features)
        objective = len(info_list) - 1
        starts = {position: columns.start + layout.inputs.start for position, columns in layout.fields}
        numeric = [i for i in starts if info_list[i]["type"] == "numeric"]
        categorical = [i for i in starts if info_list[i]["type"] == "categorical"]
        images = [i for i in starts if info_list[i]["type"] == "image"]
        return cls(
            layout=layout,
            numeric=tuple(_NumericRun.of(run, starts[run[0]], info_list) for run in _runs(numeric)),
            categorical=tuple((i, starts[i], len(info_list[i]["values"])) for i in categorical),
            images=tuple((i, starts[i]) for i in images),
            features=features,
            weight=objective - 1 if instance_weights else None,
            objective=objective,
            objective_field=info_list[-1],
        )

    @property
    def n_classes(self) -> int | None:
        """Number of classes; None for a numeric objective."""
        return self.layout.n_outputs if self.objective_field["type"] == "categorical" else None

    def columns(self, field: int) -> slice:
        """The matrix columns of the input field at position `field` of `info_list`."""
        within = self.layout.fields[field][1]
        first = self.layout.inputs.start
        return slice(first + within.start, first + within.stop)

    def encode(self, rows: np.ndarray, first_row: int = 0) -> np.ndarray:
        """The encoded `rows`, with zeros where tree features will stand.

        Args:
            rows: (rows, fields) float64, as `SerRows.numbers` or `SerRows.with_image_positions` give them.
            first_row: the number of the first of them in the file, for messages.

        Returns:
            (rows, layout.row_columns) float32.

        Raises:
            DataError: a missing objective or weight; names the row.
        """
        matrix = np.zeros((len(rows), self.layout.row_columns), np.float32)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            stop = start + ROWS_AT_ONCE
            self.encode_into(rows[start:stop], matrix[start:stop], first_row + start)
        return matrix

    def encode_into(self, rows: np.ndarray, out: np.ndarray, first_row: int = 0) -> None:
        """As `encode`, into the columns of `out` behind the tree features; best some thousand rows a call."""
        for run in self.numeric:
            run.encode_into(rows, out)
        for column, start, n_values in self.categorical:
            _one_hot(rows[:, column], out[:, start : start + n_values])
        for column, start in self.images:
            assert self.features is not None, "the layout has image fields"
            out[:, start : start + self.features.shape[1]] = self.features[rows[:, column].astype(np.int64)]
        if self.weight is not None and self.layout.weight is not None:
            out[:, self.layout.weight] = self.weights(rows, first_row)
        labels = self.labels(rows, first_row)
        objective = out[:, self.layout.objective]
        if self.n_classes is None:
            objective[:, 0] = labels
        else:
            _one_hot(labels, objective)

    def labels(self, rows: np.ndarray, first_row: int = 0) -> np.ndarray:
        """(rows,): the class index as int64, or the standardised number as float64.

        Raises:
            DataError: an objective that is missing or outside the classes; names the row.
        """
        raw = rows[:, self.objective]
        if self.n_classes is None:
            with np.errstate(over="ignore"):
                labels = (raw - self.objective_field["mean"]) / _scale(self.objective_field)
                bad = ~np.isfinite(labels.astype(np.float32))
            expected = "a finite number"
        else:
            bad = ~((raw >= 0) & (raw < self.n_classes) & (raw == np.floor(raw)))
            expected = f"a class index from 0 to {self.n_classes - 1}"
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(f"row {first_row + row}: the objective is {raw[row]}, expected {expected}")
        return labels if self.n_classes is None else raw.astype(np.int64)

    def weights(self, rows: np.ndarray, first_row: int = 0) -> np.ndarray:
        """(rows,) float64: the rows' weights, as they stand.

        Raises:
            DataError: a weight that is missing, infinite or negative; names the row.
        """
        raw = rows[:, self.weight]
        bad = ~((raw >= 0) & (raw <= np.finfo(np.float32).max))
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(f"row {first_row + row}: the weight is {raw[row]}, expected a finite number >= 0")
        return raw


@dataclass(frozen=True)
class _NumericRun:
    """Numeric fields that stand side by side, encoded in one go."""

    raw: slice
    encoded: slice
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, positions: list[int], start: int, info_list: Sequence[Mapping[str, Any]]) -> _NumericRun:
        raw = slice(positions[0], positions[-1] + 1)
        mean = np.array([info_list[i]["mean"] for i in positions], np.float32)
        scale = np.array([_scale(info_list[i]) for i in positions], np.float32)
        return cls(raw, slice(start, start + len(positions)), mean, scale)

    def encode_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        target = out[:, self.encoded]
        with np.errstate(over="ignore", invalid="ignore"):
            # all in float32, as those do who read the model: a value may stand on the threshold of a tree
            values = rows[:, self.raw].astype(np.float32)
            values -= self.mean
            np.divide(values, self.scale, out=target)
        finite = np.isfinite(target)
        if not finite.all():
            target[~finite] = 0.0


def _one_hot(codes: np.ndarray, out: np.ndarray) -> None:
    """Write 1 into the column of each code, 0 elsewhere; a code that is no column leaves a row of zeros."""
    n_values = out.shape[1]
    if n_values <= COMPARED_VALUES:
        for value in range(n_values):
            np.equal(codes, value, out=out[:, value])
        return
    out[...] = 0.0
    valid = (codes >= 0) & (codes < n_values) & (codes == np.floor(codes))
    rows = np.flatnonzero(valid)
    out[rows, codes[rows].astype(np.int64)] = 1.0


def _scale(field: Mapping[str, Any]) -> float:
    return float(field["stdev"]) or 1.0


def _runs(positions: list[int]) -> list[list[int]]:
    """`positions` cut where they are not consecutive."""
    runs: list[list[int]] = []
    for position in positions:
        if runs and runs[-1][-1] == position - 1:
            runs[-1].append(position)
        else:
            runs.append([position])
    return runs
