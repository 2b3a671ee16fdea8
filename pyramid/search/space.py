"""Networks that Optuna's TPE proposes (Bergstra et al. 2011, NeurIPS 24), four of one structure at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import Trial, TrialState, create_trial

from pyramid.search.candidates import Outcome
from pyramid.search.portfolio import NUMBER_SPACE, STRUCTURE_SPACE, Choice, Numbers, Range, Space, Structure

STARTUP_TRIALS = 16


class Proposals:
    """A study that is asked for candidates and told their losses.

    What it proposes is a function of the seed and of all that it has been asked and told, in that order.
    """

    def __init__(self, seed: int, fixed: dict[str, Any]):
        """Begin a study.

        Args:
            fixed: values of the structure that are not searched for.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        structure = {name: one for name, one in _distributions(STRUCTURE_SPACE).items() if name not in fixed}
        self._fixed = fixed
        self._structure = structure
        self._all = structure | _distributions(NUMBER_SPACE)
        sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=STARTUP_TRIALS, multivariate=True, constant_liar=True
        )
        self._study = optuna.create_study(sampler=sampler)
        self._asked: dict[int, Trial] = {}

    def ask(self, numbers: Sequence[int]) -> tuple[Structure, list[Numbers]]:
        """A structure, and numbers for the candidates of these numbers."""
        first, *others = numbers
        trial = self._ask(first)
        structure = {name: trial.params[name] for name in self._structure}
        trials = [trial]
        for number in others:
            self._study.enqueue_trial(structure)
            trials.append(self._ask(number))
        return Structure(**structure, **self._fixed), [_numbers(one) for one in trials]

    def tell(self, outcome: Outcome) -> None:
        """What became of a candidate, whoever proposed it; one that trained longer counts beside the earlier one."""
        candidate = outcome.candidate
        trial = self._asked.pop(candidate.number, None)
        if trial is not None:
            state = TrialState.COMPLETE if outcome.is_done else TrialState.FAIL
            self._study.tell(trial, outcome.loss if outcome.is_done else None, state)
            return
        if candidate.structure is None or candidate.numbers is None or not outcome.is_done:
            return
        params = asdict(candidate.structure) | asdict(candidate.numbers)
        params = {name: value for name, value in params.items() if name in self._all}
        if all(_contains(self._all[name], value) for name, value in params.items()):
            self._study.add_trial(create_trial(params=params, distributions=self._all, value=outcome.loss))

    def _ask(self, number: int) -> Trial:
        trial = self._study.ask(self._all)
        self._asked[number] = trial
        return trial


def _numbers(trial: Trial) -> Numbers:
    return Numbers(**{name: trial.params[name] for name in NUMBER_SPACE})


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    return {name: _distribution(one) for name, one in space.items()}


def _distribution(one: Choice | Range) -> BaseDistribution:
    if isinstance(one, Choice):
        return CategoricalDistribution(one.values)
    return FloatDistribution(one.low, one.high, log=one.log)


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, FloatDistribution)
    return distribution.low <= value <= distribution.high
