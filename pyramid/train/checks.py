"""What each holdout check of a training found, for whoever draws or logs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pyramid.fields import Objective

Look = Callable[[np.ndarray], list[tuple[str, np.ndarray]]]
"""The files and the (height, width, 3) uint8 pixels of the images at some positions in the holdout."""


@dataclass(frozen=True, eq=False)
class HoldoutAnswers:
    """What a network says of the holdout images, beside what is true.

    Attributes:
        truth: (images, ...) labels.
        outputs: of all images, as the objective's `evaluate` takes them.
        look: reads images.
    """

    objective: Objective
    truth: np.ndarray
    outputs: Any
    look: Look


@dataclass(frozen=True)
class HoldoutCheck:
    """One holdout check with finite numbers.

    Attributes:
        iteration: optimiser steps before it, in all.
        seconds: of training before it.
        loss: mean training loss of the last steps.
        metrics: of the holdout; larger is better.
        kept: the weights were at least as good as the best so far.
        phase: of the training, counted from 1.
        learning_rate: at this iteration; None where nobody said.
        answers: what was judged, for pictures of it; None where the rows are not images any more.
    """

    iteration: int
    seconds: float
    loss: float
    metrics: Mapping[str, float]
    kept: bool
    phase: int = 1
    learning_rate: float | None = None
    answers: HoldoutAnswers | None = field(default=None, repr=False, compare=False)


@dataclass
class CheckLog:
    """The checks of a training without what their networks say, which is kept of the best so far alone.

    Attributes:
        answers: None before the first check, and where the best has none.
    """

    checks: list[HoldoutCheck] = field(default_factory=list)
    answers: HoldoutAnswers | None = None

    def add(self, check: HoldoutCheck) -> None:
        """Note a check."""
        self.checks.append(replace(check, answers=None))
        if check.kept:
            self.answers = check.answers


OnCheck = Callable[[HoldoutCheck], None]
"""Told of every check as it happens, however quickly they follow each other."""


def call_both(first: OnCheck, second: OnCheck) -> OnCheck:
    """One callback that calls both, `first` first."""

    def notify(check: HoldoutCheck) -> None:
        first(check)
        second(check)

    return notify


def ignore_check(check: HoldoutCheck) -> None:
    """Do nothing: nobody asked for the checks."""
