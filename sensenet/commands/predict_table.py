"""What `sensenet_predict` does with a table."""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path

from tqdm import tqdm

from sensenet.commands.output import written_to
from sensenet.commands.reading_options import reading_of, warn
from sensenet.document.wording import counted
from sensenet.errors import InputError


def predict_table(parsed: argparse.Namespace, path: Path) -> None:
    """Write the predictions of every row as CSV.

    Args:
        parsed: the options.
        path: of the table.

    Raises:
        SensenetError: a model or a table that cannot be used.
        OSError: the predictions cannot be written.
    """
    opening = import_module("sensenet.predictors.opening")
    if (kind := opening.kind_of_model(parsed.model)) != opening.DOCUMENT:
        raise InputError(
            f"{path}: expected an image, for {parsed.model} is a {kind}; tables need a document or bundle"
        )
    root = str(path.parent) if parsed.image_root is None else parsed.image_root
    model = import_module("sensenet").create_model(parsed.model, {"image_path_prefix": root})
    if not hasattr(model, "predict"):
        raise InputError(f"{path}: expected an image, for {parsed.model} finds boxes in images")
    source = import_module("sensenet.tables.source").open_table(path, reading_of(parsed), warn)
    columns_of = import_module("sensenet.tables.model_columns")
    columns = columns_of.match_columns(model.codecs, source, parsed.no_header)
    for name in columns.missing:
        warn(f'there is no column "{name}"; it counts as missing in every row')
    odd = columns_of.Oddities()
    predictions = import_module("sensenet.tables.predictions")
    start, n_rows = time.monotonic(), 0
    with written_to(parsed.output) as write, tqdm(unit=" rows", leave=False, disable=None) as bar:
        for predicted in predictions.predict_table(model, source, columns, odd):
            frame = predictions.predictions_frame(model, predicted.outputs, parsed.probabilities)
            write(frame.write_csv(include_header=n_rows == 0).encode())
            n_rows += len(frame)
            bar.update(len(frame))
        if not n_rows:
            raise InputError(f"{source.name}: there are no rows")
    for line in odd.lines():
        warn(line)
    seconds = time.monotonic() - start
    rate = f"{n_rows / max(seconds, 1e-9):,.0f} a second"
    print(f"{counted(n_rows, 'row')} in {seconds:.1f} seconds, {rate}", file=sys.stderr)
