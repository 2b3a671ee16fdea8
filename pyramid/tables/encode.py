"""Raw rows to the float32 matrix that networks train on: [tree features][inputs][weight][objective].

Numeric columns are standardised, categorical columns one-hot; a missing input is 0 in all of its columns. Images are
features of a network, computed before: a raw row holds the image's position among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pyramid.fields import CategoricalField, Fields, NumericField
from pyramid.tables.layout import Layout

__all__ = ["Encoding", "Layout"]

ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Encoding:
    """How the raw float64 columns of one `.ser` file become the columns of a `Layout`.

    Build it with `Encoding.of`.
    """

    fields: Fields
    layout: Layout
    numeric: tuple[_NumericRun, ...]
    categorical: tuple[tuple[int, int, CategoricalField], ...]  # raw column, first output column, the field
    images: tuple[tuple[int, int], ...]  # raw column, first output column
    features: np.ndarray | None  # (distinct images, features)

    @classmethod
    def of(cls, fields: Fields, tree_inputs: int = 0, features: np.ndarray | None = None) -> Encoding:
        """The encoding of rows whose raw columns stand in the order of `fields`.

        Args:
            features: (distinct images, features) float32 that raw columns of image fields point to; needed where
                there are such fields.

        Raises:
            DataError: there are image fields, and no features.
        """
        layout = Layout.of(fields, tree_inputs, 0 if features is None else features.shape[1])
        starts = {position: columns.start + layout.inputs.start for position, columns in layout.fields}
        numbers = {i: field for i, field in enumerate(fields.inputs) if isinstance(field, NumericField)}
        return cls(
            fields=fields,
            layout=layout,
            numeric=tuple(_NumericRun.of(run, starts[run[0]], numbers) for run in _runs(list(numbers))),
            categorical=tuple(
                (i, starts[i], field)
                for i, field in enumerate(fields.inputs)
                if isinstance(field, CategoricalField)
            ),
            images=tuple((i, starts[i]) for i in fields.images),
            features=features,
        )

    def columns(self, field: int) -> slice:
        """The matrix columns of the input field at position `field`."""
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
        for column, start, field in self.categorical:
            field.encode_into(rows[:, column], out[:, start : start + len(field.values)])
        for column, start in self.images:
            assert self.features is not None, "the layout has image fields"
            out[:, start : start + self.features.shape[1]] = self.features[rows[:, column].astype(np.int64)]
        if self.layout.weight is not None:
            out[:, self.layout.weight] = self.weights(rows, first_row)
        self.fields.objective.encode_into(self.labels(rows, first_row), out[:, self.layout.objective])

    def labels(self, rows: np.ndarray, first_row: int = 0) -> np.ndarray:
        """(rows,): what is true of rows, see `Objective.labels`.

        Raises:
            DataError: an objective that is missing or cannot be; names the row.
        """
        return self.fields.objective.labels(rows[:, -1], first_row)

    def weights(self, rows: np.ndarray, first_row: int = 0) -> np.ndarray:
        """(rows,) float64: the rows' weights, as they stand.

        Raises:
            DataError: a weight that is missing, infinite or negative; names the row.
        """
        return self.fields.row_weights(rows[:, -2], first_row)


@dataclass(frozen=True)
class _NumericRun:
    """Numeric fields that stand side by side, encoded in one go."""

    raw: slice
    encoded: slice
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, positions: list[int], start: int, fields: Mapping[int, NumericField]) -> _NumericRun:
        raw = slice(positions[0], positions[-1] + 1)
        mean = np.array([fields[i].mean for i in positions], np.float32)
        scale = np.array([fields[i].scale for i in positions], np.float32)
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


def _runs(positions: list[int]) -> list[list[int]]:
    """`positions` cut where they are not consecutive."""
    runs: list[list[int]] = []
    for position in positions:
        if runs and runs[-1][-1] == position - 1:
            runs[-1].append(position)
        else:
            runs.append([position])
    return runs
