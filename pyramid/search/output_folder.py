"""The directory that a fit writes into: a new one, an empty one, or that of an earlier fit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pyramid.errors import WorkspaceError
from pyramid.frames.images import remove_short_names
from pyramid.search.local import JOBS_FOLDER
from pyramid.workspace import Workspace, read_json, write_json
from sensenet.tables.source import Source

IMAGES_FOLDER = "images"
LOCK = ".pyramid_fit.lock"
CHOOSE_ANOTHER = "name another directory with --output"


@contextmanager
def reserved(root: Path) -> Iterator[None]:
    """Keep other fits out of a directory within the body; it is made, and goes again if nothing has come into it.

    Raises:
        WorkspaceError: another fit writes there, or it cannot be made.
    """
    was_there = root.exists()
    Workspace.create(root)
    lock = FileLock(root / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise WorkspaceError(f"another pyramid_fit writes into {root}; {CHOOSE_ANOTHER}") from error
    try:
        yield
    finally:
        is_empty = not was_there and _is_empty(root)
        lock.release()
        if is_empty:
            shutil.rmtree(root, ignore_errors=True)


def open_output(root: Path) -> Workspace:
    """The workspace of a new fit; what an earlier fit has left there is removed, and nothing else.

    Raises:
        WorkspaceError: there is something else in it, or it cannot be used.
    """
    check_output(root)
    workspace = Workspace.create(root)
    if not workspace.fit_report.exists():
        write_json(workspace.fit_report, {})  # from now on it is ours, whatever happens to us
    for path in _left_by_a_fit(workspace):
        path.unlink(missing_ok=True)
    remove_submodels(workspace, keep=frozenset())
    remove_short_names(root / IMAGES_FOLDER)
    jobs = root / JOBS_FOLDER
    if jobs.is_dir() and not jobs.is_symlink():
        shutil.rmtree(jobs)
    jobs.mkdir()
    return workspace


def check_output(root: Path, tables: Sequence[Source] = ()) -> None:
    """Refuse a directory that has something in it, but was left by no fit, or that holds a table which is read.

    Raises:
        WorkspaceError: it is one, or it is no directory, or its name has a line break.
    """
    if "\n" in str(root):
        raise WorkspaceError(f"{str(root)!r} has a line break in it; {CHOOSE_ANOTHER}")
    if not root.exists():
        return
    if not root.is_dir():
        raise WorkspaceError(f"{root} is no directory; {CHOOSE_ANOTHER}")
    if not (_is_empty(root) or Workspace(root).fit_report.exists()):
        raise WorkspaceError(f"{root} holds what no pyramid_fit has left; {CHOOSE_ANOTHER}, or empty it")
    for table in tables:
        if table.folder is not None and root.resolve() in Path(table.name).resolve().parents:
            raise WorkspaceError(f"the table {table.name} lies in {root}, which is emptied; {CHOOSE_ANOTHER}")


def check_model_replaced(root: Path, table: Source, objective: str) -> None:
    """Refuse a directory that nobody has named and that an earlier fit of something else has left a model in.

    Raises:
        WorkspaceError: it is one, or its report cannot be read.
    """
    workspace = Workspace(root)
    if not (workspace.fit_report.exists() and workspace.final_model.exists()):
        return
    earlier = read_json(workspace.fit_report, "pyramid_fit").get("table", {})
    if (earlier.get("source"), earlier.get("objective")) != (table_name(table), objective):
        raise WorkspaceError(
            f'{root} holds a model of "{earlier.get("objective")}" from {earlier.get("source")}; {CHOOSE_ANOTHER}, '
            "or this one, to replace it"
        )


def table_name(table: Source) -> str:
    """What a table is called wherever we are: a file by its whole path."""
    return table.name if table.folder is None else str(Path(table.name).absolute())


def remove_submodels(workspace: Workspace, keep: frozenset[str]) -> None:
    """Remove the submodels whose job ids are not among those."""
    for submodel in workspace.submodels():
        if submodel.job_id not in keep and not submodel.root.is_symlink():
            shutil.rmtree(submodel.root, ignore_errors=True)


def _is_empty(root: Path) -> bool:
    return all(path.name == LOCK for path in root.iterdir())


def _left_by_a_fit(workspace: Workspace) -> list[Path]:
    final = [workspace.final_model, workspace.short_model, workspace.final_weights, workspace.final_bundle]
    search = [workspace.selection, workspace.final_out_of_fold, workspace.leaderboard, workspace.report]
    table = [workspace.table_rows, workspace.row_numbers, workspace.test_rows]
    return [*final, *search, *table, workspace.dataset_info, *workspace.cached_files()]
