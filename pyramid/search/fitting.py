"""From a table to a final model: the rows, the caching job, the search, finalizing, and what is told of it all."""

from __future__ import annotations

from dataclasses import replace

from pyramid.search.backend import Backend
from pyramid.search.begun import Begun, FitError, Request, begin
from pyramid.search.choices import NO_TREES
from pyramid.search.clock import Clock
from pyramid.search.driver import Progress, run_search
from pyramid.search.finishing import finish
from pyramid.search.interrupts import Interrupts, watched_interrupts
from pyramid.search.live import Watcher
from pyramid.search.local import LocalBackend
from pyramid.search.output_folder import reserved
from pyramid.search.planner import First, Planner, portfolio, quick_network, tree_readouts
from pyramid.search.result import FitResult
from pyramid.search.searchers import start_searchers
from pyramid.search.space import Proposals

TREES_SHARE = 0.3
NOTHING_YET = "nothing has finished yet, so there is no model"


def fit_table(request: Request, watcher: Watcher) -> FitResult:
    """Search for a model of a table.

    Raises:
        PyramidError, sensenet.errors.SensenetError: the table, the choices or the directory cannot be used, or no
            candidate could be trained.
        KeyboardInterrupt: interrupted before any candidate was done, or twice.
    """
    request.check()
    choices, clock = request.choices, Clock(request.choices.seconds)
    try:
        with (
            reserved(request.output),
            start_searchers(choices) as searchers,  # before the signals are ours: Ray would take SIGTERM
            watched_interrupts(watcher.say) as interrupts,
            LocalBackend(1, debug=choices.debug) as service,
        ):
            try:
                begun = begin(request, clock, watcher)  # the workers start in the meantime
                progress = _search(begun, service, searchers, interrupts)
            except KeyboardInterrupt:
                if not interrupts.patient:
                    watcher.say(NOTHING_YET)
                raise
            return finish(begun, progress, service, interrupts)
    finally:
        watcher.close()


def _search(begun: Begun, service: Backend, searchers: Backend, interrupts: Interrupts) -> Progress:
    """Cache the rows, then try candidates.

    Raises:
        FitError: the rows could not be cached, or no candidate could be trained.
        KeyboardInterrupt: no candidate was done before an interrupt.
    """
    choices, watcher, clock = begun.request.choices, begun.watcher, begun.clock
    watcher.phase("learning trees" if choices.trees != NO_TREES else "caching the rows")
    caching = begun.jobs.caching(str(begun.workspace.table_rows), choices.trees, clock.share(TREES_SHARE))
    asked = clock.elapsed
    cached = begun.run(service, caching, "caching the rows failed")
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
    reasons = [one.reason for one in progress.outcomes if one.reason]
    if not progress.n_done:
        if interrupts.asked:
            watcher.say(NOTHING_YET)
            raise KeyboardInterrupt
        raise FitError(f"no candidate could be trained: {reasons[0] if reasons else 'there was no time'}")
    if planner.has_given_up:
        begun.warn(f"the search has ended, for too many jobs in a row have failed: {reasons[-1]}")
    return progress
