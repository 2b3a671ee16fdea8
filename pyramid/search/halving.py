"""Which candidates are worth a longer training: successive halving without waiting (ASHA, arXiv 1810.05934)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pyramid.search.candidates import Candidate, Outcome
from pyramid.search.portfolio import HALVING_SHARE, LAST_RUNG, VARIANTS


class Halving:
    """Keeps what each rung has seen; a pure function of the outcomes that it is told, in their order."""

    def __init__(self) -> None:
        """Begin with empty rungs."""
        self._rungs: dict[int, list[Outcome]] = defaultdict(list)
        self._promoted: set[int] = set()

    def tell(self, outcome: Outcome) -> None:
        """Enter a candidate's outcome into its rung; one that failed or that is no network counts nowhere."""
        if outcome.is_done and outcome.candidate.structure is not None:
            self._rungs[outcome.candidate.rung].append(outcome)

    def promote(self) -> list[Candidate]:
        """Candidates of one structure, the best first, that the next rung is to train.

        They are among the best share of their rung, have not been promoted, and trained to their last iteration: more
        would be no use to the others. Higher rungs come first.

        Returns:
            none where no rung has any.
        """
        for rung in range(LAST_RUNG - 1, -1, -1):
            found = self._promising(self._rungs[rung])
            if found:
                alike = [one for one in found if one.structure == found[0].structure][:VARIANTS]
                self._promoted |= {one.number for one in alike}
                return alike
        return []

    def _promising(self, outcomes: Sequence[Outcome]) -> list[Candidate]:
        best_first = sorted(outcomes, key=lambda one: (one.loss, one.candidate.number))
        share = best_first[: len(outcomes) // HALVING_SHARE]
        return [
            one.candidate
            for one in share
            if one.candidate.number not in self._promoted and not one.stopped_early
        ]
