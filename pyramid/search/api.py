"""`pyramid.fit`: a search for the model of a table, from Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyramid.frames import TableChoices
from pyramid.search.choices import FitChoices
from pyramid.search.fitting import Request, fit_table
from pyramid.search.live import Unwatched, Watcher, terminal_or_lines
from pyramid.search.result import FitResult
from sensenet.tables.source import Reading, open_table

FOLDER_ENDING = "_model"


def fit(table: Any, objective: str, *, verbose: bool = False, **options: Any) -> FitResult:
    """Search for a model that predicts a column of a table from the others.

    Args:
        table: the path of a file (CSV and the like, Parquet, JSON lines), a Polars frame or a pandas frame.
        objective: the name of the column.
        verbose: whether it tells on standard error how it goes.
        options: those of `pyramid_fit` (docs/fitting.md): `time`, `workers`, `folds`, `seed`, `output`, `metric`,
            `test`, `test_share`, `quick`, `trees`, `keep`, `max_candidates`, `ray`, `lookahead`, `types`, `ignore`,
            `weights`, `task`, `delimiter`, `encoding`, `header`.

    Raises:
        PyramidError, sensenet.errors.SensenetError: something cannot be used, or no candidate could be trained.
        KeyboardInterrupt: interrupted before any candidate was done, or twice.
        TypeError: an option that there is not.
    """
    watcher: Watcher = terminal_or_lines(sys.stderr) if verbose else Unwatched()
    return fit_with(watcher, table, objective, **options)


def fit_with(
    watcher: Watcher,
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
    **choices: Any,
) -> FitResult:
    """As `fit`, for whoever watches.

    Raises:
        PyramidError, sensenet.errors.SensenetError, KeyboardInterrupt, TypeError: see `fit`.
    """
    chosen = FitChoices(**choices)
    reading = Reading(delimiter, encoding, header)
    about_table = TableChoices(types or {}, tuple(ignore), weights, task, seed=chosen.seed, reading=reading)
    request = Request(
        open_table(table, reading, watcher.say),
        objective,
        about_table,
        chosen,
        Path(output) if output is not None else _default_output(table, objective),
        None if test is None else open_table(test, reading, watcher.say),
    )
    return fit_table(request, watcher)


def _default_output(table: Any, objective: str) -> Path:
    """Beside us, called after the table's file without its endings, or after the objective of a frame."""
    is_path = isinstance(table, (str, os.PathLike))
    name = Path(table).name.partition(".")[0] if is_path else ""
    return Path(f"{name or objective}{FOLDER_ENDING}")
