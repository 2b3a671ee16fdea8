"""From a table to a final model: the rows, the caching job, the search, finalizing, and what is told of it all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from pyramid.errors import PyramidError
from pyramid.fields import Objective, parse_objective
from pyramid.frames import Table, TableChoices, held_out_rows, prepare, save_rows
from pyramid.report_page.tables import write_table_report
from pyramid.report_page.units import in_own_units
from pyramid.search.backend import Backend, Job, JobFailed, Result
from pyramid.search.choices import NO_TREES, ChoiceError, FitChoices
from pyramid.search.clock import Clock
from pyramid.search.driver import Progress, run_alone, run_search
from pyramid.search.interrupts import Interrupts, watched_interrupts
from pyramid.search.jobs import JobMaker
from pyramid.search.leaderboard import leaderboard, write_leaderboard
from pyramid.search.live import Watcher
from pyramid.search.local import LocalBackend
from pyramid.search.measuring import Measuring
from pyramid.search.output_folder import check_output, open_output, remove_submodels
from pyramid.search.planner import First, Planner, portfolio, quick_network, tree_readouts
from pyramid.search.portfolio import MAX_NETWORKS
from pyramid.search.report import fit_report
from pyramid.search.result import FitResult
from pyramid.search.searchers import start_searchers
from pyramid.search.space import Proposals
from pyramid.search.telling import table_summary
from pyramid.tables.splits import default_folds
from pyramid.train.metrics import CLASS_METRICS, NUMBER_METRICS
from pyramid.workspace import Workspace, read_json, write_array, write_json
from sensenet.errors import SensenetError
from sensenet.tables.source import Source, open_table

TREES_SHARE = 0.3
NOTHING_YET = "nothing has finished yet, so there is no model"
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
        output: the directory of everything.
        test: a table to measure the final model with.
    """

    source: Source
    objective: str
    table: TableChoices
    choices: FitChoices
    output: Path
    test: Source | None = None


@dataclass(frozen=True)
class _Begun:
    """A fit whose rows are written."""

    request: Request
    clock: Clock
    watcher: Watcher
    table: Table
    objective: Objective
    workspace: Workspace
    jobs: JobMaker


def fit_table(request: Request, watcher: Watcher) -> FitResult:
    """Search for a model of a table.

    Raises:
        PyramidError, sensenet.errors.SensenetError: the table, the choices or the directory cannot be used, or no
            candidate could be trained.
        KeyboardInterrupt: interrupted before any candidate was done, or twice.
    """
    check_output(request.output)
    choices, clock = request.choices, Clock(request.choices.seconds)
    try:
        with (
            start_searchers(choices) as searchers,  # before the signals are ours: Ray would take SIGTERM
            watched_interrupts() as interrupts,
            LocalBackend(1, debug=choices.debug) as service,
        ):
            try:
                begun = _begin(request, clock, watcher)
                progress = _search(begun, service, searchers, interrupts)
            except KeyboardInterrupt:
                if not interrupts.patient:
                    watcher.say(NOTHING_YET)
                raise
            return _finish(begun, progress, service)
    finally:
        watcher.close()


def _begin(request: Request, clock: Clock, watcher: Watcher) -> _Begun:
    """Read the table, tell of it, write its rows; the workers start in the meantime."""
    watcher.phase("reading the table")
    if request.test is not None:
        request.test.position(request.objective, "the objective")
    choices, test_rows = request.table, None
    if request.choices.test_share:
        share, seed = request.choices.test_share, request.choices.seed
        test_rows = held_out_rows(request.source, request.objective, share, seed, choices.task)
        choices = replace(choices, rows_left_out=test_rows)
    table = prepare(request.source, request.objective, choices)
    for line in table_summary(table):
        watcher.say(line)
    objective = parse_objective(table.info_list[-1])
    _check(request.choices, objective)
    workspace = open_output(request.output)
    table.write_ser(workspace.table_rows)
    write_array(workspace.row_numbers, table.row_numbers)
    if test_rows is not None:
        save_rows(request.source, test_rows, workspace.test_rows)
        request = replace(request, test=open_table(workspace.test_rows))
    jobs = _job_maker(request, table, objective, workspace)
    begun = _Begun(request, clock, watcher, table, objective, workspace, jobs)
    _write_report(begun, Progress(), None)
    return begun


def _check(choices: FitChoices, objective: Objective) -> None:
    if objective.has_classes and objective.n_outputs < 2:
        raise FitError(f"the objective has one value only, {objective.classes[0]}: there is nothing to learn")
    names = CLASS_METRICS if objective.has_classes else NUMBER_METRICS
    if choices.metric is not None and choices.metric not in names:
        raise ChoiceError(
            f"metric: of this objective expected one of {', '.join(names)}, got {choices.metric}"
        )


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


def _search(begun: _Begun, service: Backend, searchers: Backend, interrupts: Interrupts) -> Progress:
    """Cache the rows, then try candidates.

    Raises:
        FitError: the rows could not be cached, or no candidate could be trained.
        KeyboardInterrupt: no candidate was done before an interrupt.
    """
    choices, watcher, clock = begun.request.choices, begun.watcher, begun.clock
    watcher.phase("learning trees" if choices.trees != NO_TREES else "caching the rows")
    caching = begun.jobs.caching(str(begun.workspace.table_rows), choices.trees, clock.share(TREES_SHARE))
    asked = clock.elapsed
    cached = _result(service, caching, "caching the rows failed")
    clock = clock.after_waiting(clock.elapsed - asked - cached["job_time"])
    jobs = replace(begun.jobs, tree_inputs=cached["tree_inputs"])
    has_trees = jobs.tree_inputs > 0
    first: list[First] = [
        *tree_readouts(cached, begun.table.has_weights, begun.objective),
        *portfolio(has_trees),
    ]
    if choices.quick:
        first = [quick_network(has_trees)]
    fixed = {} if has_trees else {"trees": False}
    proposals = None if choices.quick else Proposals(choices.seed, fixed)
    planner = Planner(jobs, first, proposals, choices.max_candidates, choices.lookahead)
    interrupts.patient = True
    progress = run_search(planner, searchers, clock, interrupts, lambda now: watcher.show(now, clock))
    if not progress.n_done:
        if interrupts.asked:
            watcher.say(NOTHING_YET)
            raise KeyboardInterrupt
        reasons = [one.reason for one in progress.outcomes if one.reason]
        raise FitError(f"no candidate could be trained: {reasons[0] if reasons else 'there was no time'}")
    return progress


def _finish(begun: _Begun, progress: Progress, service: Backend) -> FitResult:
    """Finalize, measure, and leave what is told of it all."""
    request, workspace, watcher = begun.request, begun.workspace, begun.watcher
    watcher.phase("writing the final model")
    done = frozenset(one.candidate.job_id for one in progress.outcomes if one.is_done)
    remove_submodels(workspace, keep=done)
    measuring = None if request.test is None else Measuring(request.test, request.objective)
    finalizing = begun.jobs.finalizing(1 if request.choices.quick else MAX_NETWORKS)
    _result(service, finalizing, "the final model could not be written")
    test_metrics = None if measuring is None else _test_metrics(begun, measuring)
    _write_report(begun, progress, test_metrics)
    selection = read_json(workspace.selection, "finalize_output")
    entries = leaderboard(progress.outcomes, begun.objective, request.choices.metric, selection["weights"])
    write_leaderboard(workspace.leaderboard, entries)
    _write_page(begun)
    if not request.choices.keep:
        remove_submodels(workspace, keep=frozenset())
    return FitResult(
        workspace,
        entries,
        in_own_units(selection["metrics"], begun.objective.label_unit),
        None if test_metrics is None else in_own_units(test_metrics, 1.0),
        begun.table.warnings,
        begun.objective.headline,
        begun.clock.elapsed,
    )


def _test_metrics(begun: _Begun, measuring: Measuring) -> dict[str, float] | None:
    """None, with a warning, where the test rows cannot be predicted: the model is there, and is not lost for that."""
    begun.watcher.phase("measuring the final model")
    try:
        return measuring.metrics(begun.workspace.final_model, begun.table.image_root)
    except (PyramidError, SensenetError) as error:
        begun.watcher.say(f"warning: the final model could not be measured: {error}")
        return None


def _write_page(begun: _Begun) -> None:
    try:
        write_table_report(begun.workspace.root)
    except PyramidError as error:
        begun.watcher.say(f"warning: {error}")


def _result(backend: Backend, job: Job, failure: str) -> Result:
    """A job's result.

    Raises:
        FitError: it failed.
    """
    try:
        return run_alone(backend, job)
    except JobFailed as error:
        raise FitError(f"{failure}: {error}") from error


def _write_report(begun: _Begun, progress: Progress, test_metrics: Mapping[str, float] | None) -> None:
    told = fit_report(
        begun.table,
        begun.request.objective,
        begun.request.choices,
        progress,
        test_metrics,
        begun.clock.elapsed,
    )
    write_json(begun.workspace.fit_report, told)
