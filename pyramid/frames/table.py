"""A table that is understood: its fields, what stands in them, and its rows for jobs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pyramid.errors import DataError
from pyramid.fields import Fields, parse_columns
from pyramid.frames.columns import Column, Info, encode
from pyramid.frames.scan import numbered_batches, without
from pyramid.frames.summary import ColumnSummary
from pyramid.tables.ser import MARK, row_dtype
from sensenet.files import whole_file
from sensenet.tables.source import Source


@dataclass(frozen=True)
class Table:
    """What `prepare` makes of a table.

    Attributes:
        source: where its rows come from.
        fields: what the rows of the `.ser` are computed of: inputs, the weight if there is one, the objective.
        columns: a summary of each column of the table that is used, or left out, in its order.
        left_out: column -> why it is no field.
        warnings: what people should know.
        has_weights: whether the field before the objective is the weight.
        image_root: the folder of the image files; empty where there are none.
        n_source_rows: how many rows the table has.
        rows_without_objective: how many of them are left out, for they have no objective.
        excluded_rows: numbers of all rows of the table that are not in the `.ser`, sorted.
    """

    source: Source = field(repr=False)
    fields: tuple[Column, ...] = field(repr=False)
    columns: tuple[ColumnSummary, ...] = field(repr=False)
    left_out: Mapping[str, str]
    warnings: tuple[str, ...]
    has_weights: bool
    image_root: str
    n_source_rows: int
    rows_without_objective: int
    excluded_rows: np.ndarray = field(repr=False)

    @property
    def info_list(self) -> list[Info]:
        """The fields as jobs have them."""
        return [dict(column.info) for column in self.fields]

    @property
    def n_rows(self) -> int:
        """How many rows the `.ser` has."""
        return self.n_source_rows - len(self.excluded_rows)

    @cached_property
    def row_numbers(self) -> np.ndarray:
        """(rows,) int64: which row of the table, counted from 0, each row of the `.ser` is."""
        kept = np.ones(self.n_source_rows, bool)
        kept[self.excluded_rows] = False
        return np.flatnonzero(kept)

    def write_ser(self, path: str | os.PathLike[str]) -> None:
        """Write the rows, a batch at a time.

        Raises:
            DataError: a row without a weight that counts; or the table has changed since it was understood.
            InputError: the table can no longer be read.
            OSError: the file cannot be written.
        """
        dtype = row_dtype(parse_columns(self.info_list))
        parsed = Fields.parse(self.info_list, self.has_weights)
        n_written = 0
        with whole_file(path) as file:
            file.write(MARK)
            for numbers, frame in numbered_batches(self.source):
                numbers, frame = without(numbers, frame, self.excluded_rows)
                rows = encode(self.fields, frame, dtype)
                if self.has_weights:
                    self._check_weights(parsed, rows[f"f{len(self.fields) - 2}"], numbers)
                file.write(rows)
                n_written += len(rows)
            if n_written != self.n_rows:
                raise DataError(f"{self.source.name}: it has changed while it was read")

    def _check_weights(self, parsed: Fields, weights: np.ndarray, numbers: np.ndarray) -> None:
        wrong = np.flatnonzero(~(weights >= 0))
        if len(wrong):
            first = wrong[0]
            raise DataError(
                f'{self.source.name}, row {numbers[first] + 1}: the weight "{self.fields[-2].source}" is '
                f"{weights[first]:g}, expected a number that is not negative"
            )
