"""What a fit is asked for, and its beginning: the table is understood, its rows are written, jobs can be made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from pyramid.errors import PyramidError
from pyramid.fields import Objective, parse_objective
from pyramid.frames import Table, TableChoices, held_out_rows, prepare, save_rows
from pyramid.search.backend import Backend, Job, JobFailed, Result
from pyramid.search.choices import ChoiceError, FitChoices
from pyramid.search.clock import Clock
from pyramid.search.driver import Progress, run_alone
from pyramid.search.jobs import JobMaker
from pyramid.search.live import Watcher
from pyramid.search.output_folder import check_output, open_output
from pyramid.search.report import fit_report
from pyramid.search.telling import table_summary
from pyramid.tables.splits import default_folds
from pyramid.train.metrics import CLASS_METRICS, NUMBER_METRICS
from pyramid.workspace import Workspace, write_array, write_json
from sensenet.tables.source import Source, open_table

IMAGE_NETWORK = MappingProxyType({"base_image_network": "mobilenet", "image_training_type": "use_pretrained"})
"""Whose features image fields become."""


class FitError(PyramidError):
    """A fit that leaves no model; says why."""


@dataclass(frozen=True)
class Request:
    """What is to be fitted.

    Attributes:
        source: the table.
        objective: its column that is predicted.
        output: the directory of everything, an absolute path.
        test: a table to measure the final model with.
    """

    source: Source
    objective: str
    table: TableChoices
    choices: FitChoices
    output: Path
    test: Source | None = None

    def check(self) -> None:
        """Refuse what can be told from the directory and the names of the columns.

        Raises:
            PyramidError, sensenet.errors.SensenetError: says what is wrong.
        """
        tables = (self.source,) if self.test is None else (self.source, self.test)
        check_output(self.output, tables)
        self.table.check(self.source, self.objective)
        if self.test is not None:
            self.test.position(self.objective, "the objective")


@dataclass(frozen=True)
class Begun:
    """A fit whose table is understood.

    Attributes:
        warnings: what people have been warned of; grows.
    """

    request: Request
    clock: Clock
    watcher: Watcher
    table: Table
    objective: Objective
    workspace: Workspace
    jobs: JobMaker
    warnings: list[str] = field(default_factory=list)

    def warn(self, warning: str) -> None:
        """Tell people, now and in the report."""
        self.watcher.say(f"warning: {warning}")
        self.warnings.append(warning)

    def run(self, backend: Backend, job: Job, failure: str) -> Result:
        """A job's result; its warnings are ours.

        Raises:
            FitError: it failed; begins with `failure`.
        """
        try:
            result = run_alone(backend, job)
        except JobFailed as error:
            raise FitError(f"{failure}: {error}") from error
        for warning in result["warnings"]:
            self.warn(warning)
        return result

    def write_report(self, progress: Progress, test_metrics: Mapping[str, float] | None = None) -> None:
        """Write what the fit tells of itself until now.

        Raises:
            WorkspaceError: it cannot be written.
        """
        told = fit_report(
            self.table,
            self.request.objective,
            self.warnings,
            self.request.choices,
            progress,
            test_metrics,
            self.clock.elapsed,
        )
        write_json(self.workspace.fit_report, told)


def begin(request: Request, clock: Clock, watcher: Watcher) -> Begun:
    """Read the table, tell of it, write its rows.

    Raises:
        PyramidError, sensenet.errors.SensenetError: the table, a choice or the directory cannot be used.
    """
    watcher.phase("reading the table")
    choices, test_rows = request.table, None
    if request.choices.test_share:
        share, seed = request.choices.test_share, request.choices.seed
        test_rows = held_out_rows(request.source, request.objective, share, seed, choices.task)
        choices = replace(choices, rows_left_out=test_rows)
    table = prepare(request.source, request.objective, choices)
    objective = parse_objective(table.info_list[-1])
    workspace = Workspace(request.output)
    jobs = _job_maker(request, table, objective, workspace)
    begun = Begun(request, clock, watcher, table, objective, workspace, jobs)
    _tell(begun)
    _check_metric(request.choices.metric, objective)
    open_output(request.output)
    table.write_ser(workspace.table_rows)
    write_array(workspace.row_numbers, table.row_numbers)
    if test_rows is not None:
        save_rows(request.source, test_rows, workspace.test_rows)
        # image files are where those of the whole table are
        test = replace(open_table(workspace.test_rows), folder=request.source.folder)
        begun = replace(begun, request=replace(request, test=test))
    begun.write_report(Progress())
    return begun


def _tell(begun: Begun) -> None:
    begun.watcher.say(table_summary(begun.table))
    for warning in begun.table.warnings:
        begun.warn(warning)
    folds = begun.request.choices.folds
    if folds is not None and folds > begun.jobs.folds:
        begun.warn(f"there are {begun.jobs.folds} folds, not {folds}: no more than rows")


def _check_metric(metric: str | None, objective: Objective) -> None:
    names = CLASS_METRICS if objective.has_classes else NUMBER_METRICS
    if metric is not None and metric not in names:
        raise ChoiceError(f"metric: of this objective expected one of {', '.join(names)}, got {metric}")


def _job_maker(request: Request, table: Table, objective: Objective, workspace: Workspace) -> JobMaker:
    choices = request.choices
    shared: Job = {
        "objective_type": objective.kind,
        "output_directory": str(workspace.root),
        "info_list": list(table.info_list),
        "seed": choices.seed,
        "logging_level": 2,
    }
    if table.has_weights:
        shared["instance_weights"] = True
    if table.image_root:
        shared |= {"image_root": table.image_root, **IMAGE_NETWORK}
    folds = min(choices.folds or default_folds(table.n_rows), table.n_rows)
    timed = choices.seconds is not None
    return JobMaker(shared, workspace, objective, table.n_rows, folds, choices.seed, timed)
