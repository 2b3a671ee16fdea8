"""What each holdout check of a training found, for whoever draws or logs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
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


OnCheck = Callable[[Check], None]
"""Told of every check as it happens, however quickly they follow each other."""


def both(first: OnCheck, second: OnCheck) -> OnCheck:
    """Two who want to know, as one."""

    def hear(check: Check) -> None:
        first(check)
        second(check)

    return hear


def unheard(check: Check) -> None:
    """Nobody wants to know of the checks."""
