"""The columns of a table in a few figures, as reports show them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pyramid.frames.facts import ColumnFacts
from pyramid.frames.kinds import Kind
from pyramid.frames.moments import Moments

TOP_VALUES = 10
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
HISTOGRAM_BINS = 20


@dataclass(frozen=True)
class ColumnSummary:
    """A column of the table.

    Attributes:
        name: of the column.
        kind: numeric, categorical, date, image, or "" where it is left out.
        role: input, weight or objective.
        rows, missing: how many rows have an objective, and how many of these have no value here that counts.
        distinct: how many different values there are; None: more than were counted.
        top: the most frequent values and how often they stand: [[value, count], ...], at most ten.
        mean, stdev: of numbers (dates: in seconds since 1970).
        quantiles: of numbers: [[share, value], ...].
        edges, counts: of numbers: a histogram, `len(edges) == len(counts) + 1`.
    """

    name: str
    kind: str
    role: str
    rows: int
    missing: int
    distinct: int | None
    top: list[list[Any]]
    mean: float | None = None
    stdev: float | None = None
    quantiles: list[list[float]] | None = None
    edges: list[float] | None = None
    counts: list[int] | None = None

    def dump(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def summarize(
    facts: ColumnFacts, kind: Kind, role: str, n_rows: int, values: np.ndarray | None
) -> ColumnSummary:
    """The summary of a column.

    Args:
        values: of numbers and dates: some of them, NaN for missing ones.
    """
    moments = _moments(facts, kind)
    top = facts.values.frame.head(TOP_VALUES)
    summary = ColumnSummary(
        name=facts.name,
        kind=kind.name,
        role=role,
        rows=n_rows,
        missing=n_rows - (facts.n_present if moments is None else moments.count),
        distinct=len(facts.values) if facts.values.is_complete else None,
        top=[list(row) for row in top.iter_rows()],
    )
    known = np.empty(0) if values is None else values[~np.isnan(values)]
    if moments is None or not len(known):
        return summary
    counts, edges = _histogram(known)
    return ColumnSummary(
        **asdict(summary)
        | {
            **moments.statistics,
            "quantiles": [
                list(pair) for pair in zip(QUANTILES, np.quantile(known, QUANTILES).tolist(), strict=True)
            ],
            "edges": edges.tolist(),
            "counts": counts.tolist(),
        }
    )


def _histogram(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts and edges; one bin where there are not as many floats as bins between the numbers."""
    low, high = known.min(), known.max()
    least = 2 * HISTOGRAM_BINS * np.spacing(max(abs(low), abs(high)))
    if high - low >= least:
        return np.histogram(known, HISTOGRAM_BINS)
    return np.histogram(known, 1, (low - least, high + least))


def _moments(facts: ColumnFacts, kind: Kind) -> Moments | None:
    """Those of the numbers that count, or of the times of dates."""
    if kind.name == "date":
        return facts.parts[kind.day_first, "timestamp"]
    return facts.numbers if kind.name == "numeric" else None
