"""What the benchmarks share: fresh processes, interleaved rounds, and tables of ratios beside their goals."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def median_seconds(call: Callable[[], Any], repeats: int) -> float:
    """The median of what `repeats` calls take."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


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


def in_a_process(
    command: list[str], stream: str, checkout: Path = Path(__file__).parents[1]
) -> dict[str, float]:
    """The figures that `command` prints as JSON on its last line of `stream`.

    Our own Python imports the packages of `checkout`.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if command[0] == sys.executable:
        environment["PYTHONPATH"] = str(checkout)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=tempfile.gettempdir()
    )
    lines = getattr(done, stream).strip().splitlines()
    if done.returncode or not lines:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(lines[-1]))
