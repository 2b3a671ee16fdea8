"""Reads what a search over a table has left: its report, its final model, and how that answers out of fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyramid.errors import WorkspaceError
from pyramid.fields import Fields, NumericField, Objective, parse_columns, parse_objective
from pyramid.report_page.bounds import blocks
from pyramid.report_page.tables.fit_report import WRITTEN_BY, FitReport, read_fit_report
from pyramid.tables.ser import SerRows, read_ser
from pyramid.workspace import Workspace, read_array, read_json

FINALIZING, CACHING = "finalize_output", "dataset_caching"


@dataclass(frozen=True)
class OutOfFold:
    """What the final model says of rows by networks that did not see them, beside what is true.

    Attributes:
        truth: (rows,) labels.
        outputs: (rows, outputs) float32, left on disk until they are used: probabilities, or standardised numbers.
    """

    objective: Objective
    truth: np.ndarray
    outputs: np.ndarray


@dataclass(frozen=True)
class TableRows:
    """The rows of the table as they were given, left on disk.

    Attributes:
        places: (rows,) int64: which of them each row of the cached matrix is.
        numbers: (rows of `rows`,) int64: which row of the table each is, counted from 0.
    """

    rows: SerRows
    places: np.ndarray
    numbers: np.ndarray


@dataclass(frozen=True)
class FitSources:
    """All that a report is made of.

    Attributes:
        document: the final model without its weights.
        selection: how the final model was put together; None where it was not chosen out of fold.
        importances: of each of its submodels that is still there, by job id: one share for each input.
        answers: None where there are none out of fold.
        rows: None where they are gone.
    """

    report: FitReport
    document: Mapping[str, Any]
    fields: Fields
    selection: Mapping[str, Any] | None
    importances: Mapping[str, list[float]]
    answers: OutOfFold | None
    rows: TableRows | None


def read_sources(workspace: Workspace) -> FitSources:
    """What stands in an output directory.

    Raises:
        WorkspaceError: a file that is missing, unreadable or does not fit; names it.
        DataError: `rows.ser` does not hold the rows of these fields.
    """
    report = read_fit_report(workspace)
    document = read_json(workspace.short_model, FINALIZING)
    fields = _fields(document)
    selection = read_json(workspace.selection, FINALIZING) if workspace.selection.exists() else None
    answers = _answers(workspace, fields.objective)
    return FitSources(
        report=report,
        document=document,
        fields=fields,
        selection=selection,
        importances=_importances(workspace, selection, len(fields.inputs)),
        answers=answers,
        rows=None if answers is None else _rows(workspace, fields, len(answers.truth)),
    )


def _fields(document: Mapping[str, Any]) -> Fields:
    # of the weight only its place is asked for
    weight = None if document.get("weight_index") is None else NumericField(mean=0.0, stdev=1.0)
    return Fields(
        parse_columns(document["preprocess"]), weight, parse_objective(document["output_exposition"])
    )


def _importances(
    workspace: Workspace, selection: Mapping[str, Any] | None, n_inputs: int
) -> dict[str, list[float]]:
    chosen = () if selection is None else selection["weights"]
    there = [workspace.submodel(job_id) for job_id in chosen if workspace.submodel(job_id).fit_info.exists()]
    shares = {one.job_id: read_json(one.fit_info, "search_submodel")["importances"] for one in there}
    return {job_id: share for job_id, share in shares.items() if len(share) == n_inputs}


def _answers(workspace: Workspace, objective: Objective) -> OutOfFold | None:
    if not workspace.final_out_of_fold.exists():
        return None
    outputs = read_array(workspace.final_out_of_fold, FINALIZING, mmap=True)
    matrix = read_array(workspace.full_dataset, CACHING, mmap=True)
    n_outputs = objective.n_outputs
    if outputs.shape != (len(matrix), n_outputs) or not len(outputs):
        raise WorkspaceError(
            f"{workspace.final_out_of_fold} has the shape {outputs.shape}, expected ({len(matrix)}, {n_outputs}), as "
            f"{workspace.full_dataset} has {len(matrix)} rows and the model {n_outputs} outputs"
        )
    # the objective stands in the last columns, whatever is before it (pyramid.tables.layout)
    truth = [
        objective.truth(np.asarray(matrix[rows, -n_outputs:])) for rows in blocks(len(matrix), n_outputs)
    ]
    return OutOfFold(objective, np.concatenate(truth), outputs)


def _rows(workspace: Workspace, fields: Fields, n_cached: int) -> TableRows | None:
    if not workspace.table_rows.exists():
        return None
    rows = read_ser(workspace.table_rows, fields.all, None)
    places, numbers = np.arange(n_cached), np.arange(len(rows))
    if workspace.full_rows.exists():
        places = read_array(workspace.full_rows, CACHING)
    if workspace.row_numbers.exists():
        numbers = read_array(workspace.row_numbers, WRITTEN_BY)
    if len(places) != n_cached or len(numbers) != len(rows) or places.max() >= len(rows):
        raise WorkspaceError(
            f"{workspace.table_rows} has {len(rows)} rows, which are not those of {workspace.full_dataset} "
            f"({n_cached} rows, {workspace.full_rows.name}) or of {workspace.row_numbers.name} ({len(numbers)} rows)"
        )
    return TableRows(rows, places, numbers)
