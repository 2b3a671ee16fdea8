"""What the demo shows of finished models: how good they are beside a simple rival, and where to look further."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from demo_data import Scans, Table
from PIL import Image
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sensenet
from pyramid.train.metrics import evaluate_classes, evaluate_numbers

ROOT = Path(__file__).parents[1]
COLUMNS = ("data set", "test rows", "metric", "pyramid", "rival", "which is")
MOST_ITERATIONS = 5000
N_IMPORTANCES = 3


class Comparison(NamedTuple):
    """A model and its rival on test rows that neither has seen."""

    title: str
    n_rows: int
    metric: str
    ours: float
    rivals: float
    rival: str

    def cells(self) -> list[str]:
        """Its line in the table."""
        return [
            self.title,
            str(self.n_rows),
            self.metric,
            f"{self.ours:.4f}",
            f"{self.rivals:.4f}",
            self.rival,
        ]


def show(
    tables: Sequence[tuple[Table, Path]],
    scans: Scans,
    networks: Sequence[tuple[str, Path]],
    root: Path,
) -> None:
    """Print it all.

    Args:
        tables: each with the path of its final model.
        networks: names of the networks that learnt the scans, each with the path of its final model.
    """
    comparisons, predictions = [], []
    for table, path in tables:
        model = sensenet.create_model(path)
        comparisons.append(compare_table(table, model))
        predictions.append(told_table(table, model, json.loads(path.read_text())["importances"]))
    for network, path in networks:
        model = sensenet.create_model(path, {"image_path_prefix": str(scans.directory)})
        comparisons.append(compare_scans(network, scans, model))
        predictions.append(told_scan(network, scans, model))
    print("\nOn rows and images that the jobs never saw, beside the simplest of scikit-learn:\n")
    print(aligned([list(COLUMNS), *(comparison.cells() for comparison in comparisons)]))
    print("\nA prediction of each, and what matters most to it:\n")
    print("\n".join(predictions))
    print(further([path for _, path in tables], [path for _, path in networks], root))


def compare_table(table: Table, model: Any) -> Comparison:
    """The model of a table beside a linear one."""
    truth, predictions = table.test[:, -1], np.asarray(model(as_points(table)))
    is_number = table.info_list[-1]["type"] == "numeric"
    rival = LinearRegression() if is_number else LogisticRegression(max_iter=MOST_ITERATIONS)
    # a category of two values is a number as well as any
    rival = make_pipeline(StandardScaler(), rival).fit(table.rows[:, :-1], table.rows[:, -1])
    if is_number:
        metric, kind = "r_squared", "linear regression"
        ours = evaluate_numbers(truth, predictions[:, 0])[metric]
    else:
        metric, kind = "accuracy", "logistic regression"
        ours = evaluate_classes(truth.astype(int), predictions)[metric]
    return Comparison(table.title, len(truth), metric, ours, rival.score(table.test[:, :-1], truth), kind)


def compare_scans(network: str, scans: Scans, model: Any) -> Comparison:
    """The model of the scans beside a linear one of their pixels."""
    truth = [row["label"] for row in scans.test]
    predictions = np.asarray(model([[row["file"]] for row in scans.test]))
    ours = evaluate_classes(np.array(truth), predictions)["accuracy"]
    rival = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MOST_ITERATIONS))
    rival.fit(pixels(scans, scans.training), [row["label"] for row in scans.training])
    rivals = rival.score(pixels(scans, scans.test), truth)
    return Comparison(f"digits, {network}", len(truth), "accuracy", ours, rivals, "logistic regression")


def pixels(scans: Scans, rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """(images, 64): their greys."""
    return np.array([np.asarray(Image.open(scans.directory / row["file"])).ravel() for row in rows], float)


def told_table(table: Table, model: Any, importances: Sequence[float]) -> str:
    """A prediction of the first test row, its truth, and the fields that matter most."""
    point, objective = as_points(table)[0], table.info_list[-1]
    predicted, truth = np.ravel(model(point)), describe(objective, table.test[0, -1])
    largest = sorted(zip(importances, table.names, strict=True), reverse=True)[:N_IMPORTANCES]
    fields = ", ".join(f"{name} {share:.0%}" for share, name in largest)
    said = (
        f"{predicted[0]:.1f}" if objective["type"] == "numeric" else likeliest(objective["values"], predicted)
    )
    shown = ", ".join(f"{name} {value}" for name, value in list(point.items())[:N_IMPORTANCES])
    return f"  {table.title}: {shown}, ...: {said} (the truth: {truth}); importances: {fields}"


def told_scan(network: str, scans: Scans, model: Any) -> str:
    """A prediction of the first test scan, and its truth."""
    first = scans.test[0]
    said = likeliest(scans.info_list[-1]["values"], np.ravel(model(first["file"])))
    return f"  digits, {network}: {first['file']} is a {said} (the truth: {first['label']})"


def likeliest(values: Sequence[str], probabilities: np.ndarray) -> str:
    """The class of the largest probability."""
    place = int(probabilities.argmax())
    return f"{values[place]} {probabilities[place]:.1%}"


def further(tables: Sequence[Path], networks: Sequence[Path], root: Path) -> str:
    """Where to look, and what to try next."""
    reports = "\n".join(f"  {path.parent / 'report.html'}" for path in networks)
    return f"""
How the trainings of images went, as pages for a browser:
{reports}
The models, with weights, bundles and the job files beside them:
  {root}
Predict with one:
  >>> import sensenet
  >>> sensenet.create_model("{tables[0]}")
Next:
  bin/demo --protocol            the lines between an orchestrator and the worker
  pyramid_train config.json      from a folder of images to a model: {ROOT / "docs" / "training-images.md"}
  {ROOT / "README.md"}: the job types; {ROOT / "docs" / "settings.md"}: their keys"""


def as_points(table: Table) -> list[dict[str, Any]]:
    """The test rows as people pass them: numbers, and categories by name, by the names of their fields."""
    fields = table.info_list[:-1]
    return [
        {field["name"]: describe(field, value) for field, value in zip(fields, row, strict=False)}
        for row in table.test
    ]


def describe(field: dict[str, Any], value: float) -> Any:
    """A raw value as people write it."""
    return str(field["values"][int(value)]) if field["type"] == "categorical" else float(value)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table of text: numbers on the right, words on the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            f"{cell:>{width}}" if column in (1, 3, 4) else f"{cell:{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(f"  {line}".rstrip() for line in lines)
