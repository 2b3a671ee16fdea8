"""`pyramid.fit`: a search for the model of a table, from Python."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyramid.frames import TableChoices
from pyramid.search.begun import Request
from pyramid.search.choices import FitChoices
from pyramid.search.fitting import fit_table
from pyramid.search.live import Unwatched, Watcher, terminal_or_lines
from pyramid.search.output_folder import IMAGES_FOLDER, check_model_replaced
from pyramid.search.result import FitResult
from sensenet.tables.source import Reading, Source, open_table

FOLDER_ENDING = "_model"
TABLE_ENDINGS = re.compile(r"(\.(csv|tsv|txt|parquet|jsonl|ndjson|json))?(\.gz)?$", re.IGNORECASE)


def fit(
    table: Any,
    objective: str,
    *,
    output: str | os.PathLike[str] | None = None,
    test: Any = None,
    types: Mapping[str, str] | None = None,
    ignore: Sequence[str] = (),
    weights: str | None = None,
    task: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    header: bool = True,
    verbose: bool = False,
    **choices: Any,
) -> FitResult:
    """Search for a model that predicts a column of a table from the others (docs/fitting.md).

    Args:
        table: the path of a file (CSV and the like, Parquet, JSON lines), a Polars frame or a pandas frame.
        objective: the name of the column.
        output: the directory of everything; None is one in the current directory, called after the table and `_model`,
            unless an earlier fit of another table or objective has left a model there.
        test: a table that the final model is measured on.
        types: column -> "numeric", "categorical", "date" ("date:day_first", "date:month_first") or "image", in place of
            what its values say.
        ignore: columns that are no inputs.
        weights: the column that tells how much a row counts.
        task: "classification" or "regression", in place of what the objective says.
        delimiter, encoding, header: of a file of text; None is what is found.
        verbose: whether it tells on standard error how it goes.
        choices: see `FitChoices`.

    Raises:
        PyramidError, sensenet.errors.SensenetError: something cannot be used, or no candidate could be trained.
        KeyboardInterrupt: interrupted before any candidate was done, or twice.
        TypeError: a choice that there is not.
    """
    watcher: Watcher = terminal_or_lines(sys.stderr) if verbose else Unwatched()
    chosen = FitChoices(**choices)
    reading = Reading(delimiter, encoding, header)
    source = open_table(table, reading, watcher.say)
    folder = (Path(output) if output is not None else _default_output(source, objective)).absolute()
    about_table = TableChoices(
        types or {},
        tuple(ignore),
        weights,
        task,
        image_folder=folder / IMAGES_FOLDER,
        seed=chosen.seed,
        reading=reading,
    )
    request = Request(
        source,
        objective,
        about_table,
        chosen,
        folder,
        None if test is None else open_table(test, reading, watcher.say),
    )
    return fit_table(request, watcher)


def _default_output(table: Source, objective: str) -> Path:
    """Here, called after the table's file without its ending, or after the objective of a frame.

    Raises:
        WorkspaceError: the model of something else is there.
    """
    is_file = table.folder is not None
    name = TABLE_ENDINGS.sub("", Path(table.name).name) if is_file else re.sub(r"[^\w.-]", "_", objective)
    folder = Path(f"{name}{FOLDER_ENDING}")
    check_model_replaced(folder, table, objective)
    return folder
