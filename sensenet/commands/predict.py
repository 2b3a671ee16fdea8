"""The command `sensenet_predict MODEL TABLE`: what a model says of every row of a table."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sensenet.commands.console import installed_version, make_parser, run_command
from sensenet.document.wording import counted
from sensenet.errors import InputError
from sensenet.files import whole_file

PROGRAM = "sensenet_predict"


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
        "Predicts every row of a table with a model. The columns are found by their names; others are ignored. What a "
        "column lacks or the model does not know counts as missing, and is told on standard error.",
        installed_version(),
    )
    parser.add_argument("model", type=Path, help="a model document (.json, .json.gz) or a bundle (.smbundle)")
    parser.add_argument(
        "table",
        type=Path,
        help="CSV with any delimiter, JSON lines, a JSON list of objects, each perhaps gzipped, or Parquet",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="where the CSV goes (default: standard output)"
    )
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="of a classifier: a column for the probability of each class",
    )
    add_reading_options(parser)
    parser.add_argument(
        "--image-root", metavar="DIR", help="the folder of image files (default: that of the table)"
    )
    parsed = parser.parse_args(arguments)
    return run_command(PROGRAM, parsed.debug, lambda: _run(parsed))


def add_reading_options(parser: argparse._ActionsContainer) -> None:
    """The options that say how a table is read, for a parser or a group of one."""
    parser.add_argument(
        "--delimiter", metavar="CHARACTER", help='what stands between values, such as ";" or tab'
    )
    parser.add_argument(
        "--encoding", metavar="NAME", help="of a file of text, such as cp1252 (default: UTF-8)"
    )
    parser.add_argument(
        "--no-header",
        action="store_true",
        help="the first line is a row: columns are called column_1, column_2, ...",
    )


def reading_of(parsed: argparse.Namespace) -> Any:
    """What these options ask for, as a `sensenet.tables.source.Reading`."""
    source = import_module("sensenet.tables.source")
    return source.Reading(parsed.delimiter, parsed.encoding, not parsed.no_header)


def warn(message: str) -> None:
    """Tell people something on standard error."""
    print(f"warning: {message}", file=sys.stderr, flush=True)


def _run(parsed: argparse.Namespace) -> None:
    sources = import_module("sensenet.tables.source")
    source = sources.open_table(parsed.table, reading_of(parsed), warn)
    root = str(source.folder) if parsed.image_root is None else parsed.image_root
    model = import_module("sensenet").create_model(parsed.model, {"image_path_prefix": root})
    if not hasattr(model, "predict"):
        raise InputError(f"{parsed.model} finds boxes in images; it does not predict tables")
    columns_of = import_module("sensenet.tables.model_columns")
    columns = columns_of.match_columns(model.codecs, source, parsed.no_header)
    for name in columns.missing:
        warn(f'there is no column "{name}"; it counts as missing in every row')
    odd = columns_of.Oddities()
    predictions = import_module("sensenet.tables.predictions")
    start, n_rows = time.monotonic(), 0
    with _written_to(parsed.output) as write, tqdm(unit=" rows", leave=False, disable=None) as bar:
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


@contextmanager
def _written_to(path: Path | None) -> Iterator[Callable[[bytes], Any]]:
    """What writes to a file, which is there when all was written, or to standard output."""
    if path is None:
        yield sys.stdout.buffer.write
        return
    with whole_file(path) as file:
        yield file.write


if __name__ == "__main__":
    sys.exit(main())
