"""The command `pyramid_evaluate model.json data.json`: how good a model is on labelled rows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pyramid.commands.console import CommandError, make_parser, read_json_file, run_command
from pyramid.commands.labelled_rows import NO_BOXES, LabelledRows, read_rows
from pyramid.commands.scores import class_indices, confusion_report, metrics_report, numbers
from pyramid.errors import DataError
from pyramid.images.rows import listed
from pyramid.train.metrics import evaluate_classes, evaluate_numbers
from sensenet.errors import ModelFormatError

PROGRAM = "pyramid_evaluate"
IMAGES_PER_CALL = 64


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
        "Predicts labelled rows with a model and prints its metrics, and of a classifier the confusion matrix.",
    )
    parser.add_argument("model", type=Path, help="a model document (.json, .json.gz) or a bundle (.smbundle)")
    parser.add_argument(
        "data", type=Path, help="a JSON file: a list of labelled rows, or a config of pyramid_train"
    )
    parser.add_argument(
        "--image-root", metavar="DIR", help="the folder of image files, in place of the data's image_root"
    )
    parser.add_argument(
        "--allow-outside-root", action="store_true", help="take image files that lie outside of that folder"
    )
    parsed = parser.parse_args(arguments)
    return run_command(PROGRAM, parsed.debug, lambda: _run(parsed))


def _run(parsed: argparse.Namespace) -> None:
    data = read_json_file(parsed.data)
    if not parsed.model.is_file():
        raise CommandError(f"{parsed.model} cannot be read: it is no file")
    in_lists = isinstance(data, list) and any(isinstance(row, list) for row in data)
    rows = read_rows(data, _class_index(parsed.model) if in_lists else None)
    root = rows.image_root if parsed.image_root is None else parsed.image_root
    allows = rows.allow_outside_root or parsed.allow_outside_root
    rows = replace(rows, image_root=root, allow_outside_root=allows)
    try:
        model = import_module("sensenet").create_model(parsed.model, {"image_path_prefix": root})
    except ModelFormatError as error:
        raise CommandError(f"{parsed.model}: {error}") from error
    if hasattr(model, "arrays"):
        raise CommandError(NO_BOXES)
    if model._classes is None:
        truth = numbers(rows.labels)
    else:
        truth = class_indices(rows.labels, model._classes)
    predictions = _predict(model, rows)
    if len(predictions) != len(truth):
        raise CommandError(f"the model takes the {len(truth)} rows for {len(predictions)}")
    print(f"{len(truth)} rows")
    if model._classes is None:
        print(metrics_report(evaluate_numbers(truth, predictions[:, 0])))
        return
    print(metrics_report(evaluate_classes(truth, predictions)))
    print()
    print(confusion_report(truth, predictions.argmax(axis=1), model._classes))


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
    files = import_module("pyramid.images.root")
    source = files.image_source(rows)
    predictions = []
    with tqdm(total=len(rows.inputs), desc="predicting", unit="image", leave=False, file=sys.stderr) as bar:
        for start in range(0, len(rows.inputs), IMAGES_PER_CALL):
            batch = list(rows.inputs[start : start + IMAGES_PER_CALL])
            predicted, problems = files.predict_files(predict, batch, source)
            if problems:
                raise DataError(f"images cannot be read:\n{listed(problems)}")
            predictions.append(np.asarray(predicted))
            bar.update(len(batch))
    return np.concatenate(predictions)


if __name__ == "__main__":
    sys.exit(main())
