"""What each holdout check of a training found, for whoever draws or logs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


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
    """

    iteration: int
    seconds: float
    loss: float
    metrics: Mapping[str, float]
    kept: bool
    phase: int = 1
    learning_rate: float | None = None


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
