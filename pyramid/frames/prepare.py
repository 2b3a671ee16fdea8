"""A table is understood: kinds of columns, their statistics, and what is left out and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.errors import DataError
from pyramid.frames.choices import TableChoices
from pyramid.frames.columns import Column
from pyramid.frames.images import image_files
from pyramid.frames.inputs import Inputs, add_input
from pyramid.frames.objective import objective_column, task_of, weight_column
from pyramid.frames.scan import Scan, scan
from pyramid.frames.table import Table
from sensenet.document.wording import counted
from sensenet.tables.source import Source, open_table


def prepare(source: Any, objective: str, choices: TableChoices | None = None) -> Table:
    """Understand a table.

    Args:
        source: see `sensenet.tables.source.open_table`.
        objective: the column to predict.
        choices: what is not left to the table itself.

    Raises:
        DataError: nothing can be learnt of the table, or choices that it cannot follow.
        InputError: it cannot be read, or has no such column.
    """
    choices = choices or TableChoices()
    inputs = Inputs()
    table = open_table(source, choices.reading, inputs.warnings.append)
    choices.check(table, objective)
    seen, task, without = _seen(table, objective, choices)
    excluded = np.union1d(without, [] if choices.rows_left_out is None else choices.rows_left_out)
    excluded = excluded.astype(np.int64)
    n_rows = seen.n_source_rows - len(excluded)
    if len(without):
        inputs.warnings.append(
            f'left out for want of the objective "{objective}": {counted(len(without), "row")}'
        )

    root = choices.image_root or table.folder or Path()
    for name in table.columns:
        if name not in (objective, choices.weights):
            add_input(inputs, seen.columns[name], seen, n_rows, choices, root)
    inputs.fields, image_root = _with_image_files(inputs.fields, seen, root, choices)
    if not inputs.fields:
        reasons = "; ".join(f'"{name}": {reason}' for name, reason in list(inputs.left_out.items())[:5])
        raise DataError(f'{table.name}: there is no column to predict "{objective}" from ({reasons})')
    fields, summaries = list(inputs.fields), list(inputs.summaries)
    if choices.weights is not None:
        column, summary = weight_column(
            seen.columns[choices.weights], len(fields), seen, n_rows, table, excluded
        )
        fields.append(column)
        summaries.append(summary)
    column, summary, told = objective_column(seen.columns[objective], task, len(fields), seen, n_rows)
    return Table(
        source=table,
        fields=(*fields, column),
        columns=(*summaries, summary),
        left_out=inputs.left_out,
        warnings=tuple(dict.fromkeys([*inputs.warnings, *told])),
        has_weights=choices.weights is not None,
        image_root=image_root,
        n_source_rows=seen.n_source_rows,
        rows_without_objective=len(without),
        excluded_rows=excluded,
    )


def _seen(table: Source, objective: str, choices: TableChoices) -> tuple[Scan, str, np.ndarray]:
    """What was seen in the rows that can be learnt from, the task, and the numbers of those without an objective."""
    left_out = choices.rows_left_out
    seen = scan(table, objective, left_out, choices.seed)
    task = task_of(seen.columns[objective], choices.task)
    without = seen.rows_without_objective(task)
    if task == "regression" and len(seen.infinite_rows):
        # that they count for nothing is known only now
        infinite = seen.infinite_rows if left_out is None else np.union1d(left_out, seen.infinite_rows)
        seen = scan(table, objective, infinite, choices.seed)
        task_of(seen.columns[objective], task)
    return seen, task, without


def _with_image_files(
    fields: list[Column], seen: Scan, root: Path, choices: TableChoices
) -> tuple[list[Column], str]:
    """The fields, those of images with the place where jobs find the files, and that place.

    Raises:
        DataError: files need short names, and there is no folder for them.
    """
    image_columns = [seen.columns[field.source] for field in fields if field.images is not None]
    if not image_columns:
        return fields, ""
    files = image_files(image_columns, root, choices.image_folder)
    return [
        field if field.images is None else replace(field, images=files) for field in fields
    ], files.image_root
