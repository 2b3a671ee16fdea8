"""What all drawings of a report are made of: the frame, the axes, lines and dots, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

LEFT, RIGHT, TOP, BOTTOM = 56, 12, 26, 30

Span = tuple[float, float]
Placer = Callable[[float, float], tuple[float, float]]


def svg(name: str, width: int, height: int, parts: Sequence[str]) -> str:
    """A drawing of its parts, in pixels.

    Args:
        name: what it shows, for those who cannot see it.
    """
    title = f'role="img" aria-label="{escape(name)}"'
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" {title}>{"".join(parts)}</svg>'


def placer(across: Span, up: Span, width: int, height: int) -> Placer:
    """The function from a pair of values to its place in the drawing."""

    def place(x: float, y: float) -> tuple[float, float]:
        share_x, share_y = (x - across[0]) / (across[1] - across[0]), (y - up[0]) / (up[1] - up[0])
        return LEFT + share_x * (width - LEFT - RIGHT), height - BOTTOM - share_y * (height - TOP - BOTTOM)

    return place


def axes(across: Span, up: Span, width: int, height: int) -> list[str]:
    """Grid lines and numbers at round values."""
    place = placer(across, up, width, height)
    parts = []
    for tick in ticks(up):
        y = place(across[0], tick)[1]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short_number(tick)}</text>')
    for tick in ticks(across):
        x = place(tick, up[0])[0]
        parts.append(
            f'<text x="{x:.1f}" y="{height - BOTTOM + 15}" text-anchor="middle">{short_number(tick)}</text>'
        )
    return parts


def ticks(span: Span) -> Iterator[float]:
    """Between three and seven round numbers in `span`."""
    raw = (span[1] - span[0]) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    for number in range(math.ceil(span[0] / step - 1e-9), math.floor(span[1] / step + 1e-9) + 1):
        yield number * step


def widened(values: Sequence[float]) -> Span:
    """From the least to the largest value with a margin, wide enough to draw in."""
    least, most = min(values), max(values)
    margin = (most - least) * 0.06 or abs(most) * 0.25 or 1.0
    return least - margin, most + margin


def path(kind: str, points: Iterable[tuple[float, float]], place: Placer) -> str:
    """A line through pairs of values."""
    told = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in points)
    return f'<polyline class="{kind}" points="{told}"/>'


def axis_names(across: str, up: str, width: int, height: int) -> list[str]:
    """What the axes show, below and above on the left."""
    return [
        f'<text x="{width / 2}" y="{height - 2}" text-anchor="middle" class="axis">{escape(across)}</text>',
        f'<text x="{LEFT}" y="{TOP - 10}" class="axis">{escape(up)}</text>',
    ]


def short_number(value: float) -> str:
    """Four digits, and as many zeros as a whole number needs."""
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def dot(kind: str, place: tuple[float, float], radius: float, title: str) -> str:
    """A circle, with a title that shows under the pointer where it is not empty."""
    told = f"<title>{escape(title)}</title>" if title else ""
    return f'<circle class="{kind}" cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="{radius}">{told}</circle>'
