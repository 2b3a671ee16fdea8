"""Drawings of a report, as SVG inside the page: curves, the confusion matrix, truth against prediction.

They are made of plain values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

WIDTH, HEIGHT = 400, 220
CURVE_SIDE = 260
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 26, 30
CELL_SIDE, LONGEST_LABEL, LETTER_WIDTH, TITLE_ROOM = 34, 16, 6.4, 34
LIGHT_ON = 0.6  # squares of more opacity have light numbers
NARROW = 52
"""A band of less has no room for the word."""

Span = tuple[float, float]
Placer = Callable[[float, float], tuple[float, float]]


def curve(
    name: str, points: Sequence[tuple[float, float]], phases: Sequence[Span], kept: tuple[float, float] | None
) -> str:
    """One quantity over the iterations, on bands that are the phases.

    Args:
        points: (iteration, value), at least one; values finite.
        phases: first and last iteration of each phase.
        kept: the check whose weights were kept.
    """
    across, up = (0.0, max(points[-1][0], 1.0)), _widened([value for _, value in points])
    place = _placer(across, up, WIDTH, HEIGHT)
    parts = [_band(number, span, place) for number, span in enumerate(phases)]
    parts += _axes(across, up, WIDTH, HEIGHT)
    path = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in points)
    parts.append(f'<polyline class="line" points="{path}"/>')
    if len(points) <= 60:
        parts += [_dot("dot", place(*point), 2.2, f"{name} {_number(point[1])}") for point in points]
    if kept is not None:
        parts.append(_dot("kept", place(*kept), 4.5, f"kept: {name} {_number(kept[1])}"))
    return _svg(name, WIDTH, HEIGHT, parts)


def precision_recall_chart(name: str, points: Sequence[Span], shown: Span | None) -> str:
    """Precision over recall.

    Args:
        points: (recall, precision), at least one.
        shown: one of them that is marked.
    """
    shares = (0.0, 1.0)
    place = _placer(shares, shares, CURVE_SIDE, CURVE_SIDE)
    parts = _axes(shares, shares, CURVE_SIDE, CURVE_SIDE)
    path = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in points)
    parts.append(f'<polyline class="line" points="{path}"/>')
    if shown is not None:
        told = f"recall {_number(shown[0])}, precision {_number(shown[1])}"
        parts.append(_dot("kept", place(*shown), 4.5, told))
    parts.append(
        f'<text x="{CURVE_SIDE / 2}" y="{CURVE_SIDE - 2}" text-anchor="middle" class="axis">recall</text>'
    )
    parts.append(f'<text x="{LEFT}" y="{TOP - 10}" class="axis">precision</text>')
    return _svg(f"precision over recall of {name}", CURVE_SIDE, CURVE_SIDE, parts)


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
    return _svg("confusion matrix", length + 60, length + 4, parts)


def scatter_plot(points: Sequence[tuple[float, float]]) -> str:
    """Predictions over truths, with the line on which they are equal; `points` are (truth, prediction)."""
    size = 420
    span = _widened([number for point in points for number in point])
    place = _placer(span, span, size, size)
    corners = (*place(span[0], span[0]), *place(span[1], span[1]))
    parts = _axes(span, span, size, size)
    parts.append('<line class="equal" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'.format(*corners))
    parts += [_dot("point", place(*point), 2.8, "") for point in points]
    parts.append(f'<text x="{size / 2}" y="{size - 2}" text-anchor="middle" class="axis">truth</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 10}" class="axis">prediction</text>')
    return _svg("truth against prediction", size, size, parts)


def _svg(name: str, width: int, height: int, parts: Sequence[str]) -> str:
    title = f'role="img" aria-label="{escape(name)}"'
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" {title}>{"".join(parts)}</svg>'


def _placer(across: Span, up: Span, width: int, height: int) -> Placer:
    """The function from a pair of values to its place in the drawing."""

    def place(x: float, y: float) -> tuple[float, float]:
        share_x, share_y = (x - across[0]) / (across[1] - across[0]), (y - up[0]) / (up[1] - up[0])
        return LEFT + share_x * (width - LEFT - RIGHT), height - BOTTOM - share_y * (height - TOP - BOTTOM)

    return place


def _band(number: int, span: Span, place: Placer) -> str:
    (left, _), (right, _) = place(span[0], 0), place(span[1], 0)
    told = f"{number + 1}" if right - left < NARROW else f"phase {number + 1}"
    return (
        f'<rect class="band{number % 2}" x="{left:.1f}" y="{TOP - 18}" width="{max(0.0, right - left):.1f}" '
        f'height="{HEIGHT - BOTTOM - TOP + 18}"/>'
        f'<text class="phase" x="{left + 4:.1f}" y="{TOP - 6}">{told}</text>'
    )


def _axes(across: Span, up: Span, width: int, height: int) -> list[str]:
    place = _placer(across, up, width, height)
    parts = []
    for tick in _ticks(up):
        y = place(across[0], tick)[1]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(tick)}</text>')
    for tick in _ticks(across):
        x = place(tick, up[0])[0]
        parts.append(
            f'<text x="{x:.1f}" y="{height - BOTTOM + 15}" text-anchor="middle">{_number(tick)}</text>'
        )
    return parts


def _ticks(span: Span) -> Iterator[float]:
    """Between three and seven round numbers in `span`."""
    raw = (span[1] - span[0]) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    for number in range(math.ceil(span[0] / step - 1e-9), math.floor(span[1] / step + 1e-9) + 1):
        yield number * step


def _widened(values: Sequence[float]) -> Span:
    """From the least to the largest value with a margin, wide enough to draw in."""
    least, most = min(values), max(values)
    margin = (most - least) * 0.06 or abs(most) * 0.25 or 1.0
    return least - margin, most + margin


def _number(value: float) -> str:
    return f"{value:.4g}"


def _dot(kind: str, place: tuple[float, float], radius: float, title: str) -> str:
    told = f"<title>{escape(title)}</title>" if title else ""
    return f'<circle class="{kind}" cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="{radius}">{told}</circle>'


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
