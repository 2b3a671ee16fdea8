"""What a report shows of a network's answers: one class for each kind of objective, all of them in `ANSWERS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pyramid.fields import Objective
from pyramid.report_page.answers.boxes import Detections
from pyramid.report_page.answers.classes import Confusion
from pyramid.report_page.answers.kind import Answers
from pyramid.report_page.answers.numbers import Scatter

__all__ = ["ANSWERS", "Answers", "Confusion", "Detections", "Scatter", "answers_to"]

ANSWERS: Mapping[str, type[Answers]] = MappingProxyType(
    {one.kind: one for one in (Confusion, Scatter, Detections)}
)
"""By the type of the objective."""


def answers_to(objective: Objective) -> type[Answers]:
    """How answers to this objective are shown."""
    return ANSWERS[objective.kind]
