"""What a fit gives to whoever called it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pyramid.search.leaderboard import Entry
from pyramid.workspace import Workspace


@dataclass(frozen=True)
class FitResult:
    """A final model, and how good it is.

    Attributes:
        workspace: the files that were left.
        leaderboard: the candidates, the best first.
        metrics: of the final model, out of fold, in the objective's own units: each row is predicted by networks, and
            by a choice of networks, that have not seen it. Empty where nothing was chosen.
        test_metrics: on rows held back; None without any.
        warnings: what people should know of the table, of jobs, of the test rows.
        headline: the names of the metrics that tell most.
        seconds: that it took.
    """

    workspace: Workspace
    leaderboard: Sequence[Entry]
    metrics: Mapping[str, float]
    test_metrics: Mapping[str, float] | None
    warnings: Sequence[str]
    headline: tuple[str, ...]
    seconds: float

    @property
    def output(self) -> Path:
        """The directory of everything."""
        return self.workspace.root

    @property
    def document(self) -> Path:
        """The final model's document."""
        return self.workspace.final_model

    def model(self, **settings: Any) -> Any:
        """The final model as a function of rows (see `sensenet.create_model`)."""
        return import_module("sensenet").create_model(self.document, settings)
