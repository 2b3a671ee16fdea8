"""The demo's first part: from a table, as people have it, to a model and to predictions, by two commands.

The table is that of the penguins of the Palmer Archipelago, as they were measured (Gorman, Williams and Fraser 2014,
https://doi.org/10.1371/journal.pone.0090081; public domain, CC0): categories, missing values, dates, comments, ids.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from demo_commands import run

TABLE = Path(__file__).with_name("penguins.csv")
OBJECTIVE = "Sex"
SECONDS = 20
TEST_SHARE = 0.25
SHOWN = ("Species", "Culmen Depth (mm)", "Body Mass (g)", OBJECTIVE)
N_SHOWN = 5


def show_table(commands: Path, root: Path) -> None:
    """Fit a model of a column, predict with it, and show some rows.

    Args:
        commands: the directory of the commands.
        root: where everything is written; what an earlier demo left there is removed.
    """
    print(
        f"A table of penguins with missing values and dates; which are males? {SECONDS} seconds for a model:\n"
    )
    shutil.rmtree(root, ignore_errors=True)
    model, predictions = root / "final_model.json", root / "predictions.csv"
    options = ("--time", str(SECONDS), "--test-share", str(TEST_SHARE), "--output", root)
    run(commands / "pyramid_fit", TABLE, "--objective", OBJECTIVE, *options)
    print()
    run(commands / "sensenet_predict", model, TABLE, "--probabilities", "--output", predictions)
    print("\n" + "\n".join(first_rows(predictions)) + "\n")


def first_rows(predictions: Path) -> list[str]:
    """Some columns of the table beside what is predicted of them."""
    with TABLE.open(newline="") as given, predictions.open(newline="") as predicted:
        rows = list(zip(csv.DictReader(given), csv.DictReader(predicted), strict=True))[:N_SHOWN]
    header = [*SHOWN, *rows[0][1]]
    lines = [[*(row[name] or "-" for name in SHOWN), *answer.values()] for row, answer in rows]
    widths = [max(len(line[column]) for line in (header, *lines)) for column in range(len(header))]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in (header, *lines)]
