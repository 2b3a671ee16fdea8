"""Which job comes next: the portfolio, then whatever deserves a longer training, then what the sampler proposes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyramid.fields.objective import Objective
from pyramid.search.backend import Job, Result
from pyramid.search.candidates import NETWORK, TREES, Candidate, Outcome, PlannedJob
from pyramid.search.choices import LOOKAHEAD
from pyramid.search.halving import Halving
from pyramid.search.jobs import JobMaker
from pyramid.search.portfolio import (
    LAST_RUNG,
    PORTFOLIO,
    VARIANTS,
    Numbers,
    Structure,
    first_rung,
)
from pyramid.search.space import Proposals
from pyramid.tables.recipe import Layer
from pyramid.tables.tree_embedding.readouts import tree_readout

FORESTS = ("random_forest", "extra_trees")
MOST_FAILED_JOBS = 8
"""In a row: whatever it is (a full disk, say), the next ones would fail, too."""


@dataclass(frozen=True)
class Readout:
    """A first candidate that passes tree features through; `title` says which."""

    title: str
    layers: Sequence[Layer]


@dataclass(frozen=True)
class Networks:
    """First candidates of one structure."""

    structure: Structure
    numbers: tuple[Numbers, ...]
    refit: bool | None = None


First = Readout | Networks


class Planner:
    """Chooses jobs. Without a clock a choice depends on nothing but the seed and the outcomes of earlier jobs."""

    def __init__(
        self,
        maker: JobMaker,
        first: Sequence[First],
        proposals: Proposals | None,
        max_candidates: int | None,
        lookahead: int = LOOKAHEAD,
    ):
        """Begin with the first jobs.

        Args:
            proposals: where more candidates come from; None is nowhere.
            max_candidates: of the whole search; None is any number.
            lookahead: without a clock, job j is chosen by what is known of the jobs up to j - lookahead.
        """
        self._maker = maker
        self._first = deque(first)
        self._proposals = proposals
        self._max_candidates = max_candidates
        self._lookahead = lookahead
        self._halving = Halving()
        self._jobs = self._candidates = self._told = self._failed_in_a_row = 0
        self._outcomes: dict[int, list[Outcome]] = {}

    @property
    def has_given_up(self) -> bool:
        """Whether so many jobs in a row have failed that there are no more."""
        return self._failed_in_a_row >= MOST_FAILED_JOBS

    def next(self, max_seconds: float | None = None) -> PlannedJob | None:
        """The next job.

        Args:
            max_seconds: that training may take.

        Returns:
            None where there is none, or none before more outcomes are known.
        """
        room = VARIANTS if self._max_candidates is None else self._max_candidates - self._candidates
        if room <= 0 or not self._learn() or self.has_given_up:
            return None
        planned = self._choose(min(room, VARIANTS), max_seconds)
        if planned is not None:
            self._jobs += 1
            self._candidates += len(planned.candidates)
        return planned

    def tell(self, planned: PlannedJob, outcomes: list[Outcome]) -> None:
        """What became of a job's candidates."""
        self._outcomes[planned.number] = outcomes
        if self._maker.timed:
            self._tell_all(outcomes)

    def _learn(self) -> bool:
        """Take in the outcomes that the next job depends on, in their order; gives whether all are known."""
        while not self._maker.timed and self._told <= self._jobs - self._lookahead:
            if self._told not in self._outcomes:
                return False
            self._tell_all(self._outcomes[self._told])
            self._told += 1
        return True

    def _tell_all(self, outcomes: Sequence[Outcome]) -> None:
        is_any_done = any(outcome.is_done for outcome in outcomes)
        self._failed_in_a_row = 0 if is_any_done else self._failed_in_a_row + 1
        for outcome in outcomes:
            self._halving.tell(outcome)
            if self._proposals is not None:
                self._proposals.tell(outcome)

    def _choose(self, room: int, max_seconds: float | None) -> PlannedJob | None:
        if self._first:
            return self._begin(self._first.popleft(), room, max_seconds)
        if self._proposals is None:
            return None
        numbers = range(self._candidates, self._candidates + room)
        if promoted := self._halving.promote():
            longer = [
                replace(one, number=number, rung=one.rung + 1, goes_on=one.number)
                for number, one in zip(numbers, promoted, strict=False)
            ]
            return self._networks(longer, max_seconds)
        structure, proposed = self._proposals.ask(numbers)
        return self._networks(
            list(self._named(structure, proposed, first_rung(self._maker.n_rows))), max_seconds
        )

    def _begin(self, first: First, room: int, max_seconds: float | None) -> PlannedJob:
        if isinstance(first, Readout):
            candidate = Candidate(self._candidates, TREES, first.title)
            return PlannedJob(self._jobs, (candidate,), self._maker.readout(candidate, first.layers))
        named = self._named(first.structure, first.numbers[:room], rung=LAST_RUNG)
        return self._networks(list(named), max_seconds, first.refit)

    def _named(self, structure: Structure, numbers: Sequence[Numbers], rung: int) -> Iterator[Candidate]:
        for number, one in enumerate(numbers, self._candidates):
            yield Candidate(number, NETWORK, described(structure), structure, one, rung)

    def _networks(
        self, candidates: Sequence[Candidate], max_seconds: float | None, refit: bool | None = None
    ) -> PlannedJob:
        keys: dict[str, Any] = {} if refit is None else {"refit": refit}
        job: Job = self._maker.networks(f"job_{self._jobs:04}", candidates, max_seconds, **keys)
        return PlannedJob(self._jobs, tuple(candidates), job)


def tree_readouts(cached: Result, has_weights: bool, objective: Objective) -> list[Readout]:
    """Each of the cross-fitted ensembles by itself, and the mean of the two forests; none without ensembles.

    Args:
        cached: the result of the caching job.
        has_weights: whether its rows have a weight.
    """
    ensembles = cached.get("tree_ensembles") or []
    names = [one["name"] for one in ensembles]
    combinations = [(name,) for name in names] + [FORESTS] * set(FORESTS).issubset(names)
    n_trees = cached["tree_inputs"]
    n_inputs = cached["full_data_shape"][1] - n_trees - has_weights - objective.n_outputs
    return [
        Readout(
            " and ".join(chosen).replace("_", " "),
            tree_readout(ensembles, chosen, n_trees, n_inputs, objective),
        )
        for chosen in combinations
    ]


def portfolio(has_trees: bool) -> list[Networks]:
    """The first networks of a search."""
    return [
        Networks(structure, numbers) for structure, numbers in PORTFOLIO if has_trees or not structure.trees
    ]


def quick_network(has_trees: bool) -> Networks:
    """What a search that wants one network tries: the first structure of the portfolio, trained anew on all rows."""
    return replace(portfolio(has_trees)[0], refit=True)


def described(structure: Structure) -> str:
    """A structure, for people: `2 x 64 relu, trees`."""
    if not structure.layers:
        words = ["linear"]
    else:
        words = [f"{structure.layers} x {structure.width} {structure.activation_function}"]
    if structure.residual and structure.layers > 1:
        words.append("residual")
    if structure.trees:
        words.append("trees")
    return ", ".join(words)
