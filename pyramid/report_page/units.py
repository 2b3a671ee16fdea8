"""Metrics as people read them: errors and losses positive, and those of numbers in the label's own units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pyramid.fields import Objective

NEGATED, SQUARED_ERROR = ("_error", "_loss"), "_squared_error"


@dataclass(frozen=True)
class ShownMetrics:
    """Which metrics people are shown, and in which units.

    Attributes:
        names: of those that are shown.
        label_unit: see `Objective.label_unit`.
    """

    names: tuple[str, ...] = ()
    label_unit: float = 1.0

    @classmethod
    def of_objective(cls, objective: Objective) -> Self:
        """Those that are shown first of models of an objective."""
        return cls(objective.headline, objective.label_unit)

    def of(self, measured: Mapping[str, Any]) -> dict[str, float | None]:
        """Those of the shown metrics that were measured."""
        readable = in_own_units(measured, self.label_unit)
        return {name: readable[name] for name in self.names if name in readable}


def in_own_units(metrics: Mapping[str, Any], label_unit: float) -> dict[str, Any]:
    """Metrics of a training as people read them: there errors and losses are negated, and in standard deviations."""
    return {name: _readable(name, value, label_unit) for name, value in metrics.items()}


def shown_number(value: float | None) -> str:
    """A metric in a few characters; `-` where it is not defined."""
    if value is None:
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e3:
        return f"{value:.4f}"
    return f"{value:.1f}" if 1e3 <= abs(value) < 1e7 else f"{value:.4g}"


def _readable(name: str, value: float | None, label_unit: float) -> float | None:
    if value is None or not name.endswith(NEGATED):
        return value
    factor = label_unit**2 if name.endswith(SQUARED_ERROR) else label_unit
    # adding 0 takes the sign from a zero
    return -value * factor + 0.0
