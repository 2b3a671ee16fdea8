"""The directory that a fit writes into: a new one, an empty one, or that of an earlier fit."""

from __future__ import annotations

import shutil
from pathlib import Path

from pyramid.errors import WorkspaceError
from pyramid.search.local import JOBS_FOLDER
from pyramid.workspace import Workspace, write_json


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
    jobs = root / JOBS_FOLDER
    if jobs.is_dir() and not jobs.is_symlink():
        shutil.rmtree(jobs)
    jobs.mkdir()
    return workspace


def check_output(root: Path) -> None:
    """Refuse a directory that has something in it, but was left by no fit.

    Raises:
        WorkspaceError: it is one, or it is no directory.
    """
    if not root.exists():
        return
    if not root.is_dir():
        raise WorkspaceError(f"{root} is no directory; name another one with --output")
    if any(root.iterdir()) and not Workspace(root).fit_report.exists():
        raise WorkspaceError(
            f"{root} holds what no pyramid_fit has left; name another directory with --output, or empty it"
        )


def remove_submodels(workspace: Workspace, keep: frozenset[str]) -> None:
    """Remove the submodels whose job ids are not among those."""
    for submodel in workspace.submodels():
        if submodel.job_id not in keep and not submodel.root.is_symlink():
            shutil.rmtree(submodel.root, ignore_errors=True)


def _left_by_a_fit(workspace: Workspace) -> list[Path]:
    final = [workspace.final_model, workspace.short_model, workspace.final_weights, workspace.final_bundle]
    search = [workspace.selection, workspace.final_out_of_fold, workspace.leaderboard, workspace.report]
    table = [workspace.table_rows, workspace.row_numbers, workspace.test_rows]
    return [*final, *search, *table, workspace.dataset_info, *workspace.cached_files()]
