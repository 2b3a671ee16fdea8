"""The networks that a config of `pyramid_train` asks to be tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.errors import Violation
from pyramid.images.training_types import FINE_TUNE, INITIAL_MODEL, image_job_id
from pyramid.settings.image_networks import network_problem, training_type_problem
from pyramid.settings.wording import found


@dataclass(frozen=True)
class Candidate:
    """One network to try.

    Attributes:
        base_image_network, image_training_type: as a job has them.
        initial_model: the path of the model that it starts from, or None.
    """

    base_image_network: str
    image_training_type: str
    initial_model: str | None = None

    @property
    def job_id(self) -> str:
        """The id of its job, after which its directory is called."""
        return image_job_id(self.base_image_network, self.image_training_type)

    def __str__(self) -> str:
        """What people know it by."""
        return self.job_id if self.initial_model is None else f"{INITIAL_MODEL} {self.initial_model}"


def parse_candidates(
    given: Mapping[str, Any], objective_type: str
) -> tuple[list[Candidate], list[Violation]]:
    """The candidates of a config's `image_network_candidates` and `initial_model`, and what is wrong with them."""
    pairs = given.get("image_network_candidates", [])
    if not isinstance(pairs, list):
        return [], []
    candidates: list[Candidate] = []
    problems: list[Violation] = []
    for place, pair in enumerate(pairs):
        wrong = list(_pair_problems(place, pair, objective_type))
        if not wrong:
            candidate = _candidate(pair, candidates)
            if candidate in candidates:
                wrong = [_wrong_pair(f"{place}", f"found {found(pair)} a second time")]
            candidates.append(candidate)
        problems += wrong
    path = given.get(INITIAL_MODEL)
    if isinstance(path, str) and path:
        extra = _candidate([INITIAL_MODEL, path], candidates)
        candidates += [] if extra in candidates else [extra]
    if not candidates and not problems and ("image_network_candidates" in given):
        problems.append(Violation("/image_network_candidates", "found an empty list; at least one is needed"))
    return candidates, problems


def _candidate(pair: Sequence[str], earlier: Sequence[Candidate]) -> Candidate:
    name, how = pair
    if name != INITIAL_MODEL:
        return Candidate(name, how)
    models = [one.initial_model for one in earlier if one.initial_model is not None]
    number = models.index(how) if how in models else len(models)
    return Candidate(f"{INITIAL_MODEL}_{number}", FINE_TUNE, how)


def _pair_problems(place: int, pair: Any, objective_type: str) -> Iterator[Violation]:
    if (
        not isinstance(pair, list)
        or len(pair) != 2
        or not all(isinstance(part, str) and part for part in pair)
    ):
        yield _wrong_pair(
            f"{place}",
            f'found {found(pair)}, allowed is a pair of strings: [network, training type] or ["initial_model", path]',
        )
        return
    name, how = pair
    if name == INITIAL_MODEL:
        return
    problems = (network_problem(name, objective_type, [INITIAL_MODEL]), training_type_problem(name, how))
    for part, problem in enumerate(problems):
        if problem is not None:
            yield _wrong_pair(f"{place}/{part}", problem)


def _wrong_pair(place: str, message: str) -> Violation:
    return Violation(f"/image_network_candidates/{place}", message)
