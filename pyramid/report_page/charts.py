"""Drawings of a report, as SVG inside the page: curves, the confusion matrix, truth against prediction, histograms.

They are made of plain values.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pyramid.report_page.svg import (
    BOTTOM,
    TOP,
    Placer,
    Span,
    axes,
    axis_names,
    dot,
    path,
    placer,
    short_number,
    svg,
    widened,
)

WIDTH, HEIGHT = 400, 220
CURVE_SIDE = 260
SCATTER_SIDE = 420
CELL_SIDE, LONGEST_LABEL, LETTER_WIDTH, TITLE_ROOM = 34, 16, 6.4, 34
LIGHT_ON = 0.6  # squares of more opacity have light numbers
NARROW = 52
"""A band of less has no room for the word."""

SHARES = (0.0, 1.0)


def curve(
    name: str, points: Sequence[tuple[float, float]], phases: Sequence[Span], kept: tuple[float, float] | None
) -> str:
    """One quantity over the iterations, on bands that are the phases.

    Args:
        points: (iteration, value), at least one; values finite.
        phases: first and last iteration of each phase.
        kept: the check whose weights were kept.
    """
    across, up = (0.0, max(points[-1][0], 1.0)), widened([value for _, value in points])
    place = placer(across, up, WIDTH, HEIGHT)
    parts = [_band(number, span, place) for number, span in enumerate(phases)]
    parts += [*axes(across, up, WIDTH, HEIGHT), path("line", points, place)]
    if len(points) <= 60:
        parts += [dot("dot", place(*point), 2.2, f"{name} {short_number(point[1])}") for point in points]
    if kept is not None:
        parts.append(dot("kept", place(*kept), 4.5, f"kept: {name} {short_number(kept[1])}"))
    return svg(name, WIDTH, HEIGHT, parts)


def precision_recall_chart(name: str, points: Sequence[Span], shown: Span | None) -> str:
    """Precision over recall.

    Args:
        points: (recall, precision), at least one.
        shown: one of them that is marked.
    """
    marks = []
    if shown is not None:
        marks.append((shown, f"recall {short_number(shown[0])}, precision {short_number(shown[1])}"))
    return shares_chart(
        f"precision over recall of {name}", ("recall", "precision"), [("line", points)], marks
    )


def shares_chart(
    name: str,
    axes_of: tuple[str, str],
    lines: Sequence[tuple[str, Sequence[Span]]],
    marks: Sequence[tuple[Span, str]] = (),
    side: int = CURVE_SIDE,
) -> str:
    """Lines in a square from 0 to 1.

    Args:
        axes_of: what is drawn to the right, and upwards.
        lines: the class of the line in the style, and its points.
        marks: points with rings around them, and their titles.
    """
    place = placer(SHARES, SHARES, side, side)
    parts = axes(SHARES, SHARES, side, side)
    parts += [path(kind, points, place) for kind, points in lines]
    parts += [dot("kept", place(*point), 4.5, told) for point, told in marks]
    return svg(name, side, side, [*parts, *axis_names(*axes_of, side, side)])


def confusion_matrix(classes: Sequence[str], rows: Sequence[Sequence[int]]) -> str:
    """Counts in squares, a row a true class, darker for a larger share of the row; errors are red.

    Args:
        classes: their names.
        rows: for each true class how many were predicted as each class.
    """
    names = [_short(name) for name in classes]
    room = round(TITLE_ROOM + LETTER_WIDTH * max(map(len, names)))  # of the names, above and on the left
    length = room + len(names) * CELL_SIDE
    centre = (room + length) // 2
    parts = [
        f'<text x="{centre}" y="12" text-anchor="middle" class="axis">predicted</text>',
        f'<text transform="translate(12 {centre}) rotate(-90)" text-anchor="middle" class="axis">true</text>',
    ]
    for place, name in enumerate(map(escape, names)):
        middle = room + place * CELL_SIDE + CELL_SIDE // 2
        parts.append(f'<text x="{room - 6}" y="{middle + 4}" text-anchor="end">{name}</text>')
        parts.append(f'<text transform="translate({middle + 4} {room - 6}) rotate(-60)">{name}</text>')
    for row, counts in enumerate(rows):
        total = max(1, sum(counts))
        for column, count in enumerate(counts):
            where = f"{classes[row]} predicted as {classes[column]}: {count}"
            corner = room + column * CELL_SIDE, room + row * CELL_SIDE
            parts.append(_cell(corner, row == column, count, count / total, where))
    return svg("confusion matrix", length + 60, length + 4, parts)


def scatter_plot(points: Sequence[tuple[float, float]]) -> str:
    """Predictions over truths, with the line on which they are equal; `points` are (truth, prediction)."""
    span = widened([number for point in points for number in point])
    even = [(span[0], span[0]), (span[1], span[1])]
    return _scatter("truth against prediction", ("truth", "prediction"), points, (span, span), even)


def residual_plot(points: Sequence[tuple[float, float]]) -> str:
    """Residuals over predictions, with the line of none; `points` are (prediction, residual)."""
    across, up = (widened(values) for values in zip(*points, strict=True))
    names = "prediction", "prediction - truth"
    return _scatter(
        "residuals over predictions", names, points, (across, up), [(across[0], 0.0), (across[1], 0.0)]
    )


def histogram(name: str, edges: Sequence[float], counts: Sequence[int], unit: str) -> str:
    """How many there are between each two of the edges, which rise.

    Args:
        unit: what the edges are values of.
    """
    across, up = (edges[0], edges[-1]), (0.0, 1.08 * max(*counts, 1))
    place = placer(across, up, WIDTH, HEIGHT)
    parts = axes(across, up, WIDTH, HEIGHT)
    for least, most, count in zip(edges, edges[1:], counts, strict=False):
        (left, top), (right, bottom) = place(least, count), place(most, 0)
        told = f"{short_number(least)} to {short_number(most)}: {count}"
        parts.append(
            f'<rect class="bar" x="{left:.1f}" y="{top:.1f}" width="{max(0.5, right - left - 1):.1f}" '
            f'height="{bottom - top:.1f}"><title>{told}</title></rect>'
        )
    return svg(name, WIDTH, HEIGHT, [*parts, *axis_names(unit, "rows", WIDTH, HEIGHT)])


def _scatter(
    name: str,
    axes_of: tuple[str, str],
    points: Sequence[tuple[float, float]],
    spans: tuple[Span, Span],
    even: Sequence[tuple[float, float]],
) -> str:
    place = placer(*spans, SCATTER_SIDE, SCATTER_SIDE)
    parts = [*axes(*spans, SCATTER_SIDE, SCATTER_SIDE), path("equal", even, place)]
    parts += [dot("point", place(*point), 2.8, "") for point in points]
    return svg(name, SCATTER_SIDE, SCATTER_SIDE, [*parts, *axis_names(*axes_of, SCATTER_SIDE, SCATTER_SIDE)])


def _band(number: int, span: Span, place: Placer) -> str:
    (left, _), (right, _) = place(span[0], 0), place(span[1], 0)
    told = f"{number + 1}" if right - left < NARROW else f"phase {number + 1}"
    return (
        f'<rect class="band{number % 2}" x="{left:.1f}" y="{TOP - 18}" width="{max(0.0, right - left):.1f}" '
        f'height="{HEIGHT - BOTTOM - TOP + 18}"/>'
        f'<text class="phase" x="{left + 4:.1f}" y="{TOP - 6}">{told}</text>'
    )


def _cell(corner: tuple[int, int], is_right: bool, count: int, share: float, told: str) -> str:
    (x, y), kind = corner, "right" if is_right else "wrong"
    opacity = 0.0 if count == 0 else 0.15 + 0.85 * share
    number = (
        f'<text x="{x + CELL_SIDE // 2}" y="{y + CELL_SIDE // 2 + 4}" text-anchor="middle" '
        f'class="{"light" if opacity > LIGHT_ON else "dark"}">{_counted(count)}</text>'
    )
    return (
        f'<g><title>{escape(told)}</title><rect class="cell" x="{x}" y="{y}" width="{CELL_SIDE}" '
        f'height="{CELL_SIDE}"/><rect class="{kind}" x="{x}" y="{y}" width="{CELL_SIDE - 1}" '
        f'height="{CELL_SIDE - 1}" fill-opacity="{opacity:.2f}"/>{number if count else ""}</g>'
    )


def _counted(count: int) -> str:
    """Fits into a square."""
    return str(count) if count < 10_000 else f"{count / 1000:.0f}k"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"
