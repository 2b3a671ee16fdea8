"""Metrics as people read them: errors positive, and those of numbers in the label's own units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ERROR, SQUARED_ERROR = "_error", "_squared_error"


@dataclass(frozen=True)
class ShownMetrics:
    """Which metrics people are shown, and in which units.

    Attributes:
        names: of those that are shown.
        objective: the last field of `info_list`.
    """

    names: tuple[str, ...] = ()
    objective: Mapping[str, Any] = field(default_factory=dict)

    def of(self, measured: Mapping[str, Any]) -> dict[str, float | None]:
        """Those of the shown metrics that were measured."""
        readable = in_own_units(measured, self.objective)
        return {name: readable[name] for name in self.names if name in readable}


def in_own_units(metrics: Mapping[str, Any], objective: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics of a training, whose errors are negated and, of numbers, in standard deviations, as people read them."""
    scale = (objective.get("stdev") or 1.0) if objective.get("type") == "numeric" else 1.0
    return {name: _readable(name, value, scale) for name, value in metrics.items()}


def shown_number(value: float | None) -> str:
    """A metric in a few characters; `-` where it is not defined."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"


def _readable(name: str, value: float | None, scale: float) -> float | None:
    if value is None or not name.endswith(ERROR):
        return value
    factor = scale**2 if name.endswith(SQUARED_ERROR) else scale
    # adding 0 takes the sign from a zero
    return -value * factor + 0.0
