"""The submodels that a greedy selection chooses from, and the choosing (docs/training.md, "Greedy selection")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pyramid.errors import WorkspaceError
from pyramid.fields import Objective
from pyramid.finalize.out_of_fold import SEED, JudgedRows, read_judged_rows, read_out_of_fold
from pyramid.finalize.readout import Attempt
from pyramid.finalize.search import check_shared, whole_attempts
from pyramid.submodels.files import trained_weights
from pyramid.submodels.greedy import (
    mean_answer,
    mean_losses,
    no_worse_than_single,
    rounded_counts,
    select_shares,
)
from pyramid.workspace import Workspace

BAGS_DRAW = 3  # the stream of random numbers beside those of `out_of_fold`


@dataclass(frozen=True)
class Candidates:
    """The submodels, in the order of their job ids.

    Attributes:
        attempts: what their jobs left.
        outputs: of each the (rows, outputs) predictions of rows that it did not see.
        rows: what they are judged by.
    """

    attempts: Sequence[Attempt]
    outputs: Sequence[np.ndarray]
    rows: JudgedRows

    @cached_property
    def sizes(self) -> list[int]:
        """How many networks each is the mean of."""
        return [network_count(one) for one in self.attempts]

    @cached_property
    def answers(self) -> np.ndarray:
        """(candidates, judged rows) float32, see `pyramid.submodels.greedy`."""
        return np.stack([self.rows.answers(outputs) for outputs in self.outputs])

    @cached_property
    def losses(self) -> np.ndarray:
        """(candidates,) float64: the mean loss of each."""
        return mean_losses(self.answers, self.rows.losses)

    def loss_of_mean(self, counts: np.ndarray) -> float:
        """The mean loss of the mean in which each counts as often as (candidates,) `counts` say."""
        return float(mean_losses(mean_answer(counts, self.answers)[None], self.rows.losses)[0])

    @cached_property
    def shares(self) -> np.ndarray:
        """(candidates,) float64: how much each should count."""
        return self._shares(self.answers)

    def select(self, most: int) -> np.ndarray:
        """(candidates,) int64: how often each is taken.

        Args:
            most: how many networks there may be then; at least the largest of `sizes`.
        """
        return self._counts(self.shares, most, self.answers)

    def honest_outputs(self, most: int) -> np.ndarray:
        """(rows, outputs) float32: for the rows of each fold the mean of what is selected without them."""
        folds = self.rows.folds
        honest = np.zeros(self.outputs[0].shape, np.float32)
        for fold in np.unique(folds):
            inside = folds == fold
            answers = self.answers[:, ~inside[self.rows.judged]]
            counts = self._counts(self._shares(answers), most, answers)
            for outputs, times in zip(self.outputs, counts.tolist(), strict=True):
                if times:
                    honest[inside] += outputs[inside] * np.float32(times / counts.sum())
        return honest

    def _shares(self, answers: np.ndarray) -> np.ndarray:
        return select_shares(answers, self.rows.losses, np.random.default_rng([SEED, BAGS_DRAW]))

    def _counts(self, shares: np.ndarray, most: int, answers: np.ndarray) -> np.ndarray:
        return no_worse_than_single(rounded_counts(shares, self.sizes, most), answers, self.rows.losses)


def read_candidates(
    workspace: Workspace, objective: Objective, max_networks: int, warn: Callable[[str], None]
) -> Candidates:
    """The submodels of a search that can be selected.

    Args:
        max_networks: those that are the mean of more networks are left out.
        warn: told of each submodel that is left out.

    Raises:
        WorkspaceError: none is left, they cannot be one model, or a file is broken.
    """
    whole = whole_attempts(workspace, warn)
    rows = read_judged_rows(workspace, objective)
    fitting = {job_id: one for job_id, one in whole.items() if network_count(one) <= max_networks}
    for job_id in whole.keys() - fitting.keys():
        warn(f"warning: a submodel is left out: {job_id} is the mean of more than {max_networks} networks")
    if not fitting:
        raise WorkspaceError(
            f"every submodel of {workspace.root} is the mean of more than {max_networks} networks, as max_networks "
            "allows; train with refit, or allow more"
        )
    outputs = read_out_of_fold(fitting, rows, warn)
    attempts = [fitting[job_id] for job_id in outputs]
    check_shared(attempts)
    return Candidates(attempts, list(outputs.values()), rows)


def network_count(attempt: Attempt) -> int:
    """How many networks a submodel is the mean of.

    Raises:
        WorkspaceError: its fit info does not say so.
    """
    return len(trained_weights(attempt.submodel, attempt.info))
