"""What the benchmarks share: interleaved rounds, and tables of ratios beside their goals."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence


def interleaved(contestants: Mapping[str, Callable[[], float]], rounds: int = 5) -> dict[str, float]:
    """The median over `rounds` of what each contestant measures; they take turns, so noise hits all alike."""
    measured: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, measure in contestants.items():
            measured[name].append(measure())
    return {name: statistics.median(values) for name, values in measured.items()}


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns."""
    table = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()
