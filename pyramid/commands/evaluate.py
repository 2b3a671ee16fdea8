"""The command `pyramid_evaluate MODEL DATA`: how good a model is on rows or a table, or a detector on boxes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.commands.console import CommandError, make_parser, read_json_file, run_command
from pyramid.commands.image_batches import predict_batches
from pyramid.commands.labelled_rows import BoxRows, LabelledRows, read_rows
from pyramid.commands.scores import class_indices, confusion_report, metrics_report, numbers
from pyramid.progress import ignore
from pyramid.train.metrics import evaluate_classes, evaluate_numbers
from sensenet.commands.reading_options import add_reading_options, reading_of, warn
from sensenet.document.wording import counted
from sensenet.errors import ModelFormatError

PROGRAM = "pyramid_evaluate"
DEFAULT_THRESHOLD = 0.5
ROWS_SUFFIX = ".json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: those of the command line (default: `sys.argv`).

    Returns:
        The exit code: 0, 1 for anything that went wrong, 130 after an interrupt.

    Raises:
        SystemExit: 2 on wrong arguments, 0 after `--help` and `--version`.
    """
    parser = make_parser(
        PROGRAM,
        "Predicts labelled rows with a model and prints its metrics, of a classifier the confusion matrix, too, "
        "and of a detector what it is worth for each class.",
    )
    parser.add_argument("model", type=Path, help="a model document (.json, .json.gz) or a bundle (.smbundle)")
    parser.add_argument(
        "data",
        type=Path,
        help="a JSON file (a list of labelled rows, or a config of pyramid_train), or a table (CSV, JSON lines, "
        "Parquet)",
    )
    parser.add_argument(
        "--objective",
        metavar="COLUMN",
        help="of a table: the column of the truth (default: the one that has the name of the model's objective)",
    )
    add_reading_options(parser)
    parser.add_argument(
        "--image-root", metavar="DIR", help="the folder of image files, in place of the data's image_root"
    )
    parser.add_argument(
        "--allow-outside-root", action="store_true", help="take image files that lie outside of that folder"
    )
    parser.add_argument(
        "--threshold",
        type=_share,
        metavar="SCORE",
        help="of a detector: precision and recall are those of boxes with a score above it (default: "
        f"{DEFAULT_THRESHOLD})",
    )
    parser.add_argument(
        "--draw",
        type=Path,
        metavar="DIR",
        help="of a detector: write each picture with these boxes, and the true ones dashed, into this folder",
    )
    parsed = parser.parse_args(arguments)
    return run_command(PROGRAM, parsed.debug, lambda: _run(parsed))


def _run(parsed: argparse.Namespace) -> None:
    if not parsed.model.is_file():
        raise CommandError(f"{parsed.model} cannot be read: it is no file")
    if parsed.objective is not None or parsed.data.suffix.lower() != ROWS_SUFFIX:
        _evaluate_table(parsed)
        return
    data = read_json_file(parsed.data)
    if isinstance(data, dict) and isinstance(data.get("training_data"), str):
        data = import_module("pyramid.commands.training_data").with_rows(data, ignore)
    in_lists = isinstance(data, list) and any(isinstance(row, list) for row in data)
    rows = read_rows(data, _class_index(parsed.model) if in_lists else None)
    root = rows.image_root if parsed.image_root is None else parsed.image_root
    allows = rows.allow_outside_root or parsed.allow_outside_root
    rows = replace(rows, image_root=root, allow_outside_root=allows)
    if isinstance(rows, BoxRows):
        threshold = DEFAULT_THRESHOLD if parsed.threshold is None else parsed.threshold
        module = import_module("pyramid.commands.box_evaluation")
        module.evaluate_detector(parsed.model, rows, threshold, parsed.draw)
        return
    if parsed.threshold is not None or parsed.draw is not None:
        raise CommandError('--threshold and --draw are for detectors, whose rows are {"file", "boxes"}')
    _evaluate_labels(parsed.model, rows)


def _evaluate_table(parsed: argparse.Namespace) -> None:
    source = import_module("sensenet.tables.source").open_table(parsed.data, reading_of(parsed), warn)
    model = _labelling_model(parsed.model, parsed.image_root or str(source.folder))
    evaluation = import_module("pyramid.tables.evaluation")
    found = evaluation.evaluate_table(model, source, parsed.objective, parsed.no_header)
    for warning in found.warnings:
        warn(warning)
    if found.rows_without_truth:
        warn(f"left out for want of a truth: {counted(found.rows_without_truth, 'row')}")
    _report(model, found.truth, found.outputs)


def _labelling_model(path: Path, image_root: str) -> Any:
    try:
        model = import_module("sensenet").create_model(path, {"image_path_prefix": image_root})
    except ModelFormatError as error:
        raise CommandError(f"{path}: {error}") from error
    if hasattr(model, "arrays"):
        raise CommandError(f'{path} finds boxes, so its rows are {{"file", "boxes"}}, but these have labels')
    return model


def _evaluate_labels(path: Path, rows: LabelledRows) -> None:
    model = _labelling_model(path, rows.image_root)
    if model._classes is None:
        truth = numbers(rows.labels)
    else:
        truth = class_indices(rows.labels, model._classes)
    predictions = _predict(model, rows)
    if len(predictions) != len(truth):
        raise CommandError(f"the model takes the {len(truth)} rows for {len(predictions)}")
    _report(model, truth, predictions)


def _report(model: Any, truth: np.ndarray, predictions: np.ndarray) -> None:
    print(f"{len(truth)} rows")
    if model._classes is None:
        print(metrics_report(evaluate_numbers(truth, predictions[:, 0])))
        return
    print(metrics_report(evaluate_classes(truth, predictions)))
    print()
    print(confusion_report(truth, predictions.argmax(axis=1), model._classes))


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text!r}")
    return share


def _class_index(path: Path) -> int | None:
    """Where the truth stands in rows that are lists: the model document's `class_index`; None of a bundle."""
    module = import_module("sensenet.document.file")
    try:
        document = module.read_document(path)
    except (ModelFormatError, OSError):
        return None
    place = document.get("class_index") if isinstance(document, dict) else None
    return place if isinstance(place, int) and not isinstance(place, bool) and place >= 0 else None


def _predict(model: Any, rows: LabelledRows) -> np.ndarray:
    """(rows, outputs); images with a bar on standard error."""
    if not rows.are_images:
        return np.asarray(model(list(rows.inputs)))
    predict = import_module("sensenet.models.image").ImageModel(model)
    batches = predict_batches(predict, rows.inputs, rows)
    return np.concatenate([np.asarray(predicted) for predicted in batches])


if __name__ == "__main__":
    sys.exit(main())
