"""What an evaluation shows: metrics, and of classes how they are taken for each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyramid.errors import DataError
from pyramid.images.rows import listed
from pyramid.train.box_metrics import BoxMetrics
from pyramid.train.confusions import count_confusions, largest_confusions

MOST_TEXT = 60
MOST_CLASSES = 30
"""A confusion matrix of more classes is shown as its largest entries."""

MOST_CONFUSIONS = 30


def class_indices(labels: Sequence[Any], values: Sequence[str]) -> np.ndarray:
    """(rows,): the position of each label in `values`, compared as text.

    Raises:
        DataError: labels that the model does not know; names up to twenty.
    """
    positions = {value: position for position, value in enumerate(values)}
    texts = [_text(label) for label in labels]
    unusable = [f"row {number}: {text}" for number, text in enumerate(texts) if text not in positions]
    if unusable:
        raise DataError(
            f"{len(unusable)} of {len(texts)} labels are no class of the model, whose classes are "
            f"{', '.join(values)!s:.200}:\n{listed(unusable)}"
        )
    return np.array([positions[text] for text in texts])


def numbers(labels: Sequence[Any]) -> np.ndarray:
    """(rows,) float64.

    Raises:
        DataError: labels that are no finite numbers; names up to twenty.
    """
    unusable = [
        f"row {number}: {label!r:.80}" for number, label in enumerate(labels) if not _is_number(label)
    ]
    if unusable:
        raise DataError(
            f"{len(unusable)} of {len(labels)} labels are no finite numbers, which the model predicts:\n"
            f"{listed(unusable)}"
        )
    return np.array(labels, np.float64)


def metrics_report(measured: Mapping[str, float]) -> str:
    """All metrics, one a line; errors as positive numbers.

    Args:
        measured: as `pyramid.train.metrics` gives them, errors negated.
    """
    shown = {name: -value if name.endswith("_error") else value for name, value in measured.items()}
    width = max(map(len, shown))
    # adding 0 takes the sign from a zero
    return "\n".join(f"{name:{width}}  {value + 0.0:.6g}" for name, value in shown.items())


def confusion_report(truth: np.ndarray, predicted: np.ndarray, values: Sequence[str]) -> str:
    """Recall and precision of each class, and how often each was taken for which.

    Args:
        truth, predicted: (rows,) positions in `values`.
    """
    values, n_classes = [" ".join(value.split())[:MOST_TEXT] for value in values], len(values)
    matrix = count_confusions(truth, predicted, n_classes)
    shares = _table([["class", "rows", "recall", "precision"], *_class_rows(matrix, values)])
    if n_classes > MOST_CLASSES:
        return f"{shares}\n\nmost frequent confusions\n{_largest(matrix, values)}"
    names = [value if len(value) <= 16 else value[:15] + "…" for value in values]
    rows = [
        ["truth \\ predicted", *names],
        *([name, *map(str, row)] for name, row in zip(names, matrix.tolist(), strict=True)),
    ]
    return f"{shares}\n\nconfusion matrix\n{_table(rows)}"


def box_report(metrics: BoxMetrics, values: Sequence[str], threshold: float) -> str:
    """Mean average precisions, and of each class its own, precision and recall; a dash where they are undefined.

    Args:
        metrics: of boxes with any score.
        values: the names of the classes.
        threshold: precision and recall are those of boxes whose score is above it.
    """
    means = metrics_report({"mAP_50": metrics.map_50, "mAP_50_95": metrics.map_50_95})
    shares = np.stack([metrics.ap_50, metrics.ap_50_95, *metrics.precision_recall_at(threshold)], axis=1)
    rows = [
        [" ".join(value.split())[:MOST_TEXT], str(truths), *map(_rounded, row)]
        for value, truths, row in zip(values, metrics.truths, shares, strict=True)
    ]
    table = _table([["class", "truths", "AP_50", "AP_50_95", "precision", "recall"], *rows])
    return f"{means}\n\n{table}\n\nprecision and recall are those of boxes with a score above {threshold:g}"


def _class_rows(matrix: np.ndarray, values: Sequence[str]) -> list[list[str]]:
    hits, there, said = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return [
        [value, str(there[place]), _share(hits[place], there[place]), _share(hits[place], said[place])]
        for place, value in enumerate(values)
    ]


def _largest(matrix: np.ndarray, values: Sequence[str]) -> str:
    largest = largest_confusions(matrix, MOST_CONFUSIONS)
    return _table(
        [["truth", "rows", "predicted"], *([values[a], str(rows), values[b]] for a, b, rows in largest)]
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else "-"


def _rounded(share: float) -> str:
    return "-" if np.isnan(share) else f"{share:.4f}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            f"{cell:{width}}" if column == 0 else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _is_number(label: Any) -> bool:
    return isinstance(label, (int, float)) and not isinstance(label, bool) and bool(np.isfinite(label))


def _text(label: Any) -> str:
    """A label as the classes of documents are written."""
    if isinstance(label, bool):
        return str(label).lower()
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)
