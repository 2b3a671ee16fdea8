"""The images of the rows that a training on cached rows has held out: what `return_holdout_images` asks for.

Caching writes the files of every row into `image_files.json`, since the matrices hold their features only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.errors import WorkspaceError
from pyramid.fields import Objective
from pyramid.tables.cached_data import CachedData
from pyramid.tables.ser import SerRows
from pyramid.tables.streaming import Target

RowFiles = Sequence[Sequence[str]]
FILES, ROWS = "files", "rows"


def row_files_document(rows: SerRows, targets: Sequence[Target]) -> dict[str, Any]:
    """The content of `image_files.json`: the names in each row's image fields, and which rows each matrix has."""
    names = zip(*(rows.image_names(field) for field in rows.image_fields), strict=True)
    chosen = {target.path.name: None if target.rows is None else target.rows.tolist() for target in targets}
    return {FILES: list(names), ROWS: chosen}


def read_row_files(
    cache_file: Path, cached: CachedData, n_rows: int, warn: Callable[[str], None]
) -> RowFiles | None:
    """The image files of each row of a job's `cache_file`.

    Args:
        n_rows: how many rows that file has.
        warn: told where caching was not asked for them.

    Returns:
        None where they are not known.

    Raises:
        WorkspaceError: what caching wrote cannot be used.
    """
    path, matrix = cached.workspace.image_files, cache_file.name
    if not path.exists():
        warn(
            f"warning: holdout images are not returned: {path} is not there, which a dataset_caching job with "
            "return_holdout_images writes"
        )
        return None
    document = cached.read_json(path)
    try:
        files, rows = document[FILES], document[ROWS][matrix]
        found: RowFiles = files if rows is None else [files[row] for row in rows]
    except (KeyError, TypeError, IndexError) as error:
        raise WorkspaceError(
            f"{path}, which a dataset_caching job writes, cannot be used for {matrix}: {error!r}"
        ) from error
    if len(found) != n_rows:
        raise WorkspaceError(f"{path} tells of {len(found)} rows of {matrix}, which has {n_rows}")
    return found


def held_out_images(
    files: RowFiles, truth: np.ndarray, outputs: np.ndarray, objective: Objective
) -> list[list[Any]]:
    """[file, truth, prediction] of each row; with several image fields a list of files. A missing image is None.

    Args:
        files: of the held-out rows.
        truth: (rows,) classes, or standardised numbers.
        outputs: (rows, outputs) what the trained network says of them.
    """
    answers = objective.truth(outputs)
    named = [[name or None for name in row] for row in files]
    shown = [row[0] if len(row) == 1 else row for row in named]
    said = zip(shown, objective.in_units(truth), objective.in_units(answers), strict=True)
    return [list(one) for one in said]
