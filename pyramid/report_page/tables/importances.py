"""How much each column of the table matters to the final model, and how much its networks differ in that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from pyramid.report_page.bounds import cut
from pyramid.report_page.frame import table
from pyramid.report_page.tables.sources import FitSources

MOST_BARS = 30
BAR_WIDTH, BAR_HEIGHT = 260, 14


@dataclass(frozen=True)
class Importance:
    """The share of one column.

    Attributes:
        mean: in the final model.
        least, most: of any of its networks; None where they are gone.
    """

    column: str
    mean: float
    least: float | None
    most: float | None


def column_importances(sources: FitSources) -> list[Importance]:
    """Of each column that is an input, the most important first; what is made of one column counts as that column."""
    names = [_column(entry, place) for place, entry in enumerate(sources.document["preprocess"])]
    position = {name: place for place, name in enumerate(dict.fromkeys(names))}
    places = np.array([position[name] for name in names], np.int64)
    shares = np.bincount(places, sources.document["importances"], len(position))
    spread: Sequence[tuple[float | None, float | None]] = [(None, None)] * len(position)
    if sources.importances:
        networks = [np.bincount(places, own, len(position)) for own in sources.importances.values()]
        spread = list(zip(np.min(networks, axis=0).tolist(), np.max(networks, axis=0).tolist(), strict=True))
    found = [
        Importance(name, mean, *ends)
        for name, mean, ends in zip(position, shares.tolist(), spread, strict=True)
    ]
    return sorted(found, key=lambda one: -one.mean)


def importances_html(importances: Sequence[Importance], n_networks: int) -> str:
    """Bars of the most important ones.

    Args:
        n_networks: that the spread is of.
    """
    shown = importances[:MOST_BARS]
    rest = (
        ""
        if len(shown) == len(importances)
        else f" The other {len(importances) - len(shown)} have {sum(one.mean for one in importances[MOST_BARS:]):.1%}."
    )
    spread = (
        f" The thin line goes from the least to the most in any of the {n_networks} submodels."
        if n_networks > 1
        else ""
    )
    longest = max((one.most or one.mean for one in shown), default=0.0) or 1.0
    rows = [
        (escape(cut(one.column)), _bar(one, longest, n_networks > 1), f"{one.mean:.2%}", _spread(one))
        for one in shown
    ]
    return (
        f"<p>The share of each column in what moves the predictions (expected gradients).{spread}{rest}</p>"
        + table(("column", "", "share", "least to most"), rows, "numbers")
    )


def _column(entry: Mapping[str, Any], place: int) -> str:
    """The column of the table that an input is made of."""
    return str(entry.get("column") or entry.get("name") or f"field {place}")


def _bar(one: Importance, longest: float, with_spread: bool) -> str:
    middle = BAR_HEIGHT / 2
    long = BAR_WIDTH / longest
    parts = [f'<rect class="bar" width="{max(one.mean * long, 0.5):.1f}" height="{BAR_HEIGHT}"/>']
    if with_spread and one.least is not None and one.most is not None:
        parts.append(
            f'<line class="whisker" x1="{one.least * long:.1f}" x2="{one.most * long:.1f}" '
            f'y1="{middle}" y2="{middle}"/>'
        )
    size = f'viewBox="0 0 {BAR_WIDTH} {BAR_HEIGHT}" width="{BAR_WIDTH}" height="{BAR_HEIGHT}"'
    return f'<svg {size} role="img" aria-label="{one.mean:.2%}">{"".join(parts)}</svg>'


def _spread(one: Importance) -> str:
    return "" if one.least is None or one.most is None else f"{one.least:.2%} to {one.most:.2%}"
