"""Which candidates a search tries, with a backend that trains nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from fake_backend import ENDS, FakeBackend, StubbornBackend, job_maker

from pyramid.search.choices import LOOKAHEAD
from pyramid.search.clock import Clock
from pyramid.search.driver import Progress, run_search
from pyramid.search.interrupts import Interrupts
from pyramid.search.planner import MOST_FAILED_JOBS, Networks, Planner, Readout, portfolio, quick_network
from pyramid.search.portfolio import HALVING_SHARE, LAST_RUNG, Numbers, Structure
from pyramid.search.space import Proposals
from pyramid.settings.base_settings import BaseSettings

FOREST = Readout("random forest", [{"type": "dense", "weights": [[0.0]] * 7, "offset": [0.0]}])


MANY_ROWS = 10_000


def unasked() -> Interrupts:
    return Interrupts(lambda _: None)


def planner(
    max_candidates: int | None, timed: bool = False, seed: int = 3, n_rows: int = MANY_ROWS
) -> Planner:
    first = [FOREST, *portfolio(has_trees=True)]
    return Planner(job_maker(timed, n_rows), first, Proposals(seed, {}), max_candidates)


def search(max_candidates: int, slots: int, seed: int = 3) -> tuple[FakeBackend, Progress]:
    backend = FakeBackend(slots)
    progress = run_search(planner(max_candidates, seed=seed), backend, Clock(None), unasked(), lambda _: None)
    assert backend.closed
    return backend, progress


def in_order(progress: Progress) -> Sequence[object]:
    return sorted((one for one in progress.outcomes), key=lambda one: one.candidate.number)


def test_what_is_tried_does_not_depend_on_how_many_jobs_run_at_once() -> None:
    backend, progress = search(140, slots=1)
    assert len(progress.outcomes) == 140
    for slots in (2, 5, 16):
        other_backend, other = search(140, slots)
        assert other_backend.jobs == backend.jobs
        assert [one.candidate for one in in_order(other)] == [one.candidate for one in in_order(progress)]
    assert search(140, slots=2, seed=4)[0].jobs != backend.jobs


def test_candidates_are_numbered_and_all_jobs_are_sound() -> None:
    backend, progress = search(97, slots=4)
    assert sorted(one.candidate.number for one in progress.outcomes) == list(range(97))
    assert progress.n_done + progress.n_failed == 97
    assert progress.n_failed >= 4
    for job in backend.jobs[1:]:
        BaseSettings(job)


def test_some_candidates_are_trained_longer_and_these_are_among_the_best_of_their_rung() -> None:
    _, progress = search(240, slots=3)
    by_number = {one.candidate.number: one for one in progress.outcomes}
    longer = [one for one in progress.outcomes if one.candidate.goes_on is not None]
    assert longer
    for one in longer:
        earlier = by_number[one.candidate.goes_on]
        assert one.candidate.rung == earlier.candidate.rung + 1
        assert (one.candidate.structure, one.candidate.numbers) == (
            earlier.candidate.structure,
            earlier.candidate.numbers,
        )
        if earlier.is_done and one.is_done:
            assert one.loss < earlier.loss
    first_rung = [one for one in progress.outcomes if one.candidate.structure and one.candidate.rung == 0]
    assert len(longer) <= 2 * len(first_rung) / HALVING_SHARE


def test_few_rows_are_not_worth_short_trainings() -> None:
    progress = run_search(planner(80, n_rows=500), FakeBackend(2), Clock(None), unasked(), lambda _: None)
    assert {one.candidate.rung for one in progress.outcomes if one.candidate.structure} == {LAST_RUNG}


def test_what_is_known_of_earlier_candidates_guides_later_ones() -> None:
    _, progress = search(300, slots=2)
    rates = [one.candidate.numbers.learning_rate for one in in_order(progress) if one.candidate.numbers]
    early, late = rates[60:100], rates[-60:]

    def spread(values: list[float]) -> float:
        return sorted(abs(value - 0.003) for value in values)[len(values) // 2]

    assert spread(late) < spread(early)


def test_a_search_without_trees_has_none_anywhere() -> None:
    backend = FakeBackend(2)
    first = portfolio(has_trees=False)
    chosen = Planner(job_maker(tree_inputs=0), first, Proposals(0, {"trees": False}), 60)
    run_search(chosen, backend, Clock(None), unasked(), lambda _: None)
    assert len(backend.jobs) > len(first)
    assert not any(job["tree_embedding"] for job in backend.jobs)


def test_a_quick_search_is_one_network_on_all_rows() -> None:
    backend = FakeBackend(2)
    chosen = Planner(job_maker(), [quick_network(True)], None, None)
    progress = run_search(chosen, backend, Clock(None), unasked(), lambda _: None)
    (job,) = backend.jobs
    assert job["refit"]
    assert {one.candidate.rung for one in progress.outcomes} == {LAST_RUNG}
    assert len({one.candidate.structure for one in progress.outcomes}) == 1


def test_the_clock_ends_a_search() -> None:
    backend = FakeBackend(2, seconds=0.1)
    clock = Clock(8.0)
    progress = run_search(planner(None, timed=True), backend, clock, unasked(), lambda _: None)
    assert 2 < clock.elapsed < 8
    assert progress.n_done > 10
    assert all(0 < job.get("max_training_time", 1) < 8 for job in backend.jobs)


def test_however_little_time_there_is_the_first_job_is_run() -> None:
    backend = FakeBackend(2)
    progress = run_search(planner(None, timed=True), backend, Clock(0.01), unasked(), lambda _: None)
    assert [one.candidate.title for one in progress.outcomes] == ["random forest"]


def test_an_interrupt_ends_a_search() -> None:
    backend, interrupts = FakeBackend(2, seconds=0.05), unasked()
    interrupts.patient = True
    began = time.monotonic()

    def show(progress: Progress) -> None:
        if progress.n_done > 5 and not interrupts.asked:
            interrupts.handle(2, None)

    progress = run_search(planner(None), backend, Clock(None), interrupts, show)
    assert time.monotonic() - began < 5
    assert progress.n_done > 5
    with pytest.raises(KeyboardInterrupt):
        interrupts.handle(2, None)


def test_a_share_of_the_candidates_that_there_is_room_for_is_tried() -> None:
    backend = FakeBackend(1)
    wide = Networks(Structure(1, 8), tuple(Numbers(rate) for rate in (0.1, 0.01, 0.001, 0.0001)))
    progress = run_search(
        Planner(job_maker(), [wide], None, 3), backend, Clock(None), unasked(), lambda _: None
    )
    assert [one.candidate.job_id for one in progress.outcomes] == ["0000", "0001", "0002"]
    assert [variant["job_id"] for variant in backend.jobs[0]["variants"]] == ["0000", "0001", "0002"]


@pytest.mark.parametrize("timed", [False, True])
def test_a_search_in_which_everything_fails_gives_up(timed: bool) -> None:
    tried = []
    for slots in (1, 5):
        backend, chosen = FakeBackend(slots, fails=lambda _: True), planner(None, timed=timed)
        progress = run_search(chosen, backend, Clock(600.0 if timed else None), unasked(), lambda _: None)
        assert chosen.has_given_up
        assert progress.n_done == 0
        tried.append(backend.jobs)
    assert len(tried[0]) == MOST_FAILED_JOBS + (0 if timed else LOOKAHEAD - 1)
    assert timed or tried[0] == tried[1]


def test_failures_with_successes_between_them_end_nothing() -> None:
    backend = FakeBackend(3, fails=lambda number: number % MOST_FAILED_JOBS != 1)
    chosen = planner(100)
    progress = run_search(chosen, backend, Clock(None), unasked(), lambda _: None)
    assert not chosen.has_given_up
    assert len(progress.outcomes) == 100


def test_jobs_that_take_no_end_are_not_waited_for_but_taken_if_they_are_done() -> None:
    backend, clock = StubbornBackend(3), Clock(4.5)
    progress = run_search(planner(None, timed=True), backend, clock, unasked(), lambda _: None)
    assert clock.elapsed <= 1.05 * 4.5
    n_candidates = {end: len(job["variants"]) for end, job in zip(ENDS, backend.jobs[1:4], strict=True)}
    assert progress.n_done == 1 + n_candidates["done"]
    assert progress.n_failed == n_candidates["TrainingError"]


def test_a_machine_that_stood_still_once_does_not_end_a_search() -> None:
    backend = FakeBackend(2, job_time=1e6)
    progress = run_search(planner(60, timed=True), backend, Clock(600.0), unasked(), lambda _: None)
    assert len(progress.outcomes) == 60
